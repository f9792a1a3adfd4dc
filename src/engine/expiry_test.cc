// SPDX-License-Identifier: Apache-2.0
// Rows that expire, as users meet them: whoever looks sees what a reference sees at his moment, by
// whatever way he looks, whatever was flushed and compacted meanwhile.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/support/forwarding_files.h"
#include "test/support/seed.h"
#include "upkeep/flush.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using namespace varve::testing;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kStart = 1'700'000'000;  // in seconds

struct Timed {
  std::optional<std::int64_t> at;  // in seconds
  std::int64_t v = 0;
  bool operator==(const Timed&) const = default;
};
using TimedRows = std::map<std::int64_t, Timed>;

std::shared_ptr<arrow::Schema> TimedSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("at", arrow::timestamp(arrow::TimeUnit::SECOND)),
                        arrow::field("v", arrow::int64())});
}

BatchPtr TimedBatch(const TimedRows& rows) {
  arrow::Int64Builder ids, values;
  arrow::TimestampBuilder times(TimedSchema()->field(1)->type(), arrow::default_memory_pool());
  for (const auto& [id, row] : rows) {
    EXPECT_TRUE(ids.Append(id).ok() && values.Append(row.v).ok());
    EXPECT_TRUE((row.at ? times.Append(*row.at) : times.AppendNull()).ok());
  }
  return arrow::RecordBatch::Make(TimedSchema(), std::ssize(rows),
                                  {*ids.Finish(), *times.Finish(), *values.Finish()});
}

BatchPtr KeyOf(const std::vector<std::int64_t>& keys) {
  arrow::Int64Builder ids;
  EXPECT_TRUE(ids.AppendValues(keys).ok());
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("id", arrow::int64(), false)}),
                                  std::ssize(keys), {*ids.Finish()});
}

void AddRows(const arrow::RecordBatch& batch, int first_column, TimedRows* rows) {
  const auto& ids = static_cast<const arrow::Int64Array&>(*batch.column(first_column));
  const auto& times = static_cast<const arrow::TimestampArray&>(*batch.column(first_column + 1));
  const auto& values = static_cast<const arrow::Int64Array&>(*batch.column(first_column + 2));
  for (std::int64_t i = 0; i < batch.num_rows(); ++i) {
    Timed row{.at = {}, .v = values.Value(i)};
    if (!times.IsNull(i)) row.at = times.Value(i);
    EXPECT_TRUE(rows->emplace(ids.Value(i), row).second) << "key " << ids.Value(i) << " twice";
  }
}

TimedRows ReadAll(arrow::RecordBatchReader* reader) {
  TimedRows rows;
  for (BatchPtr batch;;) {
    const auto read = reader->ReadNext(&batch);
    EXPECT_TRUE(read.ok()) << read.ToString();
    if (!read.ok() || batch == nullptr) return rows;
    AddRows(*batch, 0, &rows);
  }
}

std::string Text(const TimedRows& rows) {
  std::string text;
  for (const auto& [id, row] : rows) {
    text += std::to_string(id) + ":" + (row.at ? std::to_string(*row.at - kStart) : "-") + "/" +
            std::to_string(row.v) + " ";
  }
  return text;
}

#define EXPECT_ROWS(found, expected) EXPECT_EQ(Text(found), Text(expected))

// Calls what a test says when the next data file is made.
class InterruptingFiles final : public ForwardingFiles {
 public:
  InterruptingFiles() : ForwardingFiles(NewMemoryFiles()) {}
  std::function<void()> before_data;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    if (mode == OpenMode::kCreate && before_data) std::exchange(before_data, nullptr)();
    return ForwardingFiles::Open(path, mode);
  }
};

// Calls what a test says when somebody next asks for the time.
class InterruptingClock final : public Clock {
 public:
  explicit InterruptingClock(Clock* clock) : clock_(clock) {}
  std::function<void()> before_now;

