// SPDX-License-Identifier: Apache-2.0
#include "test/log_crash/crash_sweep.h"

#include <fmt/format.h>

#include <vector>

#include "files/disk_image.h"
#include "files/sparse_bytes.h"
#include "log/log_format.h"
#include "test/log_crash/in_threads.h"
#include "test/log_crash/survivor.h"

namespace varve::testing {
namespace {

// How often a policy that draws is tried at one event.
constexpr int kDraws = 4;
// Of the recovery of a state at depth 1 or 2: where it is cut, and in how many ways each.
struct Nesting {
  std::uint64_t one_in;  // so many states are nested at all
  int cuts;
  int ways;
};
constexpr Nesting kNesting[] = {{10, 6, 3}, {8, 3, 2}};

bool Draws(Survival survival) {
  return survival == Survival::kRandomPrefix || survival == Survival::kRandomSectors ||
         survival == Survival::kGarbage;
}

// What a process does after a crash; cut too, at depth 2 and 3.
void RecoverAndGoOn(Life& life) {
  life.Open();
  life.Append(3'900);
  life.EnqueueMany(2, 15'000);
  life.WaitForAll(AckLevel::kWritten);
  life.Background();
  life.TruncateAllBut(2);
  life.Append(100);
}

// No crash to come, and room on the disk.
void BringBack(SimulatedDisk* disk) {
  disk->CrashAtEvent(0);
  disk->SetCapacity(UINT64_MAX);
}

std::string Describe(const SimulatedDisk& disk) {
  const auto trace = disk.trace();
  if (trace.empty()) return "before the first event";
  const auto& last = trace.back();
  return fmt::format("event {} ({} {}, {} bytes)", trace.size(), last.operation, last.path,
                     last.bytes);
}

}  // namespace

void CrashSweep::Fail(const std::string& wrong) {
  const std::lock_guard guard(mutex_);
  failed_ = true;
  if (wrong_.empty()) wrong_ = wrong;
}

Life CrashSweep::Begin(SimulatedDisk* disk, const Oracle& oracle, std::uint64_t salt) const {
  return {disk, variant_.options, oracle, MixedHash(seed_, salt)};
}

std::string CrashSweep::Run(int threads) {
  SimulatedDisk disk;
  Life life = Begin(&disk, {}, 0);
  life_.script(life);
  events_ = disk.events();
  if (life.failed()) return fmt::format("without a crash: {}{}", life.wrong(), life.error());
  InThreads(threads, events_ + 1, [this](std::uint64_t i) {
    if (!failed_) SweepEvent(i + 1);
  });
  return wrong_;
}

// The event after the last: power goes when the life is over.
void CrashSweep::SweepEvent(std::uint64_t event) {
  SimulatedDisk disk;
  disk.CrashAtEvent(event);
  Life life = Begin(&disk, {}, 0);
  life_.script(life);
  const Moment moment{disk, life.oracle(), 1, Describe(disk)};
  if (!life.wrong().empty()) return Fail(moment.story + ": " + life.wrong());
  if (life.failed() != (event <= events_)) return Fail(moment.story + ": another event each time");
  CrashEveryWay(moment);
}

void CrashSweep::CrashEveryWay(const Moment& moment) {
  SeededRandom random(MixedHash(seed_, moment.disk.events()));
  for (const auto survival : kAllSurvivals) {
    for (int i = 0; i < (Draws(survival) ? kDraws : 1); ++i) CrashOnce(moment, survival, &random);
  }
  CrashInEverySubset(moment);
}

void CrashSweep::CrashInSomeWays(const Moment& moment, Random* random) {
  for (int i = 0; i < kNesting[moment.depth - 2].ways; ++i) {
    CrashOnce(moment, kAllSurvivals[random->Below(std::size(kAllSurvivals))], random);
  }
}

void CrashSweep::CrashOnce(const Moment& moment, Survival survival, Random* random) {
  if (failed_) return;
  const auto copy = moment.disk.Clone();
  BringBack(copy.get());
  copy->Crash(survival, random);
  Visit(copy.get(), moment, std::string(ToString(survival)), /*subset=*/false);
}

// By the finest grain that gives few enough parts.
void CrashSweep::CrashInEverySubset(const Moment& moment) {
  for (const std::uint64_t grain : {kSectorBytes, kLogBlock, kFrameBytesMax}) {
    if (grain == kSectorBytes && !variant_.thorough) continue;
    const auto parts = moment.disk.PendingParts(grain);
    if (parts > (variant_.thorough ? kSubsetPartsMax : kSubsetPartsOfOthers)) continue;
    for (std::uint64_t subset = 0; subset < 1u << parts && !failed_; ++subset) {
      std::vector<bool> kept(parts);
      for (std::size_t i = 0; i < parts; ++i) kept[i] = (subset >> i & 1) != 0;
      const auto copy = moment.disk.Clone();
      BringBack(copy.get());
      copy->CrashKeeping(grain, kept);
      Visit(copy.get(), moment, fmt::format("subset {:b} of {} parts", subset, parts), true);
    }
    return;
  }
}

bool CrashSweep::IsNew(std::uint64_t key, int depth, bool subset) {
  const std::lock_guard guard(mutex_);
  ++counts_.drawn;
  if (!visited_.insert(key).second) return false;
  ++counts_.at_depth[depth - 1];
  if (subset) ++counts_.of_subsets;
  return true;
}

void CrashSweep::Visit(SimulatedDisk* disk, const Moment& moment, const std::string& how,
                       bool subset) {
  const auto key = MixedHash(MixedHash(disk->Fingerprint(), moment.oracle.Fingerprint()),
                             static_cast<std::uint64_t>(moment.depth));
  if (!IsNew(key, moment.depth, subset)) return;
  const auto before = disk->Clone();
  const auto wrong = CheckSurvivor(disk, variant_.options, moment.oracle, key);
  if (!wrong.empty()) {
    return Fail(fmt::format("{}, {}: {}", moment.story, how, wrong));
  }
  if (moment.depth == kCrashDepthMax) return;
  // More kinds of log share the same number of nested crashes.
  const auto one_in = kNesting[moment.depth - 1].one_in * AllVariants().size();
  if (MixedHash(key, seed_) % one_in != 0) return;
  Nest(*before, moment.oracle, moment, how, key);
}

void CrashSweep::Nest(const SimulatedDisk& disk, const Oracle& oracle, const Moment& from,
                      const std::string& how, std::uint64_t key) {
  const auto whole = disk.Clone();
  Life uncut = Begin(whole.get(), oracle, 1 + from.depth);
  RecoverAndGoOn(uncut);
  const auto story = fmt::format("{}, {}; ", from.story, how);
  if (uncut.failed()) return Fail(story + uncut.wrong() + uncut.error());
  SeededRandom random(key);
  for (int i = 0; i < kNesting[from.depth - 1].cuts && !failed_; ++i) {
    const auto copy = disk.Clone();
    copy->CrashAtEvent(disk.events() + 1 + random.Below(whole->events() - disk.events()));
    Life life = Begin(copy.get(), oracle, 1 + from.depth);
    RecoverAndGoOn(life);
    const Moment moment{*copy, life.oracle(), from.depth + 1, story + Describe(*copy)};
    if (!life.wrong().empty()) return Fail(moment.story + ": " + life.wrong());
    CrashInSomeWays(moment, &random);
  }
}

}  // namespace varve::testing
