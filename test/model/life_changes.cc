// SPDX-License-Identifier: Apache-2.0
// Changes of a life: applied one by one to the rows of an older commit they give those of each
// later one, and what they say was before them is what was there; all under the columns of whoever
// asks, also of commits before there were these. Followers do the same as commits are made; what
// they saved of it is all that they know after a restart, a power cut, or when columns changed.
#include <fmt/format.h>

#include <optional>

#include "test/model/life.h"

namespace varve::testing {

// Rows of a table as of a commit, which change as changes say. Copies share the reference, which
// outlives them.
class Replay {
 public:
  Replay(const Reference* reference, const Table& table, std::uint64_t commit)
      : reference_(reference), table_(table.id), shape_(table.shape), commit_(commit) {
    rows_ = TableAt(commit)->rows;
  }

  void Apply(const arrow::RecordBatch& batch, bool before_images, const std::string& where) {
    const auto& commits = static_cast<const arrow::UInt64Array&>(*batch.column(0));
    const auto& kinds = static_cast<const arrow::StringArray&>(*batch.column(1));
    const auto written = ReadBatch(*shape_, batch);
    const auto before = before_images ? ReadBatch(*shape_, batch, "_before_") : RowList();
    for (std::int64_t i = 0; i < batch.num_rows(); ++i) {
      const auto& [key, row] = written[static_cast<std::size_t>(i)];
      Require(commits.Value(i) > commit_, where + ": a commit that was given");
      Finish(commits.Value(i) - 1, where);
      Require(!last_ || *last_ < key, where + ": keys out of order");
      last_ = key;
      const auto known = rows_.find(key);
      const auto kind = kinds.GetView(i);
      if (before_images) {
        const bool was = kind != "insert";
        Require(was == (known != rows_.end()), fmt::format("{}: {} is not so", where, kind));
        Require(!was || before[static_cast<std::size_t>(i)].second == known->second,
                where + ": something else was before");
      }
      if (kind == "delete") {
        rows_.erase(key);
      } else {
        rows_[key] = row;
      }
    }
  }

  // All changes up to this commit were applied: each commit before it has its rows.
  void Finish(std::uint64_t commit, const std::string& where) {
    if (commit == commit_) return;
    Require(commit > commit_ && commit <= reference_->newest(),
            fmt::format("{}: commit {} after {}", where, commit, commit_));
    while (commit_ < commit) {
      ++commit_;
      Require(rows_ == TableAt(commit_)->rows,
              fmt::format("{}: they come to other rows as of commit {}", where, commit_));
    }
    last_.reset();
  }

  std::uint64_t commit() const { return commit_; }
  const ShapePtr& shape() const { return shape_; }
  bool amid() const { return last_.has_value(); }  // changes after commit() were applied

 private:
  TablePtr TableAt(std::uint64_t commit) const {
    return reference_->TableAs(commit, table_, shape_);
  }

