// SPDX-License-Identifier: Apache-2.0
// Chance, injected: identities and generations come from here, and every random test.
#pragma once

#include <cstdint>
#include <mutex>

namespace varve {

// Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t Next() = 0;
  // Uniform in [0, bound); bound > 0. The bias below 2^-32 for small bounds does not matter here.
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
};

// The operating system's source (getrandom); one for the process.
Random* SystemRandom();

// xoshiro256** (Blackman and Vigna 2018), seeded by splitmix64: the same seed, the same numbers.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed);
  std::uint64_t Next() override;

 private:
  std::mutex mutex_;
  std::uint64_t state_[4];
};

}  // namespace varve
