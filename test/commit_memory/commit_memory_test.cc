// SPDX-License-Identifier: Apache-2.0
// Every request for memory of a commit refused in turn, alone or with all that follow: what was
// told to be kept is visible, at once and after a power cut, what was refused is not there, nothing
// is half there, and whoever comes next goes on or is told to reopen. A hang ends the program.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "columns/batch_codec.h"
#include "columns/table_schema.h"
#include "columns/write_batch.h"
#include "memtable/memtable.h"
#include "test/commit_memory/life.h"
#include "test/log_memory/scarcity.h"

namespace varve::testing {
namespace {

constexpr std::uint64_t kAllThatFollow = ~0ull;
constexpr unsigned kHangSeconds = 120;
constexpr int kCommits = 4;

// Arrow's own memory from malloc, too: it asks before its first request.
const int kArrowUsesMalloc = ::setenv("ARROW_DEFAULT_MEMORY_POOL", "system", 1);

Rows RowsFrom(std::int64_t first, std::int64_t count) {
  Rows rows;
  for (std::int64_t i = 0; i < count; ++i) rows[first + i] = fmt::format("row {}", first + i);
  return rows;
}
Change Upsert(const std::string& table, std::int64_t first, std::int64_t count = 1) {
  return {.upserts = {{table, RowsFrom(first, count)}}, .deletes = {}};
}
Change Delete(const std::string& table, std::int64_t first, std::int64_t count = 1) {
  return {.upserts = {}, .deletes = {{table, RowsFrom(first, count)}}};
}

class CommitMemoryTest : public ::testing::Test {
 protected:
  ~CommitMemoryTest() override { ::alarm(0); }

  // `before` with all memory; then `commit` with the n-th request refused, alone and with all that
  // follow, for every n there is.
  void ForEachRequest(const std::function<void(Life*)>& before,
                      const std::function<void(Life*)>& commit) {
    ASSERT_EQ(kArrowUsesMalloc, 0);
    for (const auto more : {std::uint64_t{0}, kAllThatFollow}) {
      for (std::uint64_t n = 1;; ++n) {
        SCOPED_TRACE(fmt::format("request {} refused{}", n, more == 0 ? "" : ", and all others"));
        ::alarm(kHangSeconds);
        Life life(options_);
        before(&life);
        RefuseMemory(n, more);
        commit(&life);
        const auto requests = GrantMemory();
        life.ExpectFates();
        if (HasFailure()) return;
        if (requests < n) {  // nobody made it
          std::printf("%llu requests\n", static_cast<unsigned long long>(requests));
          break;
        }
      }
    }
  }
  static void Nothing(Life* life) { (void)life; }

