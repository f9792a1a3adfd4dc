// SPDX-License-Identifier: Apache-2.0
#include "committer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "process.h"

namespace varve::cli {

Outcome<std::unique_ptr<Committer>> Committer::Make(Database* database, Options options) {
  const int threads = options.threads;
  std::uint64_t last = 0;
  if (!options.producer.empty()) {
    CLI_ASSIGN(const auto mark, database->LastOf(options.producer));
    if (mark) last = mark->sequence;
  }
  std::unique_ptr<Committer> committer(new Committer(database, std::move(options), last));
  if (threads > 1) {
    CLI_ARROW(committer->pool_, arrow::internal::ThreadPool::Make(threads));
  }
  return committer;
}

// Tasks refer to this object: none may outlive it.
Committer::~Committer() {
  for (const auto& task : running_) task.Wait();
}

Done Committer::Submit(std::shared_ptr<arrow::RecordBatch> batch, std::string where) {
  CLI_TRY(FirstFailure());
  const std::uint64_t sequence = ++sequence_;
  if (sequence <= last_) {
    const std::lock_guard lock(mutex_);
    ++loaded_.skipped;
    return {};
  }
  if (pool_ == nullptr) {
    Commit(batch, where, sequence);
    return FirstFailure();
  }
  if (running_.size() >= static_cast<std::size_t>(2 * options_.threads)) {
    running_.front().Wait();
    running_.pop_front();
  }
  CLI_ARROW(auto task, pool_->Submit([this, batch = std::move(batch), where = std::move(where)] {
              Commit(batch, where, 0);
            }));
  running_.push_back(std::move(task));
  return {};
}

Done Committer::Finish() {
  while (!running_.empty()) {
    running_.front().Wait();
    running_.pop_front();
  }
  return FirstFailure();
}

Loaded Committer::loaded() const {
  const std::lock_guard lock(mutex_);
  return loaded_;
}

Done Committer::FirstFailure() const {
  const std::lock_guard lock(mutex_);
  if (failure_) return std::unexpected(*failure_);
  return {};
}

void Committer::Commit(const std::shared_ptr<arrow::RecordBatch>& batch,
                       const std::string& where, std::uint64_t sequence) {
  if (!FirstFailure()) return;
  CommitOptions commit = options_.commit;
  if (!options_.producer.empty()) commit.producer = Producer{options_.producer, sequence};
  auto info = database_->Write(options_.table, {.mode = options_.mode, .rows = batch}, commit);
  if (info) return Record(*info, static_cast<std::uint64_t>(batch->num_rows()));
  // The arguments were checked when the load began; what is refused now is the data.
  const bool data = info.error().kind() == ErrorKind::kInvalid &&
                    info.error().reason() == ErrorReason::kNone;
  Failure failure(data ? info.error().Within(where) : info.error());
  if (data) failure.exit = kExitOther;
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(failure);
}

void Committer::Record(const CommitInfo& info, std::uint64_t rows) {
  const std::lock_guard lock(mutex_);
  loaded_.rows += rows;
  loaded_.passed += info.rows_passed;
  ++loaded_.commits;
  loaded_.last = std::max(loaded_.last, info.commit);
  loaded_.first = loaded_.commits == 1 ? info.commit : std::min(loaded_.first, info.commit);
  if (!options_.print_commits || Stdout()->closed()) return;
  // Whoever reads the lines may go away (`| head`): the load goes on without printing.
  Done printed = Print(fmt::format("{{\"commit\":{},\"rows\":{},\"rows_total\":{}}}\n",
                                   info.commit.value, rows, loaded_.rows));
  if (printed) {
    if (const arrow::Status flushed = Stdout()->Flush(); !flushed.ok()) printed = FailWith(flushed);
  }
  if (!printed && !Stdout()->closed() && !failure_) failure_ = std::move(printed).error();
}

}  // namespace varve::cli
