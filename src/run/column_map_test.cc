// SPDX-License-Identifier: Apache-2.0
// A run shown under later schemas of its table, beside the same run under its own.
#include "run/column_map.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "columns/alter_schema.h"
#include "run/run_test_world.h"

namespace varve::testing {
namespace {

using SchemaPtr = std::shared_ptr<const TableSchema>;

class ColumnMapTest : public ::testing::Test {
 protected:
  ColumnMapTest() : random_(TestSeed()), memtable_(ModelSchema()) {
    for (std::uint64_t commit = 1; commit <= 40; ++commit) {
      model_.RandomCommit(&random_, commit, 12, 200, Into(&memtable_));
    }
    world_.cache = std::make_shared<ReadCache>(1 << 20);
    own_ = world_.Flush(memtable_, 32);
  }

  // The model's columns are stamp, id, text, name. Here: id, name, number (new), stamp under the
  // name text, empty (new).
  static SchemaPtr Later() {
    static const SchemaPtr kLater = [] {
      const auto made = AlterSchema(
          *ModelSchema(), {DropColumn{"text"}, RenameColumn{"stamp", "text"},
                           AddColumn{arrow::field("number", arrow::int16(), false),
                                     arrow::MakeScalar(7)},
                           AddColumn{arrow::field("empty", arrow::list(arrow::utf8()))}});
      VARVE_CHECK(made.has_value());
      return *made;
    }();
    return kLater;
  }

  // What a row of the later schema must show, for a row of the run's own with all columns.
  static void ExpectShown(const arrow::RecordBatch& shown, std::int64_t row,
                          const std::vector<int>& columns, const arrow::RecordBatch& own,
                          std::int64_t own_row) {
    ASSERT_EQ(shown.num_columns(), static_cast<int>(columns.size()));
    for (int i = 0; i < shown.num_columns(); ++i) {
      const int column = columns[static_cast<std::size_t>(i)];
      const auto& field = Later()->schema()->field(column);
      ASSERT_TRUE(shown.schema()->field(i)->Equals(field));
      const auto value = *shown.column(i)->GetScalar(row);
      if (field->name() == "number") {
        ASSERT_TRUE(value->Equals(arrow::Int16Scalar(7)));
      } else if (field->name() == "empty") {
        ASSERT_FALSE(value->is_valid);
      } else {
        const auto was = field->name() == "text" ? "stamp" : field->name();
        ASSERT_TRUE(value->Equals(**own.GetColumnByName(was)->GetScalar(own_row))) << was;
      }
    }
  }

  std::vector<int> Columns() {
    std::vector<int> columns;
    for (int column = 0; column < Later()->schema()->num_fields(); ++column) {
      if (random_.Below(2) == 0) columns.push_back(column);
    }
    if (random_.Below(2) == 0) std::ranges::reverse(columns);
    return columns;
  }

  std::shared_ptr<const OpenRun> UnderLater() {
    auto open = varve::Run::Under(own_->run(), Later())->Open();
    EXPECT_TRUE(open) << open.error().message();
    return std::make_shared<const OpenRun>(*std::move(open));
  }

