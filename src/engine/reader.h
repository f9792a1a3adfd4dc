// SPDX-License-Identifier: Apache-2.0
// Reader: a database that another process may be writing, opened read_only.
//
// It takes no lock of the writer. What it shows is the newest manifest with the log behind that,
// which it reads into memtables of its own, and brings up to date whenever somebody asks for what
// is newest. It shows a commit once that is durable, and makes it so itself where the files do not
// show it: no power cut takes back what somebody saw. A lease keeps the files that it reads by
// (engine/lease.h); without one they may go, and a read then says so.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine.h"
#include "engine/follow_signal.h"
#include "engine/lease.h"
#include "engine/replay.h"
#include "varve/log_reader.h"

namespace varve {

class Database::Impl::Reader {
 public:
  explicit Reader(Impl* database) : database_(*database) {}

  // Everything that opening takes, but for a look at the folder.
  Status Open();
  // Shows what is durable now, or fails and goes on showing what it did.
  Status CatchUp();
  // As Database::Impl::AwaitAfter, by looking again and again.
  Result<Visible> AwaitAfter(CommitNumber commit, const std::shared_ptr<FollowSignal>& signal,
                             std::int64_t deadline_micros);
  // Of the log's files as they are now.
  LogStats LookAtLog() const;
  // Who has the database open to write; empty: nobody.
  std::string Writer() const;
  void Close();

 private:
  using StatePtr = std::shared_ptr<const ManifestState>;

  // These require mutex_.
  Status TakeLease();
  Status OpenManifest();
  Result<bool> HasNewer();
  void Take(StatePtr state);
  Status Begin();
  Status ReadLog();
  Status CheckGoesOn() const;
  Status SyncManifest();
  Error Explained(const Error& error) const;
  void Show();
  std::shared_ptr<const Superversion> ChangeView();
  Status NoteLease();

  // What was shown, and may still be read by.
  struct Shown {
    std::uint64_t number = 0;
    CommitNumber commit;
    std::weak_ptr<const Superversion> view;
  };

  Impl& database_;
  mutable std::mutex mutex_;
  std::unique_ptr<Lease> lease_;       // null: declared to do without, or closed
  std::unique_ptr<LogCursor> cursor_;  // null: the log has to be read from the floor on
  StatePtr state_;                     // that was taken; the next Show shows it
  std::shared_ptr<Generation> generation_;          // what the log says after it
  std::vector<Replayed> unshown_;                   // of these commits, those not shown yet
  CommitNumber last_;                               // of all
  std::deque<Shown> shown_;                         // the oldest first
  bool begun_ = false;        // with new memtables, since something was shown
  bool closed_ = false;
  std::uint64_t noted_ = 0;   // in the lease
  std::uint64_t synced_ = 0;  // up to this manifest their names are durable
};

}  // namespace varve
