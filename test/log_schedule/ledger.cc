// SPDX-License-Identifier: Apache-2.0
#include "test/log_schedule/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace varve::testing {
namespace {

// "producer:number:", with which every unit begins; empty when it does not.
std::string_view NameOf(std::string_view bytes) {
  const auto first = bytes.find(':');
  const auto second = first == bytes.npos ? first : bytes.find(':', first + 1);
  return second == bytes.npos ? std::string_view() : bytes.substr(0, second + 1);
}

std::string Describe(const Ledger::Read& unit) {
  return fmt::format("unit '{}' of {} bytes at LSN {} to {}", NameOf(unit.bytes),
                     unit.bytes.size(), unit.lsn.value, unit.end.value);
}

}  // namespace

Ledger::Read::Read(const LogUnit& unit) : lsn(unit.lsn), end(unit.end) {
  for (const auto& record : unit.records) bytes += record.bytes;
}

std::size_t Ledger::Begin(int producer, std::uint64_t bytes) {
  const int number = numbers_[producer]++;
  auto text = fmt::format("{}:{}:", producer, number);
  names_[text] = units_.size();
  while (text.size() < bytes) text += static_cast<char>('.' + text.size() * 7 % 13);
  units_.push_back({producer, number, std::move(text), {}, {}});
  return units_.size() - 1;
}

void Ledger::Placed(std::size_t unit, Lsn lsn, Lsn end) {
  auto& placed = units_[unit];
  const bool same = placed.lsn == Lsn{} || (placed.lsn == lsn && placed.end == end);
  if (!same) Wrong(fmt::format("unit {} was told two positions", unit));
  placed.lsn = lsn;
  placed.end = end;
}

void Ledger::Acked(std::size_t unit, const LogAck& ack, AckLevel level) {
  Placed(unit, ack.lsn, ack.end);
  for (int i = 0; i <= static_cast<int>(level); ++i) acked_[i].insert(unit);
}

void Ledger::Reached(Lsn position, AckLevel level) {
  for (int i = 0; i <= static_cast<int>(level); ++i) {
    reached_[i] = std::max(reached_[i], position);
  }
}

Ledger::Promise Ledger::Promised(AckLevel level) const {
  const auto i = static_cast<int>(level);
  return {acked_[i], reached_[i], fence_};
}

std::optional<std::size_t> Ledger::Find(const Read& unit) const {
  const auto found = names_.find(NameOf(unit.bytes));
  if (found == names_.end() || units_[found->second].bytes != unit.bytes) return {};
  return found->second;
}

void Ledger::CheckOrder(const Read& unit, Lsn last, std::string_view where) {
  const auto found = Find(unit);
  if (!found) return Wrong(fmt::format("{}: nobody appended {}", where, Describe(unit)));
  const auto& known = units_[*found];
  if (unit.lsn < last || unit.end <= unit.lsn) {
    Wrong(fmt::format("{}: {} comes after LSN {}", where, Describe(unit), last.value));
  }
  if (known.not_kept) {
    Wrong(fmt::format("{}: {} is there, and was said not to be kept", where, Describe(unit)));
  }
  if (known.lsn != Lsn{} && (known.lsn != unit.lsn || known.end != unit.end)) {
    Wrong(fmt::format("{}: {} was said to be at LSN {} to {}", where, Describe(unit),
                      known.lsn.value, known.end.value));
  }
}

void Ledger::Check(const std::vector<Read>& units, Lsn end, const Promise& promised,
                   std::string_view where) {
  std::set<std::size_t> seen;
  std::map<int, int> last_number;
  Lsn last;
  for (const auto& unit : units) {
    CheckOrder(unit, last, where);
    last = unit.end;
    const auto found = Find(unit);
    if (!found) continue;
    if (!seen.insert(*found).second) Wrong(fmt::format("{}: twice {}", where, Describe(unit)));
    const auto& known = units_[*found];
    auto& before = last_number.try_emplace(known.producer, -1).first->second;
    if (known.number <= before) {
      Wrong(fmt::format("{}: {} after number {}", where, Describe(unit), before));
    }
    before = known.number;
  }
  for (std::size_t unit = 0; !units.empty() && unit < units_.size(); ++unit) {
    const auto& known = units_[unit];
    const bool inside = known.lsn > units.front().lsn && known.lsn < units.back().lsn;
    if (!inside || seen.contains(unit)) continue;
    Wrong(fmt::format("{}: unit {}:{} at LSN {} is missing before a later one", where,
                      known.producer, known.number, known.lsn.value));
  }
  for (const auto unit : promised.units) {
    const auto& known = units_[unit];
    if (known.lsn < promised.fence || seen.contains(unit)) continue;
    Wrong(fmt::format("{}: unit {}:{} at LSN {} was acknowledged and is lost", where,
                      known.producer, known.number, known.lsn.value));
  }
  if (end < promised.end) {
    Wrong(fmt::format("{}: ends at LSN {}, and LSN {} was said to be reached", where, end.value,
                      promised.end.value));
  }
}

}  // namespace varve::testing