  SeededRandom random_;
  RunWorld world_;
  VersionModel model_;
  Memtable memtable_;
  std::shared_ptr<const OpenRun> own_;
};

TEST_F(ColumnMapTest, UnderItsOwnSchemaARunIsItself) {
  const auto& own = own_->run();
  EXPECT_EQ(varve::Run::Under(own, ModelSchema()), own);
  const auto later = varve::Run::Under(own, Later());
  EXPECT_NE(later, own);
  EXPECT_EQ(varve::Run::Under(later, Later()), later);
}

TEST_F(ColumnMapTest, CursorsShowTheSameVersions) {
  SCOPED_TRACE(SeedTrace(TestSeed()));
  const auto later = UnderLater();
  for (int round = 0; round < 40; ++round) {
    const auto columns = Columns();
    const auto bounds = model_.RandomBounds(&random_);
    const auto shown = later->NewCursor(columns, bounds);
    const auto own = own_->NewCursor({0, 1, 2, 3}, bounds);
    ASSERT_TRUE(shown->Next() && own->Next());
    while (own->valid()) {
      ASSERT_TRUE(shown->valid());
      ASSERT_EQ(shown->key(), own->key());
      ASSERT_EQ(shown->commit(), own->commit());
      ASSERT_EQ(shown->kind(), own->kind());
      const auto plain = own->PlainRows(std::nullopt, UINT64_MAX);
      ASSERT_EQ(shown->PlainRows(std::nullopt, UINT64_MAX), plain);
      if (own->kind() == RowKind::kUpsert) {
        for (std::int64_t i = 0; i < std::max<std::int64_t>(plain, 1); ++i) {
          ASSERT_NO_FATAL_FAILURE(ExpectShown(*shown->batch(), shown->row() + i, columns,
                                              *own->batch(), own->row() + i));
        }
      } else {
        ASSERT_EQ(shown->batch(), nullptr);
      }
      if (plain > 0) {
        ASSERT_TRUE(shown->Skip(plain) && own->Skip(plain));
      } else if (random_.Below(4) == 0) {
        const auto key = model_.RandomKey(&random_);
        ASSERT_TRUE(shown->Seek(key) && own->Seek(key));
      } else {
        ASSERT_TRUE(shown->Next() && own->Next());
      }
    }
    ASSERT_FALSE(shown->valid());
  }
}

TEST_F(ColumnMapTest, CursorsOfAWindowShowTheSameVersions) {
  SCOPED_TRACE(SeedTrace(TestSeed()));
  const auto later = UnderLater();
  for (int round = 0; round < 40; ++round) {
    const auto columns = Columns();
    const auto bounds = model_.RandomBounds(&random_);
    const std::uint64_t after = random_.Below(40);
    const CommitWindow window{.after = after, .through = after + random_.Below(10)};
    const auto shown = later->NewCursor(columns, bounds, window);
    const auto own = own_->NewCursor({0, 1, 2, 3}, bounds, window);
    ASSERT_TRUE(shown->Next() && own->Next());
    while (own->valid()) {
      ASSERT_TRUE(shown->valid());
      ASSERT_EQ(shown->key(), own->key());
      ASSERT_EQ(shown->commit(), own->commit());
      ASSERT_EQ(shown->kind(), own->kind());
      if (own->kind() == RowKind::kUpsert) {
        ASSERT_NO_FATAL_FAILURE(
            ExpectShown(*shown->batch(), shown->row(), columns, *own->batch(), own->row()));
      }
      ASSERT_TRUE(shown->Next() && own->Next());
    }
    ASSERT_FALSE(shown->valid());
  }
}

TEST_F(ColumnMapTest, LookupsFindTheSameRows) {
  SCOPED_TRACE(SeedTrace(TestSeed()));
  const auto later = UnderLater();
  for (int round = 0; round < 40; ++round) {
    std::set<std::string> keys;
    for (int i = 0; i < 10; ++i) keys.insert(model_.RandomKey(&random_));
    const std::vector<std::string_view> asked(keys.begin(), keys.end());
    const std::uint64_t as_of = random_.Below(45);
    const auto columns = Columns();
    const auto shown = later->Get(asked, as_of, columns);
    const auto own = own_->Get(asked, as_of, {0, 1, 2, 3});
    ASSERT_TRUE(shown && own);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      ASSERT_EQ((*shown)[i].has_value(), (*own)[i].has_value());
      if (!(*own)[i]) continue;
      ASSERT_EQ((*shown)[i]->commit, (*own)[i]->commit);
      ASSERT_EQ((*shown)[i]->kind, (*own)[i]->kind);
      if ((*own)[i]->kind == RowKind::kDelete) continue;
      ASSERT_NO_FATAL_FAILURE(ExpectShown(*(*shown)[i]->batch, (*shown)[i]->row, columns,
                                          *(*own)[i]->batch, (*own)[i]->row));
    }
  }
}

TEST_F(ColumnMapTest, StatisticsAreThoseOfTheColumn) {
  const auto later = UnderLater();
  const auto place = [](const char* name) { return Later()->schema()->GetFieldIndex(name); };
  for (int group = 0; group < static_cast<int>(own_->row_group_keys().size()); ++group) {
    const auto stamps = own_->ValuesOf(group, 0);
    const auto shown = later->ValuesOf(group, place("text"));
    ASSERT_TRUE(stamps && shown);
    EXPECT_TRUE(shown->min->Equals(*stamps->min) && shown->max->Equals(*stamps->max));
    const auto number = later->ValuesOf(group, place("number"));
    ASSERT_TRUE(number);
    EXPECT_TRUE(number->min->Equals(arrow::Int16Scalar(7)) && number->max->Equals(*number->min));
    EXPECT_FALSE(number->has_nulls);
    const auto empty = later->ValuesOf(group, place("empty"));
    ASSERT_TRUE(empty);
    EXPECT_EQ(empty->min, nullptr);
  }
}

TEST_F(ColumnMapTest, NothingIsReadForColumnsThatTheRunLacks) {
  const auto later = UnderLater();
  const int number = Later()->schema()->GetFieldIndex("number");
  EXPECT_EQ(later->Explain({number}, {}).bytes_read, own_->Explain({}, {}).bytes_read);
  EXPECT_LT(later->Explain({number}, {}).bytes_read, own_->Explain({0, 2}, {}).bytes_read);
}

}  // namespace
}  // namespace varve::testing
