// SPDX-License-Identifier: Apache-2.0
#include "run/run.h"

#include <arrow/io/memory.h>
#include <arrow/table.h>
#include <arrow/util/secure_string.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include <limits>
#include <set>

#include "columns/gather.h"
#include "run/file_cipher.h"
#include "run/merge.h"
#include "run/object_sink.h"
#include "run/run_test_world.h"
#include "test/support/all_types.h"

namespace varve {
namespace {

using namespace varve::testing;

class RunTest : public ::testing::Test {
 protected:
  // All keys at once, and each alone.
  void ExpectGets(const OpenRun& run, std::uint64_t as_of, const std::vector<int>& columns) {
    std::vector<std::string_view> keys;
    for (const auto& [key, versions] : model_.versions()) keys.push_back(key);
    const auto hits = run.Get(keys, as_of, columns);
    ASSERT_TRUE(hits) << hits.error().message();
    ASSERT_EQ(hits->size(), keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      ExpectHit(keys[i], as_of, columns, (*hits)[i]);
      const auto alone = run.Get({keys[i]}, as_of, columns);
      ASSERT_TRUE(alone) << alone.error().message();
      ASSERT_NO_FATAL_FAILURE(ExpectHit(keys[i], as_of, columns, alone->front()));
    }
  }
  void ExpectHit(std::string_view key, std::uint64_t as_of, const std::vector<int>& columns,
                 const std::optional<Memtable::Hit>& hit) {
    const auto& versions = model_.versions().at(std::string(key));
    const auto want = versions.lower_bound(as_of);
    ASSERT_EQ(hit.has_value(), want != versions.end()) << as_of;
    if (!hit) return;
    ASSERT_EQ(hit->commit, want->first);
    ASSERT_EQ(hit->kind == RowKind::kUpsert, want->second.has_value());
    if (want->second) ExpectRow(*hit->batch, hit->row, *want->second, columns);
  }
  void Walk(const OpenRun& run, SeededRandom* random, bool seeks) {
    const auto bounds = model_.RandomBounds(random);
    const auto columns = RandomColumns(random);
    const auto cursor = run.NewCursor(columns, bounds);
    CursorWalk whole(model_, cursor.get(), columns, bounds);
    ASSERT_NO_FATAL_FAILURE(whole.Run(random, seeks));
    const std::uint64_t after = random->Below(run.meta().max_commit + 2);
    const CommitWindow window{after, after + random->Below(run.meta().max_commit + 2)};
    const auto of_window = run.NewCursor(columns, bounds, window);
    CursorWalk walk(model_, of_window.get(), columns, bounds, window);
    ASSERT_NO_FATAL_FAILURE(walk.Run(random, seeks));
  }
  // `count` rows with keys a, 0 ... and distinct stamps, under one commit.
  void Ascending(std::int32_t count, std::uint64_t commit) {
    std::vector<ModelRow> rows;
    for (std::int32_t i = 0; i < count; ++i) rows.push_back({"a", i, i + 1});
    model_.Upsert(rows, commit, Into(&memtable_));
  }

  // What holds of plain and encrypted runs.
  void ExpectTheModel();
  void ExpectRejections();
  void ExpectEveryType();

