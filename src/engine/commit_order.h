// SPDX-License-Identifier: Apache-2.0
// CommitOrder: which commits a new snapshot shows.
//
// Commits register in the order of their numbers, finish their memtable inserts in any order, and
// become durable in the order of the log. The visible number moves over a commit when it and all
// before it are inserted and durable: visible <= durable always.
//
// Not thread-safe: the engine guards it with its view_mutex.
#pragma once

#include <cstdint>
#include <deque>

#include "base/check.h"
#include "varve/types.h"

namespace varve {

class CommitOrder {
 public:
  // Everything up to `last` is visible and ends at or before `end` in the log.
  explicit CommitOrder(CommitNumber last) : visible_(last), last_(last) {}

  // The next commit was given a place in the log that ends at `end`.
  void Register(CommitNumber commit, Lsn end) {
    VARVE_CHECK(commit.value == last_.value + 1);
    last_ = commit;
    pending_.push_back({end, false});
  }

  void Inserted(CommitNumber commit) {
    VARVE_CHECK(commit > visible_ && commit <= last_);
    pending_[commit.value - visible_.value - 1].inserted = true;
  }

  // Moves the visible number as far as `durable` allows; true if it moved.
  bool Advance(Lsn durable) {
    const CommitNumber before = visible_;
    while (!pending_.empty() && pending_.front().inserted && pending_.front().end <= durable) {
      pending_.pop_front();
      ++visible_.value;
    }
    return visible_ != before;
  }

  CommitNumber visible() const { return visible_; }
  CommitNumber last() const { return last_; }
  // The last commit whose unit lies wholly before `durable`, inserted or not.
  CommitNumber DurableAt(Lsn durable) const {
    CommitNumber commit = visible_;
    for (const Pending& pending : pending_) {
      if (pending.end > durable) break;
      ++commit.value;
    }
    return commit;
  }

 private:
  struct Pending {
    Lsn end;
    bool inserted = false;
  };
  std::deque<Pending> pending_;  // commits visible_ + 1 ... last_
  CommitNumber visible_;
  CommitNumber last_;
};

}  // namespace varve
