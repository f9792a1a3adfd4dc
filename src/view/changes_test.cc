// SPDX-License-Identifier: Apache-2.0
#include "view/changes.h"

#include <functional>

#include "base/result.h"
#include "run/merge.h"
#include "test/support/seed.h"
#include "view/random_rows.h"
#include "view/view_fixture.h"

namespace varve {
namespace {

using testing::BatchPtr;
using testing::ExpectSame;
using testing::KeyBatch;
using testing::Ok;
using testing::Row;
using testing::RowKey;
using TablePtr = std::shared_ptr<arrow::Table>;
using ModelChanges = std::vector<testing::RowModel::Change>;

TablePtr ReadAll(arrow::RecordBatchReader* reader, std::int64_t batch_rows_max = 65536) {
  std::vector<BatchPtr> batches;
  for (BatchPtr batch;;) {
    const auto status = reader->ReadNext(&batch);
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok() || batch == nullptr) break;
    EXPECT_GT(batch->num_rows(), 0);
    EXPECT_LE(batch->num_rows(), batch_rows_max);
    EXPECT_TRUE(batch->ValidateFull().ok());
    batches.push_back(batch);
  }
  return arrow::Table::FromRecordBatches(reader->schema(), batches).ValueOrDie();
}

// These rows, or nulls where there is none; keys where `keys` says.
BatchPtr OptionalRows(const ModelChanges& changes, bool before) {
  BatchPtr nulls = testing::ToBatch({Row{}});
  arrow::ArrayVector columns;
  for (int column = 0; column < nulls->num_columns(); ++column) {
    arrow::ArrayVector values;
    for (const auto& change : changes) {
      const auto& row = before ? change.before : change.after;
      const bool key = column < 2 && !before;
      const Row shown = row ? *row : Row{change.key.first, change.key.second, {}, {}, {}, {}};
      const auto type = nulls->column(column)->type();
      values.push_back(row || key ? testing::ToBatch({shown})->column(column)
                                  : arrow::MakeArrayOfNull(type, 1).ValueOrDie());
    }
    columns.push_back(arrow::Concatenate(values).ValueOrDie());
  }
  return arrow::RecordBatch::Make(nulls->schema(), std::ssize(changes), std::move(columns));
}

// What the model says, as the columns that changes have.
TablePtr Expected(ModelChanges changes, const ChangesOptions& options) {
  const auto names = options.columns.value_or(testing::RowSchema()->field_names());
  const bool before = options.before_images;
  if (before) std::erase_if(changes, [](const auto& c) { return !c.before && !c.after; });
  arrow::FieldVector fields = {arrow::field("_commit", arrow::uint64(), false),
                               arrow::field("_kind", arrow::utf8(), false)};
  for (const auto& name : names) fields.push_back(testing::RowSchema()->GetFieldByName(name));
  for (const auto& name : names) {
    if (!before || name == "k" || name == "name") continue;
    fields.push_back(testing::RowSchema()->GetFieldByName(name)->WithName("_before_" + name));
  }
  const auto schema = arrow::schema(fields);
  if (changes.empty()) return arrow::Table::MakeEmpty(schema).ValueOrDie();

  arrow::UInt64Builder commits;
  arrow::StringBuilder kinds;
  for (const auto& change : changes) {
    EXPECT_TRUE(commits.Append(change.commit).ok());
    const char* written = !before ? "upsert" : change.before ? "update" : "insert";
    EXPECT_TRUE(kinds.Append(change.after ? written : "delete").ok());
  }
  arrow::ArrayVector columns = {*commits.Finish(), *kinds.Finish()};
  const auto rows = OptionalRows(changes, false);
  const auto rows_before = OptionalRows(changes, true);
  for (const auto& name : names) columns.push_back(rows->GetColumnByName(name));
  for (const auto& name : names) {
    if (!before || name == "k" || name == "name") continue;
    columns.push_back(rows_before->GetColumnByName(name));
  }
  return arrow::Table::Make(schema, columns);
}

class ChangesTest : public ::testing::Test {
 protected:
  testing::RowTable table_;

