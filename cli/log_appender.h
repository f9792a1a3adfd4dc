// SPDX-License-Identifier: Apache-2.0
// Appends batches of lines to a log as units, and reports each unit after its ack. Units go in
// while earlier ones are on their way to the device: one thread waits for the oldest, and then
// knows about all that the same flush carried, whose acks it prints by one write. Producers hand
// their units over many at a time; when none was for some milliseconds, as while a producer waits
// for room in the log, that thread takes what there is.
#pragma once

#include <arrow/util/future.h>
#include <arrow/util/thread_pool.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "failure.h"
#include "line_batches.h"
#include "varve/log.h"

namespace varve::cli {

// What was acknowledged so far.
struct Appended {
  std::uint64_t records = 0;
  std::uint64_t units = 0;
  Lsn first;  // the lowest and the highest position of a unit
  Lsn last;
};

// With one thread units are in the log in the order of Add, and acks are printed in that order;
// with more both are open. At most 262,144 units wait for their ack.
class LogAppender {
 public:
  struct Options {
    AckLevel ack = AckLevel::kDurable;
    std::uint64_t records_per_unit = 1;
    int threads = 1;
    bool print_acks = false;
  };
  // `log` must outlive it.
  static Outcome<std::unique_ptr<LogAppender>> Make(Log* log, Options options);
  ~LogAppender();

  // Fails with the first failure of any unit; later units are not appended then.
  Done Add(LineBatch batch);
  // Waits for the ack of everything added, also after a failure. Once.
  Done Finish();
  Appended appended() const;

 private:
  // A unit that was given its place.
  struct Pending {
    LogTicket ticket;
    std::uint64_t records = 0;
  };

  // Units of one producer that were not handed over yet: written by it at `count`, read by others
  // below.
  struct Stage {
    std::array<Pending, 128> units;
    std::atomic<std::size_t> count = 0;
    std::size_t taken = 0;  // guarded by mutex_
  };

  LogAppender(Log* log, Options options) : log_(log), options_(options) {}
  void AppendUnits(const LineBatch& batch, Stage* stage);
  void AppendStaged(const LineBatch& batch);
  bool Hand(Stage* stage);
  void Take(Stage* stage);
  bool AwaitPending(std::unique_lock<std::mutex>* lock);
  void WaitForAcks();
  void TakeAcked(Lsn reached, std::vector<Pending>* acked);
  void Record(const std::vector<Pending>& acked);
  Lsn Reached() const;
  void Fail(Failure failure, bool for_good);
  Done FirstFailure() const;

  Log* const log_;
  const Options options_;
  std::shared_ptr<arrow::internal::ThreadPool> waiters_;    // the one thread that waits for acks
  std::shared_ptr<arrow::internal::ThreadPool> producers_;  // null with one thread
  std::deque<arrow::Future<>> running_;                     // of the calling thread only
  std::optional<arrow::Future<>> waiting_;                  // the same

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Pending> pending_;     // guarded by mutex_, as all below
  std::vector<Stage*> stages_;      // of the producers that append
  Appended appended_;
  std::optional<Failure> failure_;
  bool no_more_ = false;            // nothing will be pending any more
  bool broken_ = false;             // what is pending will have no ack
};

}  // namespace varve::cli
