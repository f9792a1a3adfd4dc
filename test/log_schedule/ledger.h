// SPDX-License-Identifier: Apache-2.0
// What the threads of a schedule were told, and whether a log that was read back agrees.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "varve/log.h"

namespace varve::testing {

// One thread at a time.
class Ledger {
 public:
  // A unit as it was read; the bytes of its records together.
  struct Read {
    explicit Read(const LogUnit& unit);
    Lsn lsn;
    Lsn end;
    std::string bytes;
  };

  // A unit that somebody is about to append; units of one producer in the order of their numbers.
  std::size_t Begin(int producer, std::uint64_t bytes);
  std::string_view BytesOf(std::size_t unit) const { return units_[unit].bytes; }
  void Placed(std::size_t unit, Lsn lsn, Lsn end);
  void Acked(std::size_t unit, const LogAck& ack, AckLevel level);
  void NotKept(std::size_t unit) { units_[unit].not_kept = true; }
  // Somebody was told that this level came so far.
  void Reached(Lsn position, AckLevel level);
  void Truncated(Lsn fence) { fence_ = std::max(fence_, fence); }
  void Wrong(std::string what) { wrongs_.push_back(std::move(what)); }

  // What must be there after a crash at this moment.
  struct Promise {
    std::set<std::size_t> units;
    Lsn end;    // everything before was said to be there
    Lsn fence;  // but what lies before this
  };
  Promise Promised(AckLevel level) const;
  // Of a log that was read back.
  void Check(const std::vector<Read>& units, Lsn end, const Promise& promised,
             std::string_view where);

  std::size_t size() const { return units_.size(); }
  std::size_t acked(AckLevel level) const { return acked_[static_cast<int>(level)].size(); }
  Lsn fence() const { return fence_; }
  Lsn EndOf(std::size_t unit) const { return units_[unit].end; }
  const std::vector<std::string>& wrongs() const { return wrongs_; }

 private:
  struct Unit {
    int producer;
    int number;
    std::string bytes;
    Lsn lsn;  // 0: not told
    Lsn end;
    bool not_kept = false;
  };
  std::optional<std::size_t> Find(const Read& unit) const;
  void CheckOrder(const Read& unit, Lsn last, std::string_view where);

  std::deque<Unit> units_;  // lends its bytes
  std::map<int, int> numbers_;                             // next of each producer
  std::map<std::string, std::size_t, std::less<>> names_;  // "producer:number:"
  std::set<std::size_t> acked_[3];                         // at least at a level
  Lsn reached_[3];
  Lsn fence_;
  std::vector<std::string> wrongs_;
};

}  // namespace varve::testing