  void ExpectChanges(std::uint64_t after, std::uint64_t through,
                     const ChangesOptions& options = {}) {
    SCOPED_TRACE("after " + std::to_string(after) + " through " + std::to_string(through));
    auto reader = Ok(table_.At(through).Changes("t", {after}, options));
    ExpectSame(ReadAll(reader.get(), options.batch_rows_max),
               Expected(table_.model().Changes(after, through), options));
  }
  // Every window of the commits so far, with and without what was before.
  void ExpectEveryWindow() {
    for (std::uint64_t through = 0; through <= table_.commit(); ++through) {
      for (std::uint64_t after = 0; after <= through; ++after) {
        ExpectChanges(after, through);
        ExpectChanges(after, through, {.before_images = true});
      }
    }
  }
  std::unique_ptr<ChangeStream> Stream(const ChangesOptions& options,
                                       const ChangeLimits& limits = {}) {
    view_ = table_.View();
    const TableView& table = *view_->Find("t");
    return std::make_unique<ChangeStream>(view_, table, Ok(PrepareChanges(*table.schema, options)),
                                          CommitWindow{0, table_.commit()}, limits);
  }
  // Rows (k, "a") with f = k, for k in [begin, end).
  std::uint64_t UpsertRange(std::int32_t begin, std::int32_t end) {
    std::vector<Row> rows;
    for (std::int32_t k = begin; k < end; ++k) rows.push_back({k, "a", k, "s", k, k});
    return table_.Upsert(rows);
  }
  Error ErrorOf(const Result<std::shared_ptr<arrow::RecordBatchReader>>& result) {
    EXPECT_FALSE(result);
    return result ? Error(ErrorKind::kInternal, "") : result.error();
  }

  std::shared_ptr<const Superversion> view_;
};

TEST_F(ChangesTest, ComeInTheOrderOfCommitsThenKeys) {
  table_.Upsert({{2, "b", 1.0, "x", 1, 1}, {1, "a", 2.0, {}, {}, 2}});
  table_.Upsert({{1, "a", 3.0, "y", 3, 3}});
  table_.Delete({{2, "b"}, {9, "z"}});  // the latter was never there
  table_.Upsert({{2, "b", 4.0, "z", 4, 4}, {0, "c", {}, {}, {}, {}}});
  table_.Delete({{1, "a"}});
  ExpectEveryWindow();

  auto reader =
      Ok(table_.Newest().Changes("t", {1}, {.columns = {{"f", "k"}}, .before_images = true}));
  EXPECT_EQ(reader->schema()->field_names(),
            (std::vector<std::string>{"_commit", "_kind", "f", "k", "_before_f"}));
  const auto found = ReadAll(reader.get());
  const auto kinds = found->GetColumnByName("_kind")->chunk(0);
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < kinds->length(); ++i) {
    names.push_back(static_cast<const arrow::StringArray&>(*kinds).GetString(i));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"update", "delete", "insert", "insert", "delete"}));
}

TEST_F(ChangesTest, OfARowComeAllWhereverItsVersionsLie) {
  table_.Upsert({{1, "a", 1.0, "one", {}, {}}, {2, "a", {}, {}, {}, {}}});
  table_.Delete({{2, "a"}});
  table_.Flush();
  table_.Upsert({{1, "a", 2.0, "two", {}, {}}});
  table_.Upsert({{1, "a", 3.0, "three", {}, {}}, {3, "a", {}, {}, {}, {}}});
  table_.Flush();
  table_.Delete({{1, "a"}});
  table_.Upsert({{1, "a", 4.0, "four", {}, {}}});
  table_.Seal();
  table_.Upsert({{1, "a", 5.0, "five", {}, {}}, {2, "a", 6.0, {}, {}, {}}});
  ExpectEveryWindow();
}

TEST_F(ChangesTest, OfASnapshotStayWhateverIsWrittenAndFlushed) {
  for (int i = 0; i < 6; ++i) table_.Upsert({{i % 3, "a", i, {}, {}, {}}});
  const Snapshot snapshot = table_.Newest();
  auto reader = Ok(snapshot.Changes("t", {2}, {.before_images = true, .batch_rows_max = 1}));
  BatchPtr first;
  ASSERT_TRUE(reader->ReadNext(&first).ok());
  table_.Flush();
  table_.Upsert({{0, "a", 100, {}, {}, {}}});
  const auto rest = ReadAll(reader.get());
  EXPECT_EQ(first->num_rows() + rest->num_rows(), 4);
  const auto expected = Expected(table_.model().Changes(2, 6), {.before_images = true});
  ExpectSame(rest, expected->Slice(1)->CombineChunks().ValueOrDie());
  ExpectSame(ReadAll(Ok(snapshot.Changes("t", {2}, {.before_images = true})).get()), expected);
}