  WallTime Now() override {
    if (before_now) std::exchange(before_now, nullptr)();
    return clock_->Now();
  }
  std::int64_t SteadyMicros() override { return clock_->SteadyMicros(); }
  void WaitWord(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::int64_t micros) override {
    clock_->WaitWord(word, seen, micros);
  }

 private:
  Clock* const clock_;
};

class ExpiryTest : public ::testing::Test {
 protected:
  ExpiryTest() { Open(); }
  void SetUp() override { CutsOfFlushes() = {.row_group_rows = 5, .piece_rows_max = 2}; }
  void TearDown() override {
    db_.reset();
    CutsOfFlushes() = {};
  }

  Components World() {
    return {.files = files_.get(), .clock = &asked_, .random = &random_, .executor = &executor_};
  }
  void Open() {
    db_.reset();
    OpenOptions options{.create_if_missing = true, .memtable_bytes_max = 1 << 20};
    options.history_micros = history_;
    auto db = Database::Open("/db", options, World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Create(std::optional<std::int64_t> ttl) {
    CreateTableOptions options;
    if (ttl) options.time_to_live = TimeToLive{.column = "at", .micros = *ttl * kSecond};
    const auto made = db_->CreateTable("t", TimedSchema(), {"id"}, options);
    ASSERT_TRUE(made) << made.error().message();
    ttls_[0] = ttl;
  }
  void Alter(std::optional<std::int64_t> ttl) {
    const ColumnChange change =
        ttl ? ColumnChange(SetTimeToLive{{.column = "at", .micros = *ttl * kSecond}})
            : ColumnChange(DropTimeToLive{});
    const auto done = db_->AlterTable("t", {change});
    ASSERT_TRUE(done) << done.error().message();
    commit_ = done->value;
    ttls_[commit_] = ttl;
  }

  std::int64_t now() const { return now_; }  // in seconds
  void Pass(std::int64_t seconds) {
    clock_.Advance(seconds * kSecond);
    now_ += seconds;
  }
  void Put(const TimedRows& rows) {
    const auto info = db_->Upsert("t", TimedBatch(rows));
    ASSERT_TRUE(info) << info.error().message();
    commit_ = info->commit.value;
    for (const auto& [id, row] : rows) versions_[id][commit_] = row;
  }
  void Erase(const std::vector<std::int64_t>& keys) {
    const auto info = db_->Delete("t", KeyOf(keys));
    ASSERT_TRUE(info) << info.error().message();
    commit_ = info->commit.value;
    for (const auto id : keys) versions_[id][commit_] = std::nullopt;
  }
  void PutFlushed(const TimedRows& rows) {
    Put(rows);
    ASSERT_TRUE(db_->Flush());
  }
  void Compact() {
    const auto done = db_->Compact();
    ASSERT_TRUE(done) << done.error().message();
  }

  // Each sets the next one.
  void RunTimers() {
    executor_.RunAll();
    for (int timer = 0; timer < 10 && executor_.RunLater(); ++timer) executor_.RunAll();
  }

  std::optional<std::int64_t> TtlAt(std::uint64_t commit) const {
    return std::prev(ttls_.upper_bound(commit))->second;
  }
  bool HasExpired(const Timed& row, std::uint64_t commit, std::int64_t now) const {
    const auto ttl = TtlAt(commit);
    return ttl && row.at && *row.at + *ttl < now;
  }
  std::optional<Timed> Find(std::int64_t id, std::uint64_t commit, std::int64_t now) const {
    const auto of = versions_.find(id);
    if (of == versions_.end()) return std::nullopt;
    const auto newer = of->second.upper_bound(commit);
    if (newer == of->second.begin()) return std::nullopt;
    const auto row = std::prev(newer)->second;
    return row && !HasExpired(*row, commit, now) ? row : std::nullopt;
  }
  TimedRows Expected(std::uint64_t commit, std::int64_t now) const {
    TimedRows rows;
    for (const auto& [id, of] : versions_) {
      if (const auto row = Find(id, commit, now)) rows[id] = *row;
    }
    return rows;
  }
  TimedRows Expected() const { return Expected(commit_, now_); }

  std::shared_ptr<const Snapshot> Newest() { return *db_->GetSnapshot(); }
  TimedRows Scanned(const Snapshot& snapshot, const ScanOptions& options = {}) {
    auto reader = snapshot.Scan("t", options);
    EXPECT_TRUE(reader) << reader.error().message();
    return ReadAll(reader->get());
  }
  // By each way there is.
  void ExpectSeen(const Snapshot& snapshot, std::int64_t now) {
    const std::uint64_t commit = snapshot.commit().value;
    const TimedRows expected = Expected(commit, now);
    EXPECT_ROWS(Scanned(snapshot), expected);
    EXPECT_ROWS(Scanned(snapshot, {.reverse = true}), expected);
    EXPECT_ROWS(Scanned(snapshot, {.unordered = true}), expected);
    const auto count = snapshot.Count("t");
    ASSERT_TRUE(count) << count.error().message();
    EXPECT_EQ(count->rows, expected.size());
    EXPECT_EQ(Scanned(snapshot, {.limit = 3}).size(), std::min<std::size_t>(3, expected.size()));
    ExpectExtremes(snapshot, expected);
    ExpectFiltered(snapshot, expected);
    std::vector<std::int64_t> keys;
    for (const auto& [id, of] : versions_) keys.push_back(id);
    std::vector<bool> found;
    const auto got = snapshot.Get("t", KeyOf(keys), &found);
    ASSERT_TRUE(got) << got.error().message();
    TimedRows rows;
    AddRows(**got, 0, &rows);
    EXPECT_ROWS(rows, expected);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(found[i], expected.contains(keys[i])) << keys[i];
    }
  }
  void ExpectExtremes(const Snapshot& snapshot, const TimedRows& expected) {
    const auto range = snapshot.MinMax("t", "v");
    ASSERT_TRUE(range) << range.error().message();
    std::set<std::int64_t> values;
    for (const auto& [id, row] : expected) values.insert(row.v);
    ASSERT_EQ(range->min != nullptr, !values.empty());
    if (values.empty()) return;
    EXPECT_EQ(static_cast<const arrow::Int64Scalar&>(*range->min).value, *values.begin());
    EXPECT_EQ(static_cast<const arrow::Int64Scalar&>(*range->max).value, *values.rbegin());
  }
  void ExpectFiltered(const Snapshot& snapshot, const TimedRows& expected) {
    const auto filter = ParseFilter("v >= 40 or id < 5", TimedSchema());
    TimedRows accepted;
    for (const auto& [id, row] : expected) {
      if (row.v >= 40 || id < 5) accepted[id] = row;
    }
    EXPECT_ROWS(Scanned(snapshot, {.filter = *filter}), accepted);
    EXPECT_EQ(snapshot.Count("t", {.filter = *filter})->rows, accepted.size());
  }
  // The rows of `from`, and then its changes, are the rows of the snapshot.
  void ExpectChanges(const Snapshot& snapshot, std::uint64_t from, std::int64_t now,
                     bool with_before) {
    const auto columns = std::vector<std::string>{"id", "v"};
    ChangesOptions options{.before_images = with_before};
    if (!with_before) options.columns = columns;  // the time is not asked for
    auto reader = snapshot.Changes("t", {from}, options);
    ASSERT_TRUE(reader) << reader.error().message();
    std::map<std::int64_t, std::int64_t> rows;
    for (const auto& [id, row] : Expected(from, now)) rows[id] = row.v;
    for (BatchPtr batch; (*reader)->ReadNext(&batch).ok() && batch != nullptr;) {
      const auto& kinds = static_cast<const arrow::StringArray&>(*batch->column(1));
      const auto& ids =
          static_cast<const arrow::Int64Array&>(*batch->GetColumnByName("id"));
      const auto& values = static_cast<const arrow::Int64Array&>(*batch->GetColumnByName("v"));
      for (std::int64_t i = 0; i < batch->num_rows(); ++i) {
        const std::string kind = kinds.GetString(i);
        if (with_before) {
          const auto& before =
              static_cast<const arrow::Int64Array&>(*batch->GetColumnByName("_before_v"));
          ASSERT_EQ(rows.contains(ids.Value(i)), kind != "insert") << kind << ids.Value(i);
          ASSERT_EQ(rows.contains(ids.Value(i)), !before.IsNull(i));
          if (!before.IsNull(i)) {
            ASSERT_EQ(rows[ids.Value(i)], before.Value(i));
          }
        }
        if (kind == "delete") {
          rows.erase(ids.Value(i));
        } else {
          rows[ids.Value(i)] = values.Value(i);
        }
      }
    }
    std::map<std::int64_t, std::int64_t> expected;
    for (const auto& [id, row] : Expected(snapshot.commit().value, now)) expected[id] = row.v;
    EXPECT_EQ(rows, expected) << "from " << from;
  }

  std::uint64_t Runs(bool with_hidden = false) {
    std::uint64_t runs = 0;
    const auto all = *Newest()->Runs("t");
    for (const RunInfo& run : all) runs += with_hidden || !run.hidden ? 1 : 0;
    return runs;
  }
  std::size_t DataFiles() {
    std::size_t files = 0;
    for (const char* folder : {"/db/data/t", "/db/data/t/_deletes"}) {
      const auto listed = files_->List(folder);
      if (listed) files += std::ranges::count(*listed, false, &FileInfo::is_directory);
    }
    return files;
  }

  std::optional<std::int64_t> history_ = {};
  std::unique_ptr<InterruptingFiles> files_ = std::make_unique<InterruptingFiles>();
  ManualClock clock_{kStart * kSecond, 0};
  InterruptingClock asked_{&clock_};
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
  std::int64_t now_ = kStart;
  std::uint64_t commit_ = 0;
  std::map<std::uint64_t, std::optional<std::int64_t>> ttls_;  // in seconds, from a commit on
  std::map<std::int64_t, std::map<std::uint64_t, std::optional<Timed>>> versions_;
};

TEST_F(ExpiryTest, ARowIsThereUpToItsLastMomentAndNoLonger) {
  Create(100);
  Put({{1, {now(), 1}}, {2, {now() + 50, 2}}, {3, {std::nullopt, 3}}});
  Pass(100);
  EXPECT_ROWS(Scanned(*Newest()), Expected());
  EXPECT_EQ(Expected().size(), 3u);
  const auto before = Newest();
  Pass(1);
  EXPECT_EQ(Expected().size(), 2u);
  ExpectSeen(*Newest(), now());
  ExpectSeen(*before, now() - 1);  // its moment is settled
  ASSERT_TRUE(db_->Flush());
  ExpectSeen(*Newest(), now());
  Compact();
  ExpectSeen(*Newest(), now());
  ExpectSeen(*before, now() - 1);
  Pass(1000);
  ExpectSeen(*Newest(), now());
  EXPECT_EQ(Expected().size(), 1u);
}

TEST_F(ExpiryTest, AnExpiredVersionNeverUncoversAnOlderOne) {
  Create(100);
  PutFlushed({{1, {now() + 1000, 1}}, {2, {now() + 1000, 1}}, {3, {now() + 1000, 1}}});
  Compact();
  PutFlushed({{1, {now(), 2}}, {2, {now(), 2}}});
  Pass(101);
  ExpectSeen(*Newest(), now());
  Compact();  // which takes them for deletes
  ExpectSeen(*Newest(), now());
  EXPECT_EQ(Expected().size(), 1u);
}

// The newest versions alone are dropped, by themselves: what is below stays covered.
TEST_F(ExpiryTest, AnExpiredRunOverOthersLeavesDeletes) {
  Create(100);
  PutFlushed({{1, {now() + 1000, 1}}, {2, {now() + 1000, 1}}});
  PutFlushed({{1, {now(), 2}}});
  Pass(101);
  RunTimers();
  ExpectSeen(*Newest(), now());
  const auto runs = Newest()->Runs("t");
  std::uint64_t rows = 0, deletes = 0;
  for (const RunInfo& run : *runs) {
    if (run.hidden) continue;
    rows += run.rows;
    deletes += run.deletes;
  }
  EXPECT_EQ(rows, 2u);
  EXPECT_EQ(deletes, 1u);
  Compact();
  ExpectSeen(*Newest(), now());
}

TEST_F(ExpiryTest, SpaceComesBackWithoutAWrite) {
  history_ = 0;
  Open();
  Create(100);
  for (int run = 0; run < 3; ++run) {
    TimedRows rows;
    for (std::int64_t id = 0; id < 20; ++id) rows[run * 20 + id] = {now() + run, id};
    PutFlushed(rows);
  }
  executor_.RunAll();
  EXPECT_EQ(DataFiles(), 3u);
  Pass(101);
  EXPECT_TRUE(executor_.RunLater());  // the timer
  executor_.RunAll();
  EXPECT_EQ(Runs(), 2u);
  EXPECT_EQ(DataFiles(), 2u);
  ExpectSeen(*Newest(), now());
  Pass(10);
  EXPECT_TRUE(executor_.RunLater());
  executor_.RunAll();
  EXPECT_EQ(DataFiles(), 0u);
  ExpectSeen(*Newest(), now());
}

// After a reopen, which reads no footer, and inside of the window of versions.
TEST_F(ExpiryTest, FilesGoWhenTheWindowIsOver) {
  history_ = 60 * kSecond;
  Open();
  Create(10);
  PutFlushed({{1, {now(), 1}}});
  Pass(11);
  Open();
  executor_.RunAll();
  EXPECT_EQ(Runs(), 0u);
  EXPECT_EQ(DataFiles(), 1u);
  Pass(61);
  RunTimers();
  EXPECT_EQ(DataFiles(), 0u);
}

TEST_F(ExpiryTest, NothingIsDroppedByAClockThatIsBeforeTheNewestCommit) {
  history_ = 0;
  Open();
  Create(100);
  PutFlushed({{1, {now() - 1000, 1}}, {2, {now() - 50, 2}}});
  Pass(-10);  // the clock goes back
  Compact();
  RunTimers();
  EXPECT_EQ(Newest()->Runs("t")->at(0).rows, 2u);
  ExpectSeen(*Newest(), now());
  Pass(10);
  Compact();
  EXPECT_EQ(Newest()->Runs("t")->at(0).rows, 1u);
  ExpectSeen(*Newest(), now());
}

TEST_F(ExpiryTest, AKeyThatHasExpiredIsFree) {
  Create(100);
  Put({{1, {now(), 1}}, {2, {now() + 50, 1}}});
  Pass(101);
  WriteRequest insert{.mode = WriteMode::kInsertMissing,
                      .rows = TimedBatch({{1, {now(), 5}}, {2, {now(), 5}}})};
  const auto inserted = db_->Write("t", insert);
  ASSERT_TRUE(inserted) << inserted.error().message();
  EXPECT_EQ(inserted->rows, 1u);
  EXPECT_EQ(inserted->rows_passed, 1u);
  Pass(200);
  WriteRequest update{.mode = WriteMode::kUpdate, .rows = TimedBatch({{1, {now(), 6}}})};
  const auto updated = db_->Write("t", update);
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().kind(), ErrorKind::kNotFound);
  insert.mode = WriteMode::kInsert;
  EXPECT_TRUE(db_->Write("t", insert));
  const auto filter = ParseFilter("v > 0", TimedSchema());
  const auto gone = db_->Write("t", {.mode = WriteMode::kDeleteWhere, .filter = *filter});
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->rows, 0u);  // what was inserted has expired already
}