  RunWorld world_;
  VersionModel model_;
  Memtable memtable_{ModelSchema()};
};

class EncryptedRunTest : public RunTest {
 protected:
  EncryptedRunTest() { world_.encrypted = true; }
};

std::shared_ptr<arrow::RecordBatch> Numbers(const std::string& name,
                                            const std::vector<std::int64_t>& values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return arrow::RecordBatch::Make(arrow::schema({arrow::field(name, arrow::int64())}),
                                  std::ssize(values), {*builder.Finish()});
}

// A run of these keys gives each of them, and none of those beside them: asked for all at once, and
// for some.
void ExpectFound(const std::set<std::int64_t>& keys, std::int64_t piece_rows,
                 SeededRandom* random) {
  const std::vector<std::int64_t> all(keys.begin(), keys.end());
  const auto rows = Numbers("k", all);
  const auto table = *TableSchema::Make(rows->schema(), {"k"});
  Memtable memtable(table);
  memtable.Insert(*PrepareUpsert(*table, rows), 1);
  RunWorld world;
  auto meta = world.Write(memtable, 600, kRowGroupBytesMax, piece_rows);
  ASSERT_TRUE(meta) << meta.error().message();
  const auto run = world.Open(memtable, *meta);
  for (const std::uint64_t one_of : {1, 2, 50}) {
    std::set<std::int64_t> asked;
    for (const std::int64_t key : keys) {
      if (random->Below(one_of) > 0) continue;
      asked.insert(key);
      if (key > *keys.begin() && key < *keys.rbegin()) asked.insert({key - 1, key + 1});
    }
    const std::vector<std::int64_t> order(asked.begin(), asked.end());
    const auto encoded =
        *table->key_codec().Encode(*Numbers("k", order), {0}, 0, std::ssize(order));
    std::vector<std::string_view> bytes;
    for (std::int64_t i = 0; i < encoded.size(); ++i) bytes.push_back(encoded[i]);
    const auto hits = run->Get(bytes, 1, {0});
    ASSERT_TRUE(hits) << hits.error().message();
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto& hit = (*hits)[i];
      ASSERT_EQ(hit.has_value(), keys.contains(order[i])) << order[i];
      if (!hit) continue;
      const auto& found = static_cast<const arrow::Int64Array&>(*hit->batch->column(0));
      ASSERT_EQ(found.Value(hit->row), order[i]);
    }
  }
}

void RunTest::ExpectTheModel() {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  for (const bool overwrites : {true, false}) {
    model_ = VersionModel();
    Memtable memtable(ModelSchema());
    const std::uint64_t commits = overwrites ? 60 : 1;  // one commit: keys are distinct
    for (std::uint64_t commit = 1; commit <= commits; ++commit) {
      model_.RandomCommit(&random, commit, overwrites ? 15 : 300, 200, Into(&memtable));
    }
    for (const std::int64_t group_rows : {1, 3, 16, 1000}) {
      const auto run = world_.Flush(memtable, group_rows);
      EXPECT_EQ(run->meta().distinct_keys, !overwrites);
      for (int i = 0; i < 30; ++i) ASSERT_NO_FATAL_FAILURE(Walk(*run, &random, i % 2 == 0)) << i;
      ExpectGets(*run, random.Below(commits + 2), {0, 1, 2, 3});
      ExpectGets(*run, UINT64_MAX, {2});
      EXPECT_EQ(Findings(*run, true), std::vector<std::string>());
    }
  }
}

TEST_F(RunTest, RandomWalksAndLookupsShowExactlyTheModel) { ExpectTheModel(); }

TEST_F(EncryptedRunTest, RandomWalksAndLookupsShowExactlyTheModel) { ExpectTheModel(); }

// A hole of a relative of ours: deletes beyond the first batch of a scan were not applied.
TEST_F(RunTest, DeletesBeyondTheFirstRowGroupAreApplied) {
  constexpr std::int32_t kRows = 40, kGroupRows = 8;
  Ascending(kRows, 1);
  Memtable deletes(ModelSchema());
  std::vector<ModelRow> deleted;
  for (std::int32_t i = 1; i < kRows; i += 2) deleted.push_back({"a", i, 0});
  model_.Delete(deleted, 2, Into(&deletes));
  const auto run = world_.Flush(memtable_, kGroupRows);
  const auto delete_run = world_.Flush(deletes, kGroupRows);
  EXPECT_TRUE(delete_run->meta().data.name.empty());
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  cursors.push_back(run->NewCursor({1}, {}));
  cursors.push_back(delete_run->NewCursor({1}, {}));
  VisibleRows rows(std::move(cursors), 2);
  std::vector<std::int32_t> ids;
  for (auto chosen = rows.Next(7); !chosen->slices.empty(); chosen = rows.Next(7)) {
    for (const auto& slice : chosen->slices) {
      const auto& column = static_cast<const arrow::Int32Array&>(*slice.batch->column(0));
      for (std::int64_t i = 0; i < slice.length; ++i) ids.push_back(column.Value(slice.start + i));
    }
  }
  ASSERT_EQ(ids.size(), static_cast<std::size_t>(kRows / 2));
  for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], static_cast<int>(2 * i));
}

