// SPDX-License-Identifier: Apache-2.0
#include "bench/log_damage/victim.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/random.h"
#include "bench/slice.h"

namespace varve::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kFiles = 3;
constexpr int kCommits = 8 * kFiles;
constexpr std::size_t kValueBytes[] = {60, 3'000, 200, 1'500, 700, 5'000};
constexpr std::uint64_t kDeviceBlock = 4'096;

// Of letters, so that every way to store it does.
std::string Value(Random* random, std::size_t bytes) {
  std::string value(bytes, '\0');
  for (char& letter : value) letter = static_cast<char>('a' + random->Below(26));
  return value;
}

// Every state differs from every other: "last" says which commit was the last, a delete takes away
// what a former commit put.
std::vector<Commit> MakeCommits(std::uint64_t seed) {
  SeededRandom random(seed);
  std::vector<Commit> commits;
  for (int i = 0; i < kCommits; ++i) {
    if (i % 6 == 4) {
      commits.push_back({.deletes = {fmt::format("key-{:03}", i - 3)}});
      continue;
    }
    const auto bytes = kValueBytes[static_cast<std::size_t>(i) % std::size(kValueBytes)];
    commits.push_back({.puts = {{fmt::format("key-{:03}", i), Value(&random, bytes)},
                                {"last", fmt::format("{:03}-{}", i, Value(&random, 8))}}});
  }
  return commits;
}

// Leaves an empty database.
std::vector<Commit> MakeEarlier(std::uint64_t seed) {
  auto commits = MakeCommits(seed + 1'000'000);
  Commit last;
  for (auto& commit : commits) {
    commit.deletes.clear();
    for (auto& [key, value] : commit.puts) {
      key = "old-" + key;
      last.deletes.push_back(key);
    }
  }
  std::erase_if(commits, [](const Commit& commit) { return commit.puts.empty(); });
  commits.push_back(last);
  return commits;
}

std::string Snapshot(const std::string& dir, std::size_t number) {
  return fmt::format("{}/{:03}", dir, number);
}

// Ends the process, without closing anything.
[[noreturn]] void Live(System* system, const std::string& dir, const std::vector<Commit>& commits,
                       std::uint64_t seed) {
  const auto live = dir + "/live";
  fs::create_directories(live);
  system->Create(live, MakeEarlier(seed), seed);
  WriteFolder(Snapshot(dir, 0), ReadFolder(live));
  for (std::size_t i = 0; i < commits.size(); ++i) {
    if (i > 0 && i % (commits.size() / kFiles) == 0) system->NextFile();
    system->Apply(commits[i]);
    WriteFolder(Snapshot(dir, i + 1), ReadFolder(live));
  }
  _exit(0);
}

State After(State state, const Commit& commit) {
  for (const auto& [key, value] : commit.puts) state[key] = value;
  for (const auto& key : commit.deletes) state.erase(key);
  return state;
}

std::vector<std::string> FilesThatChanged(const System& system, const Folder& before,
                                          const Folder& after) {
  std::vector<std::string> files;
  for (const auto& [path, bytes] : after) {
    const auto found = before.find(path);
    const bool same = found != before.end() && found->second == bytes;
    if (!same && system.IsLog(path)) files.push_back(path);
  }
  return files;
}

}  // namespace

Victim MakeVictim(System* system, const std::string& dir, std::uint64_t seed) {
  const auto commits = MakeCommits(seed);
  const auto child = fork();
  if (child == 0) Live(system, dir, commits, seed);
  int ended = 0;
  if (waitpid(child, &ended, 0) != child || ended != 0) Die(system->name() + ": cannot be made");
  Victim victim;
  for (std::size_t i = 0; i <= commits.size(); ++i) {
    victim.history.push_back(ReadFolder(Snapshot(dir, i)));
    victim.states.push_back(i == 0 ? State() : After(victim.states.back(), commits[i - 1]));
  }
  victim.files = FilesThatChanged(*system, victim.history.front(), victim.folder());
  // Behind the last commit there may be a file that was made ahead of need and holds nothing.
  while (!victim.files.empty() && !victim.InLastCommit(victim.files.back(), 0, UINT64_MAX)) {
    victim.files.pop_back();
  }
  if (victim.files.empty()) Die(system->name() + ": the last commit is not in the log");
  fs::remove_all(dir);
  return victim;
}

bool Victim::InLastCommit(const std::string& path, std::uint64_t from, std::uint64_t end) const {
  const auto& before = history[history.size() - 2];
  const auto found = before.find(path);
  const auto& now = Bytes(path);
  const auto old = found == before.end() ? std::string() : found->second;
  const auto [a, b] = std::ranges::mismatch(old, now);
  if (a == old.end() && b == now.end()) return false;
  const auto first = static_cast<std::uint64_t>(b - now.begin());
  auto last = std::max(old.size(), now.size());
  while (old.size() == now.size() && old[last - 1] == now[last - 1]) --last;
  return end > first / kDeviceBlock * kDeviceBlock &&
         from < (last + kDeviceBlock - 1) / kDeviceBlock * kDeviceBlock;
}

}  // namespace varve::bench
