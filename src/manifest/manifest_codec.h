// SPDX-License-Identifier: Apache-2.0
// The bytes of a manifest object, format 1 or 3.
//
// An object is a list of lines; manifest_lines.h says how each carries its checksum. A line's text
// is one flat JSON object, UTF-8, without LF. Its member "kind" says what it is; all members of its
// kind are there and no others. The lines, in this order:
//
//   header        once. format: 1, or 3 with one member more; database: 32 hex digits; number: the
//                 object's own; previous: number - 1; previous_crc32c: of all bytes of that
//                 object, 8 hex digits ("00000000" in an object that stands alone: object 1, and
//                 a checkpoint that begins a copy or follows a repair: before it nothing is
//                 needed); commit, commit_time: the state's, after the edits; time: when this was
//                 published; checkpoint: whether "state" follows;
//                 in format 3 checkpoint_before: the number of the newest checkpoint before this
//                 object
//   the edits, in the order in which they apply:
//   create_table  table, name, schema_id, columns and key (for people), schema: hex of
//                 TableSchema::Serialize (the truth); time_to_live (for people), when rows
//                 expire: so in each line that has a schema
//   add_run       run, table, schema_id, level; data, data_file_bytes, data_rows, data_bytes,
//                 data_tail_crc32c and the same of deletes (RunObject; name "" when there is no
//                 such object); min_key, max_key: hex; min_commit, max_commit; distinct_keys;
//                 shown_from and hidden_from, each unless it is 0; data_file_key and
//                 deletes_file_key, hex, of encrypted objects, in encrypted manifests alone
//   move_run      table, run, level
//   retire        commit: the oldest that can be read
//   set_history   micros
//   hide_run      table, run, from: its hidden_from, which was 0
//   remove_run    table, run
//   advance       commit, commit_time, floor, durable
//   note_producer id, sequence, commit: after the advance to that commit
//   drop_table    table, commit: after the advance to that commit, as the two below
//   rename_table  table, commit, name
//   alter_table   table, commit, schema_id, columns, key, schema
//   add_times     commit, first, min_time, bytes, crc32c: the object times/<commit>
//                 (commit_times.h), after the advance to that commit; file_key as in add_run
//   tag           name, commit, commit_time, made
//   untag         name
//   in a checkpoint (see below), then the whole state after the edits:
//   state         commit, commit_time, floor, durable, next_table_id, next_run_id
//   table         as create_table, by name; each followed by what it was and its runs:
//   altered_table as table, among these: its columns are not all, or not only, those it was made
//                 with
//   former_schema table, schema_id, columns, key, schema: one it had, by id
//   former        table, until, name, schema_id: what it was before commit `until`, the oldest
//                 first
//   run           as add_run, by level, then id
//   dropped_table as table, and commit: that which dropped it; by id, each followed as a table is
//   version       number, commit, time, runs, rows, bytes; oldest first; each followed by its
//   times         as add_times, when there is such an object
//   producer      id, sequence, commit; by commit
//   tagged        as tag; by name
//   end           once. lines: how many the object has, this one included. No byte follows it.
//
// Checkpoints are object 1 and, as long as the state is small, each whose number divides by
// kCheckpointEvery. Of a larger one only those of them are by which the objects since the last one
// have cost as many lines as the state has (LinesOf): so what is written for checkpoints, and what
// is read at opening, stays in proportion to the edits. An object whose number does not tell which
// checkpoint is before it, or that it is none, has format 3; all others have format 1.
//
// Numbers are decimal; those called time are microseconds since 1970-01-01T00:00:00Z.
//
// Valid means: every checksum agrees, with the number that the object's name says; every member has
// its type; every edit can be applied to the state before (state_editor.h); the header agrees with
// the state; database and previous_crc32c agree with the object before; and where both are known,
// the checkpoint equals the state before with the edits applied.
// A kind or member that is not listed, under right checksums, was written by a newer varve.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/manifest.h"
#include "varve/error.h"

namespace varve {

inline constexpr std::uint64_t kManifestFormat = 1;
// Checkpoints by size. (2 is that of encrypted objects, which have one of these inside.)
inline constexpr std::uint64_t kSparseManifestFormat = 3;
inline constexpr std::string_view kManifestPrefix = "manifest/";
inline constexpr std::uint64_t kManifestBytesMax = 256u << 20;  // larger objects are refused

struct ManifestHeader {
  std::string database_id;
  std::uint64_t number = 0;
  std::uint32_t previous_crc32c = 0;
  CommitNumber commit;
  WallTime commit_time;
  WallTime time;
  bool checkpoint = false;
  std::uint64_t checkpoint_before = 0;  // in format 3 alone; else 0
};

struct ManifestObject {
  ManifestHeader header;
  std::vector<Edit> edits;
  std::shared_ptr<const ManifestState> checkpoint;  // null when the header says there is none

  // Manifest::PublishAlone. (A checksum that happens to be 0 makes a gap before it go unseen.)
  bool StandsAlone() const { return checkpoint != nullptr && header.previous_crc32c == 0; }
};

constexpr bool IsCheckpointNumber(std::uint64_t number) {
  return number == 1 || number % kCheckpointEvery == 0;
}
// The newest checkpoint before an object whose state is small; 0 before object 1.
constexpr std::uint64_t CheckpointBefore(std::uint64_t number) {
  if (number == 1) return 0;
  const std::uint64_t before = (number - 1) / kCheckpointEvery * kCheckpointEvery;
  return before == 0 ? 1 : before;
}

// What reading a state, or the object of some edits, costs, in lines. Finding and opening an object
// costs about as much as reading 32.
std::uint64_t LinesOf(const ManifestState& state);
constexpr std::uint64_t LinesOfObject(std::size_t edits) { return 32 + edits; }

// Which checkpoints there are around an object, itself included.
struct CheckpointPlace {
  bool here = false;
  std::uint64_t before = 0;
  // As those of a small state are.
  static constexpr CheckpointPlace ByNumber(std::uint64_t number) {
    return {IsCheckpointNumber(number), CheckpointBefore(number)};
  }
};

// The object that brings a database to `state`; with all of `state` when it is a checkpoint.
std::string EncodeManifest(const ManifestState& state, const std::vector<Edit>& edits,
                           std::uint32_t previous_crc32c, WallTime time,
                           const CheckpointPlace& place);

// All checks that the object alone allows. `number` is what its name says. Corruption names line
// and offset, expected and found; Invalid/kUnsupportedFormat for what a newer varve wrote. After
// an error `*offset`, when given, is where the bad line starts.
Result<ManifestObject> DecodeManifest(std::string_view bytes, std::uint64_t number,
                                      std::uint64_t* offset = nullptr);

// The state after `object`, with all checks that need the state `before`. Where `before` is null
// the object must be a checkpoint. Corruption says expected and found.
Result<std::shared_ptr<const ManifestState>> Replay(const ManifestState* before,
                                                    const ManifestObject& object);

// An edit or state line that is impossible after what came before is no use error when it was read:
// the bytes cannot be trusted. Passes kUnsupportedFormat on; any other error becomes Corruption.
Status AsCorruption(Status status);
// Invalid unless 32 lower-case hexadecimal digits.
Status CheckDatabaseId(std::string_view id);

// For people: the line's members as name=value. Of bytes that are not a sound line: as they are.
std::string DescribeLine(std::string_view text);
// The number that a header line's text says; nothing when it says none.
std::optional<std::uint64_t> HeaderNumber(std::string_view text);
// The number in an object's name; nothing for names that are not manifest/<20 digits>.
std::optional<std::uint64_t> ManifestNumber(std::string_view name);

}  // namespace varve
