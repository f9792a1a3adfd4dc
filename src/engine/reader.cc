// SPDX-License-Identifier: Apache-2.0
#include "engine/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <set>
#include <utility>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "engine/folder.h"
#include "engine/follow_signal.h"
#include "log/log_look.h"

namespace varve {
namespace {

// Of a writer that flushes and lets go faster than this reader can look.
constexpr int kLooksMax = 100;
constexpr std::int64_t kNapMicrosMin = 1000;
constexpr std::int64_t kNapMicrosMax = 20'000;

// What was read of the log after `before` is right after `after` too.
bool KeepsTail(const ManifestState& before, const ManifestState& after) {
  if (before.commit != after.commit || before.log_floor != after.log_floor) return false;
  return std::ranges::all_of(after.tables, [&](const auto& named) {
    const TableState* known = before.FindTable(named.second->id);
    return known == nullptr || known->schema == named.second->schema;
  });
}

// The same memtables, and those of new tables.
std::shared_ptr<Generation> Extended(const Generation& generation, const ManifestState& state,
                                     const std::shared_ptr<MemoryBudget>& memory) {
  auto extended = NewGeneration(state, nullptr, memory);
  for (auto& [id, memtable] : extended->memtables) {
    const auto at = generation.memtables.find(id);
    if (at != generation.memtables.end()) memtable = at->second;
  }
  return extended;
}

template <typename Visit>
void EachRun(const ManifestState& state, const Visit& visit) {
  const auto of = [&](const TableState& table) {
    for (const auto& run : table.runs) visit(table, run);
  };
  for (const auto& [name, table] : state.tables) of(*table);
  for (const auto& [id, table] : state.dropped) of(*table);
}

}  // namespace

Status Database::Impl::Reader::Open() {
  {
    const std::lock_guard lock(mutex_);
    if (database_.options_.lease) VARVE_TRY(TakeLease());
    VARVE_TRY(OpenManifest());
  }
  return CatchUp();
}

Status Database::Impl::Reader::TakeLease() {
  auto lease = Lease::Take(database_.environment_.files(), database_.environment_.random(),
                           database_.path_);
  if (!lease) {
    return Fail(lease.error().kind(),
                fmt::format("{}; a reader leaves a lease there, so that the writer keeps what it "
                            "reads: let it write to that folder, or open without a lease",
                            lease.error().message()),
                lease.error().reason());
  }
  lease_ = *std::move(lease);
  return {};
}

// Without a lease objects may go between the listing and the reading.
Status Database::Impl::Reader::OpenManifest() {
  ObjectStore* const store = database_.environment_.store();
  for (int attempt = 0;; ++attempt) {
    auto manifest = Manifest::Open(store, database_.environment_.keys());
    if (manifest) {
      database_.manifest_ = *std::move(manifest);
      Take(database_.manifest_->state());
      return {};
    }
    VARVE_ASSIGN(const auto listed, store->List("manifest/"));
    const auto again = Manifest::Open(store, database_.environment_.keys());
    if (!again && (listed.empty() || attempt >= kLooksMax ||
                   again.error().message() == manifest.error().message())) {
      return std::unexpected(std::move(manifest).error());
    }
  }
}

void Database::Impl::Reader::Take(StatePtr state) {
  const bool keeps = state_ != nullptr && cursor_ != nullptr && KeepsTail(*state_, *state);
  if (keeps) generation_ = Extended(*generation_, *state, database_.memory());
  if (!keeps) cursor_.reset();
  state_ = std::move(state);
}

Result<bool> Database::Impl::Reader::HasNewer() {
  auto refreshed = database_.manifest_->Refresh();
  // Without a lease what was found may be gone before it is read.
  for (int attempt = 0; !refreshed && lease_ == nullptr && attempt < kLooksMax; ++attempt) {
    const std::string before = refreshed.error().message();
    refreshed = database_.manifest_->Refresh();
    if (!refreshed && refreshed.error().message() == before) break;
  }
  VARVE_ASSIGN(const bool newer, std::move(refreshed));
  const auto state = database_.manifest_->state();
  if (state->number != state_->number) Take(state);
  return newer;
}

// From the manifest's floor on, into memtables that nobody reads yet.
Status Database::Impl::Reader::Begin() {
  generation_ = NewGeneration(*state_, nullptr, database_.memory());
  begun_ = true;
  unshown_.clear();
  last_ = state_->commit;
  VARVE_ASSIGN(cursor_, LogCursor::Open(LogFolder(database_.path_),
                                        {.from = state_->log_floor,
                                         .follow = true,
                                         .keys = database_.environment_.keys(),
                                         .known_durable = state_->log_durable,
                                         .id = state_->database_id},
                                        database_.environment_.ForLog()));
  return {};
}

Status Database::Impl::Reader::ReadLog() {
  if (cursor_ == nullptr) VARVE_TRY(Begin());
  while (true) {
    VARVE_ASSIGN(const auto unit, cursor_->Next());
    if (!unit) break;
    VARVE_ASSIGN(const auto replayed,
                 ReplayUnit(*unit, database_.path_, *state_, last_, generation_.get()));
    if (!replayed) continue;
    unshown_.push_back(*replayed);
    last_ = replayed->commit.commit;
    generation_->log_end = unit->lsn;
    ++generation_->commits;
  }
  if (unshown_.empty()) return {};
  return cursor_->Sync();
}

// A log that does not fit the manifest is that of a newer one: what it lacks is in runs by now, and
// what it has too much came after a change of a table.
Status Database::Impl::Reader::CatchUp() {
  const std::lock_guard lock(mutex_);
  if (closed_) return database_.CheckOpen();
  if (database_.Forked()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("'{}' was opened before this process was forked; open it again in the "
                            "child",
                            database_.path_));
  }
  for (int attempt = 0; attempt < kLooksMax; ++attempt) {
    VARVE_TRY(HasNewer());
    const Status read = ReadLog();
    if (read) {
      VARVE_TRY(CheckGoesOn());
      VARVE_TRY(SyncManifest());
      Show();
      return NoteLease();
    }
    cursor_.reset();
    VARVE_ASSIGN(const bool newer, HasNewer());
    if (!newer) return std::unexpected(Explained(read.error()));
  }
  return Fail(ErrorKind::kUnavailable,
              fmt::format("'{}': its writer flushed again and again while a reader looked for the "
                          "newest commit; try again",
                          database_.path_));
}