TEST_F(ExpiryTest, ATransactionSeesOneMomentAlsoOfItsOwnWrites) {
  Create(100);
  Put({{1, {now(), 1}}, {2, {now() + 500, 2}}});
  Pass(100);
  auto transaction = *db_->Begin({.isolation = Isolation::kSerializable});
  ASSERT_TRUE(transaction->Upsert("t", TimedBatch({{3, {now() - 101, 3}}, {4, {now(), 4}}})));
  Pass(100);
  for (int look = 0; look < 2; ++look) {
    const TimedRows rows = ReadAll(transaction->Scan("t")->get());
    EXPECT_EQ(rows.size(), 3u) << Text(rows);  // 1, 2 and 4
    std::vector<bool> found;
    ASSERT_TRUE(transaction->Get("t", KeyOf({1, 2, 3, 4}), &found));
    EXPECT_EQ(found, (std::vector<bool>{true, true, false, true}));
    Compact();
    Pass(1000);
  }
  EXPECT_TRUE(transaction->Commit());
}

// As of a commit the columns, and so the time to live, are those of then; the moment is now.
TEST_F(ExpiryTest, AsOfACommitRowsExpireByTheTimeToLiveOfThen) {
  Create(std::nullopt);
  PutFlushed({{1, {now(), 1}}, {2, {now() + 50, 2}}});
  Alter(100);
  PutFlushed({{3, {now(), 3}}});
  Alter(20);
  Pass(60);
  Compact();
  for (std::uint64_t commit = 1; commit <= commit_; ++commit) {
    ExpectSeen(**db_->GetSnapshot(CommitNumber{commit}), now());
  }
  EXPECT_EQ(Expected(1, now()).size(), 2u);
  EXPECT_EQ(Expected(3, now()).size(), 3u);
  EXPECT_EQ(Expected().size(), 1u);
}