TEST_F(RunTest, VersionsOfOneKeyMayStraddleRowGroups) {
  for (std::uint64_t commit = 1; commit <= 20; ++commit) {
    model_.Upsert({{"b", 7, static_cast<std::int64_t>(commit)}}, commit, Into(&memtable_));
  }
  model_.Upsert({{"a", 1, 100}, {"c", 1, 101}}, 21, Into(&memtable_));
  SeededRandom random(TestSeed());
  for (const std::int64_t group_rows : {2, 4, 5, 7}) {
    const auto run = world_.Flush(memtable_, group_rows);
    for (std::uint64_t as_of = 0; as_of <= 22; ++as_of) ExpectGets(*run, as_of, {0});
    for (int i = 0; i < 20; ++i) ASSERT_NO_FATAL_FAILURE(Walk(*run, &random, true));
    const std::string key = ModelKey("b", 7);
    const KeyBounds only{key, key + "~"};
    const auto cursor = run->NewCursor({0}, only);
    CursorWalk(model_, cursor.get(), {0}, only).Run(&random, false);
  }
}

TEST_F(RunTest, ACursorReadsOnlyTheRowGroupsWithinItsBounds) {
  Ascending(100, 1);
  const auto run = world_.Flush(memtable_, 10);
  ASSERT_EQ(run->row_group_keys().size(), 10u);
  const KeyBounds bounds{ModelKey("a", 35), ModelKey("a", 50)};
  EXPECT_EQ(run->Explain({0}, bounds).row_groups_read, 2u);
  const auto cursor = run->NewCursor({0}, bounds);
  CursorWalk(model_, cursor.get(), {0}, bounds).Run(std::make_unique<SeededRandom>(1).get(), false);
  EXPECT_EQ(run->run()->row_groups_read(), 2u);
}

TEST_F(RunTest, AWindowReadsOnlyRowGroupsThatMayHoldItsCommits) {
  for (std::int32_t i = 0; i < 100; ++i) {
    model_.Upsert({{"a", i, i + 1}}, static_cast<std::uint64_t>(i) + 1, Into(&memtable_));
  }
  const auto run = world_.Flush(memtable_, 10);
  const auto cursor = run->NewCursor({0, 1}, {}, CommitWindow{24, 36});  // of two row groups
  ASSERT_TRUE(cursor->Next());
  ASSERT_EQ(cursor->key(), ModelKey("a", 24));
  EXPECT_EQ(cursor->batch()->num_rows(), 6);  // nothing that was not asked for is kept
  while (cursor->valid()) ASSERT_TRUE(cursor->Next());
  EXPECT_EQ(run->run()->row_groups_read(), 2u);
  std::uint64_t versions = 0;
  const auto count = [&](std::uint64_t, std::uint64_t rows) { versions += rows; };
  ASSERT_TRUE(run->CountCommits({24, 36}, count));
  EXPECT_EQ(versions, 12u);
}

TEST_F(RunTest, SeekSkipsRowGroups) {
  Ascending(100, 1);
  const auto run = world_.Flush(memtable_, 10);
  const auto cursor = run->NewCursor({0}, {});
  ASSERT_TRUE(cursor->Next());
  ASSERT_TRUE(cursor->Seek(ModelKey("a", 95)));
  EXPECT_EQ(cursor->key(), ModelKey("a", 95));
  EXPECT_EQ(run->run()->row_groups_read(), 2u);
}

void RunTest::ExpectRejections() {
  std::vector<ModelRow> rows;
  for (std::int32_t i = 0; i < 1000; ++i) rows.push_back({"name", 2 * i, i + 1});
  model_.Upsert(rows, 1, Into(&memtable_));
  const auto run = world_.Flush(memtable_, 100);
  for (std::int32_t i = 0; i < 200; ++i) {
    const std::string key = ModelKey("name", 2 * i + 1);
    const auto hits = run->Get({key}, 1, {0});
    ASSERT_TRUE(hits && !hits->front());
  }
  EXPECT_GE(run->run()->bloom_rejections(), 150u);
  EXPECT_LE(run->run()->row_groups_read(), 50u);
  ExpectGets(*run, 1, {0, 1, 2, 3});
}

