// SPDX-License-Identifier: Apache-2.0
#include "engine/recent_keys.h"

#include <algorithm>

#include "base/check.h"

namespace varve {

std::uint64_t KeysOfCommit::bytes() const {
  std::uint64_t bytes = sizeof(KeysOfCommit);
  for (const auto& [table, keys] : tables) bytes += keys.memory_bytes();
  return bytes;
}

void RecentKeys::Add(KeysOfCommitPtr commit) noexcept {
  VARVE_CHECK(commits_.empty() || commits_.back()->commit < commit->commit);
  bytes_ += commit->bytes();
  booking_.Set(bytes_);
  commits_.AddReady(std::move(commit));
}

void RecentKeys::Forget(CommitNumber oldest, CommitNumber visible) {
  while (!commits_.empty()) {
    const auto& first = *commits_.front();
    const bool unasked = first.commit <= oldest && first.commit <= visible;
    const bool too_much = bytes_ > bytes_max_ && first.commit <= visible;
    if (!unasked && !too_much) return;
    floor_ = first.commit;
    bytes_ -= first.bytes();
    booking_.Set(bytes_);
    commits_.pop_front();
  }
  floor_ = std::max(floor_, std::min(oldest, visible));
}

std::vector<KeysOfCommitPtr> RecentKeys::After(CommitNumber after) const {
  VARVE_CHECK(after >= floor_);
  const auto from = std::upper_bound(
      commits_.begin(), commits_.end(), after,
      [](CommitNumber commit, const auto& keys) { return commit < keys->commit; });
  return {from, commits_.end()};
}

}  // namespace varve
