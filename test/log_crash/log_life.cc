// SPDX-License-Identifier: Apache-2.0
#include "test/log_crash/log_life.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "varve/log_reader.h"

namespace varve::testing {
namespace {

// Begins with its number; half of the texts below kAlwaysRandom compress well, and no sector is
// zeros.
constexpr std::size_t kAlwaysRandom = 40'000;
std::string Text(std::uint64_t number, std::size_t bytes) {
  auto text = fmt::format("unit {} of {} ", number, bytes);
  const std::size_t head = text.size();
  text.resize(bytes);
  auto word = number * 0x9e37'79b9'7f4a'7c15 | 0x0101'0101'0101'0101;
  for (std::size_t at = head; at < bytes; at += sizeof word) {
    std::memcpy(text.data() + at, &word, std::min(sizeof word, bytes - at));
    if (number % 2 == 0 && bytes < kAlwaysRandom) continue;
    word = word * 6364136223846793005u + 1442695040888963407u;
  }
  return text;
}

std::vector<LogRecord> ViewsOf(const Records& records) { return {records.begin(), records.end()}; }

}  // namespace

void Life::Note(std::string wrong) {
  if (wrong.empty()) return;
  failed_ = true;
  if (wrong_.empty()) wrong_ = std::move(wrong);
}

bool Life::Did(const char* step, const Status& status) {
  if (status) {
    NotePositions();
    return !failed_;
  }
  failed_ = true;
  error_ = fmt::format("{}: {}", step, status.error().message());
  const auto kind = status.error().kind();
  if (!disk_->crashed() && !errors_expected_) Note(error_);
  if (kind != ErrorKind::kUnavailable) Note(fmt::format("{}: {}", ToString(kind), error_));
  return false;
}

void Life::NotePositions() {
  if (log_) Note(oracle_.Positions(log_->positions()));
}

Records Life::NewRecords(const std::vector<std::size_t>& sizes) {
  Records records;
  const auto number = oracle_.NextUnitNumber();
  for (const auto size : sizes) records.push_back(Text(number + records.size() * 1000, size));
  return records;
}

void Life::Open(const RecoveryOptions& recovery) {
  if (failed_) return;
  std::vector<SeenUnit> seen;
  const auto replay = [&seen](const LogUnit& unit) {
    seen.push_back({unit.lsn, BytesOf(unit)});
    return Status();
  };
  auto log = Log::Open(kLifeDir, options_, replay, recovery, World());
  if (!log) {
    Did("open", std::unexpected(log.error()));
    return;
  }
  log_ = *std::move(log);
  Note(oracle_.Recovered(seen, log_->recovery(), log_->positions()));
}

void Life::Append(const std::vector<std::size_t>& sizes, AckLevel level) {
  if (failed_) return;
  auto records = NewRecords(sizes);
  const auto ack = log_->Append(ViewsOf(records), level);
  NoteAck(ack, std::move(records), level);
}

void Life::NoteAck(const Result<LogAck>& ack, Records records, AckLevel level) {
  if (!ack) return AppendFailed(ack.error(), std::move(records));
  Note(oracle_.Enqueued({ack->lsn, ack->end}, std::move(records)));
  const auto now = log_->positions();
  if (level == AckLevel::kDurable && now.durable < ack->end) Note("acknowledged before durable");
  if (level == AckLevel::kWritten && now.written < ack->end) Note("acknowledged before written");
  NotePositions();
}

std::size_t Life::Begin() {
  if (failed_) return 0;
  const auto transaction = log_->Begin();
  if (Did("begin", transaction ? Status() : std::unexpected(transaction.error()))) {
    transactions_.emplace_back(*transaction, Records());
  }
  return transactions_.size() - 1;
}

void Life::AppendTo(std::size_t index, std::size_t bytes) {
  if (failed_) return;
  auto& [transaction, records] = transactions_[index];
  const auto more = NewRecords({bytes});
  if (!Did("append to", log_->AppendTo(transaction, ViewsOf(more)))) return;
  records.push_back(more[0]);
}

void Life::Commit(std::size_t index, AckLevel level) {
  if (failed_) return;
  NoteAck(log_->Commit(transactions_[index].first, level), transactions_[index].second, level);
}

void Life::Abort(std::size_t index) {
  if (!failed_) Did("abort", log_->Abort(transactions_[index].first));
}

void Life::Checkpoint() {
  if (failed_) return;
  const auto ack = log_->Checkpoint(log_->positions().durable, "as a unit");
  if (ack) return NoteAck(ack, {"checkpoint"}, AckLevel::kDurable);
  oracle_.MaybeAppended({"checkpoint"});  // the unit may be there though noting it failed
  Did("checkpoint", std::unexpected(ack.error()));
}

void Life::TryAgain() {
  if (!wrong_.empty()) return;
  failed_ = false;
  if (!log_) Open();
  Append(700);
  Sync();
}

void Life::AppendIsRefused(std::size_t bytes) {
  if (failed_) return;
  auto records = NewRecords({bytes});
  const auto ack = log_->Append(ViewsOf(records));
  if (ack && errors_expected_) return NoteAck(ack, std::move(records), AckLevel::kDurable);
  if (ack) return Note("a unit was taken though the disk is full");
  if (ack.error().reason() == ErrorReason::kNoSpace) return NotePositions();
  AppendFailed(ack.error(), std::move(records));
}

// The unit is kept or not when nobody knows; otherwise it is certainly not.
void Life::AppendFailed(const Error& error, Records records) {
  if (error.reason() == ErrorReason::kUnknownOutcome) oracle_.MaybeAppended(std::move(records));
  Did("append", std::unexpected(error));
}

void Life::Enqueue(std::size_t bytes, AckLevel to_come) {
  if (failed_) return;
  auto records = NewRecords({bytes});
  const auto ticket = log_->Enqueue(ViewsOf(records), to_come);
  if (!ticket) {
    Did("enqueue", std::unexpected(ticket.error()));
    return;
  }
  Note(oracle_.Enqueued(*ticket, std::move(records)));
  waiting_.push_back(*ticket);
  NotePositions();
}

void Life::EnqueueMany(int count, std::size_t bytes) {
  for (int i = 0; i < count; ++i) Enqueue(bytes);
}

void Life::WaitForAll(AckLevel level) {
  if (failed_) return;
  for (const auto& ticket : std::exchange(waiting_, {})) {
    const auto ack = log_->Wait(ticket, level);
    if (!Did("wait", ack ? Status() : std::unexpected(ack.error()))) return;
    if (ack->lsn != ticket.lsn || ack->end != ticket.end) Note("an ack of another unit");
  }
}

void Life::WaitForLast(AckLevel level) {
  if (failed_) return;
  waiting_.erase(waiting_.begin(), waiting_.end() - 1);
  WaitForAll(level);
}

void Life::Sync() {
  if (failed_) return;
  if (Did("sync", log_->Sync())) oracle_.EverythingIsDurable();
}

void Life::Rotate() {
  if (!failed_) Did("rotate", log_->Rotate());
}

void Life::TruncateAllBut(std::size_t units) {
  if (failed_ || oracle_.units() < units) return;
  const auto fence = oracle_.LsnFromEnd(units - 1);
  if (fence <= log_->positions().durable) Truncate(fence);
}

void Life::TruncateAllThatIsDurable() {
  if (!failed_) Truncate(log_->positions().durable);
}

void Life::Truncate(Lsn fence) {
  oracle_.Truncating(fence);
  const auto cut = log_->TruncateBefore(fence);
  Did("truncate", cut ? Status() : std::unexpected(cut.error()));
}

void Life::Background() {
  if (failed_) return;
  executor_.RunAll();
  NotePositions();
}

void Life::OneTask() {
  if (failed_) return;
  executor_.RunOne();
  NotePositions();
}

void Life::Close() {
  if (failed_) return;
  if (Did("close", log_->Close())) oracle_.EverythingIsDurable();
  EndProcess();
}

void Life::EndProcess() {
  log_.reset();
  executor_.RunAll();
  waiting_.clear();
}

void Life::Abandon() {
  if (!failed_) EndProcess();
}

void Life::Kill() {
  if (failed_) return;
  disk_->KillProcess();
  EndProcess();
}

void Life::PowerCut(Survival survival) {
  if (failed_) return;
  disk_->Crash(survival, &random_);
  EndProcess();
}

void Life::LeaveRoomFor(std::uint64_t bytes) {
  if (failed_) return;
  std::uint64_t used = 0;
  const auto entries = disk_->List(kLifeDir);
  if (!entries) return;
  for (const auto& entry : *entries) used += entry.size;
  disk_->SetCapacity(bytes == UINT64_MAX ? bytes : used + bytes);
}

void Life::Verify() {
  if (failed_) return;
  const auto verified = VerifyLog(kLifeDir, World());
  if (!verified) return Note("verify: " + verified.error().message());
  for (const auto& damage : verified->damages) {
    Note(fmt::format("verify: {}, offset {}: {}", damage.file, damage.offset, damage.message));
  }
}

}  // namespace varve::testing