TEST_F(RunTest, AKeyThatIsNotThereIsRejectedByAFilterWithoutReadingRows) { ExpectRejections(); }

TEST_F(EncryptedRunTest, AKeyThatIsNotThereIsRejectedByAFilterWithoutReadingRows) {
  ExpectRejections();
}

TEST_F(RunTest, BytesThatAreNoKeyAreSimplyNotFound) {
  Ascending(10, 1);
  const auto run = world_.Flush(memtable_, 4);
  const std::string key = ModelKey("a", 3) + "x";
  const auto hits = run->Get({key}, 1, {0});
  ASSERT_TRUE(hits) << hits.error().message();
  EXPECT_FALSE(hits->front());
}

TEST_F(RunTest, ALookupDecodesARowGroupOnceForAllItsKeys) {
  Ascending(100, 1);
  const auto run = world_.Flush(memtable_, 10);
  std::vector<std::string> keys;
  for (std::int32_t i = 20; i < 50; ++i) keys.push_back(ModelKey("a", i));
  ASSERT_TRUE(run->Get({keys.begin(), keys.end()}, 1, {0, 1, 2, 3}));
  EXPECT_EQ(run->run()->row_groups_read(), 3u);
}

TEST_F(RunTest, LookupsThroughACacheShowExactlyTheModelWithinItsBudget) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  for (std::uint64_t commit = 1; commit <= 30; ++commit) {
    model_.RandomCommit(&random, commit, 15, 100, Into(&memtable_));
  }
  for (const std::uint64_t budget : {0, 8 * 2000, 8 << 20}) {
    world_.cache = std::make_shared<ReadCache>(budget);
    const auto first = world_.Flush(memtable_, 16);
    const auto second = world_.Flush(memtable_, 40);  // of which nothing may be taken for the first
    for (int round = 0; round < 2; ++round) {
      ASSERT_NO_FATAL_FAILURE(ExpectGets(*first, random.Below(31), {0, 1, 2, 3})) << budget;
      ASSERT_NO_FATAL_FAILURE(ExpectGets(*second, 30, {3, 0})) << budget;
      EXPECT_LE(world_.cache->stats().bytes, budget);
    }
    EXPECT_EQ(world_.cache->stats().hits > 0, budget > 0);
  }
}

TEST_F(RunTest, WhatIsInTheCacheIsNotReadAgain) {
  Ascending(300, 1);
  world_.cache = std::make_shared<ReadCache>(8 << 20);
  auto run = world_.Flush(memtable_, 100);
  ExpectGets(*run, 1, {0, 1, 2, 3});
  const auto read = run->run()->row_groups_read();
  const auto misses = world_.cache->stats().misses;
  ExpectGets(*run, 1, {0, 1, 2, 3});
  EXPECT_EQ(run->run()->row_groups_read(), read);
  EXPECT_EQ(world_.cache->stats().misses, misses);
  run.reset();
  EXPECT_EQ(world_.cache->stats().bytes, 0u);  // nobody will ask for them
}

// Not only of the values shown: what is kept counts, as the allocator tells it.
TEST_F(RunTest, TheCacheCountsTheMemoryThatItHolds) {
  Ascending(3000, 1);
  world_.cache = std::make_shared<ReadCache>(64 << 20);
  const auto run = world_.Flush(memtable_, 3000);
  const auto* const pool = arrow::default_memory_pool();
  ASSERT_TRUE(run->Get({ModelKey("a", 0)}, 1, {}));  // the keys alone, and what a reader keeps
  const auto before = pool->bytes_allocated();
  const auto keys = world_.cache->stats().bytes;
  ASSERT_TRUE(run->Get({ModelKey("a", 0)}, 1, {0, 1, 2, 3}));
  const auto held = static_cast<std::uint64_t>(pool->bytes_allocated() - before);
  const auto counted = world_.cache->stats().bytes - keys;
  EXPECT_GT(held, 0u);
  EXPECT_GE(counted, held);
  EXPECT_LE(counted, held + held / 4);
}

