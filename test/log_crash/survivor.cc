// SPDX-License-Identifier: Apache-2.0
#include "test/log_crash/survivor.h"

#include "test/log_crash/log_life.h"

namespace varve::testing {

std::string CheckSurvivor(SimulatedDisk* disk, const LogOptions& options, const Oracle& oracle,
                          std::uint64_t key) {
  Life life(disk, options, oracle, key);
  if (key % 4 == 0) life.Verify();
  life.Open();
  if (key % 3 == 0) {
    life.Kill();
  } else {
    life.PowerCut(key % 3 == 1 ? Survival::kAllLost : Survival::kRandomSectors);
  }
  life.Open();
  life.Append(key % 5 == 0 ? 45'000 : 600);
  life.PowerCut(Survival::kAllLost);
  life.Open();
  if (key % 2 == 0) life.Append(100, AckLevel::kWritten);
  key % 7 == 0 ? life.Abandon() : life.Close();
  life.Verify();
  return life.wrong().empty() ? life.error() : life.wrong();
}

}  // namespace varve::testing
