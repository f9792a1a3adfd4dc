// SPDX-License-Identifier: Apache-2.0
// Those who look, and demand that what they see fits together.
#include <gtest/gtest.h>

#include <iterator>
#include <utility>

#include "test/threads/storm.h"

namespace varve::testing {
namespace {

constexpr std::size_t kHeldMost = 4;

}  // namespace

void Apply(const arrow::RecordBatch& changes, Rows* rows) {
  const auto texts = [&](const char* name) -> const arrow::StringArray& {
    return static_cast<const arrow::StringArray&>(*changes.GetColumnByName(name));
  };
  const auto& ids = static_cast<const arrow::Int64Array&>(*changes.GetColumnByName("id"));
  const auto &kinds = texts("_kind"), &values = texts("v"), &before = texts("_before_v");
  for (std::int64_t i = 0; i < changes.num_rows(); ++i) {
    const auto at = rows->find(ids.Value(i));
    const std::string kind = kinds.GetString(i);
    EXPECT_EQ(kind == "insert", at == rows->end()) << ids.Value(i);
    if (at != rows->end()) {
      EXPECT_EQ(at->second, before.GetString(i)) << ids.Value(i);
    }
    if (kind == "delete") {
      if (at != rows->end()) rows->erase(at);
    } else {
      (*rows)[ids.Value(i)] = values.GetString(i);
    }
  }
}

// Keeps some snapshots for a while: they must not move, and changes lead from one to the other.
void Storm::Read(Random& random) {
  std::vector<Held> held;
  CommitNumber newest;
  std::map<std::int64_t, std::int64_t> seen;  // the newest value of each row
  while (!stopped()) {
    const auto snapshot = Choose(random);
    if (!snapshot) {
      if (!MayGoOn(snapshot.error())) return;
      continue;
    }
    Held now{*snapshot, ReadRows(**snapshot)};
    CheckPairs(now.rows);
    CheckOtherWays(*now.snapshot, now.rows, random);
    if (now.snapshot->commit() >= newest) {
      newest = now.snapshot->commit();
      for (const auto& [id, value] : now.rows) {
        EXPECT_GE(std::stoll(value), seen[id]) << "an older value after a newer one: " << id;
        seen[id] = std::stoll(value);
      }
    }
    if (!held.empty()) {
      const Held& other = held[random.Below(held.size())];
      EXPECT_EQ(ReadRows(*other.snapshot), other.rows) << "a snapshot moved";
      const bool is_older = other.snapshot->commit() <= now.snapshot->commit();
      if (is_older) {
        CheckChangesSince(other, now);
      } else {
        CheckChangesSince(now, other);
      }
    }
    if (held.size() < kHeldMost) {
      held.push_back(std::move(now));
    } else {
      held[random.Below(kHeldMost)] = std::move(now);
    }
  }
}

// The newest one, which is offered to the other readers; or theirs; or one of a commit or a tag.
Result<Storm::SnapshotPtr> Storm::Choose(Random& random) {
  const auto way = random.Below(6);
  if (way == 0) return db_->GetSnapshot(TagName{"tag" + std::to_string(random.Below(3))});
  auto newest = db_->GetSnapshot();
  if (!newest) return newest;
  if (way == 1) return db_->GetSnapshot(CommitNumber{1 + random.Below((*newest)->commit().value)});
  const std::lock_guard lock(offers_mutex_);
  if (way == 2 && offered_snapshot_ != nullptr) return offered_snapshot_;
  offered_snapshot_ = *newest;
  return newest;
}

void Storm::CheckPairs(const Rows& rows) const {
  for (const auto& [id, value] : rows) {
    if (id == kCounter) continue;
    const auto other = rows.find(id ^ 1);
    EXPECT_TRUE(other != rows.end() && other->second == value) << "half a commit: " << id;
  }
}

void Storm::CheckOtherWays(const Snapshot& snapshot, const Rows& rows, Random& random) {
  switch (random.Below(6)) {
    case 0: {
      const auto count = snapshot.Count("t");
      ASSERT_TRUE(count) << count.error().message();
      EXPECT_EQ(count->rows, rows.size());
      break;
    }
    case 1: {
      const auto range = snapshot.MinMax("t", "id");
      ASSERT_TRUE(range) << range.error().message();
      EXPECT_EQ(static_cast<const arrow::Int64Scalar&>(*range->min).value, rows.begin()->first);
      EXPECT_EQ(static_cast<const arrow::Int64Scalar&>(*range->max).value, rows.rbegin()->first);
      break;
    }
    case 2: {
      const auto keys = RowsBatch({{0, ""}, {3, ""}, {6, ""}, {1002, ""}, {kCounter, ""}});
      const auto found = snapshot.Get("t", keys);
      ASSERT_TRUE(found) << found.error().message();
      auto reader = *arrow::RecordBatchReader::Make({*found}, (*found)->schema());
      for (const auto& [id, value] : Drain(reader.get())) {
        EXPECT_EQ(rows.contains(id) ? rows.at(id) : "none", value) << id;
      }
      break;
    }
    case 3: {
      const auto filter = ParseFilter("id >= 1000 and v != '7'", RowsSchema());
      ASSERT_TRUE(filter) << filter.error().message();
      Rows some;
      for (auto at = rows.lower_bound(1000); at != rows.end(); ++at) {
        if (at->second != "7") some.insert(*at);
      }
      EXPECT_EQ(ReadRows(snapshot, "t", {.filter = *filter, .batch_rows_max = 3}), some);
      break;
    }
    case 4:
      CheckOtherTables(snapshot);
      break;
    default:
      CheckUnordered(snapshot, rows, random);
  }
}

// By several threads, unless another one cancels it on the way.
void Storm::CheckUnordered(const Snapshot& snapshot, const Rows& rows, Random& random) {
  std::stop_source stop;
  if (random.Below(2) == 0) {
    const std::lock_guard lock(offers_mutex_);
    offered_scan_ = stop;
  }
  const auto reader =
      snapshot.Scan("t", {.unordered = true,
                          .stop = stop.get_token(),
                          .batch_rows_max = 1 + static_cast<std::int64_t>(random.Below(9))});
  ASSERT_TRUE(reader) << reader.error().message();
  Rows found;
  const bool gives_up = random.Below(4) == 0;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    const arrow::Status read = (*reader)->ReadNext(&batch);
    if (read.IsCancelled()) return;
    ASSERT_TRUE(read.ok()) << read.ToString();
    if (batch == nullptr) break;
    if (gives_up) return;
    const auto& ids = static_cast<const arrow::Int64Array&>(*batch->column(0));
    const auto& values = static_cast<const arrow::StringArray&>(*batch->column(1));
    for (std::int64_t i = 0; i < batch->num_rows(); ++i) {
      EXPECT_TRUE(found.emplace(ids.Value(i), values.GetString(i)).second) << ids.Value(i);
    }
  }
  EXPECT_EQ(found, rows);
}