// A lookup begins where the key would be if keys counted up evenly. They need not.
TEST(Run, LookupsFindKeysHoweverTheySpread) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  std::vector<std::set<std::int64_t>> spreads(5);
  for (std::int64_t i = 0; i < 1000; ++i) {
    spreads[0].insert(i * 2);                                  // evenly
    spreads[1].insert(i * i * i);                              // ever farther
    spreads[2].insert(i < 500 ? kMin + i : kMax - i);          // two heaps
    spreads[3].insert(i == 0 ? kMin : i == 1 ? kMax : i * 3);  // one heap, two far off
    spreads[4].insert(static_cast<std::int64_t>(random.Next() >> random.Below(64)));
  }
  for (const auto& spread : spreads) {
    for (const std::int64_t piece_rows : {7, 200, 1000}) {
      ASSERT_NO_FATAL_FAILURE(ExpectFound(spread, piece_rows, &random));
    }
  }
}

// A row of a large row group is found though most of the group's bytes are damaged: they are not
// read. Where they are needed they are checked.
// Hole e read everything for one row.
void ExpectOnlyThePagesOfARow(bool encrypted) {
  constexpr std::int64_t kRows = 20000;
  const auto noise = arrow::fixed_size_binary(64);
  const auto schema =
      arrow::schema({arrow::field("k", arrow::int64()), arrow::field("v", noise)});
  const auto table = *TableSchema::Make(schema, {"k"});
  SeededRandom random(TestSeed());
  arrow::Int64Builder k;
  arrow::FixedSizeBinaryBuilder v(noise);
  for (std::int64_t i = 0; i < kRows; ++i) {
    std::string bytes(64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Next());
    ASSERT_TRUE(k.Append(i).ok() && v.Append(bytes).ok());
  }
  auto rows = PrepareUpsert(
      *table, arrow::RecordBatch::Make(schema, kRows, {*k.Finish(), *v.Finish()}));
  ASSERT_TRUE(rows);
  const std::string key(rows->keys[kRows / 2]);
  Memtable memtable(table);
  memtable.Insert(*std::move(rows), 1);
  RunWorld world;
  world.encrypted = encrypted;
  auto meta = world.Write(memtable, kRows, kRowGroupBytesMax, 1000);
  ASSERT_TRUE(meta);
  const std::string good = world.Bytes(meta->data.name);
  int failed = 0, blocks = 0;
  for (std::uint64_t at = 0; at < meta->data.data_bytes; at += kChecksumBlockBytes, ++blocks) {
    std::string bad = good;
    bad[at] ^= 1;
    ASSERT_TRUE(world.store()->Put(meta->data.name, bad));
    const auto run = world.Open(memtable, *meta);
    const auto hits = run->Get({key}, 1, {0, 1});
    EXPECT_TRUE(hits ? hits->front().has_value()
                     : hits.error().kind() == ErrorKind::kCorruption);
    failed += hits ? 0 : 1;
  }
  EXPECT_GE(failed, 1);
  EXPECT_LE(failed, blocks / 2);
}

TEST(Run, HoleE_ALookupReadsOnlyThePagesThatHoldTheRow) { ExpectOnlyThePagesOfARow(false); }

TEST(EncryptedRun, HoleE_ALookupReadsOnlyThePagesThatHoldTheRow) { ExpectOnlyThePagesOfARow(true); }

TEST_F(RunTest, WritingNothingIsAnErrorAndLeavesNothing) {
  EXPECT_EQ(world_.Write(memtable_, 10).error().kind(), ErrorKind::kInvalid);
  EXPECT_TRUE(world_.store()->List("data/")->empty());
}

// --- the file, as others see it ---

std::shared_ptr<arrow::Table> ReadPlainly(const std::string& bytes) {
  auto input = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes));
  auto reader = parquet::arrow::OpenFile(input, arrow::default_memory_pool());
  EXPECT_TRUE(reader.ok()) << reader.status();
  auto table = (*reader)->ReadTable();
  EXPECT_TRUE(table.ok()) << table.status();
  return *table;
}

