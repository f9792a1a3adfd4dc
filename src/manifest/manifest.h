// SPDX-License-Identifier: Apache-2.0
// Manifest: the ordered list of what is official. Changing it is the only way data becomes so.
//
// Numbered, immutable objects manifest/<20 digits>; committing number n + 1 is put-if-absent, so of
// two writers one wins. An object is a list of edits with the commit number that the runs contain
// and the wall time; some, the checkpoints, also hold the full state, so that opening reads few
// objects (manifest_codec.h says which). JSON lines, each with a CRC-32C: a person can read it
// (docs/format.md).
//
// Thread safety: state() from any thread; Commit from one at a time (it locks).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "files/object_store.h"
#include "manifest/edit.h"
#include "manifest/manifest_state.h"
#include "varve/error.h"
#include "varve/types.h"

namespace varve {

class KeyProvider;  // varve/log_options.h

inline constexpr std::uint64_t kCheckpointEvery = 32;
inline constexpr std::size_t kTagsMax = 65536;

class Manifest {
 public:
  // With keys all objects are encrypted, and the first one under another key than the one before is
  // a checkpoint: from it on the keys before are not needed. Without keys none may be.

  // Makes manifest 1 of a new database. Conflict/kAlreadyExists when there is one.
  static Status Create(ObjectStore* store, const std::string& database_id, WallTime now,
                       KeyProvider* keys = nullptr);

  // Publishes a state as object `state.number`, a checkpoint that stands alone: objects before it
  // may stay or go. For copies and repairs, which nobody else writes to meanwhile. Conflict when
  // there is an object of this number or a later one.
  static Status PublishAlone(ObjectStore* store, const ManifestState& state, WallTime now,
                             KeyProvider* keys = nullptr);

  // Reads the newest checkpoint and the edits after it. NotFound when there is no manifest;
  // Corruption names object and line; Invalid/kUnsupportedFormat for a newer format;
  // NotFound/kMissingKey, Invalid/kWrongKey, kExpiredKey, and kNotEncrypted when there are keys.
  // `keys` must outlive it.
  static Result<std::unique_ptr<Manifest>> Open(ObjectStore* store, KeyProvider* keys = nullptr);

  // The errors of Open that are of keys, by the newest object alone. Of damage it says nothing.
  static Status CheckKeys(ObjectStore* store, KeyProvider* keys);

  std::shared_ptr<const ManifestState> state() const;

  // For readers: the state of the newest object there is now. True when that is another one than
  // before. Errors as Open; state() then stays as it was. Nothing can be committed afterwards.
  Result<bool> Refresh();

  // Applies the edits to the current state, in order, and publishes the result as the next object.
  // On return it is durable and state() is new. Conflict: another writer took the number (this one
  // is fenced). Invalid: an edit that cannot be applied; nothing was published. Unavailable: not
  // known until read back, which Commit itself does: it returns success if the object is there with
  // these bytes and could be made durable. kNoSpace, kPermission: certainly not published, try
  // again. kUnknownOutcome: not even that could be learned; every later Commit fails too; reopen.
  Result<std::shared_ptr<const ManifestState>> Commit(const std::vector<Edit>& edits,
                                                      WallTime now);

  // kUnknownOutcome when that was the outcome of a Commit: a later one would be refused untried. So
  // when this says nothing, an unknown outcome of the next Commit is that Commit's own.
  Status CheckCommits();

  // Makes the object that Open read durable, by putting the same bytes again: a writer that was
  // killed may have left it under a name that it had not synced yet, and a power cut would then
  // bring the older state back. Whoever opens to write calls this before it removes anything (log,
  // objects) that only an older state needs; a successful Commit does as well.
  Status MakeDurable();

  // Removes the objects that nobody needs to open the newest state: those before the checkpoint
  // before the newest one, but from `needed` on all stay. The oldest first: what is left begins
  // with a whole history, or after a crash with the end of one. Costs nothing while there are none.
  Status RemoveOld(std::uint64_t needed = std::numeric_limits<std::uint64_t>::max());

  // Reads every manifest object, calls `damage` for each that does not check, and gives the newest
  // state that can be read. For verify.
  // Of objects before the newest checkpoint whose key is gone only the checksum is looked at; they
  // are counted.
  using DamageSink =
      std::function<void(const std::string& object, std::uint64_t offset, const std::string& what)>;
  struct Counts {
    std::uint64_t objects = 0;
    std::uint64_t without_key = 0;
  };
  static Result<std::shared_ptr<const ManifestState>> Verify(ObjectStore* store,
                                                             const DamageSink& damage,
                                                             Counts* counts,
                                                             KeyProvider* keys = nullptr);
  // A description of one object's bytes, line by line, up to the first damage, which is the error.
  // Without keys that of an encrypted one ends with the error that says which key it needs.
  static Status Dump(std::string_view bytes, const std::function<void(std::string_view)>& line,
                     KeyProvider* keys = nullptr);

  // An object with more is not written: a state that is larger goes on by edits. Smaller in tests.
  void set_object_bytes_max(std::uint64_t bytes) { object_bytes_max_ = bytes; }

 private:
  struct Checkpoints {  // which objects are, as far as a writer has to know
    std::uint64_t newest = 0;
    std::uint64_t before = 0;       // the one before that
    std::uint64_t lines_since = 0;  // what the objects after the newest cost (LinesOfObject)
  };
  Manifest(ObjectStore* store, KeyProvider* keys, std::shared_ptr<const ManifestState> state,
           std::uint32_t newest_crc32c, std::string newest_key_id,
           const Checkpoints& checkpoints);
  bool IsCheckpointDue(const ManifestState& after, std::size_t edits) const;
  Result<std::string> Encode(const ManifestState& after, const std::vector<Edit>& edits,
                             WallTime now, std::string* key_id, bool* checkpoint);
  Result<bool> TakeNext();
  Status CheckIsOf(const ManifestState& before, const ManifestState& after) const;
  ObjectStore* const store_;
  KeyProvider* const keys_;  // null: not encrypted
  std::uint64_t object_bytes_max_;
  std::mutex commit_mutex_;
  std::string broken_;            // guarded by commit_mutex_: why no Commit can follow; else empty
  std::uint32_t newest_crc32c_;   // guarded by commit_mutex_: ManifestChecksum of the newest
  bool newest_alone_ = false;     // guarded by commit_mutex_: after it a backup leaves numbers out
  std::string newest_key_id_;     // guarded by commit_mutex_: empty when it is not encrypted
  Checkpoints checkpoints_;       // guarded by commit_mutex_
  std::uint64_t removed_below_ = 0;  // objects with lower numbers; guarded by commit_mutex_
  mutable std::mutex state_mutex_;
  std::shared_ptr<const ManifestState> state_;  // guarded by state_mutex_
};

// Invalid unless the name may be a table's: 1 to 128 letters, digits, "_", "-" and ".", not
// starting with "-" or ".", without "..".
Status CheckTableName(std::string_view name);

// Invalid unless the name may be a tag's: 1 to 128 letters, digits, "_", "-" and ".", beginning
// with a letter or "_", so that it is neither a commit number nor a time.
Status CheckTagName(std::string_view name);

// "manifest/00000000000000000007"
std::string ManifestName(std::uint64_t number);

}  // namespace varve
