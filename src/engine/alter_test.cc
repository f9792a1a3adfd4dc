// SPDX-License-Identifier: Apache-2.0
// Columns added, dropped, renamed and widened: rows written before and after, in memory, in runs
// and in both, as of every commit, by scan, lookup, filter and pruning; and those who write
// meanwhile.
#include <arrow/compute/cast.h>
#include <arrow/compute/expression.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

// A column of a batch: name, type and values as text, "-" for null.
struct Column {
  std::string name;
  std::shared_ptr<arrow::DataType> type;
  std::vector<std::string> values;
  bool nullable = true;
};

std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<Column>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const Column& column : columns) {
    fields.push_back(arrow::field(column.name, column.type, column.nullable));
    arrow::StringBuilder texts;
    for (const std::string& value : column.values) {
      EXPECT_TRUE((value == "-" ? texts.AppendNull() : texts.Append(value)).ok());
    }
    arrays.push_back(*arrow::compute::Cast(**texts.Finish(), column.type));
  }
  const auto rows = static_cast<std::int64_t>(columns.front().values.size());
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows, std::move(arrays));
}

Column IdValues(std::vector<std::string> values) {
  return {"id", arrow::int64(), std::move(values), false};
}
Column Ints(const std::string& name, std::vector<std::string> values,
            std::shared_ptr<arrow::DataType> type = arrow::int32()) {
  return {name, std::move(type), std::move(values)};
}

// Rows as text, one line a row: "name=value ...".
std::string Text(const arrow::RecordBatch& batch) {
  std::string text;
  for (std::int64_t row = 0; row < batch.num_rows(); ++row) {
    for (int i = 0; i < batch.num_columns(); ++i) {
      const auto value = *batch.column(i)->GetScalar(row);
      text += (i == 0 ? "" : " ") + batch.schema()->field(i)->name() + "=" +
              (value->is_valid ? value->ToString() : "-");
    }
    text += "\n";
  }
  return text;
}