TEST_F(RunTest, AnyParquetReaderOpensTheFiles) {
  Ascending(50, 3);
  model_.Delete({{"b", 1, 0}, {"b", 2, 0}}, 4, Into(&memtable_));
  const auto run = world_.Flush(memtable_, 20);
  const auto data = ReadPlainly(world_.Bytes(run->meta().data.name));
  ASSERT_EQ(data->num_rows(), 50);
  EXPECT_EQ(data->schema()->field_names(),
            (std::vector<std::string>{"stamp", "id", "text", "name", "_varve_commit"}));
  const auto batch = *data->CombineChunksToBatch();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ((*batch->column(1)->GetScalar(i))->ToString(), std::to_string(i));
    EXPECT_EQ((*batch->column(4)->GetScalar(i))->ToString(), "3");
  }
  const auto deletes = ReadPlainly(world_.Bytes(run->meta().deletes.name));
  EXPECT_EQ(deletes->num_rows(), 2);
  EXPECT_EQ(deletes->schema()->field_names(),
            (std::vector<std::string>{"name", "id", "_varve_commit"}));
}

// With the file's key alone, and Parquet's own way of giving it.
TEST_F(EncryptedRunTest, AnyParquetReaderWithTheKeyOpensTheFiles) {
  Ascending(50, 3);
  model_.Delete({{"b", 1, 0}, {"b", 2, 0}}, 4, Into(&memtable_));
  const auto run = world_.Flush(memtable_, 20);
  const auto& meta = run->meta();
  ASSERT_NE(meta.data.file_key, meta.deletes.file_key);
  for (const auto& object : {meta.data, meta.deletes}) {
    const auto read = [&](std::string key) -> arrow::Result<std::int64_t> {
      parquet::ReaderProperties properties = parquet::default_reader_properties();
      properties.file_decryption_properties(
          parquet::FileDecryptionProperties::Builder()
              .footer_key(arrow::util::SecureString(std::move(key)))
              ->build());
      parquet::arrow::FileReaderBuilder builder;
      ARROW_RETURN_NOT_OK(builder.Open(std::make_shared<arrow::io::BufferReader>(
                                           arrow::Buffer::FromString(world_.Bytes(object.name))),
                                       properties));
      ARROW_ASSIGN_OR_RAISE(const auto reader, builder.Build());
      ARROW_ASSIGN_OR_RAISE(const auto table, reader->ReadTable());
      return table->num_rows();
    };
    EXPECT_EQ(read(object.file_key).ValueOr(-1), static_cast<std::int64_t>(object.rows));
    EXPECT_FALSE(read(std::string(32, 'x')).ok());
  }
}

// A file that is not what the manifest says of its key: never read as if it were.
TEST_F(EncryptedRunTest, AFileIsReadWithItsOwnKeyAlone) {
  Ascending(50, 1);
  const auto encrypted = *world_.Write(memtable_, 20);
  world_.encrypted = false;
  const auto plain = *world_.Write(memtable_, 20);
  const auto open = [&](RunMeta meta, std::string key) {
    meta.data.file_key = std::move(key);
    return world_.Open(ModelSchema(), meta);
  };
  EXPECT_TRUE(open(encrypted, encrypted.data.file_key));
  EXPECT_TRUE(open(plain, ""));
  EXPECT_EQ(open(encrypted, "").error().kind(), ErrorKind::kCorruption);
  EXPECT_EQ(open(encrypted, std::string(32, 'x')).error().kind(), ErrorKind::kCorruption);
  EXPECT_EQ(open(plain, encrypted.data.file_key).error().kind(), ErrorKind::kCorruption);
}