// A compaction that took rows for expired, amid which the table came to keep them, is given up.
TEST_F(ExpiryTest, ATimeToLiveThatIsDroppedAmidACompactionKeepsTheRows) {
  Create(100);
  PutFlushed({{1, {now(), 1}}, {2, {now() + 500, 1}}});
  PutFlushed({{3, {now(), 1}}});
  Pass(101);
  files_->before_data = [this] { Alter(std::nullopt); };
  Compact();
  EXPECT_EQ(commit_, 3u) << "nothing was altered amid it";
  EXPECT_EQ(Expected().size(), 3u);
  ExpectSeen(*Newest(), now());
  Compact();
  ExpectSeen(*Newest(), now());
}

TEST_F(ExpiryTest, ARestoreBringsBackNothingThatHasExpired) {
  Create(100);
  Put({{1, {now(), 1}}, {2, {now() + 500, 1}}});
  const auto then = commit_;
  Erase({1, 2});
  Pass(101);
  const auto dry = db_->RestoreTable("t", CommitNumber{then}, {.dry_run = true});
  ASSERT_TRUE(dry);
  EXPECT_EQ(dry->rows_written, 1u);
  const auto restored = db_->RestoreTable("t", CommitNumber{then});
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->rows_written, 1u);
  EXPECT_EQ(Scanned(*Newest()).size(), 1u);
}