void Storm::CheckChangesSince(const Held& before, const Held& now) const {
  const auto reader = now.snapshot->Changes("t", before.snapshot->commit(),
                                            {.before_images = true, .batch_rows_max = 5});
  ASSERT_TRUE(reader) << reader.error().message();
  Rows rows = before.rows;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    const arrow::Status read = (*reader)->ReadNext(&batch);
    ASSERT_TRUE(read.ok()) << read.ToString();
    if (batch == nullptr) break;
    Apply(*batch, &rows);
  }
  EXPECT_EQ(rows, now.rows);
}

// Of whatever columns: the rows are as many as they are counted, and have the columns they say.
void Storm::CheckOtherTables(const Snapshot& snapshot) const {
  for (const std::string& table : snapshot.Tables()) {
    const auto schema = snapshot.Schema(table);
    ASSERT_TRUE(schema) << schema.error().message();
    const auto count = snapshot.Count(table);
    ASSERT_TRUE(count) << count.error().message();
    const auto reader = snapshot.Scan(table);
    ASSERT_TRUE(reader) << reader.error().message();
    std::uint64_t rows = 0;
    while (true) {
      std::shared_ptr<arrow::RecordBatch> batch;
      const arrow::Status read = (*reader)->ReadNext(&batch);
      ASSERT_TRUE(read.ok()) << table << ": " << read.ToString();
      if (batch == nullptr) break;
      EXPECT_TRUE(batch->schema()->Equals(**schema)) << table;
      rows += static_cast<std::uint64_t>(batch->num_rows());
    }
    EXPECT_EQ(rows, count->rows) << table;
  }
}

void Storm::Offer(const std::shared_ptr<ChangeCursor>& cursor) {
  const std::lock_guard lock(offers_mutex_);
  offered_cursor_ = cursor;
}

// Goes on from its position whenever it was cancelled.
void Storm::Follow(Follower* me, Random& random) {
  while (FollowUntilItEnds(me, random)) {
  }
}

// Whether to go on with another cursor.
bool Storm::FollowUntilItEnds(Follower* me, Random& random) {
  const ChangesOptions options{.before_images = true,
                               .batch_rows_max = 2 + static_cast<std::int64_t>(random.Below(9))};
  auto followed = db_->FollowChanges("t", me->position, options);
  if (!followed) return MayGoOn(followed.error());
  const std::shared_ptr<ChangeCursor> cursor = *std::move(followed);
  Offer(cursor);
  while (true) {
    const auto batch = cursor->Next(stopped() ? 0 : 1 + random.Below(3));
    if (!batch) {
      EXPECT_EQ(batch.error().reason(), ErrorReason::kClosed) << batch.error().message();
      return true;
    }
    EXPECT_GE(cursor->position(), me->position);
    me->position = cursor->position();
    if (*batch != nullptr) Apply(**batch, &me->rows);
    if (*batch == nullptr && stopped()) return false;
  }
}

// Tables that change and go: such a cursor ends, and another table is followed.
void Storm::FollowOthers(Random& random) {
  while (AwaitCommits(1)) {
    const std::string table = random.Below(2) == 0 ? "u" : "w";
    const auto visible = db_->Stats().visible.value;
    auto followed = db_->FollowChanges(table, CommitNumber{visible - visible / 4});
    if (!followed) {
      if (!MayGoOn(followed.error())) return;
      continue;
    }
    const std::shared_ptr<ChangeCursor> cursor = *std::move(followed);
    while (!stopped()) {
      const auto batch = cursor->Next(1);
      if (!batch) break;
      if (*batch == nullptr) continue;
      EXPECT_GT((*batch)->num_rows(), 0);
    }
  }
}

}  // namespace varve::testing
