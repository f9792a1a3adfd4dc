// SPDX-License-Identifier: Apache-2.0
#include "bench/log_damage/damages.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace varve::bench {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kBlock = 4'096;
constexpr std::uint64_t kPairsEnough = 4'000;

std::uint64_t LogBytes(const Victim& victim) {
  std::uint64_t bytes = 0;
  for (const auto& path : victim.files) bytes += victim.Bytes(path).size();
  return bytes;
}

// [from, end) of one file damaged: `bytes` is the whole file then.
void TryBytes(const Victim& victim, const std::string& what, const std::string& path,
              std::uint64_t from, std::uint64_t end, std::string bytes, Sampler* sampler) {
  sampler->Attempt({.what = fmt::format("{} at {}: {}", path, from, what),
                    .changes = {{path, std::move(bytes)}},
                    .touches_last = victim.InLastCommit(path, from, end)});
}

void FlipBytes(const Victim& victim, const Victim&, Sampler* sampler) {
  sampler->Expect(2 * LogBytes(victim));
  for (const auto& path : victim.files) {
    for (std::uint64_t at = 0; at < victim.Bytes(path).size(); ++at) {
      for (const unsigned mask : {0x01u, 0xffu}) {
        if (!sampler->Take()) continue;
        auto bytes = victim.Bytes(path);
        bytes[at] = static_cast<char>(bytes[at] ^ mask);
        TryBytes(victim, fmt::format("flipped by {:#x}", mask), path, at, at + 1, bytes, sampler);
      }
    }
  }
}

void CutFiles(const Victim& victim, const Victim&, Sampler* sampler) {
  sampler->Expect(LogBytes(victim));
  for (const auto& path : victim.files) {
    const auto& whole = victim.Bytes(path);
    for (std::uint64_t size = 0; size < whole.size(); ++size) {
      if (!sampler->Take()) continue;
      TryBytes(victim, "cut here", path, size, whole.size(), whole.substr(0, size), sampler);
    }
  }
}

// `others`: gives what is to stand in a piece, or what stands there now.
template <typename Others>
void ReplacePieces(const Victim& victim, const std::string& what, std::uint64_t grain,
                   const Others& others, Sampler* sampler) {
  for (const auto& path : victim.files) {
    const auto& whole = victim.Bytes(path);
    for (std::uint64_t at = 0; at < whole.size(); at += grain) {
      const auto count = std::min(grain, whole.size() - at);
      auto bytes = whole;
      bytes.replace(at, count, others(path, at, count));
      if (bytes == whole || !sampler->Take()) continue;
      TryBytes(victim, what, path, at, at + count, bytes, sampler);
    }
  }
}

template <std::uint64_t kGrain>
void ZeroPieces(const Victim& victim, const Victim&, Sampler* sampler) {
  sampler->Expect(LogBytes(victim) / kGrain);
  ReplacePieces(
      victim, fmt::format("{} B of zeros", kGrain), kGrain,
      [](const std::string&, std::uint64_t, std::uint64_t count) {
        return std::string(count, '\0');
      },
      sampler);
}

struct Sector {
  std::string path;
  std::uint64_t at;
  bool of_last;  // commit
};

std::vector<Sector> AllSectors(const Victim& victim) {
  std::vector<Sector> sectors;
  for (const auto& path : victim.files) {
    for (std::uint64_t at = 0; at + kSector <= victim.Bytes(path).size(); at += kSector) {
      sectors.push_back({path, at, victim.InLastCommit(path, at, at + kSector)});
    }
  }
  return sectors;
}

// With one of the last commit, or without any: the last commit may be all that tells that those
// before it were durable.
template <bool kOfLast>
void ExchangeSectors(const Victim& victim, const Victim&, Sampler* sampler) {
  const auto places = AllSectors(victim);
  sampler->Expect(places.size() * (places.size() - 1) / 2, kPairsEnough);
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const auto& [path, at, in_last] = places[i];
      const auto& [other, from, other_in_last] = places[j];
      if ((in_last || other_in_last) != kOfLast) continue;
      const std::string_view piece(victim.Bytes(path).data() + at, kSector);
      const std::string_view moved(victim.Bytes(other).data() + from, kSector);
      if (piece == moved || !sampler->Take()) continue;
      Folder changed = {{path, victim.Bytes(path)}, {other, victim.Bytes(other)}};
      changed[path].replace(at, kSector, moved);
      changed[other].replace(from, kSector, piece);
      sampler->Attempt({fmt::format("{} at {} and {} at {} exchanged", path, at, other, from),
                        {changed.begin(), changed.end()},
                        kOfLast});
    }
  }
}

// What stands in [at, at + count) of a file of another folder; zeros where it is shorter.
std::string PieceOf(const Folder& folder, const std::string& path, std::uint64_t at,
                    std::uint64_t count) {
  const auto found = folder.find(path);
  std::string piece;
  if (found != folder.end() && at < found->second.size()) piece = found->second.substr(at, count);
  piece.resize(count, '\0');
  return piece;
}

// The device dropped a write, or put it elsewhere: the block is as after an earlier commit.
void LoseWrites(const Victim& victim, const Victim&, Sampler* sampler) {
  std::set<std::tuple<std::string, std::uint64_t, std::string>> tried;
  for (std::size_t n = 0; n + 1 < victim.history.size(); ++n) {
    ReplacePieces(
        victim, fmt::format("a block as after commit {}", n), kBlock,
        [&](const std::string& path, std::uint64_t at, std::uint64_t count) {
          auto piece = PieceOf(victim.history[n], path, at, count);
          return tried.insert({path, at, piece}).second ? piece
                                                        : victim.Bytes(path).substr(at, count);
        },
        sampler);
  }
}

