// SPDX-License-Identifier: Apache-2.0
// The steps of a life that name, hold and go back to earlier versions.
#include <fmt/format.h>

#include "test/model/life.h"

namespace varve::testing {
namespace {

constexpr std::size_t kHeldMost = 6;

// What makes a table what it was.
struct WayBack {
  RowList written, deleted;

  RowList all() const {
    auto rows = written;
    rows.insert(rows.end(), deleted.begin(), deleted.end());
    return rows;
  }
};

WayBack FindWayBack(const TableRows& now, const TableRows& then) {
  WayBack way;
  for (const auto& [key, row] : then) {
    const auto at = now.find(key);
    if (at == now.end() || at->second != row) way.written.emplace_back(key, row);
  }
  for (const auto& [key, row] : now) {
    if (!then.contains(key)) way.deleted.emplace_back(key, row);
  }
  return way;
}

}  // namespace

void Life::Tag() {
  const auto name = fmt::format("tag{}", Below(4));
  const bool replace = Below(2) == 0;
  const auto commit = Below(Visible() + 1);
  last_ = fmt::format("tag commit {} as {}{}", commit, name, replace ? ", moving it" : "");
  const auto tag = db_->Tag(name, CommitNumber{commit}, {.replace = replace});
  if (commit == 0) {
    return Require(!tag && tag.error().kind() == ErrorKind::kNotFound, "no commit got a tag");
  }
  if (tags_.contains(name) && !replace) {
    return Require(!tag && tag.error().kind() == ErrorKind::kConflict, "a tag was taken over");
  }
  Must(tag, last_);
  tags_[name] = commit;
}

void Life::Untag() {
  const auto name = fmt::format("tag{}", Below(4));
  last_ = "untag " + name;
  const auto tag = db_->Untag(name);
  if (tags_.erase(name) > 0) {
    Must(tag, last_);
  } else {
    Require(!tag && tag.error().kind() == ErrorKind::kNotFound, "what was not there had a tag");
  }
}

// A commit that makes the table what it was; none when it is so.
void Life::Restore() {
  last_ = "restore";
  const auto at = PickTable();
  if (!at) return;
  const auto visible = Visible();
  AsOf as_of = CommitNumber{Below(visible + 1)};
  auto commit = std::get<CommitNumber>(as_of).value;
  if (!tags_.empty() && Below(3) == 0) {
    auto tag = tags_.begin();
    std::advance(tag, Below(tags_.size()));
    as_of = TagName{tag->first};
    commit = tag->second;
  }
  const bool dry = Below(4) == 0;
  const auto what = fmt::format("restore {} to commit {}", at->name, commit);
  last_ = what;
  const auto restored = db_->RestoreTable(at->name, as_of, {.dry_run = dry});
  const auto named = reference_.At(commit).find(at->name);
  if (named != reference_.At(commit).end() && named->second->id != at->table->id) {
    return Require(!restored && restored.error().kind() == ErrorKind::kInvalid,
                   what + ": it was another table");
  }
  const auto info = Must(restored, what);
  const auto then = reference_.TableAs(commit, at->table->id, at->table->shape);
  // What a dry run compares is what there is to see; a commit comes after those that are not.
  const auto now = dry ? reference_.TableAs(visible, at->table->id, at->table->shape) : at->table;
  const auto way = FindWayBack(now->rows, then->rows);
  Require(info.as_of.value == commit && info.rows_written == way.written.size() &&
              info.rows_deleted == way.deleted.size(),
          fmt::format("{}: {} written, {} deleted, expected {}, {}", what, info.rows_written,
                      info.rows_deleted, way.written.size(), way.deleted.size()));
  if (!dry) {
    CommitLooked(what, *at, info.commit, {.written = way.all(), .rows = then->rows});
  }
}

std::optional<Life::Attempt> Life::RestoreAttempt(const Picked& at) {
  const auto commit = Below(Visible() + 1);
  const auto named = reference_.At(commit).find(at.name);
  if (named != reference_.At(commit).end() && named->second->id != at.table->id) return {};
  const auto then = reference_.TableAs(commit, at.table->id, at.table->shape);
  if (then->rows == at.table->rows) return {};
  return Attempt{fmt::format("restore {} to commit {}", at.name, commit),
                 [commit, name = at.name](Database& db) -> Result<CommitNumber> {
                   const auto info = db.RestoreTable(name, CommitNumber{commit});
                   if (!info) return std::unexpected(info.error());
                   return info->commit.commit;
                 },
                 [name = at.name, then](const Tables& tables) {
                   return WithRows(tables, name, then->rows);
                 }};
}

void Life::Hold() {
  last_ = "take a snapshot";
  if (held_.size() == kHeldMost) return;
  auto snapshot = Must(db_->GetSnapshot(), last_);
  const auto commit = snapshot->commit().value;
  See(commit);
  held_.push_back({std::move(snapshot), commit, reference_.At(commit)});
}

void Life::Release() {
  last_ = "release a snapshot";
  if (held_.empty()) return;
  held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(Below(held_.size())));
}

// Of the newest commits; one of several at once is not told when it was flushed meanwhile.
void Life::NoteTimes() {
  for (const Version& version : db_->Versions(kWriters + 1)) {
    times_.emplace(version.commit.value, version.time);
  }
}

// The newest commit that was not made after the moment; clocks go back here. Of several the rows of
// one are read: a moment, once found, is a commit.
void Life::CheckMoments() {
  for (int i = 0; i < 4 && !times_.empty(); ++i) {
    auto at = times_.begin();
    std::advance(at, Below(times_.size()));
    const WallTime moment{at->second.micros + static_cast<std::int64_t>(Below(3)) - 1};
    auto expected = Visible();
    while (expected > 0 && times_.contains(expected) && times_[expected] > moment) --expected;
    if (expected > 0 && !times_.contains(expected)) continue;
    const auto snapshot = db_->GetSnapshot(moment);
    if (expected == 0) {
      Require(!snapshot && snapshot.error().kind() == ErrorKind::kNotFound, "too old a moment");
    } else if (i == 0) {
      CheckSnapshot(*Must(snapshot, "as of a moment"), expected, reference_.At(expected));
    } else {
      Require(Must(snapshot, "as of a moment")->commit().value == expected, "another moment");
    }
  }
}

void Life::CheckTags() {
  std::map<std::string, std::uint64_t> found;
  for (const TagInfo& tag : db_->Tags()) found[tag.name] = tag.commit.value;
  Require(found == tags_, "tags differ");
  for (const auto& [name, commit] : tags_) {
    const auto snapshot = Must(db_->GetSnapshot(TagName{name}), "as of " + name);
    if (name == tags_.rbegin()->first) {
      CheckSnapshot(*snapshot, commit, reference_.At(commit));
    } else {
      Require(snapshot->commit().value == commit, "another tag");
    }
  }
}

}  // namespace varve::testing
