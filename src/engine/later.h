// SPDX-License-Identifier: Apache-2.0
// Those who are told later: that a commit is through, or that there is more to see.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "engine/follow_signal.h"
#include "engine/submission.h"
#include "varve/transaction.h"

namespace varve {

struct Later;
// Who waits until a commit is visible.
using LaterByCommit = std::multimap<CommitNumber, std::shared_ptr<Later>>;

// A commit whose caller is called back.
struct Later {
  Submitted submitted;
  CommitCallback done;
  LaterByCommit::node_type place;  // where it will wait: memory that was taken before it has to
};

// Who is to be told that the visible number moved. Taken out of where they waited, with the memory
// that they have there.
struct Told {
  LaterByCommit calls;
  std::set<std::shared_ptr<FollowSignal>> followers;
  bool empty() const { return calls.empty() && followers.empty(); }
};

}  // namespace varve
