// SPDX-License-Identifier: Apache-2.0
#include "committer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "format_cell.h"
#include "process.h"

namespace varve::cli {

Outcome<std::unique_ptr<Committer>> Committer::Make(Database* database, Options options) {
  const int threads = options.threads;
  std::unique_ptr<Committer> committer(new Committer(database, std::move(options)));
  CLI_TRY(committer->FindMark());
  if (threads > 1) {
    CLI_ARROW(committer->pool_, arrow::internal::ThreadPool::Make(threads));
  }
  return committer;
}

// By the table's id: a table that was dropped and made anew has none of the former one's rows.
Done Committer::FindMark() {
  if (options_.producer.empty()) return {};
  for (const TableInfo& table : database_->Tables()) {
    if (table.name == options_.table) {
      producer_id_ = fmt::format("{}/{}", options_.producer, table.id);
    }
  }
  CLI_ASSIGN(const auto mark, database_->LastOf(producer_id_));
  if (mark) rows_before_ = mark->sequence;
  return {};
}

// Tasks refer to this object: none may outlive it.
Committer::~Committer() {
  for (const auto& task : running_) task.Wait();
}

Done Committer::Submit(std::shared_ptr<arrow::RecordBatch> batch, const std::string& file,
                       std::int64_t first_row) {
  CLI_TRY(FirstFailure());
  const auto rows = static_cast<std::uint64_t>(batch->num_rows());
  const std::uint64_t known = rows_before_ > rows_ ? std::min(rows, rows_before_ - rows_) : 0;
  rows_ += rows;
  if (known > 0) {
    const std::lock_guard lock(mutex_);
    loaded_.skipped += known;
    if (known == rows) return {};
    batch = batch->Slice(static_cast<std::int64_t>(known));
    first_row += static_cast<std::int64_t>(known);
  }
  std::string where = fmt::format("{}, data rows {} to {} (the first is row 0)", file, first_row,
                                  first_row + batch->num_rows() - 1);
  if (pool_ == nullptr) {
    Commit(batch, where, rows_);
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

Done Committer::CheckWhole() const {
  if (rows_ >= rows_before_) return {};
  return std::unexpected(Failure(Error(
      ErrorKind::kConflict,
      fmt::format("producer {} has loaded {} into {} before, and here are only {}: these are not "
                  "the files of its load, or they changed; give another load another --producer",
                  options_.producer, Counted(rows_before_, "row"), options_.table,
                  WithThousands(rows_)))));
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
  if (!producer_id_.empty()) commit.producer = Producer{producer_id_, sequence};
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
  loaded_.repeated += rows - info.rows_passed - info.rows;
  if (info.rows == 0 && producer_id_.empty()) return;  // no commit was made
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
