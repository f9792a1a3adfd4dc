// SPDX-License-Identifier: Apache-2.0
// Scans that do not care for the order of rows.
#include "view/parallel_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/executor.h"
#include "base/random.h"
#include "test/support/seed.h"
#include "view/random_rows.h"
#include "view/view_fixture.h"

namespace varve::testing {
namespace {

using Keys = std::vector<RowKey>;

Keys KeysOf(const arrow::RecordBatch& batch) {
  Keys keys;
  const auto& k = static_cast<const arrow::Int32Array&>(*batch.column(0));
  const auto& name = static_cast<const arrow::StringArray&>(*batch.column(1));
  for (std::int64_t row = 0; row < batch.num_rows(); ++row) {
    keys.emplace_back(k.Value(row), name.GetString(row));
  }
  return keys;
}

class ParallelRowsTest : public ::testing::Test {
 protected:
  // Runs of small row groups, one over the other, and a memtable.
  void Fill(int runs, int rows) {
    for (int run = 0; run < runs; ++run) {
      std::vector<Row> some;
      for (int i = run; i < rows; i += 1 + run % 3) {
        some.push_back({i, "r" + std::to_string(run % 2), {}, {}, i, {}});
      }
      table_.Upsert(some);
      table_.Delete({{run * 7, "r0"}});
      table_.Flush();
    }
    table_.Upsert({{rows + 5, "m", {}, {}, 1, {}}, {1, "r0", {}, {}, 2, {}}});
  }
  Snapshot With(Executor* executor) {
    auto view = std::make_shared<Superversion>(*table_.View());
    view->executor = [executor] { return executor; };
    return Snapshot(view, {table_.commit()});
  }
  static Keys ReadAll(const Snapshot& snapshot, const ScanOptions& options) {
    Keys keys;
    const auto reader = Ok(snapshot.Scan("t", options));
    while (true) {
      const auto batch = reader->Next().ValueOrDie();
      if (batch == nullptr) return keys;
      std::ranges::copy(KeysOf(*batch), std::back_inserter(keys));
    }
  }
  static Keys Sorted(Keys keys) {
    std::ranges::sort(keys);
    return keys;
  }

