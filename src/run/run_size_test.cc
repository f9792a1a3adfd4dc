// SPDX-License-Identifier: Apache-2.0
// Large values: how much of them a row group holds, and how much a lookup keeps.
#include <arrow/api.h>
#include <arrow/util/thread_pool.h>
#include <gtest/gtest.h>

#include "columns/array_cast.h"
#include "columns/gather.h"
#include "run/run_test_world.h"

namespace varve {
namespace {

// A table of k int32 (the key), text; all rows of one commit.
class BigTable {
 public:
  explicit BigTable(const std::shared_ptr<arrow::DataType>& type)
      : schema_(*TableSchema::Make(
            arrow::schema({arrow::field("k", arrow::int32()), arrow::field("text", type)}),
            {"k"})) {}

  // Row i has a text of sizes[i] bytes, and key first + i * step.
  void Insert(const std::vector<std::size_t>& sizes, int first = 0, int step = 1) {
    arrow::Int32Builder keys;
    arrow::StringBuilder texts;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      std::string text = std::to_string(i);
      text.resize(sizes[i], static_cast<char>('a' + i % 26));
      const int key = first + static_cast<int>(i) * step;
      EXPECT_TRUE(keys.Append(key).ok() && texts.Append(text).ok());
    }
    const auto text = *CastArray((*texts.Finish())->data(), schema_->schema()->field(1)->type());
    auto batch = PrepareUpsert(
        *schema_, arrow::RecordBatch::Make(schema_->schema(), std::ssize(sizes),
                                           {*keys.Finish(), arrow::MakeArray(text)}));
    ASSERT_TRUE(batch) << batch.error().message();
    for (std::int64_t i = 0; i < batch->keys.size(); ++i) keys_.emplace_back(batch->keys[i]);
    memtable_.Insert(*std::move(batch), 1);
  }
  const Memtable& memtable() const { return memtable_; }
  const std::vector<std::string>& keys() const { return keys_; }

 private:
  const std::shared_ptr<const TableSchema> schema_;
  Memtable memtable_{schema_};
  std::vector<std::string> keys_;
};

TEST(RunSize, ALookupKeepsOnlyTheRowsFound) {
  constexpr std::size_t kRows = 2000, kBytes = 2000;
  for (const auto& type : {arrow::utf8(), arrow::utf8_view(),
                           arrow::dictionary(arrow::int32(), arrow::utf8())}) {
    SCOPED_TRACE(type->ToString());
    BigTable table(type);
    table.Insert(std::vector<std::size_t>(kRows, kBytes));
    RunWorld world;
    const auto run = world.Flush(table.memtable(), 200);
    std::vector<std::string_view> keys;
    for (std::size_t i = 0; i < kRows; i += 100) keys.push_back(table.keys()[i]);
    const auto* const pool = arrow::default_memory_pool();
    const std::int64_t before = pool->bytes_allocated();
    const auto hits = run->Get(keys, 1, {0, 1});
    ASSERT_TRUE(hits) << hits.error().message();
    for (const auto& hit : *hits) ASSERT_TRUE(hit);
    // Arrow's threads let go of what they decoded a moment after it was handed over.
    arrow::internal::GetCpuThreadPool()->WaitForIdle();
    EXPECT_LE(pool->bytes_allocated() - before, std::ssize(keys) * std::int64_t{kBytes} * 3);
  }
}

// A batch whose last row begins a row group, and one after it that is too large for the group.
TEST(RunSize, TheBatchThatBeginsARowGroupIsKnownInIt) {
  constexpr std::uint64_t kBytesMax = 100'000;
  BigTable table(arrow::utf8());
  table.Insert({10, 10, 10, 10});
  table.Insert({60'000, 60'000, 10}, 4);
  RunWorld world;
  auto meta = world.Write(table.memtable(), 3, kBytesMax);
  ASSERT_TRUE(meta) << meta.error().message();
  const auto run = world.Open(table.memtable(), *meta);
  EXPECT_EQ(run->row_group_keys().size(), 3u) << "3 rows; 1 and a large one; a large one and 1";
  EXPECT_EQ(meta->data.rows, 7u);
}

TEST(RunSize, ARowGroupEndsBeforeItIsTooLarge) {
  constexpr std::uint64_t kBytesMax = 100'000;
  std::vector<std::size_t> sizes(1000, 10);
  for (std::size_t i = 300; i < 330; ++i) sizes[i] = 40'000;
  sizes[400] = 500'000;
  BigTable table(arrow::utf8());
  table.Insert(sizes);
  RunWorld world;
  auto meta = world.Write(table.memtable(), kRowGroupRows, kBytesMax);
  ASSERT_TRUE(meta) << meta.error().message();
  const auto run = world.Open(table.memtable(), *meta);
  const auto cursor = run->NewCursor({0, 1}, {});
  std::int64_t rows = 0;
  ASSERT_TRUE(cursor->Next());
  while (cursor->valid()) {
    const auto group = cursor->batch();
    EXPECT_TRUE(BatchBytes(*group) < kBytesMax + 1000 || group->num_rows() == 1);
    rows += group->num_rows();
    ASSERT_TRUE(cursor->Skip(group->num_rows()));
  }
  EXPECT_EQ(rows, 1000);
  EXPECT_EQ(run->row_group_keys().size(), 17u);
}

// A batch whose rows fit whatever is taken of it, then one that does not: from there on each row
// counts as what it is, those before too.
TEST(RunSize, ARowGroupIsNotTooLargeOnAverageOnly) {
  constexpr std::uint64_t kBytesMax = 100'000;
  BigTable table(arrow::utf8());
  table.Insert({90'000, 10, 10, 10, 10, 10, 10, 10, 10, 10}, 0, 1000);
  std::vector<std::size_t> sizes(999, 10);
  sizes[0] = 50'000;
  table.Insert(sizes, 1);
  RunWorld world;
  auto meta = world.Write(table.memtable(), kRowGroupRows, kBytesMax);
  ASSERT_TRUE(meta) << meta.error().message();
  const auto run = world.Open(table.memtable(), *meta);
  const auto cursor = run->NewCursor({0, 1}, {});
  std::int64_t rows = 0;
  ASSERT_TRUE(cursor->Next());
  while (cursor->valid()) {
    const auto group = cursor->batch();
    EXPECT_TRUE(BatchBytes(*group) < kBytesMax + 1000 || group->num_rows() == 1);
    rows += group->num_rows();
    ASSERT_TRUE(cursor->Skip(group->num_rows()));
  }
  EXPECT_EQ(rows, 1009);
}

}  // namespace
}  // namespace varve