// What was shown was durable: where it is no more, this is another folder than it was.
Status Database::Impl::Reader::CheckGoesOn() const {
  if (last_ >= database_.last_commit_) return {};
  return Fail(ErrorKind::kConflict,
              fmt::format("'{}' ends at commit {}, and commit {} was seen there: it is another "
                          "database than the one that was opened, or an older copy of it; close "
                          "it, and open it again to read it",
                          database_.path_, last_.value, database_.last_commit_.value));
}

Error Database::Impl::Reader::Explained(const Error& error) const {
  if (error.kind() != ErrorKind::kNotFound) return CopyOf(error);
  const auto segments =
      LookAtSegments(database_.environment_.files(), LogFolder(database_.path_), {});
  if (!segments || segments->empty()) return LostLog(database_.path_);
  return Error(ErrorKind::kCorruption,
               fmt::format("the log of '{}' does not reach back to where the manifest needs it: "
                           "{}; restore the folder from a backup; nothing was changed",
                           database_.path_, error.message()));
}

// The writer may have given the newest object its name, and not yet made that durable: a change of
// a table is nowhere else.
Status Database::Impl::Reader::SyncManifest() {
  if (synced_ == state_->number) return {};
  VARVE_TRY(database_.environment_.files()->SyncDirectory(JoinPath(database_.path_, "manifest")));
  synced_ = state_->number;
  return {};
}