void ForeignBlocks(const Victim& victim, const Victim& twin, Sampler* sampler) {
  ReplacePieces(
      victim, "another database's block", kBlock,
      [&](const std::string& path, std::uint64_t at, std::uint64_t count) {
        const auto file = std::ranges::find(victim.files, path) - victim.files.begin();
        if (static_cast<std::size_t>(file) >= twin.files.size()) return std::string(count, '\0');
        return PieceOf(twin.folder(), twin.files[static_cast<std::size_t>(file)], at, count);
      },
      sampler);
}

// Each of these is one damage of whole files.
void TryFiles(Damage damage, Sampler* sampler) {
  if (sampler->Take()) sampler->Attempt(damage);
}

// Subsets by bits, the oldest file first: 0b011 of three are the two oldest.
bool IsAll(const Victim& victim, std::uint64_t subset) {
  return subset + 1 == 1u << victim.files.size();
}
bool IsOldest(std::uint64_t subset) { return (subset & (subset + 1)) == 0; }

template <typename Wanted>
void RemoveFiles(const Victim& victim, const Wanted& wanted, Sampler* sampler) {
  for (std::uint64_t subset = 1; subset < 1u << victim.files.size(); ++subset) {
    if (!wanted(subset)) continue;
    Damage damage{.what = "missing:", .changes = {}};
    for (std::size_t i = 0; i < victim.files.size(); ++i) {
      if ((subset >> i & 1) == 0) continue;
      damage.what += " " + victim.files[i];
      damage.changes.push_back({victim.files[i], std::nullopt});
    }
    TryFiles(damage, sampler);
  }
}

void RemoveAll(const Victim& victim, const Victim&, Sampler* sampler) {
  RemoveFiles(victim, [&](std::uint64_t subset) { return IsAll(victim, subset); }, sampler);
}

void RemoveOldest(const Victim& victim, const Victim&, Sampler* sampler) {
  const auto wanted = [&](std::uint64_t subset) {
    return IsOldest(subset) && !IsAll(victim, subset);
  };
  RemoveFiles(victim, wanted, sampler);
}

void RemoveOthers(const Victim& victim, const Victim&, Sampler* sampler) {
  RemoveFiles(victim, [](std::uint64_t subset) { return !IsOldest(subset); }, sampler);
}

void ExchangeOrCopyFiles(const Victim& victim, const Victim&, Sampler* sampler) {
  for (const auto& path : victim.files) {
    for (const auto& other : victim.files) {
      if (other == path) continue;
      TryFiles({path + " is a copy of " + other, {{path, victim.Bytes(other)}}}, sampler);
      if (other < path) continue;
      TryFiles({path + " and " + other + " exchanged",
                {{path, victim.Bytes(other)}, {other, victim.Bytes(path)}}},
               sampler);
    }
  }
}

void StaleCopies(const Victim& victim, bool last, Sampler* sampler) {
  std::set<std::pair<std::string, std::string>> tried;
  for (const auto& path : victim.files) {
    if ((path == victim.files.back()) != last) continue;
    for (std::size_t n = 0; n + 1 < victim.history.size(); ++n) {
      const auto old = victim.history[n].find(path);
      if (old == victim.history[n].end() || old->second == victim.Bytes(path)) continue;
      if (!tried.insert(*old).second) continue;
      TryFiles({.what = fmt::format("{} as after commit {}", path, n),
                .changes = {*old},
                .touches_last = victim.InLastCommit(path, 0, UINT64_MAX)},
               sampler);
    }
  }
}

void StaleCopyOfEarlier(const Victim& victim, const Victim&, Sampler* sampler) {
  StaleCopies(victim, false, sampler);
}
void StaleCopyOfLast(const Victim& victim, const Victim&, Sampler* sampler) {
  StaleCopies(victim, true, sampler);
}

void ForeignFiles(const Victim& victim, const Victim& twin, Sampler* sampler) {
  const auto count = std::min(victim.files.size(), twin.files.size());
  Damage all{.what = "all of another database", .changes = {}};
  for (std::size_t i = 0; i < count; ++i) {
    all.changes.push_back({victim.files[i], twin.Bytes(twin.files[i])});
    if (count > 1) TryFiles({victim.files[i] + " of another", {all.changes.back()}}, sampler);
  }
  TryFiles(all, sampler);
}

}  // namespace

std::span<const DamageKind> AllDamageKinds() {
  static constexpr DamageKind kKinds[] = {
      {"each byte flipped, in two ways", FlipBytes},
      {"cut at every length", CutFiles},
      {"512 B zeroed", ZeroPieces<kSector>},
      {"4 KiB zeroed", ZeroPieces<kBlock>},
      {"two sectors exchanged", ExchangeSectors<false>},
      {"sector exchanged with the last", ExchangeSectors<true>},
      {"4 KiB as earlier (a lost write)", LoseWrites},
      {"4 KiB of another database", ForeignBlocks},
      {"oldest files missing", RemoveOldest},
      {"other files missing", RemoveOthers},
      {"all files missing", RemoveAll},
      {"files exchanged or copied", ExchangeOrCopyFiles},
      {"stale copy of an earlier file", StaleCopyOfEarlier},
      {"stale copy of the last file", StaleCopyOfLast},
      {"files of another database", ForeignFiles},
  };
  return kKinds;
}

}  // namespace varve::bench