TEST_F(ExpiryTest, AFollowerIsToldOfADeleteWhereTheNewestVersionHasExpired) {
  Create(100);
  Put({{1, {now() + 500, 1}}});
  const auto from = commit_;
  Put({{1, {now(), 2}}, {2, {now(), 2}}, {3, {now() + 500, 3}}});
  Pass(101);
  ExpectChanges(*Newest(), from, now(), false);
  ExpectChanges(*Newest(), from, now(), true);
  const auto follower = db_->FollowChanges("t", CommitNumber{from}, {.columns = {{"id", "v"}}});
  const auto batch = (*follower)->Next(0);
  ASSERT_TRUE(batch && *batch);
  EXPECT_EQ((*batch)->schema()->field_names(),
            (std::vector<std::string>{"_commit", "_kind", "id", "v"}));
  const auto& kinds = static_cast<const arrow::StringArray&>(*(*batch)->column(1));
  EXPECT_EQ(kinds.GetString(0) + kinds.GetString(1) + kinds.GetString(2), "deletedeleteupsert");
}

TEST_F(ExpiryTest, ItIsRememberedAndShownAndTheColumnStays) {
  Create(100);
  Put({{1, {now(), 1}}});
  Open();
  EXPECT_EQ(db_->Tables().at(0).time_to_live,
            (TimeToLive{.column = "at", .micros = 100 * kSecond}));
  const auto dropped = db_->AlterTable("t", {DropColumn{"at"}});
  ASSERT_FALSE(dropped);
  EXPECT_NE(dropped.error().message().find("rows expire by it"), std::string::npos);
  ASSERT_TRUE(db_->AlterTable("t", {RenameColumn{"at", "seen"}}));
  Open();
  EXPECT_EQ(db_->Tables().at(0).time_to_live->column, "seen");
  const auto again = db_->CreateTable("t", TimedSchema(), {"id"}, {.if_not_exists = true});
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message().find("time to live is 100s by seen, expected none"),
            std::string::npos)
      << again.error().message();
  ASSERT_TRUE(db_->AlterTable("t", {DropTimeToLive{}, DropColumn{"seen"}}));
  EXPECT_FALSE(db_->Tables().at(0).time_to_live);
  EXPECT_FALSE(db_->AlterTable("t", {DropTimeToLive{}}));
  for (const TimeToLive& wrong : {TimeToLive{.column = "v", .micros = -1},
                                  TimeToLive{.column = "none", .micros = 1}}) {
    EXPECT_FALSE(db_->AlterTable("t", {SetTimeToLive{wrong}})) << wrong.column;
  }
}

