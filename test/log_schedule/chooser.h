// SPDX-License-Identifier: Apache-2.0
// Who goes on: the random decisions of one schedule, all from its seed.
//
// Two ways, by turns. A random walk changes threads at each point with a probability that is drawn
// once for the schedule: with 1/2 threads run in small steps, with 1/32 in long stretches. PCT
// (Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding bugs",
// ASPLOS 2010) runs the thread of the highest priority and lowers the running one's at a few steps
// drawn beforehand: a bug that needs d orderings among n threads and k steps is met with a
// probability of at least 1 / (n * k^(d-1)), however seldom a random walk would meet it.
#pragma once

#include <cstdint>
#include <vector>

namespace varve::testing {

class Chooser {
 public:
  explicit Chooser(std::uint64_t seed);

  // Uniform in [0, bound); bound > 0.
  std::uint64_t Below(std::uint64_t bound);
  bool OneIn(std::uint64_t times) { return Below(times) == 0; }

  // From now on by random walk: every thread that is ready has its turn some time.
  void UseWalk() { by_priority_ = false; }
  // The threads are numbered from 0, in the order in which they were added.
  void AddThread();
  // One of `ready`, which is not empty. `yields`: the running thread wants others to run.
  int Pick(const std::vector<int>& ready, int running, bool yields);
  // Whether a wait ends for no reason, as a futex and a condition may.
  bool WakesForNothing() { return wakes_for_nothing_ && OneIn(32); }
  // Whether time passes though somebody could run.
  bool TimePasses() { return time_passes_ && OneIn(128); }

 private:
  int PickByWalk(const std::vector<int>& ready, int running, bool yields);
  int PickByPriority(const std::vector<int>& ready, int running, bool yields);

  std::uint64_t state_;
  bool by_priority_;
  bool wakes_for_nothing_;
  bool time_passes_;
  std::uint64_t stay_;                      // random walk: goes on in one of so many points
  std::uint64_t step_ = 0;
  std::vector<std::uint64_t> lowered_at_;   // PCT: steps
  std::vector<std::int64_t> priorities_;    // PCT: by thread
  std::int64_t lowest_ = 0;
};

}  // namespace varve::testing
