// SPDX-License-Identifier: Apache-2.0
#include "log/segment_supply.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/futex.h"
#include "base/out_of_memory.h"
#include "base/result.h"
#include "log/segment_file.h"
#include "log/sync_calibration.h"

namespace varve {
namespace {

constexpr std::int64_t kPauseMicrosMax = 10'000;
constexpr std::uint64_t kBaseLimit = UINT64_MAX - kSegmentBytesMost;  // no header holds more

}  // namespace

SegmentSupply::SegmentSupply(const SupplySettings& settings, const LogTail& tail,
                             std::vector<std::string> unused)
    : settings_(settings),
      log_id_(*tail.log_id),
      next_sequence_(tail.segment.sequence + 1),
      next_base_(tail.next_base),
      next_capacity_(std::min(kFirstSegmentBytes, settings.segment_bytes_max)),
      unused_(std::move(unused)) {
  std::sort(unused_.begin(), unused_.end());  // removed from the back: highest first
}

SegmentHeader SegmentSupply::NextHeader() const {
  SegmentHeader header;
  header.log_id = log_id_;
  header.sequence = next_sequence_;
  header.generation = settings_.random->Next();
  header.base = next_base_;
  header.capacity = next_capacity_;
  header.created_micros = settings_.clock->Now().micros;
  return header;
}

// One removal a sync: were two on their way at once, a crash could keep the earlier file and lose
// the later, and that hole would look like a missing segment.
Status SegmentSupply::RemoveUnused() {
  while (!unused_.empty()) {
    if (unused_.back() != made_->name) {
      VARVE_TRY(settings_.files->Remove(JoinPath(settings_.dir, unused_.back())));
      VARVE_TRY(settings_.files->SyncDirectory(settings_.dir));
    }
    unused_.pop_back();
  }
  return {};
}

Result<OpenSegmentPtr> SegmentSupply::Make() {
  if (!made_) {
    if (next_base_ >= kBaseLimit || next_sequence_ == UINT64_MAX) {
      return Fail(ErrorKind::kUnavailable,
                  fmt::format("no segment can follow {} and LSN {}; begin a new log",
                              SegmentName(next_sequence_ - 1), next_base_),
                  ErrorReason::kNoSpace);
    }
    auto header = NextHeader();
    std::shared_ptr<const SegmentCipher> cipher;
    if (settings_.keys != nullptr) {
      VARVE_ASSIGN(cipher, MakeSegmentCipher(settings_.keys, &header));
    }
    // Before the file, which nothing may follow that can fail and be tried again.
    auto made = std::make_shared<OpenSegment>(header, SegmentName(header.sequence), nullptr,
                                              std::move(cipher));
    VARVE_ASSIGN(made->file, MakeFile(header));
    made_ = std::move(made);
    (void)HadMemory([this] { ApplySyncMethod(made_.get()); });
    ++next_sequence_;
    next_base_ = header.EndOfRange();
    next_capacity_ = std::min(2 * next_capacity_.load(), settings_.segment_bytes_max);
  }
  // A removal that may or may not hold is no ground to go on from.
  const auto removed = OrOutOfMemory([this] { return RemoveUnused(); });
  if (!removed) return std::unexpected(UnknownOutcome("", removed.error()));
  return std::exchange(made_, nullptr);
}

Result<std::unique_ptr<File>> SegmentSupply::MakeFile(const SegmentHeader& header) {
  const auto used_before = TakeFree();
  const auto pause = [this] { Pause(); };
  piece_since_ = settings_.clock->SteadyMicros();
  if (used_before.empty()) return CreateSegment(settings_.files, settings_.dir, header, pause);
  return RecycleSegment(settings_.files, settings_.dir, used_before, header, pause);
}

// The disk is the commits' for as long as it was ours, unless somebody waits for the segment.
void SegmentSupply::Pause() {
  const auto now = settings_.clock->SteadyMicros();
  settings_.clock->WaitWord(hurry_, 0, std::min(now - piece_since_, kPauseMicrosMax));
  piece_since_ = settings_.clock->SteadyMicros();
}

void SegmentSupply::Hurry() {
  hurry_.store(1, std::memory_order_release);
  FutexWakeAll(hurry_);
}

bool SegmentSupply::WantsFree() {
  std::lock_guard lock(mutex_);
  return !stopped_ && free_.size() < settings_.recycled_max;
}

void SegmentSupply::AddFree(std::string name) {
  std::lock_guard lock(mutex_);
  (void)HadMemory([&] { free_.push_back(std::move(name)); });
}

std::string SegmentSupply::TakeFree() {
  std::lock_guard lock(mutex_);
  if (free_.empty()) return {};
  auto name = std::move(free_.back());
  free_.pop_back();
  return name;
}

// Opening makes the first segment: so this is where the device is measured, unless it was before.
void SegmentSupply::ApplySyncMethod(OpenSegment* segment) {
  if (settings_.sync_method != LogSyncMethod::kAuto) {
    sync_method_ = static_cast<SyncMethod>(static_cast<int>(settings_.sync_method) - 1);
  } else if (!sync_method_) {
    sync_method_ = ChooseSyncMethod(settings_.files, settings_.dir, settings_.clock).method;
  }
  if (*sync_method_ == SyncMethod::kFdatasync) return;
  // A method that this file does not offer: fdatasync promises the same.
  if (segment->file->UseSyncMethod(*sync_method_)) segment->sync_method = *sync_method_;
}

Result<OpenSegmentPtr> SegmentSupply::Take() {
  std::unique_lock lock(mutex_);
  if (ready_.empty()) Hurry();
  made_one_.wait(lock, [this] { return !making_; });
  if (failure_) return std::unexpected(CopyOf(*failure_));
  if (!ready_.empty()) {
    auto segment = std::move(ready_.front());
    ready_.pop_front();
    return segment;
  }
  making_ = true;
  lock.unlock();
  auto segment = OrOutOfMemory([this] { return Make(); });
  lock.lock();
  making_ = false;
  NoteFailure(segment);
  made_one_.notify_all();
  return segment;
}

void SegmentSupply::MakeAhead() {
  std::unique_lock lock(mutex_);
  if (making_ || stopped_ || failure_ || !ready_.empty()) return;
  making_ = true;
  hurry_.store(0, std::memory_order_release);
  lock.unlock();
  auto segment = OrOutOfMemory([this] { return Make(); });
  lock.lock();
  making_ = false;
  const bool kept = segment && HadMemory([&] { ready_.push_back(*segment); });
  if (segment && !kept) segment = std::unexpected(OutOfMemory(ErrorReason::kUnknownOutcome));
  NoteFailure(segment);
  made_one_.notify_all();
}

// A file may be there from now on, and what is there is not known.
void SegmentSupply::NoteFailure(const Result<OpenSegmentPtr>& made) {
  if (made || made.error().reason() != ErrorReason::kUnknownOutcome) return;
  failure_ = CopyOf(made.error());
}

void SegmentSupply::PutBack(std::vector<OpenSegmentPtr> segments) {
  std::lock_guard lock(mutex_);
  if (HadMemory([&] { ready_.insert(ready_.begin(), segments.begin(), segments.end()); })) return;
  failure_ = OutOfMemory(ErrorReason::kUnknownOutcome);
}

Status SegmentSupply::Trim(std::size_t keep) {
  std::unique_lock lock(mutex_);
  Hurry();
  made_one_.wait(lock, [this] { return !making_; });
  if (failure_) return std::unexpected(CopyOf(*failure_));  // a later file may be there
  while (ready_.size() > keep) {
    const auto segment = ready_.back();
    VARVE_CHECK(segment->header.sequence + 1 == next_sequence_);
    VARVE_TRY(settings_.files->Remove(JoinPath(settings_.dir, segment->name)));
    VARVE_TRY(settings_.files->SyncDirectory(settings_.dir));
    next_sequence_ = segment->header.sequence;
    next_base_ = segment->header.base;
    ready_.pop_back();
  }
  return {};
}

void SegmentSupply::Stop() {
  std::unique_lock lock(mutex_);
  stopped_ = true;
  Hurry();
  made_one_.wait(lock, [this] { return !making_; });
}

}  // namespace varve
