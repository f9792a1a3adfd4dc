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
  std::uint64_t rows = 0;  // read and acknowledged; rows with one key count each
  std::uint64_t passed = 0;   // of them: left out by the mode
  std::uint64_t skipped = 0;  // batches that the producer had committed before; their rows are none
  std::uint64_t commits = 0;
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
    std::string producer;  // the n-th batch is its sequence n; empty: none
    int threads = 1;
    bool print_commits = false;  // a line of JSON on stdout for each, flushed
  };
  static Outcome<std::unique_ptr<Committer>> Make(Database* database, Options options);
  ~Committer();

  // Fails with the first failure of any commit; later batches are not committed then. A batch that
  // the producer committed before is left out.
  Done Submit(std::shared_ptr<arrow::RecordBatch> batch, std::string where);
  // Waits for all that was submitted.
  Done Finish();
  Loaded loaded() const;

 private:
  Committer(Database* database, Options options, std::uint64_t last)
      : database_(database), options_(std::move(options)), last_(last) {}
  void Commit(const std::shared_ptr<arrow::RecordBatch>& batch, const std::string& where,
              std::uint64_t sequence);
  void Record(const CommitInfo& info, std::uint64_t rows);
  Done FirstFailure() const;

  Database* const database_;
  const Options options_;
  const std::uint64_t last_;     // the producer's newest sequence when we began
  std::uint64_t sequence_ = 0;   // of the last Submit
  std::shared_ptr<arrow::internal::ThreadPool> pool_;  // null with one thread
  std::deque<arrow::Future<>> running_;                // of the calling thread only

  mutable std::mutex mutex_;
  Loaded loaded_;                   // guarded by mutex_
  std::optional<Failure> failure_;  // guarded by mutex_
};

}  // namespace varve::cli
