// SPDX-License-Identifier: Apache-2.0
#include "manifest/producer_marks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/result.h"

namespace varve {

Status CheckProducerId(std::string_view id) {
  const bool sound = !id.empty() && id.size() <= kProducerIdBytesMax &&
                     std::ranges::all_of(id, [](char c) { return c > ' ' && c <= '~'; });
  if (sound) return {};
  return Fail(ErrorKind::kInvalid,
              fmt::format("a producer's id of {} bytes is none: expected 1 to {} printable ASCII "
                          "characters without spaces",
                          id.size(), kProducerIdBytesMax));
}

void ProducerMarks::Note(std::string_view id, const ProducerMark& mark) {
  VARVE_CHECK(mark.commit > newest());
  const auto at = by_id_.find(id);
  if (at != by_id_.end()) {
    by_commit_.erase(at->second.commit);
    at->second = mark;
  } else {
    by_id_.emplace(id, mark);
  }
  by_commit_.emplace(mark.commit, id);
  if (by_id_.size() <= kProducersMax) return;
  by_id_.erase(by_commit_.begin()->second);
  by_commit_.erase(by_commit_.begin());
}

std::optional<ProducerMark> ProducerMarks::Find(std::string_view id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? std::nullopt : std::optional(at->second);
}

}  // namespace varve
