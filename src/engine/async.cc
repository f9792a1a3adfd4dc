// SPDX-License-Identifier: Apache-2.0
// Commits that nobody waits for: the log says when one is through, and whoever moves the visible
// number over it calls back. Each counts as a background task until then, so Close waits for it.
#include <fmt/format.h>

#include <utility>

#include "base/result.h"
#include "engine/engine.h"

namespace varve {

void Database::Impl::WriteThen(std::string_view table, const WriteRequest& request,
                               const CommitOptions& options, CommitCallback done) {
  auto submitted = Write(table, request, options);
  if (!submitted) return done(std::unexpected(std::move(submitted).error()));
  Then(*std::move(submitted), std::move(done));
}

void Database::Impl::Then(Submitted submitted, CommitCallback done) {
  if (submitted.ticket.end == Lsn{}) return done(Await(submitted));
  BeginTask();
  const auto finish = [this, done = std::move(done)](const Result<CommitInfo>& info) {
    done(info);
    EndTask();
  };
  const LogTicket ticket = submitted.ticket;
  const AckLevel ack = submitted.ack;
  log_->WaitThen(ticket, ack,
                 [this, submitted = std::move(submitted), finish](const auto& reached) {
                   Submitted made = submitted;
                   if (!reached) {
                     const auto where = fmt::format("commit {}", made.info.commit.value);
                     return finish(std::unexpected(reached.error().Within(where)));
                   }
                   Acknowledge(*reached, &made);
                   if (made.ack != AckLevel::kDurable) return finish(made.info);
                   WhenVisible(made.info.commit, [finish, info = made.info] { finish(info); });
                 });
}

// Calls `done` once `commit`, which is durable, is visible: now, or when the commits before it are
// in their memtables.
void Database::Impl::WhenVisible(CommitNumber commit, std::function<void()> done) {
  {
    const std::lock_guard lock(view_mutex_);
    when_visible_.emplace(commit, std::move(done));
  }
  MoveVisible(log_->positions().durable);
}

void Database::Impl::MoveVisible(Lsn durable) {
  std::vector<std::function<void()>> ready;
  {
    const std::lock_guard lock(view_mutex_);
    ready = AdvanceTo(durable);
  }
  for (const auto& done : ready) done();
}

std::vector<std::function<void()>> Database::Impl::AdvanceTo(Lsn durable) {
  std::vector<std::function<void()>> ready;
  if (order_.Advance(durable)) {
    moved_.notify_all();
    for (const auto& follower : std::exchange(followers_, {})) {
      ready.emplace_back([follower] { follower->Wake(); });
    }
  }
  const auto end = when_visible_.upper_bound(order_.visible());
  for (auto at = when_visible_.begin(); at != end; ++at) ready.push_back(std::move(at->second));
  when_visible_.erase(when_visible_.begin(), end);
  return ready;
}

}  // namespace varve
