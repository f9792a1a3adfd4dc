// SPDX-License-Identifier: Apache-2.0
// Cuts the power at every event of a life, leaves the disk in every way that a survival policy or a
// subset of what was pending allows, and holds what is recovered against the oracle. Then cuts the
// power during that recovery, and during the one after it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_set>

#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/log_crash/lives.h"

namespace varve::testing {

inline constexpr int kCrashDepthMax = 3;
// All 2^n subsets are tried when no more than n parts are pending.
inline constexpr std::size_t kSubsetPartsMax = 10;
inline constexpr std::size_t kSubsetPartsOfOthers = 6;  // of the kinds of log that are not thorough

// Distinct states that were visited: different bytes or names on the disk, or different promises.
struct StateCounts {
  std::array<std::uint64_t, kCrashDepthMax> at_depth{};
  std::uint64_t of_subsets = 0;  // among those of depth 1
  std::uint64_t drawn = 0;       // with those that had been visited before
  std::uint64_t total() const { return at_depth[0] + at_depth[1] + at_depth[2]; }
};

// Deterministic for a seed: which crashes are nested depends on the state, not on how it was found.
class CrashSweep {
 public:
  CrashSweep(const NamedLife& life, const LogVariant& variant, std::uint64_t seed)
      : life_(life), variant_(variant), seed_(seed) {}

  // Runs in `threads` threads. Gives what is wrong, with the crashes that led there.
  std::string Run(int threads);
  StateCounts counts() const { return counts_; }
  std::uint64_t events() const { return events_; }

 private:
  // A disk that has lost power, and what its log had promised.
  struct Moment {
    const SimulatedDisk& disk;
    const Oracle& oracle;
    int depth;          // crashes so far, this one included
    std::string story;  // of the crashes before
  };
  void SweepEvent(std::uint64_t event);
  void CrashEveryWay(const Moment& moment);
  void CrashInSomeWays(const Moment& moment, Random* random);
  void CrashInEverySubset(const Moment& moment);
  void CrashOnce(const Moment& moment, Survival survival, Random* random);
  void Visit(SimulatedDisk* disk, const Moment& moment, const std::string& how, bool subset);
  bool IsNew(std::uint64_t key, int depth, bool subset);
  void Nest(const SimulatedDisk& disk, const Oracle& oracle, const Moment& from,
            const std::string& how, std::uint64_t key);
  Life Begin(SimulatedDisk* disk, const Oracle& oracle, std::uint64_t salt) const;
  void Fail(const std::string& wrong);

  const NamedLife& life_;
  const LogVariant& variant_;
  const std::uint64_t seed_;
  std::uint64_t events_ = 0;
  std::atomic<bool> failed_ = false;
  mutable std::mutex mutex_;
  std::unordered_set<std::uint64_t> visited_;  // guarded by mutex_
  StateCounts counts_;                         // guarded by mutex_ while Run runs
  std::string wrong_;                          // guarded by mutex_
};

}  // namespace varve::testing