TEST_F(ChangesTest, ReadNothingOfRunsOutsideTheWindow) {
  for (int run = 0; run < 4; ++run) {
    UpsertRange(0, 10);
    UpsertRange(5, 15);
    table_.Flush();
  }
  const auto read = [&] {
    std::vector<std::uint64_t> groups;
    for (const auto& run : table_.runs()) groups.push_back(run->row_groups_read());
    return groups;
  };
  ExpectChanges(2, 4);
  EXPECT_EQ(read(), (std::vector<std::uint64_t>{0, 1, 0, 0}));
  ExpectChanges(3, 6);
  EXPECT_EQ(read(), (std::vector<std::uint64_t>{0, 2, 1, 0}));
}

TEST_F(ChangesTest, BatchesHoldWholeCommitsAndPositionSaysWhichWereGiven) {
  UpsertRange(0, 3);   // 1
  UpsertRange(0, 4);   // 2
  UpsertRange(0, 25);  // 3: larger than a batch
  UpsertRange(0, 2);   // 4
  table_.Flush();
  UpsertRange(0, 30);  // 5: larger than a batch
  UpsertRange(0, 10);  // 6
  const std::vector<std::pair<std::int64_t, std::uint64_t>> expected = {
      {7, 2}, {10, 2}, {10, 2}, {5, 3}, {2, 4}, {10, 4}, {10, 4}, {10, 5}, {10, 6}};
  for (const std::uint64_t rows_max : {1000, 20, 1}) {  // the latter stream commits
    for (const bool before_images : {false, true}) {
      auto stream =
          Stream({.before_images = before_images, .batch_rows_max = 10}, {.rows_max = rows_max});
      std::vector<std::pair<std::int64_t, std::uint64_t>> found;
      while (const auto batch = Ok(stream->Next())) {
        found.emplace_back(batch->num_rows(), stream->position().value);
      }
      if (rows_max == 1000) {
        EXPECT_EQ(found, expected);
      }
      EXPECT_EQ(stream->position().value, 6u);
      for (const auto& [rows, position] : found) EXPECT_LE(rows, 10);
      std::int64_t rows = 0;
      for (const auto& [count, position] : found) {
        rows += count;
        constexpr std::array<std::int64_t, 7> kUpTo = {0, 3, 7, 32, 34, 64, 74};
        EXPECT_LE(kUpTo[position], rows);
        EXPECT_TRUE(position == 6 || rows < kUpTo[position + 1]) << position << " " << rows;
      }
      EXPECT_EQ(rows, 74);
    }
  }
}

TEST_F(ChangesTest, OfManyCommitsAreReadInWindowsOfFewRows) {
  for (int commit = 0; commit < 300; ++commit) {
    table_.Upsert({{commit % 17, "a", commit, {}, {}, {}}, {commit % 13, "b", {}, {}, {}, {}}});
  }
  table_.Flush();
  const auto view = table_.View();
  ChangeWindows windows(*view->Find("t"), {10, 290}, {.rows_max = 25, .bins_max = 8});
  std::uint64_t at = 10;
  while (const auto window = Ok(windows.Next())) {
    EXPECT_EQ(window->after, at);
    at = window->through;
    EXPECT_LE(window->commits(), 12u);
  }
  EXPECT_EQ(at, 290u);
}

TEST_F(ChangesTest, OfLargeRowsAreReadInWindowsOfFewBytes) {
  const std::string text(1 << 16, 'x');
  for (int commit = 0; commit < 40; ++commit) {
    table_.Upsert({{commit % 7, "a", commit, text + std::to_string(commit), {}, {}}});
    if (commit == 20) table_.Flush();
  }
  table_.Flush();
  const auto expected = Expected(table_.model().Changes(0, 40), {.before_images = true});
  for (const std::uint64_t bytes_max : {1ull << 20, 1ull << 17, 1ull}) {
    const auto view = table_.View();
    auto reader = Ok(NewChanges(view, *view->Find("t"), {0, 40}, {.before_images = true},
                                {.bytes_max = bytes_max}));
    ExpectSame(ReadAll(reader.get()), expected);
  }
}

