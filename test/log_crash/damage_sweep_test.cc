// SPDX-License-Identifier: Apache-2.0
// Every byte, every length, every sector and every segment of small logs damaged: refused with the
// place, without effect, or exactly the last unconfirmed flush gone. Nothing is silent.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/random.h"
#include "test/log_crash/in_threads.h"
#include "test/log_crash/victim.h"
#include "test/support/seed.h"

namespace varve::testing {
namespace {

constexpr int kThreads = 2;
constexpr std::uint64_t kSeed = 21;
constexpr std::uint64_t kSector = 512;

using Case = std::tuple<LogVariant, VictimPlan>;
std::string NameOf(const ::testing::TestParamInfo<Case>& test) {
  return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param).name;
}

// What becomes of each file; without bytes it is removed.
using Change = std::pair<std::string, std::optional<std::string>>;

class LogDamageSweep : public ::testing::TestWithParam<Case> {
 protected:
  LogDamageSweep() : victim_(plan(), VariantOf('a'), kSeed) {}
  ~LogDamageSweep() override {
    using enum Verdict;
    std::printf("  %llu damages: %llu refused, %llu without effect, %llu last flush cut, "
                "%llu cut with what told of it, %llu silent\n",
                Number(std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0})),
                Count(kRefused), Count(kWhole), Count(kTailCut), Count(kEvidenceGone),
                Count(kSilent));
    EXPECT_EQ(Count(kSilent), 0u) << "silent, the first: " << first_silent_;
    EXPECT_GT(Count(kRefused), 0u) << "no damage was refused: a sweep that cannot fail";
  }

  // Of the log whose id is this digit.
  static LogVariant VariantOf(char digit) {
    auto variant = std::get<0>(GetParam());
    variant.options.id = std::string(32, digit);
    return variant;
  }
  static const VictimPlan& plan() { return std::get<1>(GetParam()); }

  // A third of them is read ahead.
  void Try(const std::string& what, const std::vector<Change>& changes, Attempt attempt) {
    if (std::hash<std::string>()(what) % 3 == 0) {
      attempt.recovery.read_ahead_bytes = kReadAheadLittle;
    }
    const auto copy = victim_.disk.Clone();
    for (const auto& [path, bytes] : changes) {
      if (bytes) {
        copy->Poke(path, *bytes);
      } else {
        ASSERT_TRUE(copy->Remove(path) && copy->SyncDirectory(kLifeDir));
      }
    }
    std::string why;
    const auto verdict = Judge(copy.get(), victim_, attempt, &why);
    const std::lock_guard guard(mutex_);
    ++counts_[static_cast<std::size_t>(verdict)];
    if (verdict != Verdict::kSilent || !first_silent_.empty()) return;
    first_silent_ = fmt::format("{}{}: {}", what, attempt.read_only ? ", read-only" : "", why);
  }

  // In [from, end) of one file.
  void TryBytes(const std::string& what, const std::string& path, std::uint64_t from,
                std::uint64_t end, std::string bytes, bool read_only) {
    const Attempt attempt{.tail_may_go = victim_.InTail(path, from, end), .read_only = read_only};
    Try(fmt::format("{} offset {}: {}", path, from, what), {{path, std::move(bytes)}}, attempt);
  }

  // Up to `most` of its blocks at once, where they were. Not the header alone: with it the newest
  // segment is one that was made and never used.
  void TryBlocksOf(const Victim& other_victim, std::uint64_t most) {
    for (const auto& [path, other] : other_victim.segments) {
      if (!victim_.segments.contains(path)) continue;
      const auto& ours = Bytes(path);
      for (std::uint64_t from = 4'096; from < ours.size(); from += 4'096) {
        const auto limit = std::min({ours.size(), other.size(), from + most * 4'096});
        for (auto end = from + 4'096; end <= limit; end += 4'096) {
          auto bytes = ours;
          bytes.replace(from, end - from, other, from, end - from);
          if (bytes != ours) TryBytes("another's blocks", path, from, end, bytes, false);
        }
      }
    }
  }

  // The edges of blocks always. More kinds of log share what is sampled.
  static bool IsTried(std::uint64_t place) {
    const auto one_in = static_cast<std::uint64_t>(plan().one_in);
    return place % (one_in == 1 ? 1 : one_in * AllVariants().size() + 1) == 0 || place % 4'096 < 4;
  }
  const std::string& Bytes(const std::string& path) const { return victim_.segments.at(path); }
  Lsn first() const { return victim_.units[0].lsn; }

  const Victim victim_;

 private:
  static unsigned long long Number(std::uint64_t number) { return number; }
  unsigned long long Count(Verdict verdict) const {
    return counts_[static_cast<std::size_t>(verdict)];
  }
  std::mutex mutex_;
  std::array<std::uint64_t, 5> counts_{};  // guarded by mutex_ while threads run
  std::string first_silent_;               // guarded by mutex_ while threads run
};

TEST_P(LogDamageSweep, R5_R8_T3_EveryByteFlippedIsNeverSilent) {
  for (const auto& [path, whole] : victim_.segments) {
    InThreads(kThreads, whole.size(), [&](std::uint64_t offset) {
      if (!IsTried(offset)) return;
      for (const unsigned mask : {0x01u, 0xffu}) {
        auto bytes = whole;
        bytes[offset] = static_cast<char>(bytes[offset] ^ mask);
        const bool for_writing = offset % 13 == 0;
        TryBytes(fmt::format("flipped by {:#x}", mask), path, offset, offset + 1, bytes,
                 !for_writing);
      }
    });
  }
}

TEST_P(LogDamageSweep, TwoBytesChangedAtRandomAreNeverSilent) {
  const auto seed = TestSeed(3);
  SCOPED_TRACE(SeedTrace(seed));
  for (const auto& path : victim_.used) {
    InThreads(kThreads, 2'000, [&](std::uint64_t i) {
      SeededRandom random(seed * 1'000'000 + i);
      auto bytes = Bytes(path);
      const auto one = random.Below(bytes.size());
      const auto two = random.Below(bytes.size());
      bytes[one] = static_cast<char>(bytes[one] ^ (1u << random.Below(8)));
      bytes[two] = static_cast<char>(random.Next());
      Try(fmt::format("{} offsets {} and {}, number {}", path, one, two, i), {{path, bytes}},
          victim_.AttemptFor(path, one, path, two, 1));
    });
  }
}

