// SPDX-License-Identifier: Apache-2.0
// What a life's producers commit exactly once. Each sends some of it again, in the same session or
// after the next open: what is there is found, and makes no commit, whatever the rows are by now;
// what a power cut took is new.
#include <fmt/format.h>

#include <algorithm>

#include "test/model/life.h"

namespace varve::testing {
namespace {

constexpr std::uint64_t kProducers = 3;

}  // namespace

ProducerMark Life::MarkOf(const std::string& producer) const {
  const auto at = producers_.find(producer);
  return at == producers_.end() || at->second.empty() ? ProducerMark() : at->second.back();
}

// Mostly something new. Sequences begin with 1: 0 stands for nothing here.
Producer Life::PickProducer() {
  const auto id = fmt::format("producer-{}", Below(kProducers));
  const auto last = MarkOf(id).sequence;
  const auto how = Below(6);
  if (last > 1 && how == 0) return {id, last - 1};
  if (last > 0 && how == 1) return {id, last};
  return {id, last + 1 + Below(3)};
}

void Life::NoteProducer(const Producer& producer, CommitNumber commit) {
  producers_[producer.id].push_back({producer.sequence, commit});
}

// Of a sequence that is not after the producer's last one.
void Life::RequireRepeat(const CommitOptions& options, const Result<CommitInfo>& info) {
  const auto last = MarkOf(options.producer->id);
  const auto what = fmt::format("{}, which is committed up to {}", last_, last.sequence);
  if (options.producer->sequence < last.sequence) {
    return Require(!info && info.error().reason() == ErrorReason::kStaleSequence,
                   what + ": it was not refused");
  }
  const auto found = Must(info, what);
  Require(found.repeat && found.commit == last.commit && found.rows == 0,
          fmt::format("{}: commit {}, {} rows, expected commit {} again", what,
                      found.commit.value, found.rows, last.commit.value));
  Acknowledge(found.commit.value, options.ack);
}

// What the producers committed after the newest commit that there is.
std::vector<Producer> Life::TakeLost() {
  std::vector<Producer> lost;
  for (auto& [id, marks] : producers_) {
    const auto first = std::ranges::find_if(
        marks, [&](const ProducerMark& mark) { return mark.commit.value > newest(); });
    for (auto at = first; at != marks.end(); ++at) lost.push_back({id, at->sequence});
    marks.erase(first, marks.end());
  }
  return lost;
}

// After an open. What producers are told of where they were is so; then some go on as if the
// acknowledgement of what they sent last had never come.
void Life::SendAgain(const std::vector<Producer>& lost) {
  std::vector<Producer> again;
  for (const auto& [id, marks] : producers_) {
    const auto found = Must(db_->LastOf(id), last_).value_or(ProducerMark());
    const auto mark = MarkOf(id);
    Require(found.sequence == mark.sequence && found.commit == mark.commit,
            fmt::format("{}: the last of {} is {}, commit {}, expected {}, commit {}", last_, id,
                        found.sequence, found.commit.value, mark.sequence, mark.commit.value));
    if (mark.sequence > 0 && Below(2) == 0) again.push_back({id, mark.sequence});
  }
  again.insert(again.end(), lost.begin(), lost.end());
  for (const Producer& producer : again) {
    const auto at = PickTable();
    if (at) WriteWith(*at, {.ack = PickAck(), .producer = producer});
  }
  if (syncs_ && !again.empty()) SyncAll();
}

}  // namespace varve::testing