class ExpiryLife : public ExpiryTest {
 protected:
  struct Held {
    std::shared_ptr<const Snapshot> snapshot;
    std::int64_t now;
  };

  void Begin(std::uint64_t seed) {
    chance_ = std::make_unique<SeededRandom>(seed);
    db_.reset();
    files_ = std::make_unique<InterruptingFiles>();
    history_ = 1'000'000 * kSecond;
    versions_.clear();
    ttls_.clear();
    commit_ = 0;
    Open();
    ttl_.reset();
    if (Below(2) == 0) ttl_ = 100 + Below(200);
    Create(ttl_);
  }
  void End() {
    held_.clear();
    db_.reset();
    const auto verified = VerifyDatabase("/db", {.deep = true}, World());
    ASSERT_TRUE(verified) << verified.error().message();
    EXPECT_TRUE(verified->damages.empty()) << verified->damages.front().message;
    executor_.RunAll();
  }

  std::int64_t Below(std::uint64_t bound) {
    return static_cast<std::int64_t>(chance_->Below(bound));
  }
  void PutSome() {
    TimedRows rows;
    for (std::int64_t i = 1 + Below(12); i > 0; --i) {
      Timed row{.at = now() - 200 + Below(400), .v = Below(100)};
      if (Below(8) == 0) row.at.reset();
      rows[Below(30)] = row;
    }
    Put(rows);
  }
  // Shorter than before: what was dropped is gone, whatever comes.
  void AlterSometimes() {
    if (Below(3) != 0 || (ttl_ && *ttl_ <= 10)) return;
    ttl_ = ttl_ ? *ttl_ * 2 / 3 : 250;
    Alter(ttl_);
  }
  void Reopen() {
    held_.clear();
    Open();
  }
  void Step() {
    switch (Below(12)) {
      case 0: case 1: case 2: case 3: return PutSome();
      case 4: return Erase({Below(30)});
      case 5: ASSERT_TRUE(db_->Flush()); return;
      case 6: return Compact();
      case 7: return Pass(Below(80));
      case 8: executor_.RunAll(); return;
      case 9: return AlterSometimes();
      case 10: return Below(3) == 0 ? Reopen() : RunTimers();
      default: held_.push_back({Newest(), now()});
    }
  }
  void ExpectAll() {
    ASSERT_NO_FATAL_FAILURE(ExpectSeen(*Newest(), now()));
    const auto commit = chance_->Below(commit_ + 1);
    if (commit > 0) {
      ASSERT_NO_FATAL_FAILURE(ExpectSeen(**db_->GetSnapshot(CommitNumber{commit}), now()));
      if (commit >= std::prev(ttls_.end())->first) {
        ASSERT_NO_FATAL_FAILURE(ExpectChanges(*Newest(), commit, now(), Below(2) == 0));
      }
    }
    if (held_.empty()) return;
    const Held& one = held_[chance_->Below(held_.size())];
    ASSERT_NO_FATAL_FAILURE(ExpectSeen(*one.snapshot, one.now));
  }

