// SPDX-License-Identifier: Apache-2.0
// A storm: everything that a database can be asked for, asked by many threads at once, while its
// tables change under them. Each thread has chances of its own, drawn from one seed.
//
// Table "t" is made of pairs of rows that are always written together, by one writer who owns them:
// so each thread can tell half a commit, a step back, and at the end what each pair must hold.
// Other tables come, change and go; of them a thread only demands that they fit together.
//
// What threads tell each other goes through relaxed atomics wherever it may, so that the storm
// itself orders little: ThreadSanitizer sees a race only between what nothing else put in order.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/executor.h"
#include "base/random.h"
#include "test/support/rows.h"
#include "varve/database.h"

namespace varve {
class Files;
}  // namespace varve

namespace varve::testing {

struct StormSettings {
  std::uint64_t seed = 1;
  Files* files = nullptr;
  std::string path;
  std::uint32_t commits = 100;  // of each of the two writers
  bool close_amid = false;      // when a third of them is done
};

class Storm {
 public:
  explicit Storm(const StormSettings& settings);
  // Opens the database; the first time it makes the tables.
  void Open();
  // Until the writers are through, or the database is closed.
  void Rage();
  // What must be there, however the storm ended; the database is open.
  void CheckAll();
  Status Close() { return db_->Close(); }
  void Drop() { db_.reset(); }  // whoever held something of it has ended

 private:
  static constexpr std::int64_t kPairs = 8;            // of each writer
  static constexpr std::int64_t kCounter = 1'000'000;  // the key of a row that transactions raise

  // What a pair held after one of its commits; nothing: it was deleted.
  struct Left {
    std::optional<std::string> value;
    bool acknowledged = false;
  };
  struct Late {
    Left* left;
    std::future<Result<CommitInfo>> info;
  };
  struct Writer {
    std::string name;
    std::int64_t first_key = 0;
    std::map<std::int64_t, std::deque<Left>> stories = {};  // by the first key of a pair
    std::deque<Late> late = {};                             // nobody waited for them yet
  };
  struct Follower {
    Rows rows = {};  // as the changes so far leave them
    CommitNumber position = {};
  };
  struct Held {
    std::shared_ptr<Snapshot> snapshot;
    Rows rows;
  };
  using SnapshotPtr = std::shared_ptr<Snapshot>;
  using Work = std::function<void(Random&)>;

  // storm.cc
  void Start(std::vector<std::thread>* threads, Work work);
  std::vector<std::thread> StartWriters();
  std::vector<std::thread> StartOthers();
  bool stopped() const { return stop_.load(std::memory_order_relaxed); }
  bool closing() const { return closing_.load(std::memory_order_relaxed); }
  void CountCommit();
  // Waits until so many more commits were made; false when the storm is over.
  bool AwaitCommits(std::uint32_t more) const;
  // Whether the call could be refused beside all the others, and the database is still open.
  static bool MayGoOn(const Error& error);
  void CheckWriter(const Writer& writer, const Rows& rows) const;
  void CheckFollower(const Follower& follower) const;

  // storm_writers.cc
  void Write(Writer* me, Random& random);
  bool WriteOne(Writer* me, std::uint64_t number, Random& random);
  bool Acknowledge(Left* left, const Result<CommitInfo>& info);
  bool AwaitOldest(Writer* me);
  void WriteLoosely(Random& random);
  void Transact(Random& random);
  bool TransactOnce(Random& random);
  void ChangeTables(Random& random);
  bool ChangeOnce(std::uint64_t number, Random& random);
  void Tend(Random& random);
  void TendOnce(std::uint64_t number, Random& random);

  // storm_readers.cc
  void Read(Random& random);
  Result<SnapshotPtr> Choose(Random& random);
  void CheckPairs(const Rows& rows) const;
  void CheckOtherWays(const Snapshot& snapshot, const Rows& rows, Random& random);
  void CheckUnordered(const Snapshot& snapshot, const Rows& rows, Random& random);
  void CheckChangesSince(const Held& before, const Held& now) const;
  void CheckOtherTables(const Snapshot& snapshot) const;
  void Follow(Follower* me, Random& random);
  bool FollowUntilItEnds(Follower* me, Random& random);
  void FollowOthers(Random& random);
  void Offer(const std::shared_ptr<ChangeCursor>& cursor);

  const StormSettings settings_;
  SeededRandom random_;
  ThreadPool threads_{2};
  std::unique_ptr<Database> db_;

  std::atomic<bool> stop_ = false;
  std::atomic<bool> closing_ = false;
  std::atomic<std::uint32_t> commits_ = 0;  // of the writers; who waits for more is woken
  std::atomic<std::int64_t> counted_ = 0;   // transactions that raised the counter
  std::uint64_t started_ = 0;               // threads

  // What one thread offers for others to use or to cancel.
  std::mutex offers_mutex_;
  SnapshotPtr offered_snapshot_;                     // guarded by offers_mutex_
  std::shared_ptr<ChangeCursor> offered_cursor_;     // guarded by offers_mutex_
  std::stop_source offered_scan_{std::nostopstate};  // guarded by offers_mutex_

  // Of one thread each while the storm rages.
  std::deque<Writer> writers_;
  Follower follower_;
};

// Applies changes as Snapshot::Changes and cursors give them, with before images, each of which
// must be what `rows` holds.
void Apply(const arrow::RecordBatch& changes, Rows* rows);

}  // namespace varve::testing
