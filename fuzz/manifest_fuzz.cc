// SPDX-License-Identifier: Apache-2.0
// Manifest objects: lines, edits, states. Input: a byte of options, then the object, of which with
// kMendLines the checksums of the lines and the count in the last are made anew.
#include <arrow/api.h>
#include <fmt/format.h>

#include "fuzz/allocation_meter.h"
#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_lines.h"
#include "manifest/state_editor.h"

namespace varve::fuzz {
namespace {

constexpr std::uint8_t kMendLines = 1;
constexpr std::uint8_t kMendEnd = 2;
constexpr std::uint8_t kFirst = 4;  // number 1, without a state before it; else kNumber
constexpr std::uint64_t kNumber = 7;
constexpr std::string_view kDatabase = "00112233445566778899aabbccddeeff";
constexpr std::size_t kChecksumText = sizeof " crc32c=00000000" - 1;

std::shared_ptr<const TableSchema> Columns() {
  static const auto columns = TableSchema::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8())}),
      {"id"});
  return columns.value();
}

AddRunEdit NewRun(std::uint64_t id, std::uint32_t table) {
  RunMeta run{.id = id, .table_id = table, .schema_id = 1};
  run.data = {.name = fmt::format("data/t/{:020}.parquet", id),
              .bytes = 1000,
              .rows = 10,
              .data_bytes = 900,
              .tail_crc32c = 77};
  run.min_key = std::string("\x80\0\0", 3);
  run.max_key = "\x80\xff";
  run.min_commit = 1;
  run.max_commit = 3;
  return {std::make_shared<const RunMeta>(std::move(run))};
}

// A state with everything that one can have, and the edits that made it of an empty one.
struct Life {
  std::vector<Edit> edits;
  ManifestState state;
};

Life MakeLife(std::uint64_t number) {
  Life life;
  life.edits = {
      CreateTableEdit{1, "orders", 1, Columns()},
      CreateTableEdit{2, "items", 1, Columns()},
      NewRun(1, 1),
      NewRun(2, 2),
      AdvanceEdit{{4}, {4000}, {40}, {44}},
      AddTimesEdit{{4}, {.first = {1}, .min_time = {5}, .bytes = 47, .crc32c = 9}},
      NoteProducerEdit{"p", {3, {2}}},
      TagEdit{"old", {.commit = {4}, .commit_time = {4000}, .made = {4007}}},
      AdvanceEdit{{5}, {5000}, {50}, {55}},
      RenameTableEdit{1, {5}, "sales"},
      AdvanceEdit{{6}, {6000}, {60}, {66}},
      DropTableEdit{2, {6}},
      MoveRunEdit{1, 1, 2},
      HideRunEdit{1, 1, {6}},
      SetHistoryEdit{99},
  };
  ManifestState empty;
  empty.database_id = kDatabase;
  StateEditor editor(empty);
  for (const auto& edit : life.edits) {
    const auto applied = editor.Apply(edit);
    FUZZ_EXPECT(applied.has_value(), applied.error().message());
  }
  life.state = editor.Finish(number);
  return life;
}

// The texts of the lines under checksums of their own.
std::string Mended(std::string_view bytes, std::uint64_t number, bool mend_end) {
  LineWriter writer(number);
  while (!bytes.empty()) {
    auto text = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(std::min(bytes.size(), text.size() + 1));
    if (text.size() >= kChecksumText) text.remove_suffix(kChecksumText);
    if (mend_end && bytes.empty()) {
      writer.Add(fmt::format(R"({{"kind":"end","lines":{}}})", writer.lines() + 1));
    } else {
      writer.Add(text);
    }
  }
  return writer.Take();
}

// The whole state in one order: equal bytes are equal states.
std::string Whole(const ManifestState& state) {
  return EncodeManifest(state, {}, 0, {1}, {.here = true, .before = 0});
}

void CheckIsOneValue(const ManifestState* before, const ManifestObject& object,
                     const ManifestState& state) {
  const auto again = EncodeManifest(
      state, object.edits, object.header.previous_crc32c, object.header.time,
      {.here = object.checkpoint != nullptr,
       .before = object.header.checkpoint_before != 0 ? object.header.checkpoint_before
                                                      : CheckpointBefore(state.number)});
  const auto decoded = DecodeManifest(again, state.number);
  FUZZ_EXPECT(decoded.has_value(), decoded.error().message());
  const auto replayed = Replay(before, *decoded);
  FUZZ_EXPECT(replayed.has_value(), replayed.error().message());
  FUZZ_EXPECT(Whole(**replayed) == Whole(state), again);
}

}  // namespace

void FuzzOne(Input input) {
  const auto options = input.Take<std::uint8_t>();
  const bool first = (options & kFirst) != 0;
  const std::uint64_t number = first ? 1 : kNumber;
  std::string bytes(input.TakeRest());
  if ((options & kMendLines) != 0) bytes = Mended(bytes, number, (options & kMendEnd) != 0);
  static const auto before = std::make_shared<const ManifestState>(MakeLife(kNumber - 1).state);
  std::uint64_t offset = 0;
  AllocationMeter meter;
  const auto object = DecodeManifest(bytes, number, &offset);
  // The JSON of one line, what was made of all of them, and Arrow's schemas.
  FUZZ_EXPECT(meter.peak_bytes() <= 200 * bytes.size() + (4u << 20),
              std::to_string(meter.peak_bytes()) + " for " + std::to_string(bytes.size()));
  if (!object) {
    FUZZ_EXPECT(BlamesBytes(object.error()), object.error().message());
    FUZZ_EXPECT(offset <= bytes.size(), std::to_string(offset));
    return;
  }
  const auto* const base = first ? nullptr : before.get();
  const auto state = Replay(base, *object);
  if (!state) {
    FUZZ_EXPECT(BlamesBytes(state.error()), state.error().message());
    return;
  }
  CheckIsOneValue(base, *object, **state);
}

std::vector<std::string> FuzzSeeds() {
  std::vector<std::string> seeds;
  const auto add = [&](int options, const std::string& bytes) {
    seeds.push_back(static_cast<char>(options) + bytes);
  };
  const Life life = MakeLife(1);
  const std::string first = EncodeManifest(life.state, life.edits, 0, {7}, {.here = true});
  add(kFirst, first);
  add(kFirst | kMendLines, first);
  add(kFirst | kMendLines | kMendEnd, first);
  const auto next = [&](const std::vector<Edit>& edits) {
    StateEditor editor(MakeLife(kNumber - 1).state);
    for (const auto& edit : edits) {
      const auto applied = editor.Apply(edit);
      FUZZ_EXPECT(applied.has_value(), applied.error().message());
    }
    return EncodeManifest(editor.Finish(kNumber), edits, 5, {7},
                          CheckpointPlace::ByNumber(kNumber));
  };
  for (const auto& edits : std::vector<std::vector<Edit>>{
           {NewRun(3, 1), AdvanceEdit{{9}, {9000}, {90}, {99}}},
           {RemoveRunEdit{1, 1}, UntagEdit{"old"}, RetireEdit{{5}}},
           {CreateTableEdit{3, "items", 1, Columns()}, NewRun(5, 3), MoveRunEdit{3, 5, 7}},
           {AdvanceEdit{{7}, {9000}, {90}, {99}}, RenameTableEdit{1, {7}, "x"},
            NoteProducerEdit{"q", {1, {7}}}}}) {
    const auto bytes = next(edits);
    add(0, bytes);
    add(kMendLines, bytes);
    add(kMendLines | kMendEnd, bytes);
  }
  return seeds;
}

}  // namespace varve::fuzz
