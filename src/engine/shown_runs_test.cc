// SPDX-License-Identifier: Apache-2.0
#include "engine/shown_runs.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "columns/alter_schema.h"
#include "columns/write_batch.h"
#include "files/files.h"
#include "files/object_store.h"
#include "files/simulated_disk.h"
#include "memtable/memtable.h"
#include "run/open_run.h"
#include "test/support/rows.h"
#include "upkeep/flush.h"

namespace varve {
namespace {

using SchemaPtr = std::shared_ptr<const TableSchema>;

class ShownRunsTest : public ::testing::Test {
 protected:
  ShownRunsTest() : schema_(*TableSchema::Make(testing::RowsSchema(), {"id"})) {
    Memtable memtable(schema_);
    memtable.Insert(*PrepareUpsert(*schema_, testing::RowsBatch({{1, "a"}, {2, "b"}})), 1);
    std::uint64_t id = 7;
    const auto written = FlushMemtable(store_.get(), memtable, "t", 1, 1, &id);
    EXPECT_TRUE(written) << written.error().message();
    runs_.Add(varve::Run::Make(store_.get(), schema_, written->front()));
  }
  static SchemaPtr With(const TableSchema& schema, const std::string& column) {
    return *AlterSchema(schema, {AddColumn{arrow::field(column, arrow::int64())}});
  }
  // The columns that a reader of all of them meets.
  static int Width(const varve::Run& run, const TableSchema& schema) {
    std::vector<int> columns(static_cast<std::size_t>(schema.schema()->num_fields()));
    for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<int>(i);
    const auto cursor = run.Open()->NewCursor(columns, KeyBounds{});
    EXPECT_TRUE(cursor->Next());
    return cursor->valid() ? cursor->batch()->num_columns() : 0;
  }

  const std::unique_ptr<Files> files_ = NewMemoryFiles();
  SeededRandom random_{1};
  const std::unique_ptr<ObjectStore> store_ = NewFolderStore(files_.get(), "db", &random_);
  const SchemaPtr schema_;
  ShownRuns runs_;
};

TEST_F(ShownRunsTest, ARunIsShownUnderNewColumnsOnceAndKept) {
  EXPECT_TRUE(runs_.Has(7));
  EXPECT_FALSE(runs_.Has(8));
  const auto own = runs_.Shown(7, schema_);
  EXPECT_EQ(runs_.Shown(7, schema_), own);
  const auto wider = With(*schema_, "w");
  const auto shown = runs_.Shown(7, wider);
  EXPECT_NE(shown, own);
  EXPECT_EQ(Width(*shown, *wider), 3);
  EXPECT_EQ(runs_.Shown(7, wider), shown) << "looked up again for the next view";
  EXPECT_EQ(Width(*own, *schema_), 2) << "older views keep what they have";
}

// What is kept was shown under columns that are former ones by now.
TEST_F(ShownRunsTest, EachChangeOfColumnsIsShownFromTheRunsOwn) {
  const auto wider = With(*schema_, "w");
  const auto widest = With(*wider, "x");
  runs_.Shown(7, wider);
  EXPECT_EQ(Width(*runs_.Shown(7, widest), *widest), 4);
  EXPECT_EQ(runs_.Shown(7, widest), runs_.Shown(7, widest));
}

}  // namespace
}  // namespace varve
