// SPDX-License-Identifier: Apache-2.0
// Which commit an AsOf names. For a moment: commits since the last flush are in memory with their
// times, those before in the times object of their flush (manifest/commit_times.h), of which the
// manifest says the earliest time: so at most one object is read.
#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/past_view.h"
#include "view/expiring.h"

namespace varve {
namespace {

std::unexpected<Error> NoTag(const ManifestState& state, const std::string& name) {
  constexpr std::size_t kNamed = 20;
  std::string known;
  std::size_t count = 0;
  for (const auto& [other, tag] : state.tags) {
    if (++count <= kNamed) known += (count == 1 ? "" : ", ") + other;
  }
  if (count > kNamed) known += fmt::format(" and {} more", count - kNamed);
  return Fail(ErrorKind::kNotFound,
              count == 0 ? fmt::format("there is no tag '{}': the database has none", name)
                         : fmt::format("there is no tag '{}' (tags: {})", name, known));
}

bool IsReadable(const ManifestState& state, CommitNumber commit) {
  return commit >= state.oldest || std::ranges::any_of(state.tags, [commit](const auto& tag) {
           return tag.second.commit == commit;
         });
}

std::unexpected<Error> LetGo(const std::string& path, CommitNumber commit,
                             const ManifestState& state) {
  return Fail(ErrorKind::kNotFound,
              fmt::format("commit {} of '{}' cannot be read any more: older versions were let go, "
                          "and the oldest that is left is commit {}; ask for that or a later one. "
                          "A tag keeps a version for ever, a longer window all for longer",
                          commit.value, path, state.oldest.value));
}

}  // namespace

Result<const TagState*> FindTag(const ManifestState& state, const std::string& name) {
  const auto at = state.tags.find(name);
  if (at == state.tags.end()) return NoTag(state, name);
  return &at->second;
}

// All under one lock: a flush moves commits from what is recent to what is flushed.
Moment Database::Impl::Now(const AsOf& as_of) {
  AdvanceVisible();
  const auto* time = std::get_if<WallTime>(&as_of);
  std::lock_guard lock(view_mutex_);
  Moment now{order_.visible(), view_, flushed_, std::nullopt, std::nullopt};
  for (auto at = recent_.rbegin(); at != recent_.rend() && time != nullptr; ++at) {
    if (at->commit > now.visible) continue;
    now.oldest_recent = *at;
    if (at->time > *time) continue;
    now.recent = at->commit;
    break;
  }
  return now;
}

Result<std::shared_ptr<Snapshot>> Database::Impl::GetSnapshot(const AsOf& as_of) {
  VARVE_TRY(CheckOpen());
  VARVE_TRY(CatchUp());
  PublishSoon();
  const Moment now = Now(as_of);
  VARVE_ASSIGN(const CommitNumber commit, Resolve(as_of, now));
  auto view = commit >= now.flushed->changed ? now.view
                                             : PastView(now.view, *now.flushed, commit);
  return std::make_shared<Snapshot>(WithoutExpired(std::move(view)), commit);
}

Result<CommitNumber> Database::Impl::Resolve(const AsOf& as_of, const Moment& now) {
  VARVE_ASSIGN(const CommitNumber commit, ResolveAny(as_of, now));
  if (IsReadable(*now.flushed, commit)) return commit;
  if (const auto* time = std::get_if<WallTime>(&as_of)) return TooOld(*time, now);
  return LetGo(path_, commit, *now.flushed);
}

Result<CommitNumber> Database::Impl::ResolveAny(const AsOf& as_of, const Moment& now) {
  if (const auto* time = std::get_if<WallTime>(&as_of)) return ResolveTime(*time, now);
  CommitNumber commit = now.visible;
  std::string named;
  if (const auto* number = std::get_if<CommitNumber>(&as_of)) commit = *number;
  if (const auto* name = std::get_if<TagName>(&as_of)) {
    VARVE_ASSIGN(const TagState* tag, FindTag(*now.flushed, name->value));
    commit = tag->commit;
    named = fmt::format(", which tag '{}' names,", name->value);
  }
  if (commit <= now.visible) return commit;
  return Fail(
      ErrorKind::kNotFound,
      fmt::format("commit {}{} lies in the future: the newest visible commit of '{}' is {}; "
                  "ask for that or an earlier one",
                  commit.value, named, path_, now.visible.value));
}

Result<CommitNumber> Database::Impl::ResolveTime(WallTime time, const Moment& now) {
  if (now.recent) return *now.recent;
  const auto& versions = now.flushed->versions;
  for (auto at = versions.rbegin(); at != versions.rend(); ++at) {
    if (!at->times && at->time <= time) return at->commit;
    if (at->times && at->times->min_time <= time) {
      VARVE_ASSIGN(const auto times, TimesOf(*at));
      const auto commit = times->NewestAt(time);
      VARVE_CHECK(commit.has_value());  // ReadTimes compared the earliest one
      return *commit;
    }
  }
  return TooOld(time, now);
}

std::unexpected<Error> Database::Impl::TooOld(WallTime time, const Moment& now) {
  const auto& versions = now.flushed->versions;
  std::optional<RecentCommit> oldest = now.oldest_recent;
  if (!versions.empty()) {
    const VersionPoint& first = versions.front();
    oldest = RecentCommit{first.commit, first.time};
    if (first.times) {
      VARVE_ASSIGN(const auto times, TimesOf(first));
      const CommitNumber commit = std::max(times->first(), now.flushed->oldest);
      oldest = RecentCommit{commit, times->At(commit)};
    }
  }
  if (!oldest) return Fail(ErrorKind::kNotFound, fmt::format("'{}' has no commit yet", path_));
  return Fail(ErrorKind::kNotFound,
              fmt::format("'{}' has no version as old as {}: the oldest is commit {} of {}; ask "
                          "for that or a later one",
                          path_, TimeText(time), oldest->commit.value, TimeText(oldest->time)));
}

Result<WallTime> Database::Impl::TimeOf(CommitNumber commit, const Moment& now) {
  for (const auto& [name, tag] : now.flushed->tags) {  // whose version may have been let go
    if (tag.commit == commit) return tag.commit_time;
  }
  const auto& versions = now.flushed->versions;
  const auto at = std::ranges::lower_bound(versions, commit, {}, &VersionPoint::commit);
  if (at == versions.end()) {
    std::lock_guard lock(view_mutex_);
    const auto recent = std::ranges::find(recent_, commit, &RecentCommit::commit);
    VARVE_CHECK(recent != recent_.end());
    return recent->time;
  }
  if (!at->times) return at->time;
  VARVE_ASSIGN(const auto times, TimesOf(*at));
  return times->At(commit);
}

Result<std::shared_ptr<const CommitTimes>> Database::Impl::TimesOf(const VersionPoint& version) {
  {
    std::lock_guard lock(times_mutex_);
    if (times_ != nullptr && times_of_ == version.commit) return times_;
  }
  auto times = ReadTimes(environment_.store(), version.commit, *version.times);
  if (!times && manifest_->state()->oldest > version.commit) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("the version of commit {} of '{}' was let go at this moment; ask again",
                            version.commit.value, path_));
  }
  if (!times) return std::unexpected(std::move(times).error());
  std::lock_guard lock(times_mutex_);
  times_of_ = version.commit;
  times_ = *times;
  return times_;
}

}  // namespace varve
