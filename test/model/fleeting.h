// SPDX-License-Identifier: Apache-2.0
// A table whose rows expire, beside the others of a life, with a reference of its own: which rows
// are there hangs on the clock too, which the other reference does not know.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "varve/database.h"

namespace varve::testing {

inline constexpr const char* kFleetingName = "fleeting";

class Fleeting {
 public:
  explicit Fleeting(ManualClock* clock) : clock_(clock) {}

  void Create(Database* db);
  // One commit of a few rows, or of deletes; its time may have passed already.
  Result<CommitNumber> Write(Database* db, Random* chance, AckLevel ack, std::string* what);
  // Throws Broken unless a snapshot that is taken now shows what it must.
  void Check(const Database& db, const AsOf& as_of);
  void Hold(const Database& db);
  void CheckHeld() const;
  void Release() { held_.clear(); }
  // The commits after this one are gone.
  void CutBack(std::uint64_t commit);
  void Look() { Now(); }  // at the clock, which may be set back

 private:
  struct Row {
    std::optional<std::int64_t> at;
    std::int64_t value = 0;
  };
  struct Taken {
    std::shared_ptr<Snapshot> snapshot;
    std::int64_t from, to;  // what the clock said before and after
    std::int64_t latest;    // that it ever said until then
  };
  std::int64_t Now();
  Taken Take(const Database& db, const AsOf& as_of);
  void CheckTaken(const Taken& taken) const;

  ManualClock* const clock_;
  std::int64_t latest_ = INT64_MIN;
  std::map<std::int64_t, std::map<std::uint64_t, std::optional<Row>>> versions_;
  std::vector<Taken> held_;
};

}  // namespace varve::testing
