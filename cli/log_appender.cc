// SPDX-License-Identifier: Apache-2.0
#include "log_appender.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <span>
#include <string>
#include <utility>

#include "process.h"

namespace varve::cli {
namespace {

constexpr std::size_t kPendingMax = 1 << 18;
constexpr std::chrono::milliseconds kSilence(5);  // then producers may be blocked

}  // namespace

Outcome<std::unique_ptr<LogAppender>> LogAppender::Make(Log* log, Options options) {
  std::unique_ptr<LogAppender> appender(new LogAppender(log, options));
  CLI_ARROW(appender->waiters_, arrow::internal::ThreadPool::Make(1));
  if (options.threads > 1) {
    CLI_ARROW(appender->producers_, arrow::internal::ThreadPool::Make(options.threads));
  }
  CLI_ARROW(appender->waiting_,
            appender->waiters_->Submit([self = appender.get()] { self->WaitForAcks(); }));
  return appender;
}

// Tasks refer to this object: none may outlive it.
LogAppender::~LogAppender() {
  if (waiting_) (void)Finish();
}

Done LogAppender::Add(LineBatch batch) {
  CLI_TRY(FirstFailure());
  if (producers_ == nullptr) {
    AppendStaged(batch);
    return FirstFailure();
  }
  if (running_.size() >= static_cast<std::size_t>(2 * options_.threads)) {
    running_.front().Wait();
    running_.pop_front();
  }
  const auto shared = std::make_shared<LineBatch>(std::move(batch));
  CLI_ARROW(auto task, producers_->Submit([this, shared] { AppendStaged(*shared); }));
  running_.push_back(std::move(task));
  return FirstFailure();
}

Done LogAppender::Finish() {
  for (; !running_.empty(); running_.pop_front()) running_.front().Wait();
  {
    const std::lock_guard lock(mutex_);
    no_more_ = true;
  }
  changed_.notify_all();
  if (waiting_) waiting_->Wait();
  waiting_.reset();
  return FirstFailure();
}

Appended LogAppender::appended() const {
  const std::lock_guard lock(mutex_);
  return appended_;
}

void LogAppender::AppendStaged(const LineBatch& batch) {
  Stage stage;
  bool was_empty;
  {
    const std::lock_guard lock(mutex_);
    stages_.push_back(&stage);
    was_empty = pending_.empty();
  }
  if (was_empty) changed_.notify_all();
  AppendUnits(batch, &stage);
  (void)Hand(&stage);
  const std::lock_guard lock(mutex_);
  std::erase(stages_, &stage);
}

void LogAppender::AppendUnits(const LineBatch& batch, Stage* stage) {
  std::span<const LogRecord> lines = batch.lines;
  while (!lines.empty()) {
    const auto unit = lines.first(std::min<std::size_t>(lines.size(), options_.records_per_unit));
    lines = lines.subspan(unit.size());
    auto ticket = log_->Enqueue(unit, options_.ack);
    if (!ticket) {
      const auto first = batch.first_line + static_cast<std::uint64_t>(unit.data() -
                                                                       batch.lines.data());
      const Error& error = ticket.error();
      const bool data = error.kind() == ErrorKind::kInvalid;
      Failure failure(data ? error.Within(fmt::format("stdin: line {}", first)) : error);
      if (data) failure.exit = kExitOther;
      return Fail(std::move(failure), false);
    }
    const auto count = stage->count.load(std::memory_order_relaxed);
    stage->units[count] = {*ticket, unit.size()};
    stage->count.store(count + 1, std::memory_order_release);
    if (count + 1 == stage->units.size() && !Hand(stage)) return;
  }
}

// To whoever waits for acks; false when that has no use any more.
bool LogAppender::Hand(Stage* stage) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return broken_ || pending_.size() < kPendingMax; });
  const bool was_empty = pending_.empty();
  Take(stage);
  stage->taken = 0;
  stage->count.store(0, std::memory_order_relaxed);
  const bool go_on = !broken_ && !failure_;
  lock.unlock();
  if (was_empty) changed_.notify_all();
  return go_on;
}

// With mutex_ held.
void LogAppender::Take(Stage* stage) {
  const auto count = stage->count.load(std::memory_order_acquire);
  pending_.insert(pending_.end(), stage->units.data() + stage->taken, stage->units.data() + count);
  stage->taken = count;
}

// False: nothing is pending, nor will be.
bool LogAppender::AwaitPending(std::unique_lock<std::mutex>* lock) {
  const auto told = [this] { return no_more_ || !pending_.empty(); };
  while (!told()) {
    if (stages_.empty()) {
      changed_.wait(*lock);
    } else if (!changed_.wait_for(*lock, kSilence, told)) {
      for (Stage* const stage : stages_) Take(stage);
    }
  }
  return !pending_.empty();
}

void LogAppender::WaitForAcks() {
  std::vector<Pending> acked;
  while (true) {
    LogTicket oldest;
    {
      std::unique_lock lock(mutex_);
      if (!AwaitPending(&lock)) return;
      oldest = pending_.front().ticket;
    }
    if (auto ack = log_->Wait(oldest, options_.ack); !ack) {
      return Fail(Failure(std::move(ack).error()), true);
    }
    TakeAcked(std::max(oldest.end, Reached()), &acked);
    Record(acked);
  }
}

// How far the log is at the level that is asked for.
Lsn LogAppender::Reached() const {
  const LogPositions positions = log_->positions();
  switch (options_.ack) {
    case AckLevel::kDurable: return positions.durable;
    case AckLevel::kWritten: return positions.written;
    case AckLevel::kBuffered: return positions.appended;
  }
  return positions.durable;
}

void LogAppender::TakeAcked(Lsn reached, std::vector<Pending>* acked) {
  acked->clear();
  const std::lock_guard lock(mutex_);
  const bool was_full = pending_.size() >= kPendingMax;
  while (!pending_.empty() && pending_.front().ticket.end <= reached) {
    acked->push_back(pending_.front());
    pending_.pop_front();
  }
  if (was_full) changed_.notify_all();
}

void LogAppender::Record(const std::vector<Pending>& acked) {
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    const bool print = options_.print_acks && !Stdout()->closed();
    for (const auto& [ticket, records] : acked) {
      appended_.records += records;
      appended_.first = appended_.units == 0 ? ticket.lsn : std::min(appended_.first, ticket.lsn);
      appended_.last = std::max(appended_.last, ticket.lsn);
      ++appended_.units;
      if (!print) continue;
      fmt::format_to(std::back_inserter(text), "{{\"lsn\":{},\"records\":{},\"total\":{}}}\n",
                     ticket.lsn.value, records, appended_.records);
    }
  }
  if (text.empty()) return;
  // Whoever reads the lines may go away (`| head`): the log is written on without printing.
  Done printed = Print(text);
  if (printed) printed = FlushStdout();
  if (!printed && !Stdout()->closed()) Fail(std::move(printed).error(), false);
}

void LogAppender::Fail(Failure failure, bool for_good) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    broken_ = broken_ || for_good;
  }
  changed_.notify_all();
}

Done LogAppender::FirstFailure() const {
  const std::lock_guard lock(mutex_);
  if (failure_) return std::unexpected(*failure_);
  return {};
}

}  // namespace varve::cli