  std::unique_ptr<SeededRandom> chance_;
  std::optional<std::int64_t> ttl_;
  std::vector<Held> held_;
};

// Whatever happens in whatever order: each snapshot of each moment sees what the reference sees.
TEST_F(ExpiryLife, EveryReaderSeesWhatTheReferenceSees) {
  for (int life = 0; life < 8; ++life) {
    const std::uint64_t seed = TestSeed() + static_cast<std::uint64_t>(life);
    SCOPED_TRACE(SeedTrace(seed));
    ASSERT_NO_FATAL_FAILURE(Begin(seed));
    for (int step = 0; step < 60; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      ASSERT_NO_FATAL_FAILURE(Step());
      ASSERT_NO_FATAL_FAILURE(ExpectAll());
      ASSERT_FALSE(HasFailure());
    }
    ASSERT_NO_FATAL_FAILURE(End());
  }
}

// What footers said of one column is no reason to drop rows that expire by another one.
TEST_F(ExpiryTest, ATimeToLiveThatMovesToAnotherColumnMeanwhileDropsNothing) {
  Create(100);
  PutFlushed({{1, {kStart, kStart + 1'000'000}}});
  RunTimers();  // the run is known
  Pass(101);
  asked_.before_now = [this] {
    const SetTimeToLive by_v{{.column = "v", .micros = 0, .unit = EpochUnit::kSeconds}};
    ASSERT_TRUE(db_->AlterTable("t", {by_v}));
  };
  executor_.RunLater();
  executor_.RunAll();
  EXPECT_FALSE(asked_.before_now);
  EXPECT_EQ(Newest()->Count("t")->rows, 1u);
}

// What has expired by the time at its begin may not have, by the clock of then.
TEST_F(ExpiryTest, ACompactionEndsThoughTheClockGoesBackMeanwhile) {
  Create(100);
  for (int when = 0; when < 12; ++when) {  // at which of its looks at the clock
    PutFlushed({{2 * when, {now(), 1}}, {2 * when + 1, {now() + 10'000, 1}}});
    Compact();
    RunTimers();
    Pass(101);
    int looks = 0;
    const std::function<void()> back = [&] {
      if (looks++ == when) Pass(-50);
      if (looks == 500) {
        ADD_FAILURE() << "it goes on and on";
        Pass(50);
      }
      asked_.before_now = back;
    };
    asked_.before_now = back;
    Compact();
    asked_.before_now = nullptr;
    EXPECT_GT(looks, when);
    EXPECT_LT(looks, 500);
    Pass(200);
  }
}

}  // namespace
}  // namespace varve
