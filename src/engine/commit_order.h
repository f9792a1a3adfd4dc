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

#include "base/check.h"
#include "base/ready_deque.h"
#include "varve/log.h"
#include "varve/types.h"

namespace varve {

class CommitOrder {
 public:
  // Everything up to `last` is visible and ends at or before `end` in the log.
  explicit CommitOrder(CommitNumber last) : visible_(last), last_(last) {}

  // Takes the memory for the next commit (ready_deque.h).
  void MakeReady() { pending_.MakeReady(); }
  // The next commit was given this place in the log. Requires MakeReady.
  void Register(CommitNumber commit, const LogTicket& ticket) noexcept {
    VARVE_CHECK(commit.value == last_.value + 1);
    last_ = commit;
    pending_.AddReady({ticket, false});
  }

  // The next commit, which has nothing to insert and is durable elsewhere, when no other is on its
  // way: visible at once.
  void Pass(CommitNumber commit) {
    VARVE_CHECK(pending_.empty() && commit.value == last_.value + 1);
    visible_ = last_ = commit;
  }

  void Inserted(CommitNumber commit) {
    VARVE_CHECK(commit > visible_ && commit <= last_);
    pending_[commit.value - visible_.value - 1].inserted = true;
  }

  // Moves the visible number as far as `durable` allows; true if it moved.
  bool Advance(Lsn durable) {
    const CommitNumber before = visible_;
    while (!pending_.empty() && pending_.front().ThroughAt(durable)) {
      pending_.pop_front();
      ++visible_.value;
    }
    return visible_ != before;
  }

  CommitNumber visible() const { return visible_; }
  CommitNumber last() const { return last_; }
  // Its place in the log; that of nothing once it is visible.
  LogTicket TicketOf(CommitNumber commit) const {
    if (commit <= visible_ || commit > last_) return {};
    return pending_[commit.value - visible_.value - 1].ticket;
  }
  // The last commit whose unit lies wholly before `durable`, inserted or not.
  CommitNumber DurableAt(Lsn durable) const {
    CommitNumber commit = visible_;
    for (const Pending& pending : pending_) {
      if (pending.ticket.end > durable) break;
      ++commit.value;
    }
    return commit;
  }

 private:
  struct Pending {
    LogTicket ticket;
    bool inserted = false;
    bool ThroughAt(Lsn durable) const { return inserted && ticket.end <= durable; }
  };
  ReadyDeque<Pending> pending_;  // commits visible_ + 1 ... last_
  CommitNumber visible_;
  CommitNumber last_;
};

}  // namespace varve
