// SPDX-License-Identifier: Apache-2.0
#include "log/log_writer.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/out_of_memory.h"
#include "base/result.h"
#include "log/segment_file.h"

namespace varve {
namespace {

constexpr std::uint64_t kSectorBytes = 512;  // a crash leaves all of one as it was, or as it is

// A frame of one block: room for its header, then the payload, then zeros.
template <typename T>
FrameMemory RoomAnd(const T& payload) {
  FrameMemory frame(kLogBlock);
  std::memset(frame.data(), 0, kLogBlock);
  std::memcpy(frame.data() + kFrameHeaderBytes, &payload, sizeof payload);
  return frame;
}

std::uint64_t FileBytes(const std::vector<UsedSegment>& segments) {
  std::uint64_t bytes = 0;
  for (const auto& segment : segments) bytes += segment.info.file_bytes;
  return bytes;
}

}  // namespace

LogWriter::LogWriter(Files* files, std::string dir, const LogTail& tail,
                     std::vector<UsedSegment> segments, SegmentSupply* supply, TraceSink* trace)
    : files_(files),
      dir_(std::move(dir)),
      supply_(supply),
      trace_(trace),
      tail_(tail),
      open_is_cut_(tail.open_unit.value != 0),
      left_open_(tail.segment.sequence != 0 && !tail.sealed),
      durable_(tail.unit_end),
      segments_(std::move(segments)),
      last_is_durable_(true),
      bytes_(FileBytes(segments_)) {}

Status LogWriter::WriteFrame(FrameHeader header, std::uint64_t offset, char* frame,
                             std::uint64_t payload_bytes, bool durably) {
  const auto lsn = current_->header.LsnAt(offset);
  VARVE_CHECK(offset == kLinkOffset || lsn == tail_.end);
  header.lsn = lsn.value;
  header.durable = durable_.value;
  header.epoch = tail_.epoch;
  header.chain = tail_.chain;
  header = FinishFrame(current_->header, header, frame, kFrameHeaderBytes + payload_bytes);
  tail_.chain = header.crc;
  tail_.end = {lsn.value + header.FrameBytes()};
  VARVE_CHECK(tail_.end.value <= current_->header.EndOfRange());
  const std::string_view bytes(frame, header.FrameBytes());
  auto* const file = current_->file.get();
  VARVE_TRY(durably ? file->WriteDurably(offset, bytes) : file->WriteAt(offset, bytes));
  unsynced_ = unsynced_ || !durably;
  bytes_written_ += header.FrameBytes();
  ++tail_.counts.frames;
  return {};
}

// The segment that an earlier process wrote, or that was sealed when nobody knew of a next one.
Status LogWriter::ReopenLast() {
  VARVE_ASSIGN(auto file,
               files_->Open(JoinPath(dir_, SegmentName(tail_.segment.sequence)),
                            OpenMode::kReadWrite));
  current_ = std::make_shared<OpenSegment>(tail_.segment, SegmentName(tail_.segment.sequence),
                                           std::move(file));
  return EraseTornFrame();
}

// A frame that recovery refused, because a part of its first block was lost, stands where the seal
// will. Were the seal torn in its turn, its zeros could stand for that part. So the header, which
// is in one sector, goes first.
Status LogWriter::EraseTornFrame() {
  static constexpr char kZeros[kSectorBytes] = {};
  auto* const file = current_->file.get();
  const auto offset = tail_.segment.OffsetOf(tail_.end);
  char bytes[kFrameHeaderBytes];
  VARVE_ASSIGN(const auto read, file->ReadAt(offset, sizeof bytes, bytes));
  if (!DecodeFrameHeader(tail_.segment, tail_.end, {bytes, read})) return {};
  VARVE_TRY(file->WriteAt(offset, {kZeros, sizeof kZeros}));
  return file->Sync();
}

// Before anything counts in `segment`, which exists, the one before it says so, durably: were the
// newest segment ever lost, the log would otherwise look whole without it.
Status LogWriter::Enter(const OpenSegmentPtr& segment) {
  if (tail_.segment.sequence != 0 && segment->header.sequence != tail_.segment.sequence + 1) {
    return Fail(ErrorKind::kInternal,
                fmt::format("{} cannot follow {}", segment->name,
                            SegmentName(tail_.segment.sequence)));
  }
  if (tail_.segment.sequence != 0 && !tail_.promises_successor) {
    if (!current_) VARVE_TRY(ReopenLast());
    VARVE_TRY(Seal(true));
  }
  UsedSegment used;
  used.info = {segment->name,           segment->header.sequence,
               segment->header.generation, {segment->header.base},
               segment->header.LsnAt(kFirstGroupOffset), segment->header.capacity};
  used.link = {tail_.segment.sequence, tail_.segment.generation, tail_.end.value,
               tail_.unit_end.value,   tail_.open_unit.value,    tail_.chain};
  used.drops_open = open_is_cut_;
  if (std::exchange(open_is_cut_, false)) tail_.open_unit = {};
  current_ = segment;
  sync_method_ = segment->sync_method;
  tail_.counts = {};
  tail_.segment = segment->header;
  tail_.promises_successor = false;
  FrameHeader header;
  header.kind = FrameKind::kLink;
  header.flags = used.drops_open ? kDropsOpen : 0;
  {
    std::lock_guard lock(mutex_);
    segments_.push_back(used);
    last_is_durable_ = false;
  }
  const auto frame = RoomAnd(used.link);
  return WriteFrame(header, kLinkOffset, frame.data(), sizeof used.link);
}

Status LogWriter::WriteGroup(OpenFrame& frame, bool durably) {
  if (frame.segment() != current_) VARVE_TRY(Enter(frame.segment()));
  const bool ends_units = (frame.flags & kEndsInside) == 0;
  FrameHeader header;
  header.flags = frame.flags;
  header.units = ends_units ? frame.units() : 0;
  header.records = static_cast<std::uint32_t>(frame.AwaitComplete());
  frame.Pad();
  VARVE_TRY(WriteFrame(header, frame.offset(), frame.data(), frame.payload_bytes(),
                       durably));
  tail_.counts.units += header.units;
  tail_.counts.records += header.records;
  units_ += header.units;
  records_ += header.records;
  tail_.unit_end = frame.UnitEnd();
  tail_.open_unit = frame.open_unit;
  return {};
}

Status LogWriter::Write(const std::vector<OpenFrame*>& frames, bool sync) {
  if (!frames.empty()) {
    ++groups_;
    ++tail_.epoch;
    // The usual case: one write that is durable by itself. It would not cover earlier ones.
    const bool durably = sync && frames.size() == 1 && !unsynced_ &&
                         frames.front()->segment() == current_;
    for (auto* const frame : frames) VARVE_TRY(WriteGroup(*frame, durably));
    NoteEnd();
    if (durably) NoteSynced();
  }
  // Without a current segment: sealed, or nothing was written since open; all is durable.
  return sync && current_ && durable_ < tail_.unit_end ? SyncFile() : Status();
}

void LogWriter::NoteEnd() {
  std::lock_guard lock(mutex_);
  segments_.back().info.end = tail_.end;
}

Status LogWriter::SyncFile() {
  VARVE_TRY(current_->file->Sync());
  NoteSynced();
  return {};
}

void LogWriter::NoteSynced() {
  ++syncs_;
  unsynced_ = false;
  durable_ = tail_.unit_end;
  std::lock_guard lock(mutex_);
  last_is_durable_ = true;
}

Status LogWriter::Seal(bool successor) {
  if (left_open_ && !current_) VARVE_TRY(ReopenLast());
  if (!current_) return {};
  tail_.counts.unit_end = tail_.unit_end.value;
  FrameHeader header;
  header.kind = FrameKind::kSeal;
  header.flags = successor ? kSuccessor : 0;
  const auto frame = RoomAnd(tail_.counts);
  const auto offset = current_->header.OffsetOf(tail_.end);
  VARVE_TRY(WriteFrame(header, offset, frame.data(), sizeof tail_.counts));
  VARVE_TRY(SyncFile());
  // After the sync: a file may be shorter than its capacity only if its seal is on the device.
  const auto file_bytes = current_->header.OffsetOf(tail_.end) + (successor ? 0 : kLogBlock);
  VARVE_TRY(current_->file->Truncate(file_bytes));
  tail_.promises_successor = successor;
  left_open_ = false;
  const auto sealed = std::exchange(current_, nullptr);
  // Else it was sealed before, and now promises a successor too.
  if (NoteSealed(file_bytes)) {
    Trace(trace_, "log.rotate", sealed->name, {{"sequence", sealed->header.sequence}});
  }
  return {};
}

// Gives whether the last segment was not sealed before.
bool LogWriter::NoteSealed(std::uint64_t file_bytes) {
  std::lock_guard lock(mutex_);
  auto& info = segments_.back().info;
  info.end = tail_.end;
  bytes_.Resize(std::exchange(info.file_bytes, file_bytes), file_bytes);
  return !std::exchange(info.sealed, true);
}

Status LogWriter::Begin(const OpenSegmentPtr& segment) {
  VARVE_TRY(Enter(segment));
  return SyncFile();
}

std::vector<UsedSegment> LogWriter::Segments() const {
  std::lock_guard lock(mutex_);
  return segments_;
}

std::size_t LogWriter::Removable(Lsn fence, Lsn pinned) const {
  std::size_t count = 0;
  while (true) {
    const auto left = segments_.size() - count;
    const bool next_is_durable = left > 2 || (left == 2 && last_is_durable_);
    if (!next_is_durable || !segments_[count + 1].Covers(fence)) return count;
    if (segments_[count].info.base >= pinned) return count;  // though no unit ends in it
    ++count;
  }
}

Result<LogPin> LogWriter::Pin(Lsn position) {
  std::lock_guard no_truncation(truncating_);
  {
    std::lock_guard lock(mutex_);
    if (!segments_.empty() && !segments_.front().Covers(position)) {
      return Fail(ErrorKind::kNotFound,
                  fmt::format("LSN {} was truncated: the log begins at LSN {}", position.value,
                              segments_.front().info.base.value));
    }
  }
  std::unique_lock lock(pins_->mutex);
  const auto pinned = pins_->positions.insert(position);
  lock.unlock();  // without memory for the pin it is let go of at once, which takes the mutex
  return LogPin(std::shared_ptr<void>(nullptr, [pins = pins_, pinned](void*) {
    std::lock_guard unpin(pins->mutex);
    pins->positions.erase(pinned);
  }));
}

Result<LogTruncation> LogWriter::Truncate(Lsn fence, bool dry_run) {
  std::lock_guard one_at_a_time(truncating_);
  if (truncate_failure_) {
    return std::unexpected(
        truncate_failure_->Within("truncating the log; reopen it to truncate more"));
  }
  LogTruncation done;
  Lsn pinned{UINT64_MAX};
  {
    std::lock_guard lock(pins_->mutex);
    if (!pins_->positions.empty()) pinned = *pins_->positions.begin();
    if (!pins_->positions.empty() && *pins_->positions.begin() < fence) {
      fence = done.held_at = *pins_->positions.begin();
    }
  }
  std::vector<LogSegmentInfo> doomed;
  {
    std::lock_guard lock(mutex_);
    const auto count = Removable(fence, pinned);
    for (std::size_t i = 0; i < count; ++i) doomed.push_back(segments_[i].info);
    if (count < segments_.size()) done.first = segments_[count].info.base;
  }
  for (const auto& segment : doomed) {
    ++done.segments;
    done.bytes += segment.file_bytes;
    if (!dry_run) VARVE_TRY(RemoveFirst(segment));
  }
  return done;
}

Status LogWriter::RemoveFirst(const LogSegmentInfo& segment) {
  // One removal a sync, and none after a sync that failed: a later segment must not be gone on the
  // device while an earlier one is there. See SegmentSupply::RemoveUnused.
  // A file that will be used again is not written to before it durably lost its name.
  const auto path = JoinPath(dir_, segment.name);
  const bool keep = supply_->WantsFree();
  auto free_name = FreeName(segment.sequence);
  const auto removed = OrOutOfMemory([&] {
    auto done = keep ? files_->Rename(path, JoinPath(dir_, free_name)) : files_->Remove(path);
    return done ? files_->SyncDirectory(dir_) : done;
  });
  if (!removed) {
    truncate_failure_ = CopyOf(removed.error());
    return std::unexpected(
        removed.error().Within("truncating the log; reopen it to truncate more"));
  }
  if (keep) supply_->AddFree(std::move(free_name));
  std::lock_guard lock(mutex_);
  bytes_.Resize(segments_.front().info.file_bytes, 0);
  segments_.erase(segments_.begin());
  return {};
}

}  // namespace varve
