// SPDX-License-Identifier: Apache-2.0
// Commits batches of a load from one or several threads, and reports each commit after its ack.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/util/future.h>
#include <arrow/util/thread_pool.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "failure.h"
#include "varve/database.h"

namespace varve::cli {

// What a load has committed so far.
struct Loaded {
  std::uint64_t rows = 0;      // read and acknowledged; rows with one key count each
  std::uint64_t passed = 0;    // of them: left out by the mode
  std::uint64_t repeated = 0;  // of them: another row with their key came later in the same commit
  std::uint64_t skipped = 0;   // beside them: rows that the producer had committed before
  std::uint64_t commits = 0;   // that were made: none where all rows were passed over
  CommitNumber first;
  CommitNumber last;
};

// With one thread commits follow the order of Submit; with more they share log flushes, and their
// order is open. At most two batches a thread wait, so memory is bounded.
class Committer {
 public:
  struct Options {
    std::string table;
    CommitOptions commit;
    WriteMode mode = WriteMode::kUpsert;
    // Commits each row exactly once: a commit's sequence is the number of rows up to its end. The
    // marks are of this producer and this table, whatever its name. Empty: none.
    std::string producer;
    int threads = 1;
    bool print_commits = false;  // a line of JSON on stdout for each, flushed
  };
  static Outcome<std::unique_ptr<Committer>> Make(Database* database, Options options);
  ~Committer();

  // Fails with the first failure of any commit; later batches are not committed then. Rows that the
  // producer committed before are left out. `first_row` is the batch's in its file, from 1 on.
  Done Submit(std::shared_ptr<arrow::RecordBatch> batch, const std::string& file,
              std::int64_t first_row);
  // Waits for all that was submitted.
  Done Finish();
  // When everything was submitted. Conflict when the producer had committed more rows than that:
  // then those were others.
  Done CheckWhole() const;
  Loaded loaded() const;

 private:
  Committer(Database* database, Options options)
      : database_(database), options_(std::move(options)) {}
  Done FindMark();
  void Commit(const std::shared_ptr<arrow::RecordBatch>& batch, const std::string& where,
              std::uint64_t sequence);
  void Record(const CommitInfo& info, std::uint64_t rows);
  Done FirstFailure() const;

  Database* const database_;
  const Options options_;
  std::string producer_id_;        // the producer's for this table; empty: none
  std::uint64_t rows_before_ = 0;  // that the producer had committed when we began
  std::uint64_t rows_ = 0;         // submitted
  std::shared_ptr<arrow::internal::ThreadPool> pool_;  // null with one thread
  std::deque<arrow::Future<>> running_;                // of the calling thread only

  mutable std::mutex mutex_;
  Loaded loaded_;                   // guarded by mutex_
  std::optional<Failure> failure_;  // guarded by mutex_
};

}  // namespace varve::cli
