// SPDX-License-Identifier: Apache-2.0
#include "test/isolation/history.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "test/isolation/cycles.h"

namespace varve::testing {
namespace {

constexpr std::size_t kExamplesMost = 5;
using List = std::vector<Value>;
using Kind = Operation::Kind;

bool IsPrefix(const List& prefix, const List& list) {
  return prefix.size() <= list.size() && std::equal(prefix.begin(), prefix.end(), list.begin());
}

class Checker {
 public:
  explicit Checker(const History& history) : history_(history), graph_(history.size()) {}

  Anomalies Run() {
    for (std::size_t i = 0; i < history_.size(); ++i) Follow(i);
    for (const auto& [key, list] : longest_) CheckValues(key, list);
    for (std::size_t i = 0; i < history_.size(); ++i) CheckReads(i);
    for (const auto& [key, list] : longest_) AddOrder(list);
    for (std::size_t i = 0; i < history_.size(); ++i) AddReads(i);
    AddTime();
    FindCycles();
    return std::move(found_);
  }

 private:
  struct External {
    List read;    // before the transaction's own values
    List wrote;   // its values that a commit keeps
  };
  struct Writer {
    std::size_t transaction;
    bool last;  // of its values for that key
  };

  void Add(const std::string& name, std::string example) {
    ++found_.counts[name];
    if (found_.examples.size() < kExamplesMost) {
      found_.examples.push_back(name + ": " + std::move(example));
    }
  }

  // What a transaction read of others and what it leaves, checking that it sees its own doings.
  void Follow(std::size_t which) {
    const auto& transaction = history_[which];
    std::map<std::int64_t, External> keys;
    std::vector<std::map<std::int64_t, External>> saved;
    for (const auto& operation : transaction.operations) {
      auto& key = keys[operation.key];
      switch (operation.kind) {
        case Kind::kRead: FollowRead(which, operation, &keys); break;
        case Kind::kAppend: key.wrote.push_back(operation.value); break;
        case Kind::kSavepoint: saved.push_back(keys); break;
        case Kind::kRollback: GoBack(saved.back(), &keys); break;
      }
    }
    for (auto& [key, external] : keys) Leave(which, key, external);
    keys_.push_back(std::move(keys));
  }
  // What was read stays read.
  static void GoBack(const std::map<std::int64_t, External>& to,
                     std::map<std::int64_t, External>* keys) {
    for (auto& [key, external] : *keys) {
      const auto at = to.find(key);
      external.wrote = at == to.end() ? List() : at->second.wrote;
    }
  }
  void FollowRead(std::size_t which, const Operation& read,
                  std::map<std::int64_t, External>* keys) {
    const bool first = seen_.insert({which, read.key}).second;
    auto& key = (*keys)[read.key];
    if (first) {
      key.read = read.list;
      return;
    }
    List expected = key.read;
    expected.insert(expected.end(), key.wrote.begin(), key.wrote.end());
    if (read.list == expected) return;
    Add("internal", fmt::format("transaction {} read {} of key {}, after which it was {}", which,
                                read.list, read.key, expected));
  }
  void Leave(std::size_t which, std::int64_t key, const External& external) {
    auto list = external.read;
    if (history_[which].committed) {
      for (const auto value : external.wrote) {
        writers_[value] = {which, value == external.wrote.back()};
        list.push_back(value);
      }
    }
    auto& longest = longest_[key];
    if (list.size() > longest.size()) longest = std::move(list);
  }

  void CheckValues(std::int64_t key, const List& list) {
    for (const auto value : list) {
      if (writers_.contains(value)) continue;
      Add("G1a", fmt::format("value {} of key {} was never committed", value, key));
    }
  }

  void CheckReads(std::size_t which) {
    for (const auto& [key, external] : keys_[which]) {
      const auto& longest = longest_[key];
      const bool writes = history_[which].committed && !external.wrote.empty();
      if (!IsPrefix(external.read, longest)) {
        Add("order", fmt::format("transaction {} read {} of key {}, another one {}", which,
                                 external.read, key, longest));
      } else if (writes && !HoldsAt(longest, external.read.size(), external.wrote)) {
        Add("lost update", fmt::format("transaction {} appended {} to {} of key {}, which is {}",
                                       which, external.wrote, external.read, key, longest));
      }
      CheckEnd(which, key, external.read);
    }
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

  std::optional<std::size_t> WriterOf(Value value) const {
    const auto at = writers_.find(value);
    if (at == writers_.end()) return {};
    return at->second.transaction;
  }
  void AddOrder(const List& list) {
    for (std::size_t i = 0; i + 1 < list.size(); ++i) {
      Connect(WriterOf(list[i]), WriterOf(list[i + 1]), Dependency::kWriteWrite);
    }
  }
  void AddReads(std::size_t which) {
    for (const auto& [key, external] : keys_[which]) {
      const auto& longest = longest_[key];
      const auto& read = external.read;
      if (!seen_.contains({which, key}) || !IsPrefix(read, longest)) continue;
      if (!read.empty()) Connect(WriterOf(read.back()), which, Dependency::kWriteRead);
      if (read.size() == longest.size()) continue;
      Connect(which, WriterOf(longest[read.size()]), Dependency::kReadWrite);
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
  std::vector<std::map<std::int64_t, External>> keys_;        // by transaction
  std::set<std::pair<std::size_t, std::int64_t>> seen_;       // transaction, key that it read
  std::map<std::int64_t, List> longest_;                      // by key
  std::map<Value, Writer> writers_;                           // of committed values
  DependencyGraph graph_;
};

}  // namespace

Anomalies Check(const History& history) { return Checker(history).Run(); }

}  // namespace varve::testing
