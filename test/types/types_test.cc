// SPDX-License-Identifier: Apache-2.0
// Every Arrow type through the whole system: memtable, log (kill and replay), Parquet run, scan and
// get; then newer and older versions of the same rows through the merge of several sources.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/all_types.h"
#include "varve/database.h"

namespace varve::testing {
namespace {

using Batch = std::shared_ptr<arrow::RecordBatch>;

class TypesTest : public ::testing::TestWithParam<TypeCase> {
 protected:
  void Open() {
    db_.reset();
    auto db = Database::Open("/db", {.create_if_missing = true},
                             {.files = files_.get(), .clock = &clock_, .random = &random_,
                              .executor = &executor_});
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  Batch Read(const ScanOptions& options = {}) {
    auto reader = db_->Scan("t", options);
    EXPECT_TRUE(reader) << reader.error().message();
    auto table = (*reader)->ToTable();
    EXPECT_TRUE(table.ok()) << table.status().ToString();
    auto batch = (*table)->CombineChunksToBatch();
    EXPECT_TRUE(batch.ok()) << batch.status().ToString();
    return *batch;
  }
  void ExpectRows(const Batch& expected, const char* where) {
    const Batch found = Read();
    EXPECT_TRUE(found->schema()->Equals(*expected->schema(), false))
        << where << ": " << found->schema()->ToString();
    EXPECT_TRUE(SameRows(*found, *expected))
        << where << "\nfound " << found->ToString() << "\nexpected " << expected->ToString();
  }

  // The changes of one commit.
  static Batch Of(const arrow::Table& changes, std::uint64_t commit) {
    const auto batch = *changes.CombineChunksToBatch();
    const auto& commits =
        static_cast<const arrow::UInt64Array&>(*batch->GetColumnByName("_commit"));
    const auto* const begin = commits.raw_values();
    const auto found = std::equal_range(begin, begin + commits.length(), commit);
    return batch->Slice(found.first - begin, found.second - found.first);
  }
  // `changes` write or delete these rows, when before them there were `rows`, which they change.
  static void ExpectChanges(const Batch& changes, const Batch& written, bool deleted,
                            std::map<std::int64_t, Batch>* rows) {
    ASSERT_TRUE(changes->ValidateFull().ok());
    ASSERT_EQ(changes->num_rows(), written->num_rows());
    const auto column = changes->schema()->GetFieldIndex("value");
    const auto before = changes->schema()->GetFieldIndex("_before_value");
    const auto& ids = static_cast<const arrow::Int64Array&>(*written->GetColumnByName("id"));
    ASSERT_TRUE(changes->GetColumnByName("id")->Equals(ids));
    const auto& kinds = static_cast<const arrow::StringArray&>(*changes->GetColumnByName("_kind"));
    for (std::int64_t i = 0; i < ids.length(); ++i) {
      const Batch row = written->Slice(i, 1);
      Batch& known = (*rows)[ids.Value(i)];
      ExpectValue(*changes, column, i, deleted ? nullptr : row);
      ExpectValue(*changes, before, i, known);
      EXPECT_EQ(kinds.GetView(i), deleted ? "delete" : known ? "update" : "insert");
      known = deleted ? nullptr : row;
    }
  }
  static void ExpectValue(const arrow::RecordBatch& batch, int column, std::int64_t row,
                          const Batch& expected) {
    const auto value = batch.column(column)->Slice(row, 1);
    if (expected == nullptr) {
      EXPECT_TRUE(value->IsNull(0)) << column << " " << row;
      return;
    }
    const auto schema = arrow::schema({arrow::field("value", value->type())});
    EXPECT_TRUE(SameRows(*arrow::RecordBatch::Make(schema, 1, {value}),
                         *arrow::RecordBatch::Make(schema, 1, {expected->column(1)})))
        << value->ToString() << "\nexpected " << expected->ToString();
  }

  std::unique_ptr<Files> files_ = NewMemoryFiles();
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

// The rows with distinct ids, in the order of their ids.
Batch SortedById(const Batch& batch) {
  const auto& ids = static_cast<const arrow::Int64Array&>(*batch->GetColumnByName("id"));
  std::map<std::int64_t, std::int64_t> last;
  for (std::int64_t i = 0; i < ids.length(); ++i) last[ids.Value(i)] = i;
  std::vector<Batch> rows;
  for (const auto& [id, row] : last) rows.push_back(batch->Slice(row, 1));
  return *(*arrow::Table::FromRecordBatches(batch->schema(), rows))->CombineChunksToBatch();
}

TEST_P(TypesTest, RoundTripsThroughMemtableLogRunAndScan) {
  const TypeCase& type = GetParam();
  Open();
  const auto created = db_->CreateTable("t", type.schema, {"id"});
  ASSERT_TRUE(created) << created.error().message();
  const Batch sent = RandomBatch(type.schema, 300, 7);
  const Batch expected = SortedById(sent);
  ASSERT_TRUE(db_->Upsert("t", sent->Slice(0, 0)));
  const auto info = db_->Upsert("t", sent);
  ASSERT_TRUE(info) << info.error().message();
  ExpectRows(expected, "memtable");
  Open();  // without Close: the log is all there is
  ExpectRows(expected, "log");
  const Status flushed = db_->Flush();
  ASSERT_TRUE(flushed) << flushed.error().message();
  ExpectRows(expected, "run");
  ASSERT_TRUE(db_->Close());
  Open();
  ExpectRows(expected, "reopened run");
}

TEST_P(TypesTest, NewestVersionsComeOutOfSeveralSources) {
  const TypeCase& type = GetParam();
  Open();
  ASSERT_TRUE(db_->CreateTable("t", type.schema, {"id"}));
  std::vector<Batch> sent;
  for (std::uint64_t round = 0; round < 4; ++round) {
    sent.push_back(RandomBatch(type.schema, 40, 100 + round));
    const auto info = db_->Upsert("t", sent.back());
    ASSERT_TRUE(info) << info.error().message();
    if (round < 2) {
      ASSERT_TRUE(db_->Flush());
    }
  }
  const auto all = arrow::Table::FromRecordBatches(type.schema, sent);
  ASSERT_TRUE(all.ok()) << all.status().ToString();
  ExpectRows(SortedById(*(*all)->CombineChunksToBatch()), "two runs and a memtable");
}

// Rows in a run, others in the memtable, deletes; each with what was before it.
TEST_P(TypesTest, ChangesComeWithWhatWasBefore) {
  const TypeCase& type = GetParam();
  Open();
  ASSERT_TRUE(db_->CreateTable("t", type.schema, {"id"}));
  const Batch first = SortedById(RandomBatch(type.schema, 40, 31));
  const Batch second = SortedById(RandomBatch(type.schema, 40, 32));
  ASSERT_TRUE(db_->Upsert("t", first));
  ASSERT_TRUE(db_->Flush());
  ASSERT_TRUE(db_->Upsert("t", second));
  ASSERT_TRUE(db_->Delete("t", first));
  for (const char* where : {"run and memtable", "two runs"}) {
    SCOPED_TRACE(where);
    auto reader = db_->Changes("t", CommitNumber{0}, {}, {.before_images = true});
    ASSERT_TRUE(reader) << reader.error().message();
    const auto all = (*reader)->ToTable();
    ASSERT_TRUE(all.ok()) << all.status().ToString();
    std::map<std::int64_t, Batch> rows;  // as of the commit before
    for (const auto& [commit, batch] : {std::pair(1, first), {2, second}, {3, first}}) {
      const Batch part = Of(**all, static_cast<std::uint64_t>(commit));
      ASSERT_NO_FATAL_FAILURE(ExpectChanges(part, batch, commit == 3, &rows));
    }
    ASSERT_TRUE(db_->Flush());
  }
}

TEST_P(TypesTest, GetFindsEachRow) {
  const TypeCase& type = GetParam();
  Open();
  ASSERT_TRUE(db_->CreateTable("t", type.schema, {"id"}));
  const Batch expected = SortedById(RandomBatch(type.schema, 50, 9));
  ASSERT_TRUE(db_->Upsert("t", expected));
  for (const char* where : {"memtable", "run"}) {
    const auto found = db_->Get("t", expected);
    ASSERT_TRUE(found) << where << ": " << found.error().message();
    EXPECT_TRUE(SameRows(**found, *expected)) << where;
    ASSERT_TRUE(db_->Flush());
  }
}

// The column in question as the key: each row is found by it, in memory and in a run, and there is
// one row a key. A type that cannot be a key is refused when the table is created.
TEST_P(TypesTest, ServesAsKeyOrIsRefused) {
  const TypeCase& type = GetParam();
  const auto field = type.schema->field(1)->WithNullable(false);
  const auto schema = arrow::schema({type.schema->field(0), field});
  Open();
  const Status created = db_->CreateTable("t", schema, {field->name()});
  if (!created) {
    EXPECT_EQ(created.error().kind(), ErrorKind::kInvalid);
    EXPECT_NE(created.error().message().find("key"), std::string::npos)
        << created.error().message();
    const auto id = field->type()->id();
    EXPECT_TRUE(arrow::is_nested(id) || id == arrow::Type::NA) << created.error().message();
    return;
  }
  const Batch sent = RandomBatch(schema, 200, 11, 0.0);
  const auto info = db_->Upsert("t", sent);
  ASSERT_TRUE(info) << info.error().message();
  for (const char* where : {"memtable", "run"}) {
    const Batch all = Read();
    EXPECT_EQ(all->num_rows(), static_cast<std::int64_t>(info->rows)) << where;
    const auto found = db_->Get("t", all);
    ASSERT_TRUE(found) << where << ": " << found.error().message();
    EXPECT_TRUE(SameRows(**found, *all)) << where;
    std::vector<bool> flags;
    ASSERT_TRUE((*db_->GetSnapshot())->Get("t", sent, &flags));
    EXPECT_EQ(std::ranges::count(flags, false), 0) << where;
    ASSERT_TRUE(db_->Flush());
  }
}

INSTANTIATE_TEST_SUITE_P(All, TypesTest, ::testing::ValuesIn(AllTypes()),
                         [](const auto& type) { return type.param.name; });

}  // namespace
}  // namespace varve::testing
