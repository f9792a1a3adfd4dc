// SPDX-License-Identifier: Apache-2.0
#include "log/unit_puller.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"

namespace varve {
namespace {

// Units and records of a payload whose units are known to fill it.
struct Counts {
  std::uint64_t units = 0;
  std::uint64_t records = 0;
};
Counts CountOf(std::string_view payload) {
  Counts counts;
  while (!payload.empty()) {
    const auto header = DecodeUnitHeader(payload);
    if (!header || header->size > payload.size()) break;
    ++counts.units;
    counts.records += header->records;
    payload.remove_prefix(header->size);
  }
  return counts;
}

std::string CheckCounts(const FrameHeader& header, const Counts& found) {
  if (header.units == found.units && header.records == found.records) return {};
  return fmt::format("group: expected {} units and {} records, found {} and {}", header.units,
                     header.records, found.units, found.records);
}

}  // namespace

void UnitPuller::DropOpen() {
  open_unit_ = {};
  skipping_ = false;
  assembled_ = std::string();  // gives a large unit's memory back
}

std::string UnitPuller::TakeLink(std::uint16_t flags, const LinkPayload& link) {
  // What is not known yet, the link knows.
  const auto unit_end = unit_end_.value_or(Lsn{link.unit_end});
  const bool knows_open = open_unit_.value != 0 || (unit_end_ && !skipping_);
  const Lsn open_unit = knows_open ? open_unit_ : Lsn{link.open_unit};
  if (link.unit_end != unit_end.value || link.open_unit != open_unit.value) {
    return fmt::format("link: expected last unit end {} and open unit {}, found {} and {}",
                       unit_end.value, open_unit.value, link.unit_end, link.open_unit);
  }
  unit_end_ = unit_end;
  if (!knows_open) skipping_ = open_unit.value != 0;
  open_unit_ = open_unit;
  if ((flags & kDropsOpen) != 0) DropOpen();
  return {};
}

std::string UnitPuller::TakeSeal(const SealPayload& seal) const {
  if (!unit_end_ || seal.unit_end == unit_end_->value) return {};
  return fmt::format("seal: expected last unit end {}, found {}", unit_end_->value, seal.unit_end);
}

std::string UnitPuller::TakeGroup(const LogFrame& frame, Cipher cipher) {
  const bool inside = skipping_ || open_unit_.value != 0;
  const bool goes_on = (frame.header.flags & kBeginsInside) != 0;
  if (inside != goes_on) {
    return inside ? "group: expected the unit of the frame before to go on, found a new one"
                  : "group: expected a new unit, found the middle of one";
  }
  if ((frame.header.flags & (kBeginsInside | kEndsInside)) != 0) {
    return TakeFragment(frame, std::move(cipher));
  }
  auto defect = CheckCounts(frame.header, CountOf(frame.payload));
  if (!defect.empty()) return defect;
  assembled_ = std::string();
  cipher_ = std::move(cipher);
  units_ = frame.payload;
  next_ = {frame.header.lsn + kFrameHeaderBytes};
  unit_end_ = Lsn{next_.value + units_.size()};
  SkipUnwanted();
  return {};
}

std::string UnitPuller::TakeFragment(const LogFrame& frame, Cipher cipher) {
  const Lsn begin{frame.header.lsn + kFrameHeaderBytes};
  if ((frame.header.flags & kBeginsInside) == 0) {
    const auto header = DecodeUnitHeader(frame.payload);
    if (!header) return header.error().message();
    skipping_ = begin < from_;
    open_unit_ = begin;
    if (!skipping_) {
      assembled_ = std::string();
      open_bytes_ = header->size;
      // Beyond that it grows with what is there: the size is not yet known to be true.
      assembled_.reserve(std::min<std::uint64_t>(open_bytes_, kFrameBytesMax));
      cipher_ = std::move(cipher);
    }
  }
  const bool last = (frame.header.flags & kEndsInside) == 0;
  if (last) unit_end_ = Lsn{begin.value + frame.payload.size()};
  if (skipping_) {
    if (last) DropOpen();
    return {};
  }
  if (open_bytes_ - assembled_.size() < frame.payload.size()) {
    return fmt::format("at LSN {}: the frames of the unit hold more bytes than it has",
                       open_unit_.value);
  }
  assembled_.append(frame.payload);
  return last ? Finish(frame.header) : std::string();
}

std::string UnitPuller::Finish(const FrameHeader& last) {
  const auto header = DecodeUnitHeader(assembled_);
  if (!header) return header.error().message();
  if (!UnitIsSound(*header, assembled_)) {
    return fmt::format("at LSN {}: expected a unit of {} bytes with checksum {:08x}, found {} "
                       "bytes that do not agree",
                       open_unit_.value, header->size, header->crc, assembled_.size());
  }
  auto defect = CheckCounts(last, {1, header->records});
  if (!defect.empty()) return defect;
  units_ = assembled_;
  next_ = open_unit_;
  open_unit_ = {};
  return {};
}

void UnitPuller::SkipUnwanted() {
  while (!units_.empty() && next_ < from_) {
    const auto header = DecodeUnitHeader(units_);
    if (!header || header->size > units_.size()) return;  // Take will say it
    units_.remove_prefix(header->size);
    next_.value += header->size;
  }
}

std::optional<UnitPuller::Place> UnitPuller::Peek() const {
  if (units_.empty()) return {};
  if (units_.data() == assembled_.data()) return Place{next_, *unit_end_};
  const auto header = DecodeUnitHeader(units_);
  return Place{next_, {next_.value + (header ? header->size : units_.size())}};
}

Result<LogUnit> UnitPuller::Take() {
  decoder_.Clear();
  VARVE_ASSIGN(const auto header, DecodeUnitHeader(units_));
  const auto end = Peek()->end;
  const auto decoded = decoder_.Decode(units_.substr(0, header.size), next_, cipher_.get());
  if (!decoded) return std::unexpected(decoded.error().Within(fmt::format("LSN {}", next_.value)));
  const LogUnit unit{next_, end, decoder_.records()};
  units_.remove_prefix(header.size);
  next_ = end;
  return unit;
}

}  // namespace varve
