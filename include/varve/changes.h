// SPDX-License-Identifier: Apache-2.0
// ChangeCursor: follows what is committed to one table.
//
//   auto cursor = db->FollowChanges("orders", saved_position);
//   while (auto batch = (*cursor)->Next()) {   // waits until something is committed
//     if (*batch == nullptr) break;            // only when a time-out was given
//     Apply(**batch);
//     Save((*cursor)->position());             // with what was applied, or after it
//   }
//
// Batches are those of Snapshot::Changes (varve/snapshot.h): commits in order, each change once.
// Only what is visible comes, so nothing that a power cut could take back. Waiting takes no time of
// any processor: whoever makes commits visible wakes the cursor.
//
// After a restart, follow again from the position that was saved: nothing is left out. Nothing
// comes twice, except that a commit of more than batch_rows_max changes comes in several batches,
// and the position moves with the last of them: whoever saves in between sees its first batches
// again, the same ones. Make the steps of one commit one step of yours, or know them by _commit.
//
// A cursor follows its table, whatever it is called later; the name given is the one that the table
// has now. One that was dropped after `from` is followed by the name that it had last: its changes
// up to the drop come, then NotFound, which names the drop's commit. When another table was made
// under the name since, the dropped one comes first: follow the other from the drop's commit. One
// that was renamed to it is what the name means, from any commit.
//
// Thread safety: one thread at a time, except Cancel, which any thread may call at any time.
// A cursor does not keep the database open, and may outlive it. Between calls it keeps memory and
// files only while it is behind.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "varve/error.h"
#include "varve/options.h"
#include "varve/types.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

class ChangeCursor {
 public:
  static constexpr std::uint64_t kForever = UINT64_MAX;

  ~ChangeCursor();
  ChangeCursor(const ChangeCursor&) = delete;
  ChangeCursor& operator=(const ChangeCursor&) = delete;

  // Of every batch.
  const std::shared_ptr<arrow::Schema>& schema() const;

  // The next changes, at least one. Waits for them, at most `timeout_ms`; then null. 0: does not
  // wait.
  // Errors, after which the cursor has ended, and every call gives the same one: Invalid/kClosed
  // (cancelled; the database was closed), NotFound (the table was dropped, and all changes before
  // that were given, or it says which were not), Conflict (its columns were changed: follow again
  // from position()), Corruption and Unavailable as of a scan.
  Result<std::shared_ptr<arrow::RecordBatch>> Next(std::uint64_t timeout_ms = kForever);

  // Everything up to this commit was given. It moves with other tables' commits too, when Next
  // looks.
  CommitNumber position() const;

  // Ends it: the Next that waits, or reads, and every later one is Invalid/kClosed. So does
  // ChangesOptions::stop.
  void Cancel();

 private:
  class Impl;
  friend class Database;
  explicit ChangeCursor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
