// SPDX-License-Identifier: Apache-2.0
// Changes of a life: applied one by one to the rows of an older commit they give those of each
// later one, and what they say was before them is what was there. Followers do the same as commits
// are made; what they saved of it is all that they know after a restart or a power cut.
#include <fmt/format.h>

#include "test/model/life.h"

namespace varve::testing {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

const TableRows& RowsOf(const Tables& tables, const std::string& table) {
  static const TableRows kNone;
  const auto at = tables.find(table);
  return at == tables.end() ? kNone : at->second;
}

// The key, and the columns of the prefix under their names.
BatchPtr Before(const std::string& table, const arrow::RecordBatch& changes) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  const auto schema = SchemaOf(table);
  for (const auto& field : schema->fields()) {
    auto column = changes.GetColumnByName("_before_" + field->name());
    fields.push_back(field);
    columns.push_back(column ? column : changes.GetColumnByName(field->name()));
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), changes.num_rows(), columns);
}

}  // namespace

// Rows of a table as of a commit, which change as changes say.
class Replay {
 public:
  // `after`, the rows after each commit, outlives it.
  Replay(const std::vector<Tables>* after, std::string table, std::uint64_t commit)
      : after_(after), table_(std::move(table)), commit_(commit) {
    rows_ = RowsOf(after_->at(commit), table_);
  }

  void Apply(const arrow::RecordBatch& batch, bool before_images, const std::string& where) {
    const auto& commits = static_cast<const arrow::UInt64Array&>(*batch.column(0));
    const auto& kinds = static_cast<const arrow::StringArray&>(*batch.column(1));
    const auto written = ReadBatch(table_, batch);
    const auto before = ReadBatch(table_, *Before(table_, batch));
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
    Require(commit > commit_ && commit < after_->size(),
            fmt::format("{}: commit {} after {}", where, commit, commit_));
    while (commit_ < commit) {
      ++commit_;
      Require(rows_ == RowsOf(after_->at(commit_), table_),
              fmt::format("{}: they come to other rows as of commit {}", where, commit_));
    }
    last_.reset();
  }

  std::uint64_t commit() const { return commit_; }
  bool amid() const { return last_.has_value(); }  // changes after commit() were applied

 private:
  const std::vector<Tables>* after_;
  std::string table_;
  std::uint64_t commit_;  // whose changes, and those before, are in rows_
  TableRows rows_;
  std::optional<Key> last_;
};

void Life::CheckChanges(const Snapshot& snapshot, const std::string& table) {
  const std::uint64_t through = snapshot.commit().value;
  const std::uint64_t after = Below(through + 1);
  const ChangesOptions options{.before_images = Below(2) == 0,
                               .batch_rows_max = 1 + static_cast<std::int64_t>(Below(20))};
  const auto where = fmt::format("changes of {} after {} through {}", table, after, through);
  auto reader = Must(snapshot.Changes(table, {after}, options), where);
  Replay replay(&after_, table, after);
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

void Life::Follow() {
  const auto table = PickTable(chance_.get());
  last_ = "follow " + table;
  auto& follower = followers_[table];
  if (follower == nullptr) follower.reset(new Follower{.saved = Replay(&after_, table, 0)});
  if (follower->cursor == nullptr) {
    follower->options = {.before_images = Below(2) == 0,
                         .batch_rows_max = 1 + static_cast<std::int64_t>(Below(8))};
    follower->now = follower->saved;
    follower->cursor =
        Must(db_->FollowChanges(table, CommitNumber{follower->saved.commit()}, follower->options),
             last_);
  }
  Replay& now = *follower->now;
  for (auto batches = Below(12); batches > 0; --batches) {
    const auto batch = Must(follower->cursor->Next(0), last_);
    if (batch != nullptr) now.Apply(*batch, follower->options.before_images, last_);
    const std::uint64_t position = follower->cursor->position().value;
    now.Finish(position, last_);
    if (batch == nullptr) {
      Require(position == newest(), last_ + ": it stands before the newest commit");
      return;
    }
    if (!now.amid() && Below(3) == 0) follower->saved = now;
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
