// SPDX-License-Identifier: Apache-2.0
// RecentKeys: the keys that recent commits wrote, for telling conflicts.
//
// A commit is noted when it gets its number, so one that is still on its way into the log and the
// memtables counts as well. It is kept until it is visible and no open transaction is older; and,
// once it is visible, no longer than memory allows: then whoever is older looks in the data itself.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/memory_budget.h"
#include "base/ready_deque.h"
#include "columns/key_codec.h"
#include "varve/types.h"

namespace varve {

struct KeysOfCommit {
  CommitNumber commit;
  std::vector<std::pair<std::uint32_t, EncodedKeys>> tables;  // by table id; one may come twice

  std::uint64_t bytes() const;
};
using KeysOfCommitPtr = std::shared_ptr<const KeysOfCommit>;

// Not thread-safe: the engine guards it with its commit_mutex.
class RecentKeys {
 public:
  // `memory`: where what it keeps is booked; null: nowhere.
  explicit RecentKeys(std::uint64_t bytes_max, std::shared_ptr<MemoryBudget> memory = nullptr)
      : bytes_max_(bytes_max), booking_(std::move(memory), MemoryHolder::kRecentKeys) {}

  // Takes the memory for the next commit (ready_deque.h).
  void MakeReady() { commits_.MakeReady(); }
  // Commits come in the order of their numbers. Requires MakeReady.
  void Add(KeysOfCommitPtr commit) noexcept;
  // Nobody asks for commits up to `oldest` any more. Of those up to `visible` only so many are kept
  // as fit into bytes_max.
  void Forget(CommitNumber oldest, CommitNumber visible);
  // The commits after `after`. Requires after >= floor().
  std::vector<KeysOfCommitPtr> After(CommitNumber after) const;

  // Every commit after it that was added is here.
  CommitNumber floor() const { return floor_; }

 private:
  const std::uint64_t bytes_max_;
  ReadyDeque<KeysOfCommitPtr> commits_;
  CommitNumber floor_;
  std::uint64_t bytes_ = 0;
  Booking booking_;  // of bytes_
};

}  // namespace varve
