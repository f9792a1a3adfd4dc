// SPDX-License-Identifier: Apache-2.0
#include "test/isolation/history.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "test/isolation/chapters.h"
#include "test/isolation/cycles.h"

namespace varve::testing {
namespace {

bool IsPrefix(const List& prefix, const List& list) {
  return prefix.size() <= list.size() && std::equal(prefix.begin(), prefix.end(), list.begin());
}

class Checker {
 public:
  explicit Checker(const History& history) : history_(history), graph_(history.size()) {}

  Anomalies Run() {
    for (std::size_t i = 0; i < history_.size(); ++i) FollowOne(i);
    for (auto& [key, chapters] : chapters_) chapters.Sort();
    for (std::size_t i = 0; i < history_.size(); ++i) NoteFirsts(i);
    for (std::size_t i = 0; i < history_.size(); ++i) OfferLists(i);
    for (const auto& [key, chapters] : chapters_) CheckValues(key, chapters);
    for (std::size_t i = 0; i < history_.size(); ++i) CheckReads(i);
    for (const auto& [key, chapters] : chapters_) AddOrder(chapters);
    for (std::size_t i = 0; i < history_.size(); ++i) AddReads(i);
    AddTime();
    FindCycles();
    return std::move(found_);
  }

 private:
  struct Writer {
    std::size_t transaction;
    bool last;  // of its values for that key
  };

  void Add(const std::string& name, const std::string& example) { found_.Add(name, example); }

  // What a transaction read of others and what it leaves, checking that it sees its own doings.
  void FollowOne(std::size_t which) {
    const auto& transaction = history_[which];
    auto all = Follow(transaction);
    for (const auto& wrong : all.misread) {
      Add("internal", fmt::format("transaction {} {}", which, wrong));
    }
    for (const auto& [key, doings] : all.keys) {
      auto& chapters = chapters_[key];
      if (!transaction.committed) continue;
      for (const auto value : doings.wrote) {
        writers_[value] = {which, value == doings.wrote.back()};
      }
      if (doings.fresh) chapters.Begin(which, transaction.commit, doings.wrote);
    }
    keys_.push_back(std::move(all.keys));
  }
  bool Appends(std::size_t which, const Doings& doings) const {
    return history_[which].committed && !doings.fresh && !doings.wrote.empty();
  }
  void NoteFirsts(std::size_t which) {
    for (const auto& [key, doings] : keys_[which]) {
      if (!Appends(which, doings) || !doings.read || !doings.read->empty()) continue;
      chapters_[key].NoteFirst(doings.wrote.front(), history_[which].snapshot);
    }
  }
  void OfferLists(std::size_t which) {
    const auto snapshot = history_[which].snapshot;
    for (const auto& [key, doings] : keys_[which]) {
      if (doings.read) chapters_[key].Offer(*doings.read, snapshot);
      if (Appends(which, doings)) chapters_[key].Offer(doings.Left(), snapshot);
    }
  }

  void CheckValues(std::int64_t key, const Chapters& chapters) {
    for (const auto& chapter : chapters.all()) {
      for (const auto value : chapter.longest) {
        if (writers_.contains(value)) continue;
        Add("G1a", fmt::format("value {} of key {} was never committed", value, key));
      }
    }
  }

  void CheckReads(std::size_t which) {
    for (const auto& [key, doings] : keys_[which]) {
      if (!doings.read) continue;
      const auto& read = *doings.read;
      const auto& chapters = chapters_[key];
      const auto chapter = chapters.Of(read, history_[which].snapshot);
      const auto& longest = chapters.all()[chapter].longest;
      if (!IsPrefix(read, longest)) {
        Add("order", fmt::format("transaction {} read {} of key {}, another one {}", which, read,
                                 key, longest));
      } else if (Appends(which, doings)) {
        CheckAppend(which, key, doings, chapter);
      }
      CheckEnd(which, key, read);
    }
  }
  // It comes right after what was read, and before whoever began another chapter.
  void CheckAppend(std::size_t which, std::int64_t key, const Doings& doings,
                   std::size_t chapter) {
    const auto& all = chapters_[key].all();
    const auto& longest = all[chapter].longest;
    const bool later = chapter + 1 < all.size() && all[chapter + 1].commit < history_[which].commit;
    if (!later && HoldsAt(longest, doings.read->size(), doings.wrote)) return;
    Add("lost update",
        fmt::format("transaction {} appended {} to {} of key {}, which is {}{}", which,
                    doings.wrote, *doings.read, key, longest,
                    later ? fmt::format(", though transaction {} had replaced it",
                                        *all[chapter + 1].writer)
                          : ""));
  }
  static bool HoldsAt(const List& list, std::size_t from, const List& part) {
    return from + part.size() <= list.size() &&
           std::equal(part.begin(), part.end(), list.begin() + static_cast<std::ptrdiff_t>(from));
  }
  void CheckEnd(std::size_t which, std::int64_t key, const List& read) {
    if (read.empty()) return;
    const auto writer = writers_.find(read.back());
    if (writer == writers_.end()) {
      Add("G1a", fmt::format("transaction {} read {} of key {}, of which the last was never "
                             "committed", which, read, key));
    } else if (!writer->second.last) {
      Add("G1b", fmt::format("transaction {} read {} of key {}, between two values of "
                             "transaction {}", which, read, key, writer->second.transaction));
    }
  }

