// SPDX-License-Identifier: Apache-2.0
#include "log/unit_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"

namespace varve {

UnitStream::UnitStream(const LogReplay& replay, Lsn from, std::uint64_t log_bytes,
                       RecoveryReport* report)
    : replay_(replay), from_(from), log_bytes_(log_bytes), report_(report) {}

std::string UnitStream::TakeFirstLink(const SegmentHeader& segment, std::uint16_t flags,
                                      const LinkPayload& link) {
  if (link.unit_end > segment.base || link.end > segment.base) {
    return fmt::format("link: expected an end at or below the segment's base {}, found {} and {}",
                       segment.base, link.end, link.unit_end);
  }
  unit_end_ = {link.unit_end};
  const bool goes_on = link.open_unit != 0 && (flags & kDropsOpen) == 0;
  skip_ = goes_on ? Skip::kMust : Skip::kNo;
  return {};
}

std::string UnitStream::TakeLink(std::uint16_t flags, const LinkPayload& link) {
  const bool agrees = link.unit_end == unit_end_.value && link.open_unit == open_unit_.value;
  if (skip_ == Skip::kNo && !agrees) {
    return fmt::format("link: expected last unit end {} and open unit {}, found {} and {}",
                       unit_end_.value, open_unit_.value, link.unit_end, link.open_unit);
  }
  if ((flags & kDropsOpen) != 0) DropOpen();
  return {};
}

void UnitStream::DropOpen() {
  open_unit_ = {};
  assembled_ = std::string();  // gives a large unit's memory back
  skip_ = Skip::kNo;
}

void UnitStream::Resync() {
  DropOpen();
  skip_ = Skip::kMay;
}

Result<std::string> UnitStream::TakeGroup(const LogFrame& frame) {
  records_.clear();
  units_.clear();
  const bool fragment = (frame.header.flags & (kContinues | kContinued)) != 0;
  auto defect = fragment ? DecodeFragment(frame) : DecodeWhole(frame);
  if (!defect.empty()) return defect;
  const bool skipped = fragment && skip_ != Skip::kNo;
  if (!skipped && (units_.size() != frame.header.units ||
                     records_.size() != frame.header.records)) {
    return fmt::format("group: expected {} units and {} records, found {} and {}",
                       frame.header.units, frame.header.records, units_.size(), records_.size());
  }
  VARVE_TRY(Deliver());
  if ((frame.header.flags & kContinued) == 0) DropOpen();
  return std::string();
}

std::string UnitStream::DecodeInto(std::string_view unit, Lsn lsn) {
  if (auto decoded = DecodeUnit(unit, &records_); !decoded) {
    return fmt::format("at LSN {}: {}", lsn.value, decoded.error().message());
  }
  units_.push_back({lsn, records_.size()});
  return {};
}

std::string UnitStream::DecodeWhole(const LogFrame& frame) {
  if (open_unit_.value != 0 || skip_ == Skip::kMust) {
    return "group: expected the unit of the frame before to go on, found a new one";
  }
  auto rest = frame.payload;
  Lsn lsn{frame.header.lsn + kFrameHeaderBytes};
  while (!rest.empty()) {
    const auto size = UnitBytesAt(rest);
    if (!size) return size.error().message();
    if (auto defect = DecodeInto(rest.substr(0, *size), lsn); !defect.empty()) return defect;
    rest.remove_prefix(*size);
    lsn.value += *size;
  }
  unit_end_ = lsn;
  return {};
}

std::string UnitStream::DecodeFragment(const LogFrame& frame) {
  const bool first = (frame.header.flags & kContinues) == 0;
  const bool last = (frame.header.flags & kContinued) == 0;
  const Lsn end{frame.header.lsn + kFrameHeaderBytes + frame.payload.size()};
  if (skip_ != Skip::kNo && !first) {
    if (last) unit_end_ = end;
    return {};
  }
  if (first != (open_unit_.value == 0 && skip_ != Skip::kMust)) {
    return first ? "group: expected the unit of the frame before to go on, found a new one"
                 : "group: expected a new unit, found the middle of one";
  }
  if (first) {
    const auto size = UnitBytesAt(frame.payload);
    if (!size) return size.error().message();
    skip_ = Skip::kNo;
    open_unit_ = {frame.header.lsn + kFrameHeaderBytes};
    assembled_.reserve(std::min(*size, log_bytes_));
  }
  assembled_.append(frame.payload);
  if (!last) return {};
  unit_end_ = end;
  return DecodeInto(assembled_, open_unit_);
}

Status UnitStream::Deliver() {
  std::size_t begin = 0;
  for (const auto& [lsn, end] : units_) {
    const std::span<const std::string_view> records(records_.data() + begin, end - begin);
    begin = end;
    if (lsn < from_) continue;
    ++report_->units;
    report_->records += records.size();
    if (replay_) VARVE_TRY(replay_({lsn, records}));
  }
  return {};
}

}  // namespace varve