  RowTable table_;
};

TEST_F(ParallelRowsTest, GivesTheRowsOfTheOrderedScan) {
  Fill(5, 3000);
  ThreadPool threads(2);
  ManualExecutor nobody;
  for (Executor* executor : {static_cast<Executor*>(nullptr), static_cast<Executor*>(&threads),
                             static_cast<Executor*>(&nobody)}) {
    const auto snapshot = With(executor);
    for (const std::int64_t batch_rows : {7, 100, 65536}) {
      ScanOptions options{.batch_rows_max = batch_rows};
      const Keys ordered = ReadAll(snapshot, options);
      options.unordered = true;
      EXPECT_EQ(Sorted(ReadAll(snapshot, options)), ordered);
    }
  }
}

// The scan of one range, in order.
TEST_F(ParallelRowsTest, AScanInOrderChoosesTheNextBatchAhead) {
  Fill(5, 3000);
  const Keys expected = ReadAll(With(nullptr), {.batch_rows_max = 100});
  ManualExecutor executor;
  for (const int patience : {0, 1, 2}) {  // tasks that had their turn between two batches
    Keys keys;
    int tasks = 0;
    const auto reader = Ok(With(&executor).Scan("t", {.batch_rows_max = 100}));
    while (const auto batch = reader->Next().ValueOrDie()) {
      std::ranges::copy(KeysOf(*batch), std::back_inserter(keys));
      for (int i = 0; i < patience; ++i) tasks += executor.RunOne() ? 1 : 0;
    }
    EXPECT_EQ(keys, expected);
    EXPECT_GE(tasks, patience * std::ssize(expected) / 300);
    executor.RunAll();
  }
}

TEST_F(ParallelRowsTest, AScanOfFewRowsChoosesNoneAhead) {
  Fill(5, 3000);
  ManualExecutor executor;
  const auto groups_read = [this] {
    std::uint64_t groups = 0;
    for (const auto& run : table_.runs()) groups += run->row_groups_read();
    return groups;
  };
  const Keys expected = ReadAll(With(nullptr), {.limit = 150, .batch_rows_max = 100});
  const auto alone = groups_read();
  const auto reader = Ok(With(&executor).Scan("t", {.limit = 150, .batch_rows_max = 100}));
  Keys keys;
  std::vector<std::size_t> tasks;  // after each batch
  while (const auto batch = reader->Next().ValueOrDie()) {
    std::ranges::copy(KeysOf(*batch), std::back_inserter(keys));
    tasks.push_back(0);
    while (executor.RunOne()) ++tasks.back();
  }
  EXPECT_EQ(keys, expected);
  EXPECT_EQ(tasks, (std::vector<std::size_t>{0, 0}));
  EXPECT_EQ(groups_read(), 2 * alone);  // no more than without tasks
}

TEST_F(ParallelRowsTest, RandomFiltersAndLimits) {
  const auto seed = TestSeed(31);
  SCOPED_TRACE(seed);
  SeededRandom random(seed);
  ThreadPool threads(2);
  for (int round = 0; round < 30; ++round) {
    table_.row_group_rows = testing::RandomGroupRows(random);
    table_.Upsert({RandomRow(random), RandomRow(random), RandomRow(random)});
    if (random.Below(3) == 0) table_.Flush();
    const auto snapshot = With(&threads);
    const std::string filter = RandomFilter(random);
    ScanOptions options{.filter = Ok(ParseFilter(filter, RowSchema()))};
    const Keys ordered = ReadAll(snapshot, options);
    options.unordered = true;
    EXPECT_EQ(Sorted(ReadAll(snapshot, options)), ordered) << filter;
    options.limit = random.Below(5);
    const Keys some = ReadAll(snapshot, options);
    EXPECT_EQ(some.size(), std::min<std::size_t>(*options.limit, ordered.size()));
    EXPECT_TRUE(std::ranges::includes(ordered, Sorted(some))) << filter;
  }
}

TEST_F(ParallelRowsTest, ATaskEndsWhenEnoughIsReady) {
  Fill(1, 600'000);
  const varve::Run& run = *table_.runs().front();
  const auto groups = run.Open()->row_group_keys().size();
  ManualExecutor executor;
  const auto reader = Ok(With(&executor).Scan("t", {.unordered = true, .batch_rows_max = 100}));
  executor.RunAll();
  EXPECT_GE(run.row_groups_read(), 1u);
  EXPECT_LE(run.row_groups_read(), groups);  // 14 without a bound
  const auto first = reader->Next().ValueOrDie();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->num_rows(), 100);
}

TEST_F(ParallelRowsTest, AReaderMayEndBeforeItsTasksBegin) {
  Fill(2, 50'000);
  ManualExecutor executor;
  {
    const auto reader = Ok(With(&executor).Scan("t", {.unordered = true}));
    ASSERT_NE(reader->Next().ValueOrDie(), nullptr);
  }
  executor.RunAll();
  ThreadPool threads(2);
  for (int i = 0; i < 50; ++i) {
    const auto reader = Ok(With(&threads).Scan("t", {.unordered = true, .batch_rows_max = 10}));
    ASSERT_NE(reader->Next().ValueOrDie(), nullptr);
    ASSERT_TRUE(reader->Close().ok());
    EXPECT_FALSE(reader->Next().ok());
  }
}

TEST_F(ParallelRowsTest, OtherThreadsReadTheParts) {
  Fill(1, 400'000);
  ManualExecutor executor;
  std::atomic<bool> done = false;
  std::atomic<int> tasks = 0;
  std::thread other([&] {
    while (!done) tasks += executor.RunOne() ? 1 : 0;
  });
  EXPECT_EQ(ReadAll(With(&executor), {.unordered = true, .batch_rows_max = 1000}).size(), 400'000u);
  done = true;
  other.join();
  EXPECT_GT(tasks, 1);
}

TEST_F(ParallelRowsTest, AnErrorInAPartIsTheScans) {
  Fill(2, 50'000);
  ThreadPool threads(2);
  const auto filter = Ok(ParseFilter("n * 9223372036854775807 > 0", RowSchema()));
  const auto reader = Ok(With(&threads).Scan("t", {.filter = filter, .unordered = true}));
  const auto first = reader->Next();
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(reader->Next().status(), first.status());
}

TEST_F(ParallelRowsTest, CancelledFromAnotherThread) {
  Fill(1, 400'000);
  ThreadPool threads(2);
  std::stop_source stop;
  const auto reader = Ok(With(&threads).Scan(
      "t", {.unordered = true, .stop = stop.get_token(), .batch_rows_max = 10}));
  ASSERT_NE(reader->Next().ValueOrDie(), nullptr);
  std::thread([&] { stop.request_stop(); }).join();
  EXPECT_TRUE(reader->Next().status().IsCancelled());
}

TEST_F(ParallelRowsTest, ReverseContradicts) {
  const auto scan = table_.Newest().Scan("t", {.reverse = true, .unordered = true});
  ASSERT_FALSE(scan);
  EXPECT_EQ(scan.error().message(), "table 't': reverse and unordered exclude each other");
}

}  // namespace
}  // namespace varve::testing