TEST_P(LogDamageSweep, EveryLengthThatASegmentCanBeCutToIsNeverSilent) {
  for (const auto& [path, whole] : victim_.segments) {
    InThreads(kThreads, whole.size(), [&](std::uint64_t size) {
      const auto bytes = whole.substr(0, size);
      if (IsTried(size)) TryBytes("cut", path, size, whole.size(), bytes, size % 13 != 0);
    });
    for (const std::uint64_t more : {1, 511, 512, 4'096, 40'000}) {
      TryBytes("grown by zeros", path, whole.size(), whole.size() + more,
               whole + std::string(more, '\0'), false);
      TryBytes("grown by others", path, whole.size(), whole.size() + more,
               whole + std::string(more, 'x'), false);
    }
  }
}

TEST_P(LogDamageSweep, SectorsAndBlocksZeroedOrReplacedByOnesAreNeverSilent) {
  for (const std::uint64_t grain : {kSector, 8 * kSector}) {
    for (const auto& [path, whole] : victim_.segments) {
      for (std::uint64_t at = 0; at < whole.size(); at += grain) {
        for (const char filler : {'\0', '\xff'}) {
          auto bytes = whole;
          const auto count = std::min(grain, whole.size() - at);
          bytes.replace(at, count, count, filler);
          if (bytes != whole) TryBytes("sector lost", path, at, at + count, bytes, false);
        }
      }
    }
  }
}