class AlterTest : public ::testing::Test {
 protected:
  AlterTest() : random_(1) {}
  void SetUp() override { Open(); }
  Components World() {
    return {.files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  void Open() {
    db_.reset();
    auto db = Database::Open("/db", {.create_if_missing = true}, World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Create(const arrow::FieldVector& fields, const std::vector<std::string>& key = {"id"}) {
    arrow::FieldVector all = {arrow::field("id", arrow::int64(), false)};
    all.insert(all.end(), fields.begin(), fields.end());
    const auto made = db_->CreateTable("t", arrow::schema(all), key);
    ASSERT_TRUE(made) << made.error().message();
  }
  std::uint64_t Put(const std::vector<Column>& columns) {
    const auto info = db_->Upsert("t", Batch(columns));
    EXPECT_TRUE(info) << info.error().message();
    return info ? info->commit.value : 0;
  }
  std::uint64_t Alter(const std::vector<ColumnChange>& changes) {
    const auto commit = db_->AlterTable("t", changes);
    EXPECT_TRUE(commit) << commit.error().message();
    return commit ? commit->value : 0;
  }
  std::shared_ptr<arrow::Schema> Schema() { return *(*db_->GetSnapshot())->Schema("t"); }
  ScanOptions Where(const std::string& text) {
    ScanOptions options;
    auto filter = ParseFilter(text, Schema());
    EXPECT_TRUE(filter) << filter.error().message();
    options.filter = *filter;
    return options;
  }
  static std::string Rows(const Snapshot& snapshot, const ScanOptions& options = {}) {
    auto reader = snapshot.Scan("t", options);
    EXPECT_TRUE(reader) << reader.error().message();
    if (!reader) return "";
    std::string text;
    std::shared_ptr<arrow::RecordBatch> batch;
    while (true) {
      const auto read = (*reader)->ReadNext(&batch);
      EXPECT_TRUE(read.ok()) << read.ToString();
      if (!read.ok() || batch == nullptr) return text;
      EXPECT_TRUE(batch->schema()->Equals((*reader)->schema()));
      EXPECT_TRUE(batch->ValidateFull().ok());
      text += Text(*batch);
    }
  }
  std::string Rows(const ScanOptions& options = {}) { return Rows(**db_->GetSnapshot(), options); }
  std::string RowsAt(std::uint64_t commit) {
    return Rows(**db_->GetSnapshot(CommitNumber{commit}));
  }
  std::string Get(const std::vector<std::string>& ids) {
    auto rows = db_->Get("t", Batch({IdValues(ids)}));
    EXPECT_TRUE(rows) << rows.error().message();
    return rows ? Text(**rows) : "";
  }
  // Now, after reopening, and after a flush.
  void Always(const std::function<void()>& check) {
    check();
    Open();
    check();
    ASSERT_TRUE(db_->Flush());
    check();
    Open();
    check();
    ASSERT_TRUE(db_->Close());
    db_.reset();
    const auto verified = VerifyDatabase("/db", {.deep = true}, World());
    ASSERT_TRUE(verified) << verified.error().message();
    ASSERT_TRUE(verified->damages.empty()) << verified->damages[0].message;
    Open();
  }
  static std::shared_ptr<arrow::Field> Int(const std::string& name) {
    return arrow::field(name, arrow::int32());
  }

  SimulatedDisk disk_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

// The clock goes on by one with each question, and planning ends with the second.
TEST_F(AlterTest, AProfileOfThePastIsByTheSameClock) {
  Create({Int("a")});
  Put({IdValues({"1"}), Ints("a", {"10"})});
  Alter({DropColumn{"a"}});
  for (const std::uint64_t commit : {1, 2}) {
    const ScanOptions options{.profile = std::make_shared<ScanProfile>()};
    ASSERT_TRUE((*db_->GetSnapshot(CommitNumber{commit}))->Scan("t", options));
    EXPECT_EQ(options.profile->plan_micros, 1) << commit;
  }
}

TEST_F(AlterTest, NoFileIsRewritten) {
  Create({Int("a"), Int("b")});
  Put({IdValues({"1", "2"}), Ints("a", {"10", "20"}), Ints("b", {"1", "2"})});
  ASSERT_TRUE(db_->Flush());
  const auto files = [&] {
    std::map<std::string, std::uint64_t> bytes;
    const auto listed = disk_.List("/db/data/t");
    for (const FileInfo& file : *listed) bytes[file.name] = file.size;
    return bytes;
  };
  const auto before = files();
  ASSERT_EQ(before.size(), 1u);
  Alter({AddColumn{Int("c"), arrow::MakeScalar(7)}, DropColumn{"b"}, RenameColumn{"a", "d"},
         WidenColumn{arrow::field("d", arrow::int64())}});
  EXPECT_EQ(Rows(), "id=1 d=10 c=7\nid=2 d=20 c=7\n");
  EXPECT_EQ(files(), before);
}

TEST_F(AlterTest, AnAddedColumnShowsItsDefaultForRowsBeforeIt) {
  Create({Int("a")});
  Put({IdValues({"1", "2"}), Ints("a", {"10", "20"})});
  EXPECT_EQ(Alter({AddColumn{arrow::field("n", arrow::int32(), false), arrow::MakeScalar(7)},
                   AddColumn{arrow::field("s", arrow::utf8())}}),
            2u);
  Put({IdValues({"2", "3"}), Ints("a", {"21", "31"}), Ints("n", {"8", "9"}),
       {"s", arrow::utf8(), {"x", "-"}}});
  Always([&] {
    EXPECT_EQ(RowsAt(1), "id=1 a=10\nid=2 a=20\n");
    EXPECT_EQ(RowsAt(2), "id=1 a=10 n=7 s=-\nid=2 a=20 n=7 s=-\n");
    EXPECT_EQ(Rows(), "id=1 a=10 n=7 s=-\nid=2 a=21 n=8 s=x\nid=3 a=31 n=9 s=-\n");
    EXPECT_EQ(Get({"1", "3"}), "id=1 a=10 n=7 s=-\nid=3 a=31 n=9 s=-\n");
    EXPECT_EQ(Rows({.columns = {{"n"}}}), "n=7\nn=8\nn=9\n") << "nothing of the old file is asked";
    EXPECT_EQ(Rows({.columns = {{"s", "id"}}, .reverse = true}),
              "s=- id=3\ns=x id=2\ns=- id=1\n");
  });
}

TEST_F(AlterTest, ChangesShowFormerRowsWithTheColumnsOfNow) {
  Create({Int("a"), Int("b")});
  Put({IdValues({"1", "2"}), Ints("a", {"10", "20"}), Ints("b", {"11", "21"})});
  Alter({DropColumn{"b"}, AddColumn{arrow::field("n", arrow::int32()), arrow::MakeScalar(7)}});
  Put({IdValues({"2", "3"}), Ints("a", {"22", "30"}), Ints("n", {"8", "9"})});
  const auto changes = [&](std::uint64_t from, const AsOf& to, const ChangesOptions& options) {
    auto reader = db_->Changes("t", CommitNumber{from}, to, options);
    EXPECT_TRUE(reader) << reader.error().message();
    const auto all = reader ? *(*reader)->ToTable() : nullptr;
    return all == nullptr ? std::string() : Text(**all->CombineChunksToBatch());
  };
  Always([&] {
    EXPECT_EQ(changes(0, {}, {.before_images = true}),
              "_commit=1 _kind=insert id=1 a=10 n=7 _before_a=- _before_n=-\n"
              "_commit=1 _kind=insert id=2 a=20 n=7 _before_a=- _before_n=-\n"
              "_commit=3 _kind=update id=2 a=22 n=8 _before_a=20 _before_n=7\n"
              "_commit=3 _kind=insert id=3 a=30 n=9 _before_a=- _before_n=-\n");
    EXPECT_EQ(changes(1, {}, {.columns = {{"n"}}, .before_images = true}),
              "_commit=3 _kind=update n=8 _before_n=7\n_commit=3 _kind=insert n=9 _before_n=-\n");
    EXPECT_EQ(changes(0, CommitNumber{1}, {}),
              "_commit=1 _kind=upsert id=1 a=10 b=11\n_commit=1 _kind=upsert id=2 a=20 b=21\n");
  });
}

TEST_F(AlterTest, ADroppedColumnIsGoneAndOneOfItsNameIsAnother) {
  Create({Int("a"), Int("b")});
  Put({IdValues({"1"}), Ints("a", {"10"}), Ints("b", {"11"})});
  EXPECT_EQ(Alter({DropColumn{"a"}}), 2u);
  Put({IdValues({"2"}), Ints("b", {"21"})});
  EXPECT_EQ(Alter({AddColumn{Int("a")}}), 4u);
  Put({IdValues({"3"}), Ints("b", {"31"}), Ints("a", {"30"})});
  Always([&] {
    EXPECT_EQ(RowsAt(1), "id=1 a=10 b=11\n");
    EXPECT_EQ(RowsAt(3), "id=1 b=11\nid=2 b=21\n");
    EXPECT_EQ(RowsAt(4), "id=1 b=11 a=-\nid=2 b=21 a=-\n") << "its old values do not come back";
    EXPECT_EQ(Rows(), "id=1 b=11 a=-\nid=2 b=21 a=-\nid=3 b=31 a=30\n");
    EXPECT_EQ(Get({"1"}), "id=1 b=11 a=-\n");
  });
}

// Names are exchanged, and the key's as well: only ids tell which is which.
TEST_F(AlterTest, RenamedColumnsKeepTheirValues) {
  Create({Int("a"), Int("b")});
  Put({IdValues({"1"}), Ints("a", {"10"}), Ints("b", {"11"})});
  Alter({RenameColumn{"a", "x"}, RenameColumn{"b", "a"}, RenameColumn{"x", "b"},
         RenameColumn{"id", "key"}});
  const auto put = db_->Upsert(
      "t", Batch({{"key", arrow::int64(), {"2"}, false}, Ints("b", {"20"}), Ints("a", {"21"})}));
  ASSERT_TRUE(put) << put.error().message();
  Always([&] {
    EXPECT_EQ(RowsAt(1), "id=1 a=10 b=11\n");
    EXPECT_EQ(Rows(), "key=1 b=10 a=11\nkey=2 b=20 a=21\n");
    EXPECT_EQ(Rows(Where("a = 11")), "key=1 b=10 a=11\n");
    EXPECT_EQ(Rows(Where("key = 1")), "key=1 b=10 a=11\n");
    const auto rows = db_->Get("t", Batch({{"key", arrow::int64(), {"1", "2"}, false}}));
    ASSERT_TRUE(rows) << rows.error().message();
    EXPECT_EQ(Text(**rows), "key=1 b=10 a=11\nkey=2 b=20 a=21\n");
  });
}

TEST_F(AlterTest, WidenedColumnsKeepTheirValues) {
  using namespace arrow;
  Create({field("i", int8()), field("u", uint8()), field("f", float32()), field("s", utf8()),
          field("d", date32()), field("m", decimal128(5, 2)), field("r", int16(), false)});
  Put({IdValues({"1", "2"}), Ints("i", {"-128", "-"}, int8()), Ints("u", {"255", "-"}, uint8()),
       {"f", float32(), {"0.5", "-"}}, {"s", utf8(), {"text", "-"}},
       {"d", date32(), {"1969-12-31", "-"}}, {"m", decimal128(5, 2), {"-999.99", "-"}},
       {"r", int16(), {"5", "6"}, false}});
  Alter({WidenColumn{field("i", int64())}, WidenColumn{field("u", int32())},
         WidenColumn{field("f", float64())}, WidenColumn{field("s", large_utf8())},
         WidenColumn{field("d", timestamp(TimeUnit::MILLI))},
         WidenColumn{field("m", decimal256(50, 2))}, WidenColumn{field("r", int32())}});
  Put({IdValues({"3"}), Ints("i", {"9000000000"}, int64()), Ints("u", {"-1"}, int32()),
       {"f", float64(), {"0.1"}}, {"s", large_utf8(), {"more"}},
       {"d", timestamp(TimeUnit::MILLI), {"1970-01-01 00:00:00.001"}},
       {"m", decimal256(50, 2), {"100000.00"}}, {"r", int32(), {"-"}}});
  Always([&] {
    EXPECT_EQ(Rows(), "id=1 i=-128 u=255 f=0.5 s=text d=1969-12-31 00:00:00.000 "
                      "m=-999.99 r=5\n"
                      "id=2 i=- u=- f=- s=- d=- m=- r=6\n"
                      "id=3 i=9000000000 u=-1 f=0.1 s=more d=1970-01-01 00:00:00.001 m=100000.00 "
                      "r=-\n");
    EXPECT_EQ(Get({"1"}).substr(0, 12), "id=1 i=-128 ");
    EXPECT_EQ(Rows(Where("i < 0 and u = 255")).substr(0, 5), "id=1 ");
    EXPECT_EQ(Rows(Where("r is null")).substr(0, 5), "id=3 ");
  });
}

TEST_F(AlterTest, AllChangesOfOneCallAreOneCommit) {
  Create({Int("a"), Int("b")});
  Put({IdValues({"1"}), Ints("a", {"10"}), Ints("b", {"11"})});
  EXPECT_EQ(Alter({DropColumn{"a"}, RenameColumn{"b", "a"},
                   WidenColumn{arrow::field("a", arrow::int64())},
                   AddColumn{Int("b"), arrow::MakeScalar(1)}}),
            2u);
  Always([&] {
    EXPECT_EQ(RowsAt(1), "id=1 a=10 b=11\n");
    EXPECT_EQ(RowsAt(2), "id=1 a=11 b=1\n");
  });
}

TEST_F(AlterTest, ManyChangesEachWithRowsOfItsTime) {
  Create({Int("c0")});
  std::vector<std::string> shown;
  for (int i = 0; i < 8; ++i) {
    const std::string id = std::to_string(i), name = "c" + id;
    Put({IdValues({id}), Ints(name, {id})});
    ASSERT_TRUE(i % 3 != 1 || db_->Flush());
    const std::string next = "c" + std::to_string(i + 1);
    if (i % 2 == 0) {
      Alter({RenameColumn{name, next}});
    } else {
      Alter({DropColumn{name}, AddColumn{Int(next), arrow::MakeScalar(100 + i)}});
    }
    shown.push_back(Rows());
  }
  EXPECT_EQ(shown[0], "id=0 c1=0\n");
  EXPECT_EQ(shown[1], "id=0 c2=101\nid=1 c2=101\n");
  EXPECT_EQ(shown[2], "id=0 c3=101\nid=1 c3=101\nid=2 c3=2\n");
  Always([&] {
    for (int i = 0; i < 8; ++i) {
      EXPECT_EQ(RowsAt(2 * static_cast<std::uint64_t>(i) + 2), shown[static_cast<std::size_t>(i)]);
    }
  });
}

// --- filters and what they let a scan leave out ---

std::uint64_t GroupsRead(const Snapshot& snapshot, const ScanOptions& options) {
  std::uint64_t groups = 0;
  const auto plan = snapshot.Explain("t", options);
  EXPECT_TRUE(plan) << plan.error().message();
  for (const auto& source : plan->sources) groups += source.row_groups_read;
  return groups;
}

TEST_F(AlterTest, FiltersPruneByTheColumnNotByItsPlaceOrName) {
  Create({Int("a"), Int("b")});
  Put({IdValues({"1", "2"}), Ints("a", {"10", "20"}), Ints("b", {"1000", "2000"})});
  Alter({DropColumn{"a"}, RenameColumn{"b", "a"}, AddColumn{Int("b"), arrow::MakeScalar(5)},
         AddColumn{Int("n")}});
  Always([&] {
    const auto snapshot = *db_->GetSnapshot();
    const auto expect = [&](const std::string& filter, const std::string& rows, bool read) {
      const auto options = Where(filter);
      EXPECT_EQ(Rows(*snapshot, options), rows) << filter;
      EXPECT_EQ(GroupsRead(*snapshot, options), read ? 1u : 0u) << filter;
    };
    const std::string both = "id=1 a=1000 b=5 n=-\nid=2 a=2000 b=5 n=-\n";
    expect("a >= 1000", both, true);
    expect("a < 1000", "", false);
    expect("b = 5", both, true);
    expect("b > 1000", "", false);
    expect("n is null", both, true);
    expect("n = 1", "", false);
  });
}

TEST_F(AlterTest, FiltersPruneWidenedColumnsByTheirValues) {
  Create({arrow::field("i", arrow::int8()), arrow::field("u", arrow::uint8())});
  Put({IdValues({"1"}), Ints("i", {"-5"}, arrow::int8()), Ints("u", {"200"}, arrow::uint8())});
  Alter({WidenColumn{arrow::field("i", arrow::int64())},
         WidenColumn{arrow::field("u", arrow::int16())}});
  Always([&] {
    const auto snapshot = *db_->GetSnapshot();
    EXPECT_EQ(Rows(*snapshot, Where("i = -5 and u = 200")), "id=1 i=-5 u=200\n");
    EXPECT_EQ(GroupsRead(*snapshot, Where("i > 1000000")), 0u);
    EXPECT_EQ(GroupsRead(*snapshot, Where("u < 0")), 0u);
  });
}

TEST_F(AlterTest, ChangesAreShownWithTheColumnsOfTheirSnapshot) {
  Create({Int("a"), Int("b")});
  Put({IdValues({"1"}), Ints("a", {"10"}), Ints("b", {"11"})});
  Alter({DropColumn{"a"}, RenameColumn{"b", "a"}, AddColumn{Int("n"), arrow::MakeScalar(7)}});
  Put({IdValues({"1"}), Ints("a", {"12"}), Ints("n", {"8"})});
  Always([&] {
    const auto changes = [&](std::uint64_t as_of) {
      auto reader = (*db_->GetSnapshot(CommitNumber{as_of}))->Changes("t", CommitNumber{0});
      EXPECT_TRUE(reader) << reader.error().message();
      return Text(*(*(*reader)->ToTable())->CombineChunksToBatch().ValueOrDie());
    };
    EXPECT_EQ(changes(1), "_commit=1 _kind=upsert id=1 a=10 b=11\n");
    EXPECT_EQ(changes(3), "_commit=1 _kind=upsert id=1 a=11 n=7\n"
                          "_commit=3 _kind=upsert id=1 a=12 n=8\n");
  });
}

// --- those who read and write meanwhile ---

TEST_F(AlterTest, SnapshotsAndReadersGoOnWithTheColumnsOfTheirTime) {
  Create({Int("a")});
  Put({IdValues({"1"}), Ints("a", {"10"})});
  ASSERT_TRUE(db_->Flush());
  Put({IdValues({"2"}), Ints("a", {"20"})});
  const auto before = *db_->GetSnapshot();
  auto reader = *before->Scan("t", {.batch_rows_max = 1});
  Alter({DropColumn{"a"}, AddColumn{arrow::field("a", arrow::utf8()), arrow::MakeScalar("x")}});
  Put({IdValues({"1"}), {"a", arrow::utf8(), {"new"}}});
  const auto after = *db_->GetSnapshot();
  Alter({RenameColumn{"a", "z"}});
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Rows(*before), "id=1 a=10\nid=2 a=20\n");
  EXPECT_EQ(Rows(*after), "id=1 a=new\nid=2 a=x\n");
  EXPECT_EQ(Rows(), "id=1 z=new\nid=2 z=x\n");
  EXPECT_EQ(Text(*(*reader->ToTable())->CombineChunksToBatch().ValueOrDie()),
            "id=1 a=10\nid=2 a=20\n");
}

TEST_F(AlterTest, ATransactionWhoseTableGotOtherColumnsIsRefused) {
  Create({Int("a")});
  Put({IdValues({"1"}), Ints("a", {"10"})});
  const auto writes = *db_->Begin();
  ASSERT_TRUE(writes->Upsert("t", Batch({IdValues({"2"}), Ints("a", {"20"})})));
  const auto reads = *db_->Begin({.isolation = Isolation::kSerializable});
  ASSERT_TRUE(reads->Get("t", Batch({IdValues({"1"})})));
  const auto deletes = *db_->Begin();
  ASSERT_TRUE(deletes->Delete("t", Batch({IdValues({"1"})})));
  ASSERT_TRUE(db_->CreateTable("u", arrow::schema({arrow::field("id", arrow::int64(), false)}),
                               {"id"}));
  Alter({AddColumn{Int("n")}});
  for (auto* in : {writes.get(), deletes.get()}) {
    const auto refused = in->Commit();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind(), ErrorKind::kConflict);
    EXPECT_NE(refused.error().message().find("table 't' got other columns by commit 2"),
              std::string::npos)
        << refused.error().message();
  }
  EXPECT_TRUE(reads->Commit()) << "it wrote nothing";
  EXPECT_EQ(Rows(), "id=1 a=10 n=-\n");
}

TEST_F(AlterTest, WritesThatLookFirstSeeTheColumnsThatThereAre) {
  Create({Int("a"), Int("b")});
  Put({IdValues({"1", "2"}), Ints("a", {"10", "20"}), Ints("b", {"11", "21"})});
  Alter({DropColumn{"a"}, AddColumn{Int("n"), arrow::MakeScalar(7)}});
  ASSERT_TRUE(db_->Write("t", {.mode = WriteMode::kUpdate,
                               .rows = Batch({IdValues({"1"}), Ints("b", {"12"})})}));
  EXPECT_EQ(Rows(), "id=1 b=12 n=7\nid=2 b=21 n=7\n") << "an update takes the default along";
  const auto gone = db_->Write("t", {.mode = WriteMode::kUpdate,
                                     .rows = Batch({IdValues({"1"}), Ints("a", {"1"})})});
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().message().find("'a'"), std::string::npos);
  const auto where = Where("n = 7 and b = 21");
  const auto erased =
      db_->Write("t", {.mode = WriteMode::kDeleteWhere, .filter = where.filter});
  ASSERT_TRUE(erased) << erased.error().message();
  EXPECT_EQ(erased->rows, 1u);
  Always([&] { EXPECT_EQ(Rows(), "id=1 b=12 n=7\n"); });
}

TEST_F(AlterTest, ABatchWithFormerColumnsIsRefusedByName) {
  Create({Int("a")});
  Alter({RenameColumn{"a", "b"}});
  const auto refused = db_->Upsert("t", Batch({IdValues({"1"}), Ints("a", {"1"})}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kInvalid);
  EXPECT_NE(refused.error().message().find("column 'b' (int32) is missing"), std::string::npos)
      << refused.error().message();
}

TEST_F(AlterTest, WhatIsNotAllowedIsRefusedAndNothingIsCommitted) {
  Create({Int("a")});
  const auto refused = [&](const ColumnChange& change, const std::string& why) {
    const auto commit = db_->AlterTable("t", {change});
    ASSERT_FALSE(commit) << why;
    EXPECT_NE(commit.error().message().find(why), std::string::npos) << commit.error().message();
    EXPECT_EQ(commit.error().message().find("table 't'"), 0u) << commit.error().message();
  };
  refused(DropColumn{"id"}, "a key column cannot be dropped");
  refused(WidenColumn{arrow::field("a", arrow::int8())}, "int32 cannot become int8");
  refused(AddColumn{arrow::field("n", arrow::int8(), false)}, "needs a value");
  refused(DropColumn{"zz"}, "the table has id, a");
  EXPECT_EQ(db_->AlterTable("w", {DropColumn{"a"}}).error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(db_->Stats().commit.value, 0u);
}

// Plain writers prepare rows while the columns change under them. Each row that was kept has the
// value that its writer gave, in the column that the writer knew by its name then.
TEST_F(AlterTest, WritersBesideChangesKeepTheirValuesOrAreRefused) {
  Create({Int("a"), Int("b")});
  constexpr int kWriters = 3;
  std::atomic<bool> stop = false;
  std::atomic<std::int64_t> kept = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (std::int64_t i = 0; !stop; ++i) {
        const auto id = std::to_string(i * kWriters + writer);
        // The columns are called a and b, or b and a: the batch fits either way, and its values say
        // under which name they were given.
        const auto info =
            db_->Upsert("t", Batch({IdValues({id}), Ints("a", {"1"}), Ints("b", {"2"})}));
        ASSERT_TRUE(info) << info.error().message();
        ++kept;
      }
    });
  }
  std::vector<std::uint64_t> changes;
  for (int round = 0; round < 30; ++round) {
    const auto target = kept + 6;
    while (kept < target) std::this_thread::yield();
    changes.push_back(Alter({RenameColumn{"a", "x"}, RenameColumn{"b", "a"},
                             RenameColumn{"x", "b"}}));
  }
  stop = true;
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(db_->Stats().commit.value, static_cast<std::uint64_t>(kept) + changes.size());
  // As of the commit before each change, every row since the change before has a=1 and b=2.
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto snapshot = *db_->GetSnapshot(CommitNumber{changes[i] - 1});
    auto reader = *snapshot->Scan("t", {.columns = {{"a", "b"}}});
    std::int64_t straight = 0, exchanged = 0;
    std::shared_ptr<arrow::RecordBatch> batch;
    while (reader->ReadNext(&batch).ok() && batch != nullptr) {
      const auto& a = static_cast<const arrow::Int32Array&>(*batch->column(0));
      const auto& b = static_cast<const arrow::Int32Array&>(*batch->column(1));
      for (std::int64_t row = 0; row < batch->num_rows(); ++row) {
        ASSERT_EQ(a.Value(row) + b.Value(row), 3);
        ++(a.Value(row) == 1 ? straight : exchanged);
      }
    }
    // Rows of every second period read exchanged.
    std::int64_t expected = 0, other = 0;
    for (std::size_t j = 0; j <= i; ++j) {
      const std::uint64_t from = j == 0 ? 0 : changes[j - 1];
      ((i - j) % 2 == 0 ? expected : other) += static_cast<std::int64_t>(changes[j] - 1 - from);
    }
    ASSERT_EQ(straight, expected) << "as of commit " << changes[i] - 1;
    ASSERT_EQ(exchanged, other);
  }
}

}  // namespace
}  // namespace varve
