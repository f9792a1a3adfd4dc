// SPDX-License-Identifier: Apache-2.0
#include "test/isolation/numbers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "test/isolation/doings.h"

namespace varve::testing {
namespace {

class NumbersChecker {
 public:
  NumbersChecker(const History& history, bool serializable)
      : history_(history), serializable_(serializable) {}

  Anomalies Run() {
    for (const auto& transaction : history_) keys_.push_back(Follow(transaction).keys);
    for (std::size_t i = 0; i < history_.size(); ++i) NoteVersions(i);
    for (std::size_t i = 0; i < history_.size(); ++i) CheckOne(i);
    CheckPast();
    return std::move(found_);
  }

 private:
  struct Version {
    List list;
    std::size_t writer = 0;
  };
  using Versions = std::map<std::uint64_t, Version>;  // by commit

  void Add(const std::string& name, std::size_t which, const std::string& what) {
    const auto& transaction = history_[which];
    found_.Add(name, fmt::format("transaction {} (snapshot {}, commit {}{}): {}", which,
                                 transaction.snapshot, transaction.commit,
                                 transaction.plain ? ", plain" : "", what));
  }

  void NoteVersions(std::size_t which) {
    const auto commit = history_[which].commit;
    if (commit == 0) return;
    if (!commits_.insert(commit).second) Add("number", which, "it was given twice");
    for (const auto& [key, doings] : keys_[which]) {
      if (doings.writes()) versions_[key][commit] = {doings.Left(), which};
    }
  }

  void CheckOne(std::size_t which) {
    const auto& transaction = history_[which];
    if (transaction.plain) return;
    if (transaction.commit != 0 && transaction.commit <= transaction.snapshot) {
      Add("number", which, "a commit not after its snapshot");
    }
    bool beaten = false;
    for (const auto& [key, doings] : keys_[which]) {
      CheckRead(which, key, doings);
      if (doings.writes() || (serializable_ && doings.asked)) beaten |= IsBeaten(which, key);
    }
    if (transaction.refused && !beaten) Add("refusal", which, "nothing came between");
  }
  void CheckRead(std::size_t which, std::int64_t key, const Doings& doings) {
    if (!doings.read) return;
    const auto& versions = versions_[key];
    const auto after = versions.upper_bound(history_[which].snapshot);
    const auto list = after == versions.begin() ? List() : std::prev(after)->second.list;
    if (list == *doings.read) return;
    Add("snapshot", which,
        fmt::format("read {} of key {}, which was {}", *doings.read, key, list));
  }
  // Whether another came first; if so, and it was committed all the same, that is told.
  bool IsBeaten(std::size_t which, std::int64_t key) {
    const auto& transaction = history_[which];
    const auto& versions = versions_[key];
    const auto first = versions.upper_bound(transaction.snapshot);
    if (transaction.refused) {
      return std::any_of(first, versions.end(), [&](const auto& version) {
        return history_[version.second.writer].began < transaction.ended;
      });
    }
    if (first == versions.end() || first->first >= transaction.commit) return false;
    Add("first committer", which, fmt::format("key {} is also of commit {}", key, first->first));
    return true;
  }

  // What had ended before a begin is in its snapshot.
  void CheckPast() {
    std::vector<std::size_t> by_begin, by_end;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (!history_[i].plain) by_begin.push_back(i);
      if (history_[i].commit != 0) by_end.push_back(i);
    }
    std::ranges::sort(by_begin, {}, [&](auto which) { return history_[which].began; });
    std::ranges::sort(by_end, {}, [&](auto which) { return history_[which].ended; });
    std::uint64_t newest = 0;
    auto ended = by_end.begin();
    for (const auto which : by_begin) {
      for (; ended != by_end.end() && history_[*ended].ended < history_[which].began; ++ended) {
        newest = std::max(newest, history_[*ended].commit);
      }
      if (history_[which].snapshot >= newest) continue;
      Add("past", which, fmt::format("it began after commit {}", newest));
    }
  }

  const History& history_;
  const bool serializable_;
  Anomalies found_;
  std::vector<std::map<std::int64_t, Doings>> keys_;  // by transaction
  std::map<std::int64_t, Versions> versions_;         // by key
  std::set<std::uint64_t> commits_;
};

}  // namespace

Anomalies CheckNumbers(const History& history, bool serializable) {
  return NumbersChecker(history, serializable).Run();
}

}  // namespace varve::testing
