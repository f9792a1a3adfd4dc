// SPDX-License-Identifier: Apache-2.0
#include "bench/log_damage/sweep.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "bench/slice.h"

namespace varve::bench {
namespace {

constexpr unsigned kSecondsToReadMax = 30;

void Count(Tally* tally, Outcome outcome, const std::string& text) {
  const auto index = static_cast<std::size_t>(outcome);
  if (++tally->counts[index] != 1) return;
  auto& first = tally->first[index];
  std::strncpy(first, text.c_str(), sizeof first - 1);
}

Outcome Judge(const Victim& victim, const Damage& damage, const State& state, std::string* text) {
  const auto found = std::ranges::find(victim.states, state);
  if (found == victim.states.end()) {
    *text += fmt::format("; {} keys of {}", state.size(), victim.states.back().size());
    return Outcome::kWrong;
  }
  const auto left = static_cast<std::size_t>(found - victim.states.begin());
  const auto all = victim.states.size() - 1;
  if (left == all) return Outcome::kExact;
  *text += fmt::format("; {} commits of {}", left, all);
  return left + 1 == all && damage.touches_last ? Outcome::kLastGone : Outcome::kLost;
}

// The folder is another one each time.
std::string Without(const std::string& part, std::string text) {
  for (auto at = text.find(part); at != text.npos; at = text.find(part)) {
    text.erase(at, part.size());
  }
  return text;
}

void TryOne(System* system, const Victim& victim, const Damage& damage, const std::string& dir,
            Tally* tally) {
  auto folder = victim.folder();
  for (const auto& [path, bytes] : damage.changes) {
    if (bytes) {
      folder[path] = *bytes;
    } else {
      folder.erase(path);
    }
  }
  WriteFolder(dir, folder);
  alarm(kSecondsToReadMax);
  const auto state = system->Read(dir);
  alarm(0);
  auto text = damage.what;
  if (!state) {
    Count(tally, Outcome::kRefused, text + ": " + Without(dir + "/", state.error().message()));
    return;
  }
  const auto outcome = Judge(victim, damage, *state, &text);
  Count(tally, outcome, text);
}

Tally* SharedTally() {
  void* const memory = mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Die("no memory");
  return new (memory) Tally;
}

}  // namespace

void Sampler::Expect(std::uint64_t candidates, std::uint64_t enough) {
  const auto most = std::max<std::uint64_t>(1, std::min(cases_max_, enough));
  const auto one_in = std::max<std::uint64_t>(1, (candidates + most - 1) / most);
  one_in_ = one_in | 1;  // odd, or only one of two ways to flip would have a turn
}

bool Sampler::Take() {
  const auto index = next_++;
  if (index < resume_at_ || index % one_in_ != seed_ % one_in_) return false;
  tally_->next = index;
  return true;
}

// A child tries; when it dies another one goes on behind the damage that it died of.
SweepResult RunSweep(System* system, const Victim& victim, const MakeDamages& make,
                     const std::string& dir, std::uint64_t cases_max, std::uint64_t seed) {
  auto* const tally = SharedTally();
  SweepResult result;
  for (std::uint64_t resume_at = 0;; resume_at = tally->next + 1) {
    Sampler sampler(cases_max, seed, resume_at, tally, [&](const Damage& damage) {
      TryOne(system, victim, damage, dir, tally);
    });
    const auto child = fork();
    if (child == 0) {
      make(&sampler);
      _exit(0);
    }
    int ended = 0;
    if (waitpid(child, &ended, 0) != child) Die("lost a child");
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0) break;
    if (WIFEXITED(ended)) Die(system->name() + ": a sweep failed");
    const auto signal = WTERMSIG(ended);
    const auto how = signal == SIGALRM ? fmt::format("read for {} s", kSecondsToReadMax)
                                       : fmt::format("signal {}", signal);
    Count(tally, Outcome::kCrashed, fmt::format("candidate {}: {}", tally->next, how));
  }
  Sampler counting(cases_max, seed, UINT64_MAX, tally, [](const Damage&) {});
  make(&counting);
  result.one_in = counting.one_in();
  result.tally = *tally;
  munmap(tally, sizeof *tally);
  return result;
}

}  // namespace varve::bench
