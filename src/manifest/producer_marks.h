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
  // Memory for a Note of one id.
  struct Ready;
  Ready MakeReady(std::string_view id) const;
  // A commit that is newer than all that were noted before. `ready` was made for this id, and no
  // other mark was noted since.
  void Note(Ready ready, const ProducerMark& mark) noexcept;
  void Note(std::string_view id, const ProducerMark& mark);
  std::optional<ProducerMark> Find(std::string_view id) const;

  CommitNumber newest() const {
    return by_commit_.empty() ? CommitNumber{} : by_commit_.rbegin()->first;
  }
  // By commit, oldest first: the order in which Note takes them.
  const std::map<CommitNumber, std::string>& by_commit() const { return by_commit_; }
  const std::map<std::string, ProducerMark, std::less<>>& by_id() const { return by_id_; }

 private:
  using ById = std::map<std::string, ProducerMark, std::less<>>;
  using ByCommit = std::map<CommitNumber, std::string>;
  ById by_id_;
  ByCommit by_commit_;  // of by_id_
};

struct ProducerMarks::Ready {
  std::string id;
  ById::node_type of_id;  // these two only for an id that is new
  ByCommit::node_type of_commit;
};

}  // namespace varve
