// SPDX-License-Identifier: Apache-2.0
#include "test/log_schedule/log_world.h"

#include <fmt/format.h>

#include <utility>

#include "test/log_schedule/scheduled_components.h"

namespace varve::testing {
namespace {

constexpr std::size_t kMomentsMax = 3;
constexpr int kFollowerWaitsMax = 1000;
constexpr const char* kDir = "log";

}  // namespace

LogWorld::LogWorld(std::uint64_t seed, std::string replay)
    : scheduler_(seed, std::move(replay)),
      files_(std::make_unique<PiecewiseFiles>(&disk_)),
      clock_(std::make_unique<ScheduledClock>()),
      random_(seed),
      crash_random_(seed) {}
LogWorld::~LogWorld() = default;

std::uint64_t LogWorld::Pick(std::uint64_t least, std::uint64_t most) {
  return least + scheduler_.chooser().Below(most - least + 1);
}

LogComponents LogWorld::components() {
  return {.files = files_.get(), .clock = clock_.get(), .random = &random_,
          .executor = executor_.get()};
}

void LogWorld::Start(std::string name, Scheduler::Body body) {
  threads_.push_back(scheduler_.Start(std::move(name), std::move(body)));
}

void LogWorld::JoinAll() {
  for (const int thread : std::exchange(threads_, {})) scheduler_.Join(thread);
}

std::vector<std::string> LogWorld::Run(const std::function<void(LogWorld&)>& scenario) {
  scheduler_.Run([&] {
    executor_ = std::make_unique<ScheduledExecutor>(&scheduler_, static_cast<int>(Pick(1, 2)));
    scenario(*this);
    JoinAll();
    End();
  });
  for (auto& moment : moments_) Check(&moment);
  return ledger_.wrongs();
}

LogOptions LogWorld::SmallLog() {
  LogOptions options;
  options.segment_bytes_max = 32 << 10;
  options.recycled_segments_max = static_cast<std::uint32_t>(Pick(0, 2));
  options.group_bytes_max = 4096ull << (2 * Pick(0, 3));
  options.group_units_max = OneIn(2) ? 0 : Pick(1, 3);
  options.sync_method = static_cast<LogSyncMethod>(Pick(1, 4));
  options.encode_mode = OneIn(3) ? static_cast<LogEncodeMode>(Pick(1, 2))
                                 : LogEncodeMode::kParallel;
  return options;
}

void LogWorld::Open(const LogOptions& options) {
  const Scheduler::Undisturbed open;
  auto log = Log::Open(kDir, options, {}, {}, components());
  if (!log) scheduler_.Fail("open: " + log.error().message());
  log_ = *std::move(log);
}

void LogWorld::Expect(bool holds, std::string_view what) {
  if (!holds) ledger_.Wrong(std::string(what));
}

void LogWorld::Surprised(std::string_view by, const Error& error) {
  const bool failure = error.reason() == ErrorReason::kUnknownOutcome ||
                       error.reason() == ErrorReason::kIo;
  if (failure && failures_expected_) return;
  if (error.reason() == ErrorReason::kClosed && closing_) return;
  if (error.reason() == ErrorReason::kTimedOut && timeouts_expected_) return;
  ledger_.Wrong(fmt::format("{}: {}", by, error.message()));
}

void LogWorld::Failed(std::size_t unit, const Error& error) {
  Surprised("append", error);
  if (error.reason() != ErrorReason::kUnknownOutcome) ledger_.NotKept(unit);
}

// Keeps a few of all moments, each with the same chance.
void LogWorld::Note(std::string_view after) {
  const Scheduler::Undisturbed at_once;
  const auto place = noted_++ < kMomentsMax ? moments_.size() : Pick(0, noted_ - 1);
  if (place >= kMomentsMax) return;
  if (place == moments_.size()) moments_.emplace_back();
  const bool power = disk_.crashed() || OneIn(2);
  const auto level = power ? AckLevel::kDurable : AckLevel::kWritten;
  moments_[place] = {disk_.Clone(), ledger_.Promised(level), power, after};
}

bool LogWorld::Append(int producer, std::uint64_t bytes, AckLevel level) {
  const auto unit = ledger_.Begin(producer, bytes);
  const auto ack = log_->Append({ledger_.BytesOf(unit)}, level);
  if (!ack) {
    Failed(unit, ack.error());
    return false;
  }
  ledger_.Acked(unit, *ack, level);
  Note("an append");
  return true;
}

void LogWorld::StartProducers(std::uint64_t bytes_max) {
  for (auto producer = static_cast<int>(Pick(2, 4)); producer > 0; --producer) {
    Start("producer", [this, producer, bytes_max] {
      for (auto left = Pick(1, 3); left > 0; --left) {
        Append(producer, Pick(10, bytes_max), PickLevel());
      }
    });
  }
}

void LogWorld::AppendThen(int producer, std::uint64_t bytes, AckLevel level,
                          const std::function<void()>& then) {
  const auto unit = ledger_.Begin(producer, bytes);
  ++callbacks_left_;
  const LogRecord records[] = {ledger_.BytesOf(unit)};
  log_->AppendThen(records, level, [=, this, told = false](const auto& ack) mutable {
    Expect(!std::exchange(told, true), "a callback came twice");
    if (then) then();
    if (ack) {
      ledger_.Acked(unit, *ack, level);
      Note("a callback");
    } else {
      Failed(unit, ack.error());
    }
    if (--callbacks_left_ == 0) scheduler_.Wake(&callbacks_left_);
  });
}

void LogWorld::AwaitCallbacks() {
  while (callbacks_left_ > 0) scheduler_.Wait(PointKind::kStep, &callbacks_left_);
}

std::optional<LogWorld::Ticket> LogWorld::Enqueue(int producer, std::uint64_t bytes,
                                                  AckLevel to_come) {
  const auto unit = ledger_.Begin(producer, bytes);
  const LogRecord records[] = {ledger_.BytesOf(unit)};
  const auto ticket = log_->Enqueue(records, to_come);
  if (!ticket) {
    Failed(unit, ticket.error());
    return {};
  }
  ledger_.Placed(unit, ticket->lsn, ticket->end);
  return Ticket{unit, *ticket};
}

bool LogWorld::Wait(const Ticket& ticket, AckLevel level) {
  const auto ack = log_->Wait(ticket.ticket, level);
  if (!ack) {
    Surprised("wait", ack.error());
    return false;
  }
  ledger_.Acked(ticket.unit, *ack, level);
  Note("a wait");
  return true;
}

void LogWorld::Commit(int producer, std::uint64_t bytes, AckLevel level) {
  const auto transaction = log_->Begin();
  if (!transaction) return Surprised("begin", transaction.error());
  const auto unit = ledger_.Begin(producer, bytes);
  const auto whole = ledger_.BytesOf(unit);
  for (const auto part : {whole.substr(0, whole.size() / 2), whole.substr(whole.size() / 2)}) {
    const LogRecord records[] = {part};
    const auto added = log_->AppendTo(*transaction, records);
    if (!added) return Failed(unit, added.error());
  }
  const auto ack = log_->Commit(*transaction, level);
  if (!ack) return Failed(unit, ack.error());
  ledger_.Acked(unit, *ack, level);
  Note("a commit");
}

bool LogWorld::WaitUntil(Lsn position, AckLevel level, std::optional<std::uint64_t> timeout_ms) {
  const auto reached = log_->WaitUntil(position, level, timeout_ms);
  if (!reached) {
    Surprised("wait until", reached.error());
    return false;
  }
  ledger_.Reached(position, level);
  Note("a wait until");
  return true;
}

void LogWorld::Sync() {
  const auto appended = log_->positions().appended;
  const auto synced = log_->Sync();
  if (!synced) return Surprised("sync", synced.error());
  ledger_.Reached(appended, AckLevel::kDurable);
  Note("a sync");
}

void LogWorld::Rotate() {
  const auto appended = log_->positions().appended;
  const auto rotated = log_->Rotate();
  if (!rotated) return Surprised("rotate", rotated.error());
  ledger_.Reached(appended, AckLevel::kDurable);
  Note("a rotation");
}

void LogWorld::TruncateBefore(Lsn fence) {
  ledger_.Truncated(fence);
  const auto truncated = log_->TruncateBefore(fence);
  if (!truncated) return Surprised("truncate", truncated.error());
  Note("a truncation");
}

void LogWorld::Checkpoint(Lsn replay_from) {
  checkpointed_ = true;
  const auto done = log_->Checkpoint(replay_from);
  if (done) return Note("a checkpoint");
  const bool truncated = done.error().kind() == ErrorKind::kNotFound;
  if (!truncated) Surprised("checkpoint", done.error());
}

void LogWorld::Close() {
  closing_ = true;
  const auto closed = log_->Close();
  if (!closed) return Surprised("close", closed.error());
  // All that was ever acknowledged is durable now. Whoever got an error beside it was not.
  const Scheduler::Undisturbed at_once;
  moments_.push_back({disk_.Clone(), ledger_.Promised(AckLevel::kBuffered), true, "a close"});
}

void LogWorld::Drop() {
  closing_ = true;
  log_.reset();
}

void LogWorld::Observe() {
  const auto seen = log_->positions();
  const bool ordered = seen.appended >= seen.written && seen.written >= seen.durable;
  Expect(ordered, "positions: expected appended >= written >= durable");
  ledger_.Reached(seen.written, AckLevel::kWritten);
  ledger_.Reached(seen.durable, AckLevel::kDurable);
  Note("a look at the positions");
}

void LogWorld::LetPass(std::int64_t micros) {
  const char nobody_wakes = 0;
  scheduler_.Wait(PointKind::kStep, &nobody_wakes, micros);
}

void LogWorld::StartFollower(bool inside, AckLevel level) {
  followers_.push_back(scheduler_.Start("follower", [=, this] { Follow(inside, level); }));
}

void LogWorld::JoinFollowers() {
  Sync();
  follow_to_ = log_->positions().durable;
  for (const int follower : std::exchange(followers_, {})) scheduler_.Join(follower);
}

Result<std::unique_ptr<LogCursor>> LogWorld::OpenFollower(bool inside, AckLevel level) {
  const LogReaderOptions options{.level = level, .follow = true};
  return inside ? OpenCursor(log_.get(), kDir, options, components())
                : LogCursor::Open(kDir, options, components());
}

void LogWorld::Follow(bool inside, AckLevel level) {
  std::vector<Ledger::Read> units;
  auto cursor = OpenFollower(inside, level);
  if (!cursor) return Surprised("a follower's open", cursor.error());
  const auto fence = ledger_.fence();
  for (int waits = 0; !follow_to_ || (*cursor)->position() < *follow_to_;) {
    const auto unit = (*cursor)->Next();
    if (!unit) return Surprised("a follower", unit.error());
    if (*unit) {
      units.emplace_back(**unit);
      continue;
    }
    const auto more = (*cursor)->WaitForMore(1000);
    if (!more) return Surprised("a follower's wait", more.error());
    if (++waits > kFollowerWaitsMax) {
      return ledger_.Wrong(fmt::format("a follower at level {} stays at LSN {}, the end is {}",
                                       static_cast<int>(level), (*cursor)->position().value,
                                       follow_to_.value_or(Lsn{}).value));
    }
  }
  auto promised = ledger_.Promised(AckLevel::kBuffered);
  promised.fence = inside ? fence : ledger_.fence();
  ledger_.Check(units, (*cursor)->position(), promised, "a follower");
}

void LogWorld::End() {
  AwaitCallbacks();
  if (log_) {
    if (!closing_ && OneIn(2)) Close();
    log_.reset();
  }
  executor_->Stop();
  executor_.reset();
  const Scheduler::Undisturbed at_once;
  for (const bool power : {true, false}) {
    if (!power && disk_.crashed()) continue;
    const auto level = power ? AckLevel::kDurable : AckLevel::kWritten;
    moments_.push_back({disk_.Clone(), ledger_.Promised(level), power, "the end"});
  }
}

void LogWorld::Check(Moment* moment) {
  const auto survival = kAllSurvivals[crash_random_.Below(std::size(kAllSurvivals))];
  const auto where = moment->power ? fmt::format("power cut ({}) after {}", ToString(survival),
                                                 moment->after)
                                   : fmt::format("process ended after {}", moment->after);
  if (moment->power) {
    moment->disk->Crash(survival, &crash_random_);
  } else {
    moment->disk->KillProcess();
  }
  std::vector<Ledger::Read> units;
  const LogReplay keep = [&](const LogUnit& unit) {
    if (unit.records.front().kind == LogKind::kData) units.emplace_back(unit);
    return Status();
  };
  const auto log = Log::Open(kDir, {.read_only = true}, keep, {},
                             {.files = moment->disk.get(), .clock = clock_.get()});
  if (!log) return ledger_.Wrong(where + ": " + log.error().message());
  ledger_.Check(units, (*log)->recovery().end, moment->promised, where);
  if (checkpointed_) CheckReplay(*moment, where);
}

// Whoever replays from the newest checkpoint finds all that it needs.
void LogWorld::CheckReplay(const Moment& moment, std::string_view where) {
  std::vector<Ledger::Read> units;
  const LogReplay keep = [&](const LogUnit& unit) {
    if (unit.records.front().kind == LogKind::kData) units.emplace_back(unit);
    return Status();
  };
  const auto log = Log::Open(kDir, {.read_only = true}, keep, {.from_checkpoint = true},
                             {.files = moment.disk.get(), .clock = clock_.get()});
  if (!log) return ledger_.Wrong(fmt::format("{}, replay: {}", where, log.error().message()));
  const auto& report = (*log)->recovery();
  if (!report.checkpoint) return;
  auto promised = moment.promised;
  promised.fence = report.checkpoint->replay_from;
  ledger_.Check(units, report.end, promised, fmt::format("{}, replay", where));
}

}  // namespace varve::testing