  using MaybeWriter = std::optional<std::size_t>;
  MaybeWriter WriterOf(Value value) const {
    const auto at = writers_.find(value);
    if (at == writers_.end()) return {};
    return at->second.transaction;
  }
  void AddOrder(const Chapters& chapters) {
    MaybeWriter last;
    const auto comes = [&](MaybeWriter writer) {
      Connect(last, writer, Dependency::kWriteWrite);
      last = writer;
    };
    for (const auto& chapter : chapters.all()) {
      if (chapter.writer) comes(chapter.writer);
      for (const auto value : chapter.longest) comes(WriterOf(value));
    }
  }
  void AddReads(std::size_t which) {
    for (const auto& [key, doings] : keys_[which]) {
      if (!doings.read) continue;
      const auto& read = *doings.read;
      const auto& all = chapters_[key].all();
      const auto at = chapters_[key].Of(read, history_[which].snapshot);
      const auto& longest = all[at].longest;
      if (!IsPrefix(read, longest)) continue;
      const auto writer = read.empty() ? all[at].writer : WriterOf(read.back());
      Connect(writer, which, Dependency::kWriteRead);
      const bool newest = read.size() == longest.size();
      if (newest && at + 1 == all.size()) continue;
      const auto next = newest ? all[at + 1].writer : WriterOf(longest[read.size()]);
      Connect(which, next, Dependency::kReadWrite);
    }
  }
  // Edges that say it all: from those that ended before it began, unless another lies between.
  void AddTime() {
    struct Event {
      std::uint64_t at;
      bool begins;
      std::size_t which;
    };
    std::vector<Event> events;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      events.push_back({history_[i].began, true, i});
      events.push_back({history_[i].ended, false, i});
    }
    std::sort(events.begin(), events.end(), [](auto& a, auto& b) { return a.at < b.at; });
    std::set<std::size_t> ended;
    for (const auto& event : events) {
      if (event.begins) {
        for (const auto before : ended) Connect(before, event.which, Dependency::kTime);
        continue;
      }
      std::erase_if(ended, [&](auto before) {
        return history_[before].ended < history_[event.which].began;
      });
      ended.insert(event.which);
    }
  }
  void Connect(std::optional<std::size_t> from, std::optional<std::size_t> to, Dependency how) {
    if (from && to && from != to) graph_.Connect(*from, *to, how);
  }

  void FindCycles() {
    const auto told = [&](const char* name, const std::vector<std::size_t>& cycle) {
      if (cycle.empty()) return false;
      Add(name, fmt::format("among transactions {}", cycle));
      return true;
    };
    if (told("G0", graph_.FindCycle(Cycles::kOfWrites)) ||
        told("G1c", graph_.FindCycle(Cycles::kWithoutReadWrite)) ||
        told("G-single", graph_.FindCycle(Cycles::kNoTwoReadWriteInARow))) {
      return;
    }
    found_.write_skew = !graph_.FindCycle(Cycles::kAny).empty();
  }

  const History& history_;
  Anomalies found_;
  std::vector<std::map<std::int64_t, Doings>> keys_;  // by transaction
  std::map<std::int64_t, Chapters> chapters_;         // by key
  std::unordered_map<Value, Writer> writers_;         // of committed values
  DependencyGraph graph_;
};

}  // namespace

void Anomalies::Add(const std::string& name, const std::string& example) {
  constexpr std::size_t kExamplesMost = 5;
  ++counts[name];
  if (examples.size() < kExamplesMost) examples.push_back(name + ": " + example);
}

Anomalies Check(const History& history) { return Checker(history).Run(); }

}  // namespace varve::testing
