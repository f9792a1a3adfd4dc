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
  if (goes_on) open_unit_ = {link.open_unit};
  return {};
}

std::string UnitStream::TakeLink(std::uint16_t flags, const LinkPayload& link) {
  const bool agrees = link.unit_end == unit_end_.value && link.open_unit == open_unit_.value;
  if (skip_ != Skip::kMay && !agrees) {
    return fmt::format("link: expected last unit end {} and open unit {}, found {} and {}",
                       unit_end_.value, open_unit_.value, link.unit_end, link.open_unit);
  }
  if ((flags & kDropsOpen) != 0) DropOpen();
  return {};
}

void UnitStream::DropOpen() {
  open_unit_ = {};
  open_cipher_.reset();
  assembled_ = std::string();  // gives a large unit's memory back
  skip_ = Skip::kNo;
}

void UnitStream::Resync() {
  DropOpen();
  skip_ = Skip::kMay;
}

Result<std::string> UnitStream::TakeGroup(const LogFrame& frame) {
  if (frame.units && !ExpectsMore()) {
    unit_end_ = {frame.header.lsn + kFrameHeaderBytes + frame.payload.size()};
    VARVE_TRY(Deliver(*frame.units));
    DropOpen();
    return std::string();
  }
  decoder_.Clear();
  units_.clear();
  records_ = 0;
  const bool fragment = (frame.header.flags & (kBeginsInside | kEndsInside)) != 0;
  VARVE_ASSIGN(auto defect, fragment ? DecodeFragment(frame) : DecodeWhole(frame));
  if (!defect.empty()) return defect;
  const bool skipped = fragment && skip_ != Skip::kNo;
  if (!skipped && (units_.size() != frame.header.units || records_ != frame.header.records)) {
    return fmt::format("group: expected {} units and {} records, found {} and {}",
                       frame.header.units, frame.header.records, units_.size(), records_);
  }
  VARVE_TRY(Deliver({units_, decoder_.records()}));
  if ((frame.header.flags & kEndsInside) == 0) DropOpen();
  return std::string();
}

Result<std::string> UnitStream::DecodeInto(std::string_view unit, Lsn lsn,
                                           const SegmentCipher* cipher) {
  VARVE_ASSIGN(const auto header, DecodeUnitHeader(unit));
  const Lsn end{lsn.value + unit.size()};
  const bool locked = (header.flags & kUnitEncrypted) != 0 && cipher == nullptr;
  if (locked && !replay_) {
    units_.push_back({lsn, end, header.records});
    records_ += header.records;
    return std::string();
  }
  const auto decoded = decoder_.Decode(unit, lsn, cipher);
  if (decoded) {
    units_.push_back({lsn, end, header.records});
    records_ += header.records;
    return std::string();
  }
  const auto error = decoded.error().Within(fmt::format("at LSN {}", lsn.value));
  if (error.kind() != ErrorKind::kCorruption) return std::unexpected(error);
  return error.message();
}

Result<std::string> UnitStream::DecodeWhole(const LogFrame& frame) {
  if (ExpectsMore()) {
    return "group: expected the unit of the frame before to go on, found a new one";
  }
  auto rest = frame.payload;
  Lsn lsn{frame.header.lsn + kFrameHeaderBytes};
  while (const auto header = PeekUnitHeader(rest)) {  // the frame is valid: its units fill it
    const auto unit = rest.substr(0, header->size);
    if (decoder_.TakePlain(*header, unit)) {
      units_.push_back({lsn, {lsn.value + unit.size()}, header->records});
      records_ += header->records;
    } else {
      VARVE_ASSIGN(auto defect, DecodeInto(unit, lsn, cipher_.get()));
      if (!defect.empty()) return defect;
    }
    rest.remove_prefix(unit.size());
    lsn.value += unit.size();
  }
  unit_end_ = lsn;
  return std::string();
}

Result<std::string> UnitStream::DecodeFragment(const LogFrame& frame) {
  const bool first = (frame.header.flags & kBeginsInside) == 0;
  const bool last = (frame.header.flags & kEndsInside) == 0;
  const Lsn end{frame.header.lsn + kFrameHeaderBytes + frame.payload.size()};
  if (skip_ != Skip::kNo && !first) {
    if (last) unit_end_ = end;
    return std::string();
  }
  if (first == ExpectsMore()) {
    return first ? "group: expected the unit of the frame before to go on, found a new one"
                 : "group: expected a new unit, found the middle of one";
  }
  if (first) {
    const auto header = DecodeUnitHeader(frame.payload);
    if (!header) return header.error().message();
    skip_ = Skip::kNo;
    open_unit_ = {frame.header.lsn + kFrameHeaderBytes};
    open_cipher_ = cipher_;
    assembled_.reserve(std::min<std::uint64_t>(header->size, log_bytes_));
  }
  assembled_.append(frame.payload);
  if (!last) return std::string();
  unit_end_ = end;
  const auto header = DecodeUnitHeader(assembled_);
  if (!header) return header.error().message();
  if (!UnitIsSound(*header, assembled_)) {
    return fmt::format("at LSN {}: expected a unit of {} bytes with checksum {:08x}, found {} "
                       "bytes that do not agree",
                       open_unit_.value, header->size, header->crc, assembled_.size());
  }
  VARVE_ASSIGN(auto defect, DecodeInto(assembled_, open_unit_, open_cipher_.get()));
  if (!units_.empty()) units_.back().end = end;  // frame headers lie between its parts
  return defect;
}

Status UnitStream::Deliver(const FrameUnits& units) {
  auto records = units.records;
  for (const auto& [lsn, end, count] : units.places) {
    if (lsn >= from_) {
      ++report_->units;
      report_->records += count;
      if (replay_) VARVE_TRY(replay_({lsn, end, records.first(count)}));
    }
    if (!records.empty()) records = records.subspan(count);
  }
  return {};
}

}  // namespace varve
