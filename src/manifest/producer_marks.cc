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

ProducerMarks::Ready ProducerMarks::MakeReady(std::string_view id) const {
  Ready ready{.id = std::string(id), .of_id = {}, .of_commit = {}};
  if (by_id_.contains(id)) return ready;
  ById of_id;
  of_id.emplace(id, ProducerMark());
  ByCommit of_commit;
  of_commit.emplace(CommitNumber(), id);
  ready.of_id = of_id.extract(of_id.begin());
  ready.of_commit = of_commit.extract(of_commit.begin());
  return ready;
}

void ProducerMarks::Note(std::string_view id, const ProducerMark& mark) {
  Note(MakeReady(id), mark);
}

void ProducerMarks::Note(Ready ready, const ProducerMark& mark) noexcept {
  VARVE_CHECK(mark.commit > newest());
  auto at = by_id_.find(ready.id);
  if (at == by_id_.end()) {
    at = by_id_.insert(std::move(ready.of_id)).position;
  } else {
    ready.of_commit = by_commit_.extract(at->second.commit);
  }
  at->second = mark;
  ready.of_commit.key() = mark.commit;
  by_commit_.insert(std::move(ready.of_commit));
  if (by_id_.size() <= kProducersMax) return;
  by_id_.erase(by_commit_.begin()->second);
  by_commit_.erase(by_commit_.begin());
}

std::optional<ProducerMark> ProducerMarks::Find(std::string_view id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? std::nullopt : std::optional(at->second);
}

}  // namespace varve
