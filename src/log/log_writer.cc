// SPDX-License-Identifier: Apache-2.0
#include "log/log_writer.h"

#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "log/segment_file.h"

namespace varve {
namespace {

template <typename T>
std::string RoomAnd(const T& payload) {
  std::string bytes(kFrameHeaderBytes, '\0');
  bytes.append(reinterpret_cast<const char*>(&payload), sizeof payload);
  return bytes;
}

}  // namespace

LogWriter::LogWriter(Files* files, std::string dir, const LogTail& tail,
                     std::vector<UsedSegment> segments)
    : files_(files),
      dir_(std::move(dir)),
      tail_(tail),
      open_is_cut_(tail.open_unit.value != 0),
      durable_(tail.unit_end),
      segments_(std::move(segments)),
      last_is_durable_(true) {}

Status LogWriter::WriteFrame(FrameHeader header, std::uint64_t offset, std::string* bytes) {
  const auto lsn = current_->header.LsnAt(offset);
  VARVE_CHECK(offset == kLinkOffset || lsn == tail_.end);
  header.lsn = lsn.value;
  header.durable = durable_.value;
  header.epoch = tail_.epoch;
  header.chain = tail_.chain;
  tail_.chain = FinishFrame(current_->header, header, bytes);
  tail_.end = {lsn.value + bytes->size()};
  VARVE_CHECK(tail_.end.value <= current_->header.EndOfRange());
  VARVE_TRY(current_->file->WriteAt(offset, *bytes));
  bytes_written_ += bytes->size();
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
  return {};
}

// Before anything counts in `segment`, which exists, the one before it says so, durably: were the
// newest segment ever lost, the log would otherwise look whole without it.
Status LogWriter::Enter(const OpenSegmentPtr& segment) {
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
  auto bytes = RoomAnd(used.link);
  return WriteFrame(header, kLinkOffset, &bytes);
}

Status LogWriter::Write(std::vector<PendingFrame>* frames) {
  if (frames->empty()) return {};
  ++groups_;
  ++tail_.epoch;
  for (auto& frame : *frames) {
    if (frame.segment != current_) VARVE_TRY(Enter(frame.segment));
    FrameHeader header;
    header.flags = frame.flags;
    header.units = frame.units;
    header.records = frame.records;
    VARVE_TRY(WriteFrame(header, frame.offset, &frame.bytes));
    tail_.counts.units += frame.units;
    tail_.counts.records += frame.records;
    tail_.unit_end = frame.unit_end;
    tail_.open_unit = frame.open_unit;
  }
  NoteEnd();
  return {};
}

void LogWriter::NoteEnd() {
  std::lock_guard lock(mutex_);
  segments_.back().info.end = tail_.end;
}

Status LogWriter::SyncFile() {
  VARVE_TRY(current_->file->Sync());
  ++syncs_;
  durable_ = tail_.unit_end;
  std::lock_guard lock(mutex_);
  last_is_durable_ = true;
  return {};
}

Status LogWriter::Sync() {
  if (!current_) return {};  // sealed, or nothing was written since open: all is durable
  return SyncFile();
}

Status LogWriter::Seal(bool successor) {
  if (!current_) return {};
  tail_.counts.unit_end = tail_.unit_end.value;
  FrameHeader header;
  header.kind = FrameKind::kSeal;
  header.flags = successor ? kSuccessor : 0;
  auto bytes = RoomAnd(tail_.counts);
  const auto offset = current_->header.OffsetOf(tail_.end);
  VARVE_TRY(WriteFrame(header, offset, &bytes));
  VARVE_TRY(SyncFile());
  // After the sync: a file may be shorter than its capacity only if its seal is on the device.
  const auto file_bytes = current_->header.OffsetOf(tail_.end) + (successor ? 0 : kLogBlock);
  VARVE_TRY(current_->file->Truncate(file_bytes));
  tail_.promises_successor = successor;
  current_.reset();
  std::lock_guard lock(mutex_);
  auto& info = segments_.back().info;
  info.end = tail_.end;
  info.file_bytes = file_bytes;
  info.sealed = true;
  return {};
}

Status LogWriter::Begin(const OpenSegmentPtr& segment) {
  VARVE_TRY(Enter(segment));
  return SyncFile();
}

std::vector<UsedSegment> LogWriter::Segments() const {
  std::lock_guard lock(mutex_);
  return segments_;
}

Status LogWriter::Truncate(Lsn fence) {
  std::lock_guard one_at_a_time(truncating_);
  if (truncate_failure_) return std::unexpected(*truncate_failure_);
  while (true) {
    std::string name;
    {
      std::lock_guard lock(mutex_);
      const bool next_is_durable =
          segments_.size() > 2 || (segments_.size() == 2 && last_is_durable_);
      if (!next_is_durable || !segments_[1].Covers(fence)) return {};
      name = segments_[0].info.name;
    }
    // One removal a sync, and none after a sync that failed: a later segment must not be gone on
    // the device while an earlier one is there. See SegmentSupply::RemoveUnused.
    auto removed = files_->Remove(JoinPath(dir_, name));
    if (removed) removed = files_->SyncDirectory(dir_);
    if (!removed) {
      truncate_failure_ = removed.error().Within("truncating the log; reopen it to truncate more");
      return std::unexpected(*truncate_failure_);
    }
    std::lock_guard lock(mutex_);
    segments_.erase(segments_.begin());
  }
}

}  // namespace varve