// Pages of one place do not pass for those of another, even where checksums are made to fit.
TEST_F(EncryptedRunTest, PagesCannotBeMovedToAnotherPlace) {
  Ascending(50, 1);
  const auto meta = *world_.Write(memtable_, 20);
  const std::string key = meta.data.file_key;
  const FileCipher cipher(key, "aad");
  const std::string module = *cipher.EncryptFilter(1, "a filter");
  EXPECT_EQ(cipher.DecryptFilter(1, module).value_or(""), "a filter");
  EXPECT_EQ(cipher.DecryptFilter(2, module).error().kind(), ErrorKind::kCorruption);
  EXPECT_FALSE(FileCipher(key, "another").DecryptFilter(1, module));
  EXPECT_FALSE(cipher.DecryptFilter(1, module.substr(0, 20)));
  EXPECT_FALSE(cipher.DecryptFilter(1, ""));
  EXPECT_FALSE(cipher.DecryptPages(module, {}).ok());
}

TEST_F(RunTest, TheFileCarriesOrderFiltersIndexesAndChecksums) {
  Ascending(50, 1);
  const auto run = world_.Flush(memtable_, 20);
  auto input = std::make_shared<arrow::io::BufferReader>(
      arrow::Buffer::FromString(world_.Bytes(run->meta().data.name)));
  const auto reader = parquet::ParquetFileReader::Open(input);
  const auto metadata = reader->metadata();
  EXPECT_EQ(metadata->created_by(), "varve");
  EXPECT_EQ(metadata->num_row_groups(), 3);
  const auto group = metadata->RowGroup(0);
  const auto sorting = group->sorting_columns();
  ASSERT_EQ(sorting.size(), 3u);
  EXPECT_EQ(sorting[0].column_idx, 3);  // name
  EXPECT_EQ(sorting[1].column_idx, 1);  // id
  EXPECT_TRUE(sorting[2].descending);   // commit
  for (const int column : {1, 3}) {
    const auto chunk = group->ColumnChunk(column);
    EXPECT_TRUE(chunk->bloom_filter_offset().has_value());
    EXPECT_GE(*chunk->bloom_filter_offset(),
              static_cast<std::int64_t>(run->meta().data.data_bytes));
    EXPECT_TRUE(chunk->GetColumnIndexLocation().has_value());
    EXPECT_EQ(chunk->compression(), parquet::Compression::ZSTD);
  }
}

void RunTest::ExpectEveryType() {
  for (const auto& type : AllTypes()) {
    SCOPED_TRACE(type.name);
    auto schema = TableSchema::Make(type.schema, {"id"});
    ASSERT_TRUE(schema) << schema.error().message();
    Memtable memtable(*schema);
    auto first = PrepareUpsert(**schema, RandomBatch(type.schema, 100, TestSeed(1)));
    auto second = PrepareUpsert(**schema, RandomBatch(type.schema, 100, TestSeed(1) + 1));
    ASSERT_TRUE(first && second);
    memtable.Insert(*first, 1);
    memtable.Insert(*second, 2);
    const auto run = world_.Flush(memtable, 33);
    const auto read = [&](std::unique_ptr<VersionCursor> cursor) {
      std::vector<std::unique_ptr<VersionCursor>> cursors;
      cursors.push_back(std::move(cursor));
      VisibleRows rows(std::move(cursors), 2);
      ChosenRows all;
      while (true) {
        auto chosen = rows.Next(50);
        EXPECT_TRUE(chosen) << chosen.error().message();
        if (!chosen || chosen->slices.empty()) break;
        std::ranges::copy(chosen->batches, std::back_inserter(all.batches));
        std::ranges::copy(chosen->slices, std::back_inserter(all.slices));
      }
      return *Gather(type.schema, all.slices);
    };
    const auto expected = read(memtable.NewCursor({0, 1}, {}));
    const auto found = read(run->NewCursor({0, 1}, {}));
    ASSERT_GT(expected->num_rows(), 33);  // more than one row group
    EXPECT_TRUE(found->ValidateFull().ok());
    EXPECT_TRUE(SameRows(*expected, *found)) << found->ToString();
    EXPECT_EQ(Findings(*run, true), std::vector<std::string>());
  }
}

TEST_F(RunTest, EveryTypeComesBackAsItWas) { ExpectEveryType(); }

TEST_F(EncryptedRunTest, EveryTypeComesBackAsItWas) { ExpectEveryType(); }

}  // namespace
}  // namespace varve
