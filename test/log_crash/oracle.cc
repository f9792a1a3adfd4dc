// SPDX-License-Identifier: Apache-2.0
#include "test/log_crash/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "files/sparse_bytes.h"

namespace varve::testing {

std::string Oracle::Enqueued(const LogTicket& ticket, Records records) {
  order_.push_back({ticket.lsn, ticket.end, {}, std::move(records)});
  const auto before = std::exchange(highest_, std::max(highest_, ticket.end));
  if (ticket.end <= ticket.lsn) return fmt::format("a unit at LSN {} is empty", ticket.lsn.value);
  if (ticket.lsn >= before) return "";
  return fmt::format("LSN {} was given out, but LSNs up to {} had been before", ticket.lsn.value,
                     before.value);
}

void Oracle::MaybeAppended(Records records) {
  order_.push_back({{}, {}, highest_, std::move(records)});
}

std::string Oracle::Positions(const LogPositions& now) {
  for (auto& promise : order_) {
    promise.durable |= promise.lsn.value > 0 && promise.end <= now.durable;
  }
  const auto before = std::exchange(last_, now);
  if (now.appended < now.written || now.written < now.durable) {
    return fmt::format("positions out of order: appended {}, written {}, durable {}",
                       now.appended.value, now.written.value, now.durable.value);
  }
  if (now.appended < before.appended || now.written < before.written ||
      now.durable < before.durable) {
    return fmt::format("a position moved back: appended {}, written {}, durable {}",
                       now.appended.value, now.written.value, now.durable.value);
  }
  return "";
}

void Oracle::EverythingIsDurable() {
  for (auto& promise : order_) promise.durable = true;
}

void Oracle::Truncating(Lsn fence) { fence_ = std::max(fence_, fence); }

std::string Oracle::JudgeUnit(std::size_t at, const SeenUnit& unit) const {
  if (at >= order_.size()) {
    return fmt::format("LSN {}: a unit that was never appended, or that was cut off before",
                       unit.lsn.value);
  }
  const auto& promise = order_[at];
  if (promise.lsn.value > 0 && promise.lsn != unit.lsn) {
    return fmt::format("unit {}: expected LSN {}, found {}", at, promise.lsn.value, unit.lsn.value);
  }
  if (promise.lsn.value == 0 && unit.lsn < promise.not_before) {
    return fmt::format("unit {}: LSN {} was given out to another", at, unit.lsn.value);
  }
  if (promise.records == unit.records) return "";
  return fmt::format("unit {} at LSN {} came back with other bytes", at, unit.lsn.value);
}

std::string Oracle::Judge(const std::vector<SeenUnit>& seen) const {
  std::size_t at = 0;
  while (!seen.empty() && at < order_.size() && order_[at].lsn.value > 0 &&
         order_[at].lsn < seen[0].lsn && order_[at].lsn < fence_) {
    ++at;
  }
  for (const auto& unit : seen) {
    while (at < order_.size() && order_[at].lsn.value == 0 && order_[at].records != unit.records) {
      ++at;
    }
    if (auto wrong = JudgeUnit(at++, unit); !wrong.empty()) return wrong;
  }
  for (; at < order_.size(); ++at) {
    const bool promised = order_[at].durable && order_[at].lsn.value > 0;
    if (!promised || order_[at].lsn < fence_) continue;
    return fmt::format("unit {} at LSN {} was acknowledged as durable and is lost", at,
                       order_[at].lsn.value);
  }
  return "";
}

std::string Oracle::Recovered(const std::vector<SeenUnit>& seen, const RecoveryReport& report,
                              const LogPositions& now) {
  auto wrong = Judge(seen);
  order_.clear();
  for (const auto& unit : seen) {
    order_.push_back({unit.lsn, {}, {}, unit.records, true});
    highest_ = std::max(highest_, {unit.lsn.value + 1});
  }
  last_ = now;
  if (!wrong.empty()) return wrong;
  if (report.units != seen.size()) return "the report counts other units than were given";
  if (!seen.empty() && report.end <= seen.back().lsn) return "the report ends before the last unit";
  if (now.durable != now.appended || now.written != now.appended || now.durable < report.end) {
    return fmt::format("after opening: appended {}, written {}, durable {}, end {}",
                       now.appended.value, now.written.value, now.durable.value, report.end.value);
  }
  return "";
}

std::size_t Oracle::UnitsThatEndBefore(Lsn lsn) const {
  const auto ends = [lsn](const Promise& unit) { return unit.end <= lsn; };
  return static_cast<std::size_t>(std::count_if(order_.begin(), order_.end(), ends));
}

std::uint64_t Oracle::Fingerprint() const {
  auto sum = MixedHash(MixedHash(1, fence_.value), highest_.value);
  for (const auto& promise : order_) {
    sum = MixedHash(sum, promise.lsn.value * 2 + (promise.durable ? 1 : 0));
    sum = MixedHash(sum, std::hash<std::string>()(promise.records[0]));
  }
  return sum;
}

}  // namespace varve::testing