  OpenOptions options_{.create_if_missing = true};
};

// The layers of the memtable are merged at every eighth.
TEST_F(CommitMemoryTest, OneRow) {
  ForEachRequest(Nothing, [](Life* life) {
    for (int i = 0; i < 18; ++i) life->Write(Upsert("t", i));
  });
}

// Here they are gathered into one batch.
TEST_F(CommitMemoryTest, TheRowThatGathersAll) {
  const auto before = [](Life* life) {
    for (int i = 0; i < 511; ++i) life->Keep(Upsert("t", i));
  };
  ForEachRequest(before, [](Life* life) {
    for (int i = 511; i < 513; ++i) life->Write(Upsert("t", i));
  });
}

// Here a task does it, which the last commit asks for, or finds asked for already.
TEST_F(CommitMemoryTest, ATaskThatGathersAll) {
  for (const std::int64_t commits : {7, 20}) {
    const auto before = [commits](Life* life) {
      for (std::int64_t i = 0; i < commits; ++i) life->Keep(Upsert("t", 200 * i, 200));
    };
    ForEachRequest(before, [commits](Life* life) {
      life->Write(Upsert("t", 200 * commits, 200));
      const Rationed rationed;
      life->RunTasks();
    });
  }
}

TEST_F(CommitMemoryTest, ManyRows) {
  const auto before = [](Life* life) { life->Keep(Upsert("t", 0, 5)); };
  ForEachRequest(before, [](Life* life) {
    life->Write(Upsert("t", 100, 400));
    life->Write(Upsert("t", 1'000, 17'000));  // its layer is full
  });
}

TEST_F(CommitMemoryTest, Deletes) {
  const auto before = [](Life* life) { life->Prepare(Upsert("t", 0, 20)); };
  ForEachRequest(before, [](Life* life) {
    life->Write(Delete("t", 0));
    life->Write(Delete("t", 5, 10));
  });
}

TEST_F(CommitMemoryTest, ProducersNewAndKnown) {
  ForEachRequest(Nothing, [](Life* life) {
    for (std::uint64_t i = 0; i < 4; ++i) {
      const Producer producer{.id = i % 2 == 0 ? "one-of-a-long-name" : "another-of-a-long-name",
                              .sequence = 1 + i};
      life->Write(Upsert("t", static_cast<std::int64_t>(i)), {.producer = producer});
    }
  });
}

TEST_F(CommitMemoryTest, ATransactionOverTwoTables) {
  const auto before = [](Life* life) { life->Prepare(Upsert("u", 0, 5)); };
  ForEachRequest(before, [](Life* life) {
    for (std::int64_t i = 0; i < 3; ++i) {
      life->Transact({.upserts = {{"t", RowsFrom(10 * i, 2)}, {"u", RowsFrom(100 + i, 1)}},
                      .deletes = {{"u", RowsFrom(i, 1)}}});
    }
  });
}

TEST_F(CommitMemoryTest, CommitsThatAreToldLater) {
  ForEachRequest(Nothing, [](Life* life) {
    for (int i = 0; i < kCommits; ++i) life->WriteThen(Upsert("t", i));
    const Rationed rationed;
    life->RunTasks();
    EXPECT_EQ(life->told_later, kCommits);
  });
}

TEST_F(CommitMemoryTest, CommitsThatSeal) {
  options_.seal_policy = SealAt({.commits_max = 2, .age_ms_max = 1000});
  ForEachRequest(Nothing, [](Life* life) {
    for (int i = 0; i < 5; ++i) life->Write(Upsert("t", i));
  });
}

// The other one has memory, and may wait for a commit that was refused some.
TEST_F(CommitMemoryTest, TwoWriters) {
  ForEachRequest(Nothing, [](Life* life) {
    std::thread other([life] {
      for (int i = 0; i < kCommits; ++i) life->WriteUnrationed(Upsert("t", 100 + i));
    });
    for (int i = 0; i < kCommits; ++i) life->Write(Upsert("t", i));
    other.join();
  });
}

// What it has no memory to list it shows all the same, and lists later.
TEST(MemtableMemoryTest, WhatWasPreparedIsInsertedWithoutMemory) {
  constexpr std::int64_t kRows = 600;
  const auto schema = TableSchema::Make(RowsSchema(), {"id"});
  ASSERT_TRUE(schema);
  const auto prepare = [&](std::int64_t id) {
    return PrepareRows(*PrepareUpsert(**schema, RowsBatch(RowsFrom(id, 1))));
  };
  std::vector<NewRows> rows;
  for (std::int64_t i = 0; i < kRows; ++i) rows.push_back(prepare(i));
  Memtable memtable(*schema);
  const auto count = [&] {
    std::int64_t found = 0;
    const auto cursor = memtable.NewCursor({0, 1}, {});
    for (auto next = cursor->Next(); next && cursor->valid(); next = cursor->Next()) ++found;
    return found;
  };
  RefuseMemory(1, kAllThatFollow);
  for (std::int64_t i = 0; i < kRows; ++i) {
    const Rationed rationed;
    auto& row = rows[static_cast<std::size_t>(i)];
    memtable.Insert(std::move(row), static_cast<std::uint64_t>(i) + 1);
  }
  GrantMemory();
  EXPECT_EQ(count(), kRows);
  const auto bytes = memtable.bytes();
  memtable.Insert(prepare(kRows), kRows + 1);
  EXPECT_EQ(count(), kRows + 1);
  EXPECT_LT(memtable.bytes(), bytes) << "they were gathered";
}

// Whatever a task is refused, the next insert asks for another one.
TEST(MemtableMemoryTest, AMergeThatWasRefusedMemoryIsDoneLater) {
  const auto schema = TableSchema::Make(RowsSchema(), {"id"});
  ASSERT_TRUE(schema);
  ManualExecutor executor;
  const auto insert = [&](Memtable* memtable, std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      auto batch = *PrepareUpsert(**schema, RowsBatch(RowsFrom(200 * i, 200)));
      batch.rows = *ViewBatch(*EncodeBatch(*batch.rows), batch.rows->schema());  // as in a commit
      memtable->Insert(std::move(batch), static_cast<std::uint64_t>(i) + 1);
    }
  };
  const auto with_memory = std::make_shared<Memtable>(*schema, &executor);
  insert(with_memory.get(), 0, 21);
  const auto unmerged = with_memory->bytes();
  executor.RunAll();
  ASSERT_NE(with_memory->bytes(), unmerged);
  std::uint64_t n = 1;
  for (;; ++n) {
    SCOPED_TRACE(fmt::format("request {} refused, and all others", n));
    const auto memtable = std::make_shared<Memtable>(*schema, &executor);
    insert(memtable.get(), 0, 20);
    RefuseMemory(n, kAllThatFollow);
    {
      const Rationed rationed;
      EXPECT_TRUE(executor.RunOne());
    }
    if (GrantMemory() < n) break;
    insert(memtable.get(), 20, 21);
    EXPECT_TRUE(executor.RunOne());
    ASSERT_EQ(memtable->bytes(), with_memory->bytes());
  }
  EXPECT_GT(n, 1u);
}

}  // namespace
}  // namespace varve::testing
