// SPDX-License-Identifier: Apache-2.0
// Commits that nobody waits for: the log says when one is through, and whoever moves the visible
// number over it calls back. Each counts as a background task until then, so Close waits for it.
#include <utility>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "engine/engine.h"

namespace varve {

void Database::Impl::WriteThen(std::string_view table, const WriteRequest& request,
                               const CommitOptions& options, CommitCallback done) {
  auto submitted = Write(table, request, options);
  if (!submitted) return done(std::unexpected(std::move(submitted).error()));
  Then(*std::move(submitted), std::move(done));
}

// Memory for all that happens until it is told is taken first. Without, it is told before this
// returns.
void Database::Impl::Then(Submitted submitted, CommitCallback done) {
  if (submitted.ticket.end == Lsn{}) return done(Await(submitted));
  std::shared_ptr<Later> later;
  LogCallback reached;
  const bool ready = HadMemory([&] {
    later = std::make_shared<Later>();
    LaterByCommit one;
    one.emplace(submitted.info.commit, nullptr);
    later->place = one.extract(one.begin());
    reached = [this, later](const Result<LogAck>& ack) { Reached(later, ack); };
  });
  if (!ready) return done(Await(submitted));
  later->submitted = submitted;
  later->done = std::move(done);
  BeginTask();
  log_->WaitThen(submitted.ticket, submitted.ack, std::move(reached));
}

// A durable commit is told once it is visible: now, or when the commits before it are in their
// memtables.
void Database::Impl::Reached(const std::shared_ptr<Later>& later, const Result<LogAck>& ack) {
  Submitted& made = later->submitted;
  if (!ack) {
    NoteFailure(ack.error());
    return Finish(later.get(), std::unexpected(InCommit(made.info.commit, ack.error())));
  }
  Acknowledge(*ack, &made);
  if (made.ack != AckLevel::kDurable) return Finish(later.get(), made.info);
  later->place.mapped() = later;
  {
    const std::lock_guard lock(view_mutex_);
    when_visible_.insert(std::move(later->place));
  }
  MoveVisible(log_->positions().durable);
}

void Database::Impl::Finish(Later* later, const Result<CommitInfo>& info) {
  later->done(info);
  EndTask();
}

void Database::Impl::MoveVisible(Lsn durable) {
  Told told;
  {
    const std::lock_guard lock(view_mutex_);
    told = AdvanceTo(durable);
  }
  Tell(std::move(told));
}

Told Database::Impl::AdvanceTo(Lsn durable) {
  Told told;
  if (order_.Advance(durable)) {
    moved_.notify_all();
    told.followers.swap(followers_);
  }
  while (!when_visible_.empty() && when_visible_.begin()->first <= order_.visible()) {
    told.calls.insert(when_visible_.extract(when_visible_.begin()));
  }
  return told;
}

void Database::Impl::Tell(Told told) {
  for (const auto& follower : told.followers) follower->Wake();
  for (const auto& [commit, later] : told.calls) Finish(later.get(), later->submitted.info);
}

}  // namespace varve
