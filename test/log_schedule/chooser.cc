// SPDX-License-Identifier: Apache-2.0
#include "test/log_schedule/chooser.h"

#include <algorithm>

namespace varve::testing {

Chooser::Chooser(std::uint64_t seed)
    : state_(seed * 0x9e3779b97f4a7c15ull + 1),
      by_priority_(OneIn(2)),
      wakes_for_nothing_(OneIn(8)),
      time_passes_(OneIn(4)),
      stay_(1ull << Below(6)) {
  const auto steps = 64ull << Below(6);
  for (auto left = 1 + Below(4); left > 0; --left) lowered_at_.push_back(Below(steps));
}

// splitmix64 (Steele, Lea, Flood 2014).
std::uint64_t Chooser::Below(std::uint64_t bound) {
  auto z = state_ += 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return (z ^ z >> 31) % bound;
}

void Chooser::AddThread() {
  priorities_.push_back(static_cast<std::int64_t>(Below(1u << 30)) + 1);
}

int Chooser::Pick(const std::vector<int>& ready, int running, bool yields) {
  ++step_;
  return by_priority_ ? PickByPriority(ready, running, yields)
                      : PickByWalk(ready, running, yields);
}

int Chooser::PickByWalk(const std::vector<int>& ready, int running, bool yields) {
  const bool can_stay = std::find(ready.begin(), ready.end(), running) != ready.end();
  if (can_stay && !yields && !OneIn(stay_)) return running;
  const auto picked = ready[Below(ready.size())];
  if (picked != running || !yields || ready.size() == 1) return picked;
  return ready[(std::find(ready.begin(), ready.end(), picked) - ready.begin() + 1) % ready.size()];
}

int Chooser::PickByPriority(const std::vector<int>& ready, int running, bool yields) {
  const bool lowered = std::find(lowered_at_.begin(), lowered_at_.end(), step_) !=
                       lowered_at_.end();
  if (yields || lowered) priorities_[static_cast<std::size_t>(running)] = --lowest_;
  return *std::max_element(ready.begin(), ready.end(), [this](int a, int b) {
    return priorities_[static_cast<std::size_t>(a)] < priorities_[static_cast<std::size_t>(b)];
  });
}

}  // namespace varve::testing