TEST_P(LogDamageSweep, SectorsAndBlocksSwappedOrCopiedAreNeverSilent) {
  std::vector<std::pair<std::string, std::uint64_t>> places;
  for (const std::uint64_t grain : {kSector, 8 * kSector}) {
    places.clear();
    for (const auto& [path, whole] : victim_.segments) {
      for (std::uint64_t at = 0; at + grain <= whole.size(); at += grain) {
        places.emplace_back(path, at);
      }
    }
    InThreads(kThreads, places.size(), [&](std::uint64_t i) {
      if (!IsTried(i)) return;
      const auto& [path, at] = places[i];
      for (std::uint64_t j = 0; j < places.size(); ++j) {
        const auto& [other, from] = places[j];
        const auto piece = Bytes(path).substr(at, grain), moved = Bytes(other).substr(from, grain);
        if (piece == moved) continue;
        FolderBytes changed = {{path, Bytes(path)}, {other, Bytes(other)}};
        changed[path].replace(at, grain, moved);
        TryBytes("a copy of " + other, path, at, at + grain, changed[path], true);
        if (j < i && IsTried(j)) continue;  // was its turn
        changed[other].replace(from, grain, piece);
        Try(fmt::format("{} {} and {} {} swapped", path, at, other, from),
            {changed.begin(), changed.end()},
            victim_.AttemptFor(path, at, other, from, grain));
      }
    });
  }
}

// Of the oldest segments alone only a caller can know who says where it wants to read from.
TEST_P(LogDamageSweep, L8_MissingSegmentsAreNeverSilent) {
  const auto& used = victim_.used;
  for (std::uint64_t subset = 1; subset + 1 < 1u << used.size(); ++subset) {
    std::vector<Change> changes;
    for (std::size_t i = 0; i < used.size(); ++i) {
      if ((subset >> i & 1) != 0) changes.push_back({used[i], std::nullopt});
    }
    const bool oldest_only = (subset & (subset + 1)) == 0;
    for (const bool read_only : {true, false}) {
      Attempt attempt{.read_only = read_only};
      if (oldest_only) attempt.recovery.replay_from = first();
      Try(fmt::format("segments {:b} missing", subset), changes, attempt);
    }
  }
}

TEST_P(LogDamageSweep, SegmentsSwappedCopiedOrOfAnotherLogAreNeverSilent) {
  const Victim other(plan(), VariantOf('b'), kSeed);
  for (const auto& path : victim_.used) {
    for (const bool read_only : {true, false}) {
      Try("of another log: " + path, {{path, other.segments.at(path)}}, {.read_only = read_only});
      for (const auto& second : victim_.used) {
        if (second == path) continue;
        Try(path + " is a copy of " + second, {{path, Bytes(second)}}, {.read_only = read_only});
        Try(path + " and " + second + " swapped", {{path, Bytes(second)}, {second, Bytes(path)}},
            {.read_only = read_only});
      }
    }
  }
}

// Only the chain of frames tells a twin's apart.
TEST_P(LogDamageSweep, BlocksOfATwinAreNeverSilent) {
  TryBlocksOf(Victim(plan(), VariantOf('a'), kSeed, /*twin=*/true), 4);
}

// Of the same log, after copies of its folder went on each by itself.
TEST_P(LogDamageSweep, ABlockOfAnotherGenerationIsNeverSilent) {
  TryBlocksOf(Victim(plan(), VariantOf('a'), kSeed + 1, /*twin=*/true), 1);
}

// An older state of the last segment is a log that ended earlier: only a caller can know better.
TEST_P(LogDamageSweep, OlderStatesOfASegmentAreNeverSilent) {
  std::set<std::pair<std::string, std::string>> tried;
  for (const auto& folder : HistoryOf(plan(), VariantOf('a'), kSeed, victim_)) {
    for (const auto& path : victim_.used) {
      const auto old = folder.find(path);
      if (old == folder.end() || old->second == Bytes(path)) continue;
      if (!tried.insert({path, old->second}).second) continue;
      const Attempt attempt{.tail_may_go = victim_.InTail(path, 0, UINT64_MAX)};
      if (path != victim_.used.back()) Try(path + " is as before", {*old}, attempt);
      Try(path + " is as before, and the caller knows", {*old},
          {.recovery = {.known_durable = victim_.durable}});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, LogDamageSweep,
    ::testing::Combine(::testing::ValuesIn(AllVariants().begin(), AllVariants().end()),
                       ::testing::ValuesIn(AllVictimPlans().begin(), AllVictimPlans().end())),
    NameOf);

}  // namespace
}  // namespace varve::testing
