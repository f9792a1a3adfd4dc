// SPDX-License-Identifier: Apache-2.0
// Tries damages one after another, each in a fresh copy of the victim's folder, and counts what
// came of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/log_damage/victim.h"

namespace varve::bench {

enum class Outcome : std::uint8_t {
  kRefused,   // opening or reading gave an error
  kExact,     // exactly what was acknowledged
  kLastGone,  // all but the last commit, and bytes of that one were damaged: as a torn write
  kLost,      // silently fewer: acknowledged commits are gone, an older state came back
  kWrong,     // silently other: a state that never was (holes, revived, reordered, foreign)
  kCrashed,   // the process died, or read for more than half a minute
};
inline constexpr const char* kOutcomeNames[] = {"refused", "exact", "last_gone",
                                                "lost",    "wrong", "crashed"};
inline constexpr std::size_t kOutcomes = std::size(kOutcomeNames);

struct Damage {
  std::string what;
  // Bytes by path; without them the file is removed.
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;
  bool touches_last = false;
};

// Shared with the process that tries.
struct Tally {
  std::uint64_t counts[kOutcomes] = {};
  char first[kOutcomes][240] = {};  // what was damaged, and the error if there was one
  std::uint64_t next = 0;           // the candidate that is being tried
};

// Takes part in one run over the candidates of a kind, in an order that is always the same.
class Sampler {
 public:
  using Try = std::function<void(const Damage&)>;
  Sampler(std::uint64_t cases_max, std::uint64_t seed, std::uint64_t resume_at, Tally* tally,
          Try attempt)
      : cases_max_(cases_max), seed_(seed), resume_at_(resume_at), tally_(tally),
        try_(std::move(attempt)) {}

  // First of all: how many candidates there are, and how many of them are enough. One in so many
  // is tried; the seed says which.
  void Expect(std::uint64_t candidates, std::uint64_t enough = UINT64_MAX);
  // Whether the next candidate is to be tried.
  bool Take();
  void Attempt(const Damage& damage) { try_(damage); }
  std::uint64_t one_in() const { return one_in_; }

 private:
  const std::uint64_t cases_max_;
  const std::uint64_t seed_;
  const std::uint64_t resume_at_;
  Tally* const tally_;
  const Try try_;
  std::uint64_t one_in_ = 1;
  std::uint64_t next_ = 0;
};

// Of a kind of damage: every one there is of it.
using MakeDamages = std::function<void(Sampler*)>;

struct SweepResult {
  Tally tally;
  std::uint64_t one_in = 1;  // of the candidates so many were tried
};

// In `dir`. A system that crashes does not end the sweep.
SweepResult RunSweep(System* system, const Victim& victim, const MakeDamages& make,
                     const std::string& dir, std::uint64_t cases_max, std::uint64_t seed);

}  // namespace varve::bench
