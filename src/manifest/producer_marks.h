// SPDX-License-Identifier: Apache-2.0
// ProducerMarks: for each producer the newest sequence that it committed, and the commit.
//
// Bounded: of more than kProducersMax producers those are kept that committed last. Which these are
// depends on the commits alone, so the writer's memory, the manifest and the replay agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "varve/error.h"
#include "varve/types.h"

namespace varve {

inline constexpr std::size_t kProducersMax = 4096;
inline constexpr std::size_t kProducerIdBytesMax = 128;

// Invalid unless it is 1 to kProducerIdBytesMax printable ASCII characters without spaces.
Status CheckProducerId(std::string_view id);

// Not thread-safe.
class ProducerMarks {
 public:
  // A commit that is newer than all that were noted before.
  void Note(std::string_view id, const ProducerMark& mark);
  std::optional<ProducerMark> Find(std::string_view id) const;

  CommitNumber newest() const {
    return by_commit_.empty() ? CommitNumber{} : by_commit_.rbegin()->first;
  }
  // By commit, oldest first: the order in which Note takes them.
  const std::map<CommitNumber, std::string>& by_commit() const { return by_commit_; }
  const std::map<std::string, ProducerMark, std::less<>>& by_id() const { return by_id_; }

 private:
  std::map<std::string, ProducerMark, std::less<>> by_id_;
  std::map<CommitNumber, std::string> by_commit_;  // of by_id_
};

}  // namespace varve