  const Reference* reference_;
  std::uint32_t table_;
  ShapePtr shape_;
  std::uint64_t commit_;  // whose changes, and those before, are in rows_
  TableRows rows_;
  std::optional<Key> last_;
};

void Life::CheckChanges(const Snapshot& snapshot, const std::string& name, const Table& table) {
  const std::uint64_t through = snapshot.commit().value;
  const std::uint64_t after = Below(through + 1);
  const ChangesOptions options{.before_images = Below(2) == 0,
                               .batch_rows_max = 1 + static_cast<std::int64_t>(Below(20))};
  const auto where = fmt::format("changes of {} after {} through {}", name, after, through);
  auto reader = Must(snapshot.Changes(name, {after}, options), where);
  Replay replay(&reference_, table, after);
  while (const auto batch = Take(reader->Next(), where)) {
    replay.Apply(*batch, options.before_images, where);
  }
  replay.Finish(through, where);
}

// A program that follows a table: `saved` survives it.
struct Life::Follower {
  Replay saved;
  std::optional<Replay> now;
  std::unique_ptr<ChangeCursor> cursor;
  ChangesOptions options;
};

namespace {

// Whether a table, which is there, ever had another name.
bool WasRenamed(const Reference& reference, const std::string& name, std::uint32_t table) {
  for (std::uint64_t commit = 0; commit <= reference.newest(); ++commit) {
    const auto at = FindTable(reference.At(commit), table);
    if (at != reference.At(commit).end() && at->first != name) return true;
  }
  return false;
}

struct Drop {
  std::uint64_t commit = 0;
  TablePtr table;  // as it was just before
};

// The commit after the last one that has a table: that which dropped it, if it is gone.
std::uint64_t DropOf(const Reference& reference, std::uint32_t table) {
  std::uint64_t commit = reference.newest();
  while (FindTable(reference.At(commit), table) == reference.At(commit).end()) --commit;
  return commit + 1;
}

// Whom a follower by this name, from a commit on, gets instead of the table that has it now. That a
// commit has a table and the next one does not is no drop: one that was made later is also shown as
// of older commits, and between them another one had its name.
std::optional<Drop> DroppedFirst(const Reference& reference, const std::string& name,
                                 std::uint64_t from) {
  const auto now = reference.Newest().find(name);
  const bool there = now != reference.Newest().end();
  if (there && WasRenamed(reference, name, now->second->id)) return std::nullopt;
  for (std::uint64_t commit = from + 1; commit <= reference.newest(); ++commit) {
    const auto at = reference.At(commit - 1).find(name);
    if (at == reference.At(commit - 1).end()) continue;
    if (DropOf(reference, at->second->id) == commit) return Drop{commit, at->second};
  }
  return std::nullopt;
}

}  // namespace

// Follows a name whose table is gone, to its end. The commit that dropped it; 0: it is not gone.
std::uint64_t Life::FollowGone(const std::string& name, std::uint64_t from) {
  const auto drop = DroppedFirst(reference_, name, from);
  if (!drop) return 0;
  last_ =
      fmt::format("follow {}, which commit {} dropped, from commit {}", name, drop->commit, from);
  const ChangesOptions options{.before_images = Below(2) == 0,
                               .batch_rows_max = 1 + static_cast<std::int64_t>(Below(8))};
  Replay replay(&reference_, *drop->table, from);
  const auto cursor = Must(db_->FollowChanges(name, CommitNumber{from}, options), last_);
  while (true) {
    const auto next = cursor->Next(0);
    if (!next) {
      const auto named = fmt::format("dropped by commit {},", drop->commit);
      Require(next.error().kind() == ErrorKind::kNotFound &&
                  next.error().message().find(named) != std::string::npos,
              fmt::format("{}: {}", last_, next.error().message()));
      break;
    }
    Require(*next != nullptr, last_ + ": it waits");
    if (*next == nullptr) break;
    replay.Apply(**next, options.before_images, last_);
    replay.Finish(cursor->position().value, last_);
  }
  replay.Finish(drop->commit - 1, last_);
  return drop->commit;
}

void Life::Follow() {
  FollowDropped();
  const auto at = PickTable();
  if (!at) return;
  last_ = "follow " + at->name;
  auto& follower = followers_[at->table->id];
  if (follower == nullptr) {
    follower.reset(new Follower{.saved = Replay(&reference_, *at->table, 0)});
  }
  if (follower->cursor == nullptr) {
    while (const auto dropped = FollowGone(at->name, follower->saved.commit())) {
      follower->saved = Replay(&reference_, *at->table, dropped);
    }
    const auto saved = follower->saved.commit();
    last_ = "follow " + at->name;
    follower->options = {.before_images = Below(2) == 0,
                         .batch_rows_max = 1 + static_cast<std::int64_t>(Below(8))};
    follower->now = Replay(&reference_, *at->table, saved);
    follower->cursor =
        Must(db_->FollowChanges(at->name, CommitNumber{saved}, follower->options), last_);
  }
  for (auto batches = Below(12); batches > 0; --batches) {
    const auto next = follower->cursor->Next(0);
    if (!next) return FollowAgain(follower.get(), next.error(), *at->table);
    if (!Apply(follower.get(), *next)) return;
  }
}

// Whether there may be more.
bool Life::Apply(Follower* follower, const std::shared_ptr<arrow::RecordBatch>& batch) {
  Replay& now = *follower->now;
  if (batch != nullptr) now.Apply(*batch, follower->options.before_images, last_);
  const std::uint64_t position = follower->cursor->position().value;
  now.Finish(position, last_);
  if (batch == nullptr) {
    Require(position == Visible(), last_ + ": it stands before the newest commit to be seen");
    return false;
  }
  if (!now.amid() && Below(3) == 0) follower->saved = now;
  return true;
}

// A cursor ends where the columns change; a new one goes on from there.
void Life::FollowAgain(Follower* follower, const Error& error, const Table& table) {
  Require(follower->now->shape() != table.shape && error.kind() == ErrorKind::kConflict,
          fmt::format("{}: {}", last_, error.message()));
  follower->now->Finish(follower->cursor->position().value, last_);
  Require(!follower->now->amid(), last_ + ": the columns changed amid a commit");
  follower->saved = *follower->now;
  follower->cursor.reset();
}

// All of it was given; or what comes after other columns is another cursor's to give, if the name
// leads there.
void Life::RequireTheEnd(Follower* follower, const Error& error, std::uint32_t table) {
  const auto told = fmt::format("{}: {}", last_, error.message());
  const std::uint64_t position = follower->cursor->position().value;
  const std::uint64_t end = DropOf(reference_, table) - 1;
  if (error.message().find("columns") == std::string::npos) {
    Require(error.kind() == ErrorKind::kNotFound && position == end, told);
    return follower->now->Finish(end, last_);
  }
  const auto last = FindTable(reference_.At(end), table);
  Require(position < end && last->second->shape != follower->now->shape(), told);
  const auto found = DroppedFirst(reference_, last->first, position);
  const bool again = found && found->table->id == table;
  Require(error.kind() == (again ? ErrorKind::kConflict : ErrorKind::kNotFound), told);
}

// Whoever follows a table that is gone gets its last changes, and is told.
void Life::FollowDropped() {
  for (auto at = followers_.begin(); at != followers_.end();) {
    const auto& [table, follower] = *at;
    if (FindTable(Newest(), table) != Newest().end()) {
      ++at;
      continue;
    }
    last_ = "follow a table that was dropped";
    while (follower->cursor != nullptr) {
      const auto next = follower->cursor->Next(0);
      if (next) {
        Require(Apply(follower.get(), *next), last_ + ": it waits");
      } else {
        RequireTheEnd(follower.get(), next.error(), table);
        follower->cursor.reset();
      }
    }
    at = followers_.erase(at);
  }
}

// The programs end, as the database does.
void Life::EndFollowers() {
  for (auto& [table, follower] : followers_) {
    if (follower->cursor == nullptr) continue;
    const auto next = follower->cursor->Next(0);
    Require(db_ != nullptr || (!next && next.error().reason() == ErrorReason::kClosed),
            "a follower goes on without its database");
    follower->cursor.reset();
  }
}

}  // namespace varve::testing
