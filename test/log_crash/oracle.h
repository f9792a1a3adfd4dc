// SPDX-License-Identifier: Apache-2.0
// What the world may expect of a log, whatever happened to its disk.
//
// What comes back is a prefix of the order of appends, by units, with the positions and bytes that
// were given out; it holds every unit that was acknowledged as durable; no position is ever given
// out twice; appended >= written >= durable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "varve/log.h"

namespace varve::testing {

using Records = std::vector<std::string>;

// A checkpoint's bytes are the log's own.
inline Records BytesOf(const LogUnit& unit) {
  Records bytes;
  for (const auto& record : unit.records) {
    const bool own = record.kind == LogKind::kCheckpoint;
    bytes.emplace_back(own ? "checkpoint" : record.bytes);
  }
  return bytes;
}

struct SeenUnit {
  Lsn lsn;
  Records records;
  bool operator==(const SeenUnit&) const = default;
};

// A copy is a branch: many crashes are tried from one moment. Each member that gives a string says
// what is wrong, and nothing when all is well.
class Oracle {
 public:
  // A unit got its place.
  std::string Enqueued(const LogTicket& ticket, Records records);
  // A call that was to append a unit ended in an unknown outcome and told no place.
  void MaybeAppended(Records records);
  // What was promised until now.
  std::string Positions(const LogPositions& positions);
  void EverythingIsDurable();
  // Everything before it may be gone from now on.
  void Truncating(Lsn fence);
  // A log was opened and gave these units. From now on exactly they are promised, for good.
  std::string Recovered(const std::vector<SeenUnit>& seen, const RecoveryReport& report,
                        const LogPositions& positions);

  // For texts that no two units share.
  std::uint64_t NextUnitNumber() { return ++unit_number_; }
  std::size_t units() const { return order_.size(); }
  // Those of earlier processes among them, wherever they end.
  std::size_t UnitsThatEndBefore(Lsn lsn) const;
  // Position of the unit that has `after` units behind it.
  Lsn LsnFromEnd(std::size_t after) const { return order_[order_.size() - 1 - after].lsn; }
  std::uint64_t Fingerprint() const;

 private:
  struct Promise {
    Lsn lsn;  // 0: nobody knows; and then it may be missing, whatever follows
    Lsn end;
    Lsn not_before;
    Records records;
    bool durable = false;  // acknowledged as such
  };
  std::string Judge(const std::vector<SeenUnit>& seen) const;
  std::string JudgeUnit(std::size_t at, const SeenUnit& unit) const;

  std::vector<Promise> order_;
  std::uint64_t unit_number_ = 0;
  Lsn fence_;
  Lsn highest_;  // end of what was ever given out
  LogPositions last_;
};

}  // namespace varve::testing