// What is official in `state_`, and the memtables of `generation_`. Requires commit_mutex_.
std::shared_ptr<const Superversion> Database::Impl::Reader::ChangeView() {
  ShownRuns& runs = database_.runs_;
  std::set<std::uint64_t> gone;
  if (database_.official_ != nullptr) {
    EachRun(*database_.official_,
            [&](const TableState&, const auto& meta) { gone.insert(meta->id); });
  }
  EachRun(*state_, [&](const TableState& table, const auto& meta) {
    if (gone.erase(meta->id) > 0) return runs.Replace(meta);
    runs.Add(Run::Make(database_.environment_.store(), table.FindSchema(meta->schema_id), meta,
                       database_.caches_));
  });
  for (const std::uint64_t id : gone) runs.Remove(id);
  database_.official_ = state_;
  database_.active_ = generation_;
  return database_.MakeView();
}

// All that was read, at once.
void Database::Impl::Reader::Show() {
  Impl& database = database_;
  const std::lock_guard lock(database.commit_mutex_);
  const bool changed = database.official_ != state_ || database.active_ != generation_;
  if (!changed && unshown_.empty()) return;
  std::shared_ptr<const Superversion> view;
  if (changed) {
    view = ChangeView();
    shown_.push_back({state_->number, last_, view});
  }
  if (begun_) database.producers_ = state_->producers;
  for (const Replayed& commit : unshown_) {
    if (!commit.producer) continue;
    database.NoteProducer(database.MakeMarksReady(*commit.producer), commit.producer->sequence,
                          commit.commit.commit);
  }
  database.last_commit_ = last_;
  {
    const std::lock_guard view_lock(database.view_mutex_);
    if (begun_) database.recent_ = {};
    for (const Replayed& commit : unshown_) {
      database.recent_.MakeReady();
      database.recent_.AddReady(commit.commit);
    }
    database.order_ = CommitOrder(last_);
    if (changed) database.Show(std::move(view));
  }
  begun_ = false;
  unshown_.clear();
}

// The oldest of what may still be read by.
Status Database::Impl::Reader::NoteLease() {
  std::erase_if(shown_, [](const Shown& shown) { return shown.view.expired(); });
  if (lease_ == nullptr || shown_.front().number == noted_) return {};
  VARVE_TRY(lease_->Note(shown_.front().number, shown_.front().commit));
  noted_ = shown_.front().number;
  return {};
}

Result<Visible> Database::Impl::Reader::AwaitAfter(CommitNumber commit,
                                                   const std::shared_ptr<FollowSignal>& signal,
                                                   std::int64_t deadline_micros) {
  Impl& database = database_;
  Clock* const clock = database.environment_.clock();
  std::int64_t nap = kNapMicrosMin;
  while (true) {
    const std::uint32_t seen = signal->woken.load();
    VARVE_TRY(CatchUp());
    const std::int64_t left = deadline_micros - clock->SteadyMicros();
    {
      const std::lock_guard lock(database.view_mutex_);
      if (database.following_ended_) return std::unexpected(database.CheckOpen().error());
      const Visible now{database.order_.visible(), database.view_, database.flushed_};
      if (now.commit > commit || signal->cancelled || left <= 0) return now;
    }
    clock->WaitWord(signal->woken, seen, std::min(left, nap));
    nap = std::min(2 * nap, kNapMicrosMax);
  }
}

LogStats Database::Impl::Reader::LookAtLog() const {
  const std::lock_guard lock(mutex_);
  LogStats stats;
  stats.id = state_->database_id;
  const Lsn end = cursor_ == nullptr ? state_->log_floor : cursor_->position();
  stats.positions = {.appended = end, .written = end, .durable = end};
  auto segments =
      LookAtSegments(database_.environment_.files(), LogFolder(database_.path_), end);
  if (segments) stats.segments = *std::move(segments);
  stats.first = stats.segments.empty() ? state_->log_floor : stats.segments.front().base;
  return stats;
}

// A writer that comes at this moment tries again (AwaitLock).
std::string Database::Impl::Reader::Writer() const {
  const auto lock =
      database_.environment_.files()->Lock(LockFile(database_.path_), LockMode::kShared);
  const bool held = !lock && lock.error().reason() == ErrorReason::kLocked;
  return held ? std::string(lock.error().message()) : std::string();
}

void Database::Impl::Reader::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  cursor_.reset();
  lease_.reset();
}


}  // namespace varve