// A window that cannot be cut is read whole: one that held a commit number of another table besides
// was cut for ever.
TEST_F(ChangesTest, ARowLargerThanAllLimitsBesideCommitsOfOtherTables) {
  const std::string text(1 << 16, 'x');
  table_.UpsertAt({{1, "a", 1, text, {}, {}}}, 2);
  table_.UpsertAt({{2, "a", 2, text, {}, {}}}, 7);
  for (int i = 0; i < 2; ++i) {
    const auto expected = Expected(table_.model().Changes(0, 9), {.before_images = true});
    const auto view = table_.View();
    auto reader = Ok(NewChanges(view, *view->Find("t"), {0, 9}, {.before_images = true},
                                {.bytes_max = 1}));
    ExpectSame(ReadAll(reader.get()), expected);
    table_.Flush();
  }
}

TEST_F(ChangesTest, BadInputHasAnErrorOfItsOwn) {
  table_.Upsert({{1, "a", {}, {}, {}, {}}});
  const Snapshot snapshot = table_.Newest();
  EXPECT_EQ(ErrorOf(snapshot.Changes("t", {2})).message(),
            "changes after commit 2 end before they begin: the last one asked for is commit 1");
  EXPECT_EQ(ErrorOf(snapshot.Changes("u", {0})).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(ErrorOf(snapshot.Changes("t", {0}, {.columns = {{"q"}}})).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(ErrorOf(snapshot.Changes("t", {0}, {.columns = {{"k", "k"}}})).kind(),
            ErrorKind::kInvalid);
  EXPECT_EQ(ErrorOf(snapshot.Changes("t", {0}, {.batch_rows_max = 0})).kind(), ErrorKind::kInvalid);
  const KeyRange two_rows{.lower = KeyBatch({{1, "a"}, {2, "b"}})};
  EXPECT_EQ(ErrorOf(snapshot.Changes("t", {0}, {.range = two_rows})).kind(), ErrorKind::kInvalid);

  auto reader = Ok(snapshot.Changes("t", {0}));
  EXPECT_TRUE(reader->Close().ok());
  BatchPtr batch;
  EXPECT_EQ(ErrorFromArrow(reader->ReadNext(&batch)).reason(), ErrorReason::kClosed);
  EXPECT_TRUE(reader->Close().ok());

  std::stop_source stop;
  reader = Ok(snapshot.Changes("t", {0}, {.stop = stop.get_token()}));
  stop.request_stop();
  const auto cancelled = reader->ReadNext(&batch);
  EXPECT_NE(cancelled.ToString().find("cancelled"), std::string::npos) << cancelled;
  EXPECT_EQ(reader->ReadNext(&batch), cancelled);
}

TEST(ChangesColumns, OfATableMayNotHaveTheNamesOfThoseOfChanges) {
  const auto schema = Ok(TableSchema::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("_kind", arrow::utf8()),
                     arrow::field("a", arrow::utf8()), arrow::field("_before_a", arrow::utf8())}),
      {"id"}));
  const auto refused = PrepareChanges(*schema, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kInvalid);
  EXPECT_NE(refused.error().message().find("column '_kind'"), std::string::npos);
  EXPECT_TRUE(PrepareChanges(*schema, {.columns = {{"id", "a", "_before_a"}}}));
  const auto before =
      PrepareChanges(*schema, {.columns = {{"id", "a", "_before_a"}}, .before_images = true});
  ASSERT_FALSE(before);
  EXPECT_NE(before.error().message().find("column '_before_a'"), std::string::npos);
  EXPECT_TRUE(PrepareChanges(*schema, {.columns = {{"id", "a"}}, .before_images = true}));
}

// Commits in any order in the sources: runs whose commits overlap, as compaction may leave them.
void LiveForChanges(testing::RowTable* table, Random& random, int commits) {
  std::vector<std::uint64_t> numbers;
  for (int i = 1; i <= commits; ++i) numbers.push_back(static_cast<std::uint64_t>(i));
  for (std::size_t i = 0; i + 1 < numbers.size(); ++i) {
    if (random.Below(4) == 0) {
      std::swap(numbers[i],
                numbers[i + random.Below(std::min<std::size_t>(6, numbers.size() - i))]);
    }
  }
  for (const std::uint64_t commit : numbers) {
    std::map<RowKey, Row> rows;
    const std::uint64_t count = 1 + (random.Below(6) == 0 ? random.Below(60) : random.Below(4));
    for (std::uint64_t i = 0; i < count; ++i) {
      const Row row = testing::RandomRow(random);
      rows[{row.k, row.name}] = row;
    }
    std::vector<Row> upserts;
    std::vector<RowKey> deletes;
    for (const auto& [key, row] : rows) {
      if (random.Below(4) == 0) {
        deletes.push_back(key);
      } else {
        upserts.push_back(row);
      }
    }
    if (!upserts.empty()) table->UpsertAt(upserts, commit);
    if (!deletes.empty()) table->DeleteAt(deletes, commit);
    if (random.Below(12) == 0) table->Seal();
    if (random.Below(15) == 0) table->Flush();
  }
}

