// SPDX-License-Identifier: Apache-2.0
#include "test/log_crash/victim.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/executor.h"
#include "log/log_format.h"

namespace varve::testing {
namespace {

void ThreeByHand(Life& life) {
  life.Open();
  for (int segment = 0; segment < 3; ++segment) {
    if (segment > 0) life.Rotate();
    life.Append({40, 3'000});
    if (segment < 2) life.Append(700);
  }
}

void ThreeByRolling(Life& life) {
  life.Open();
  for (int i = 0; i < 5; ++i) life.Append(5'000);
  life.Background();
  life.EnqueueMany(4, 3'000);
  life.WaitForAll();
}

void ThreeProcesses(Life& life) {
  life.Open();
  life.Append(600);
  life.Close();
  life.Open();
  life.Append(5'000);
  life.Kill();
  life.Open();
  life.Append(400);
}

void OneUnitAcross(Life& life) {
  life.Open();
  life.Append(300);
  life.Append(45'000);
}

void SmallFlush(Life& life) { life.Append(900); }
void WideFlush(Life& life) {
  life.EnqueueMany(3, 1'800);
  life.WaitForLast();
}

FolderBytes ReadFolder(SimulatedDisk* disk) {
  FolderBytes segments;
  const auto entries = disk->List(kLifeDir);
  VARVE_CHECK(entries.has_value());
  for (const auto& entry : *entries) {
    const auto path = JoinPath(kLifeDir, entry.name);
    if (entry.name.ends_with(".log")) segments[path] = *disk->Peek(path);
  }
  return segments;
}

LogReplay Remember(std::vector<SeenUnit>* seen) {
  return [seen](const LogUnit& unit) {
    seen->push_back({unit.lsn, BytesOf(unit)});
    return Status();
  };
}

}  // namespace

std::span<const VictimPlan> AllVictimPlans() {
  static constexpr VictimPlan kPlans[] = {
      {"ByHandKilled", ThreeByHand, SmallFlush, false, 1},
      {"ByHandClosed", ThreeByHand, SmallFlush, true, 1},
      {"RolledKilled", ThreeByRolling, WideFlush, false, 7},
      {"RolledClosed", ThreeByRolling, WideFlush, true, 7},
      {"ProcessesKilled", ThreeProcesses, SmallFlush, false, 7},
      {"ProcessesClosed", ThreeProcesses, WideFlush, true, 7},
      {"OneUnitAcrossKilled", OneUnitAcross, SmallFlush, false, 7},
      {"OneUnitAcrossClosed", OneUnitAcross, SmallFlush, true, 7},
  };
  return kPlans;
}

Victim::Victim(const VictimPlan& plan, const LogVariant& variant, std::uint64_t seed, bool twin)
    : options(variant.options) {
  Oracle oracle;
  for (int i = 0; twin && i < 100; ++i) oracle.NextUnitNumber();
  Life life(&disk, options, oracle, seed);
  plan.life(life);
  const auto before = ReadFolder(&disk);
  units_before_last_flush = life.oracle().units();
  plan.last_flush(life);
  if (!plan.closed) FindTail(before, ReadFolder(&disk));
  plan.closed ? life.Close() : life.Kill();
  VARVE_CHECK(!life.failed());
  segments = ReadFolder(&disk);
  const auto copy = disk.Clone();
  Life checker(copy.get(), options, life.oracle(), seed + 1);
  checker.Open();
  VARVE_CHECK(!checker.failed());
  LookAtSoundLog(life.oracle());
}

// The blocks in which a file differs from before.
void Victim::FindTail(const FolderBytes& before, const FolderBytes& after) {
  for (const auto& [path, bytes] : after) {
    const auto found = before.find(path);
    const std::string old = found == before.end() ? "" : found->second;
    if (old == bytes) continue;
    std::uint64_t from = 0, end = std::max(old.size(), bytes.size());
    while (from < std::min(old.size(), bytes.size()) && old[from] == bytes[from]) ++from;
    if (old.size() == bytes.size()) {
      while (old[end - 1] == bytes[end - 1]) --end;
    }
    tail_[path] = {from / kLogBlock * kLogBlock, (end + kLogBlock - 1) / kLogBlock * kLogBlock};
  }
}

bool Victim::InTail(const std::string& path, std::uint64_t from, std::uint64_t end) const {
  const auto blocks = tail_.find(path);
  return blocks != tail_.end() && from < blocks->second.end && end > blocks->second.from;
}

Attempt Victim::AttemptFor(const std::string& path, std::uint64_t at,
                           const std::string& other_path, std::uint64_t other_at,
                           std::uint64_t count) const {
  const bool one = InTail(path, at, at + count);
  const bool other = InTail(other_path, other_at, other_at + count);
  return {.tail_may_go = one || other, .evidence_is_gone = one != other && path == other_path};
}

void Victim::LookAtSoundLog(const Oracle& oracle) {
  const auto copy = disk.Clone();
  auto read_only = options;
  read_only.read_only = true;
  const auto log = Log::Open(kLifeDir, read_only, Remember(&units), {}, {.files = copy.get()});
  VARVE_CHECK(log.has_value());
  durable = (*log)->recovery().end;
  for (const auto& segment : (*log)->stats().segments) {
    used.push_back(JoinPath(kLifeDir, segment.name));
    const bool has_tail = !tail_.empty() && tail_.begin()->first == used.back();
    if (has_tail) units_before_tail_segment = oracle.UnitsThatEndBefore(segment.base);
  }
}

std::vector<FolderBytes> HistoryOf(const VictimPlan& plan, const LogVariant& variant,
                                   std::uint64_t seed, const Victim& victim) {
  std::vector<FolderBytes> history;
  for (std::uint64_t event = 3; event < victim.disk.events(); ++event) {
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    Life life(&disk, variant.options, {}, seed);
    plan.life(life);
    plan.last_flush(life);
    life.Close();
    if (!disk.crashed()) break;
    disk.KillProcess();
    history.push_back(ReadFolder(&disk));
  }
  return history;
}

Verdict Judge(SimulatedDisk* disk, const Victim& victim, const Attempt& attempt, std::string* why) {
  const auto before = disk->Fingerprint();
  std::vector<SeenUnit> seen;
  auto options = victim.options;
  options.read_only = attempt.read_only;
  ManualExecutor executor;
  LogComponents world{.files = disk};
  if (attempt.recovery.read_ahead_bytes == kReadAheadLittle) world.executor = &executor;
  const auto log = Log::Open(kLifeDir, options, Remember(&seen), attempt.recovery, world);
  if (!log) {
    const auto& error = log.error();
    *why = error.message();
    const bool placed = why->find(".log") != std::string::npos &&
                        why->find("offset") != std::string::npos;
    if (error.kind() != ErrorKind::kCorruption || !placed) return Verdict::kSilent;
    if (disk->Fingerprint() == before) return Verdict::kRefused;
    *why += " (and bytes were changed)";
    return Verdict::kSilent;
  }
  if (seen == victim.units) return Verdict::kWhole;
  *why = fmt::format("opened, and gave {} units of {}", seen.size(), victim.units.size());
  if (seen.size() > victim.units.size()) return Verdict::kSilent;
  if (!std::equal(seen.begin(), seen.end(), victim.units.begin())) return Verdict::kSilent;
  if (attempt.tail_may_go && seen.size() == victim.units_before_last_flush) {
    return Verdict::kTailCut;
  }
  const bool excused = attempt.evidence_is_gone && seen.size() < victim.units_before_last_flush &&
                       seen.size() >= victim.units_before_tail_segment;
  return excused ? Verdict::kEvidenceGone : Verdict::kSilent;
}

}  // namespace varve::testing