TEST(ChangesModel, AgreeWithTheModelWhateverIsAsked) {
  const std::uint64_t seed = testing::TestSeed(12);
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  for (int life = 0; life < 8; ++life) {
    testing::RowTable table;
    table.row_group_rows = random.Below(2) == 0 ? 7 : 40;
    LiveForChanges(&table, random, 60);
    const auto view = table.View();
    for (int i = 0; i < 40; ++i) {
      const std::uint64_t after = random.Below(table.commit() + 1);
      const std::uint64_t through = after + random.Below(table.commit() - after + 1);
      ChangesOptions options{.before_images = random.Below(2) == 0,
                             .batch_rows_max = static_cast<std::int64_t>(1 + random.Below(40))};
      if (random.Below(3) == 0) options.columns = {{"s", "name", "at"}};
      auto expected = table.model().Changes(after, through);
      if (random.Below(3) == 0) {
        const auto low = static_cast<std::int32_t>(random.Below(10)) - 1;
        const auto high = low + static_cast<std::int32_t>(random.Below(5));
        options.range.lower = KeyBatch({{low, ""}})->SelectColumns({0}).ValueOrDie();
        options.range.upper = KeyBatch({{high, ""}})->SelectColumns({0}).ValueOrDie();
        std::erase_if(expected, [&](const auto& change) {
          return change.key.first < low || change.key.first >= high;
        });
      }
      const ChangeLimits limits{
          .rows_max = random.Below(3) == 0 ? 1 + random.Below(30) : 100000,
          .bytes_max = random.Below(3) == 0 ? 1 + random.Below(3000) : 64ull << 20,
          .bins_max = 2 + random.Below(20)};
      SCOPED_TRACE("life " + std::to_string(life) + ", changes " + std::to_string(i));
      auto reader = Ok(NewChanges(view, *view->Find("t"), {after, through}, options, limits));
      ExpectSame(ReadAll(reader.get(), options.batch_rows_max), Expected(expected, options));
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// One commit over large rows, wherever they are: how many of them are looked up together depends on
// their bytes from the first lookup on. A batch has at most what was looked up together.
TEST_F(ChangesTest, BeforeImagesOfOneCommitAreBoundedByTheirBytes) {
  constexpr std::int32_t kRows = 300;
  constexpr std::uint64_t kRowBytes = 32 << 10;
  constexpr ChangeLimits kLimits{.rows_max = 400, .bytes_max = 2 << 20, .bins_max = 65536};
  constexpr std::uint64_t kPart = kLimits.bytes_max / 8;
  table_.row_group_rows = 4;
  std::vector<Row> rows;
  for (std::int32_t k = 0; k < kRows; ++k) {
    // Small ones first, so that lookups of many rows are tried.
    rows.push_back({k, "a", {}, std::string(k < 40 ? 1 : kRowBytes, 'x'), k, k});
  }
  table_.Upsert(rows);
  const auto large = table_.commit();
  UpsertRange(-5, kRows + 5);
  for (const std::string where : {"memtable", "sealed", "run"}) {
    SCOPED_TRACE(where);
    if (where == "sealed") table_.Seal();
    if (where == "run") table_.Flush();
    const ChangesOptions options{.before_images = true};
    const auto stream = Stream(options, kLimits);
    std::vector<BatchPtr> batches;
    while (const auto batch = Ok(stream->Next())) {
      batches.push_back(batch);
      const auto& commits = static_cast<const arrow::UInt64Array&>(*batch->column(0));
      if (commits.Value(0) == large) continue;
      const auto before = batch->GetColumnByName("_before_s");
      std::uint64_t bytes = 0;
      for (std::int64_t i = 0; i < before->length(); ++i) {
        if (before->IsValid(i)) {
          bytes += static_cast<const arrow::StringArray&>(*before).GetView(i).size();
        }
      }
      EXPECT_LE(bytes, kPart + 4 * kRowBytes) << "and a row group";
    }
    ExpectSame(arrow::Table::FromRecordBatches(batches).ValueOrDie(),
               Expected(table_.model().Changes(0, table_.commit()), options));
  }
}

}  // namespace
}  // namespace varve
