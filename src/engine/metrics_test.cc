// SPDX-License-Identifier: Apache-2.0
// What a database counts, tells, and leaves for other processes to see.
#include <arrow/record_batch.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <sstream>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "varve/database.h"
#include "varve/trace.h"

namespace varve {
namespace {

using testing::Rows;
using testing::RowsBatch;

// Spans that were told, by their names.
class Spans final : public TraceSink {
 public:
  void Event(std::string_view, std::string_view, std::initializer_list<TraceField>) override {}
  std::uint64_t StartSpan(std::string_view name,
                          std::span<const TraceAttribute> attributes) override {
    names.emplace_back(name);
    for (const auto& attribute : attributes) given[std::string(attribute.key)] = attribute.text;
    return names.size();
  }
  void EndSpan(std::uint64_t span, std::span<const TraceAttribute> attributes,
               std::string_view error) override {
    auto& ended = ends[names.at(span - 1)];
    for (const auto& attribute : attributes) {
      ended[std::string(attribute.key)] =
          attribute.text.empty() ? std::to_string(attribute.number) : std::string(attribute.text);
    }
    if (!error.empty()) ended["error"] = error;
  }
  std::vector<std::string> names;
  std::map<std::string, std::string> given;
  std::map<std::string, std::map<std::string, std::string>> ends;
};

class MetricsTextTest : public ::testing::Test {
 protected:
  void Open(OpenOptions options = {}, TraceSink* trace = nullptr) {
    db_.reset();
    options.create_if_missing = true;
    const Components world{.files = &disk_, .clock = &clock_, .random = &random_,
                           .executor = threads_ ? nullptr : &executor_, .trace = trace};
    auto db = Database::Open("/db", options, world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
  void Put(std::int64_t first, int rows = 1, AckLevel ack = AckLevel::kDurable) {
    Rows batch;
    for (int i = 0; i < rows; ++i) batch[first + i] = "v";
    ASSERT_TRUE(db_->Upsert("t", RowsBatch(batch), {.ack = ack}));
  }
  void Get(std::int64_t key) {
    const auto keys = RowsBatch({{key, ""}})->SelectColumns({0}).ValueOrDie();
    ASSERT_TRUE(db_->Get("t", keys));
  }
  // The value of a sample, as text; "none" when it is not there.
  static std::string In(const std::string& text, const std::string& sample) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(sample + " ")) return line.substr(sample.size() + 1);
    }
    return "none";
  }
  std::string Value(const std::string& sample) const {
    return In(db_->PrometheusText(), "varve_" + sample);
  }
  // Until the timers that there are now, of upkeep too, have come.
  void LetTimePass() {
    for (int i = 0; i < 5 && executor_.RunLater(); ++i) executor_.RunAll();
  }
  // What other processes see.
  std::string Published() {
    const auto text = ReadWholeFile(&disk_, "/db/metrics.prom");
    return text ? *text : "";
  }

  bool threads_ = false;  // with an executor of its own
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  SimulatedDisk disk_;
  std::unique_ptr<Database> db_;
};

TEST_F(MetricsTextTest, CommitsAreCountedByTheirAck) {
  Open();
  Put(1, 3);
  Put(4, 1, AckLevel::kWritten);
  Put(5, 1, AckLevel::kBuffered);
  Put(6, 1, AckLevel::kBuffered);
  EXPECT_EQ(Value("commits_total{ack=\"durable\"}"), "1");
  EXPECT_EQ(Value("commits_total{ack=\"written\"}"), "1");
  EXPECT_EQ(Value("commits_total{ack=\"buffered\"}"), "2");
  EXPECT_EQ(Value("commit_rows_total"), "6");
  EXPECT_EQ(Value("commit_seconds_count{ack=\"durable\"}"), "1");
  EXPECT_EQ(Value("commit_number"), "4");
  ASSERT_TRUE(db_->Sync());
  EXPECT_EQ(Value("log_units_total"), "4");
  EXPECT_NE(Value("commit_bytes_total"), "0");
}

TEST_F(MetricsTextTest, ACommitTakesFromItsCallToItsAck) {
  clock_.Advance(1);
  Open();
  const std::int64_t before = clock_.SteadyMicros();
  Put(1);
  const std::int64_t after = clock_.SteadyMicros();
  const std::string sum = Value("commit_seconds_sum{ack=\"durable\"}");
  EXPECT_GT(std::stod(sum), 0);
  EXPECT_LE(std::stod(sum) * 1e6, static_cast<double>(after - before));
}

TEST_F(MetricsTextTest, OfAsyncCommitsToo) {
  threads_ = true;
  Open();
  auto made = db_->WriteAsync("t", {.rows = RowsBatch({{1, "a"}})});
  ASSERT_TRUE(made.get());
  EXPECT_EQ(Value("commits_total{ack=\"durable\"}"), "1");
}

TEST_F(MetricsTextTest, AConflictIsAFailureOfATransaction) {
  Open();
  Put(1);
  auto one = *db_->Begin();
  ASSERT_TRUE(one->Upsert("t", RowsBatch({{1, "mine"}})));
  EXPECT_EQ(Value("open_transactions"), "1");
  Put(1);
  EXPECT_FALSE(one->Commit());
  EXPECT_EQ(Value("commit_failures_total{reason=\"conflict\"}"), "1");
  EXPECT_EQ(Value("open_transactions"), "0");
}

TEST_F(MetricsTextTest, ACommitThatWaitsForRoomIsCounted) {
  Open({.memtable_bytes_max = 1});
  Put(1);
  EXPECT_EQ(Value("commit_waits_total{reason=\"memtables_full\"}"), "0");
  Put(2);
  EXPECT_EQ(Value("commit_waits_total{reason=\"memtables_full\"}"), "1");
  EXPECT_EQ(Value("commit_wait_seconds_count{reason=\"memtables_full\"}"), "1");
  EXPECT_EQ(Value("memtable_bytes_max"), "1");
}

TEST_F(MetricsTextTest, AFlushIsCountedWithItsFiles) {
  Open();
  Put(1, 100);
  EXPECT_EQ(Value("table_memtable_rows{table=\"t\"}"), "100");
  const int manifests = std::stoi(Value("store_puts_total{kind=\"manifest\"}"));
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(Value("flushes_total"), "1");
  EXPECT_EQ(Value("flush_seconds_count"), "1");
  EXPECT_EQ(Value("flush_rows_total"), "100");
  EXPECT_EQ(Value("flush_runs_total"), "1");
  EXPECT_EQ(Value("flush_failures_total"), "0");
  EXPECT_EQ(Value("flush_bytes_total"), Value("level_bytes{table=\"t\",level=\"0\"}"));
  EXPECT_EQ(Value("store_put_bytes_total{kind=\"run\"}"), Value("flush_bytes_total"));
  EXPECT_EQ(Value("level_runs{table=\"t\",level=\"0\"}"), "1");
  EXPECT_EQ(Value("table_memtable_rows{table=\"t\"}"), "0");
  EXPECT_EQ(std::stoi(Value("store_puts_total{kind=\"manifest\"}")), manifests + 1);
}

TEST_F(MetricsTextTest, ACompactionIsCounted) {
  Open();
  for (int i = 0; i < 2; ++i) {
    Put(1, 10);
    ASSERT_TRUE(db_->Flush());
  }
  EXPECT_EQ(Value("compactions_total"), "0");
  ASSERT_TRUE(db_->Compact("t"));
  EXPECT_EQ(Value("compactions_total"), "1");
  EXPECT_EQ(Value("commits_held_back"), "0");
  EXPECT_EQ(Value("commit_held_back_seconds_total{how=\"stopped\"}"), "0");
}

TEST_F(MetricsTextTest, AFlushThatFailsIsCounted) {
  Open();
  Put(1);
  disk_.FailEvent(disk_.events() + 1,
                  Error(ErrorKind::kUnavailable, "a bad spot", ErrorReason::kIo));
  EXPECT_FALSE(db_->Flush());
  EXPECT_EQ(Value("flush_failures_total"), "1");
  EXPECT_EQ(Value("flush_seconds_count"), "0");
}

TEST_F(MetricsTextTest, ReadsAreCountedByKind) {
  Open();
  for (int i = 0; i < 3; ++i) {
    Put(i * 10, 10);
    ASSERT_TRUE(db_->Flush());
  }
  const auto snapshot = *db_->GetSnapshot();
  EXPECT_EQ(Value("open_snapshots"), "1");
  {
    const auto filter = ParseFilter("id < 10", testing::RowsSchema());
    const auto reader = *snapshot->Scan("t", {.filter = *filter});
    std::shared_ptr<arrow::RecordBatch> batch;
    while (reader->ReadNext(&batch).ok() && batch != nullptr) continue;
  }
  Get(5);
  Get(5);
  ASSERT_TRUE(snapshot->Count("t"));
  EXPECT_EQ(Value("reads_total{operation=\"scan\"}"), "1");
  EXPECT_EQ(Value("scan_rows_total"), "10");
  EXPECT_EQ(Value("runs_skipped_total"), "2");
  EXPECT_EQ(Value("tail_cache_runs"), "3") << "those that a flush made are open";
  EXPECT_NE(Value("tail_cache_bytes"), "0");
  EXPECT_NE(Value("tail_cache_hits_total"), "0");
  EXPECT_EQ(Value("reads_total{operation=\"get\"}"), "2");
  EXPECT_EQ(Value("reads_total{operation=\"count\"}"), "1");
  EXPECT_EQ(Value("get_keys_total"), "2");
  EXPECT_EQ(Value("get_rows_total"), "2");
  EXPECT_EQ(Value("read_cache_hits_total{kind=\"keys\"}"), "1");
  EXPECT_EQ(Value("read_cache_misses_total{kind=\"rows\"}"), "1");
  EXPECT_EQ(Value("row_groups_read_total"), "2") << "by the scan, and the first get";
  EXPECT_NE(Value("read_cache_bytes{kind=\"rows\"}"), "0");
}

TEST_F(MetricsTextTest, TheFileIsReplacedAnIntervalAfterSomethingHappened) {
  Open({.metrics_interval_ms = 1000});
  EXPECT_EQ(In(Published(), "varve_commit_number"), "0") << "as soon as it is open";
  Put(1);
  Put(2);
  EXPECT_EQ(In(Published(), "varve_commit_number"), "0");
  LetTimePass();
  const std::string published = Published();
  EXPECT_EQ(In(published, "varve_commit_number"), "2");
  EXPECT_EQ(In(published, "varve_open"), "1");
  LetTimePass();
  EXPECT_EQ(Published(), published) << "an idle database writes nothing";
  Get(1);
  LetTimePass();
  EXPECT_EQ(In(Published(), "varve_get_keys_total"), "1");
  Put(3);
  ASSERT_TRUE(db_->Close());
  EXPECT_EQ(In(Published(), "varve_commit_number"), "3");
  EXPECT_EQ(In(Published(), "varve_open"), "0");
}

TEST_F(MetricsTextTest, ThereIsNoFileUnlessItIsAskedFor) {
  Open();
  Put(1);
  Get(1);
  EXPECT_FALSE(executor_.RunLater());
  ASSERT_TRUE(db_->Close());
  EXPECT_EQ(Published(), "");
}

TEST_F(MetricsTextTest, WhatOnlyReadsLeavesTheFileAlone) {
  Open({.metrics_interval_ms = 1000});
  Put(1);
  ASSERT_TRUE(db_->Close());
  const std::string before = Published();
  db_.reset();
  while (executor_.RunLater()) executor_.RunAll();
  auto db = Database::Open("/db", {.read_only = true, .metrics_interval_ms = 1},
                           {.files = &disk_, .clock = &clock_, .random = &random_,
                            .executor = &executor_});
  ASSERT_TRUE(db) << db.error().message();
  ASSERT_TRUE((*db)->GetSnapshot());
  EXPECT_FALSE(executor_.RunLater());
  ASSERT_TRUE((*db)->Close());
  EXPECT_EQ(Published(), before);
}

// Its process may have had the id that the next one has: in a container all have the same.
TEST_F(MetricsTextTest, AWriterLeavesNothingThatAnEarlierOneSaid) {
  for (const std::uint64_t interval_ms : {0, 1000}) {
    Open({.metrics_interval_ms = 1000});
    Put(1);
    LetTimePass();
    ASSERT_EQ(In(Published(), "varve_open"), "1");
    disk_.KillProcess();
    db_.reset();
    ASSERT_EQ(In(Published(), "varve_open"), "1");
    Open({.metrics_interval_ms = interval_ms});
    EXPECT_EQ(In(Published(), "varve_commits_total{ack=\"durable\"}"),
              interval_ms == 0 ? "none" : "0");
    ASSERT_TRUE(db_->Close());
  }
}

// From the moment that it has the lock, and not from the one when it is open.
TEST_F(MetricsTextTest, AWriterThatCannotOpenLeavesNothingEither) {
  Open({.metrics_interval_ms = 1000});
  Put(1);
  disk_.KillProcess();
  db_.reset();
  ASSERT_EQ(In(Published(), "varve_open"), "1");
  ASSERT_TRUE(disk_.Remove("/db/log/0000000000000001.log"));
  const auto opened = Database::Open("/db", {.metrics_interval_ms = 1000},
                                     {.files = &disk_, .clock = &clock_, .random = &random_,
                                      .executor = &executor_});
  ASSERT_FALSE(opened);
  EXPECT_TRUE(Published().empty());
}

TEST_F(MetricsTextTest, AFileThatACrashLeftHalfMadeIsInNobodysWay) {
  Open({.metrics_interval_ms = 1000});
  { const auto file = disk_.Open("/db/metrics.prom.new", OpenMode::kCreate); }
  ASSERT_TRUE(db_->Close());
  EXPECT_EQ(In(Published(), "varve_open"), "0");
}

TEST_F(MetricsTextTest, EachOperationIsASpan) {
  Spans spans;
  Open({}, &spans);
  Put(7, 2);
  ASSERT_TRUE(db_->Flush());
  Get(7);
  Get(9);
  {
    const auto reader = *db_->Scan("t");
    std::shared_ptr<arrow::RecordBatch> batch;
    ASSERT_TRUE(reader->ReadNext(&batch).ok());
    EXPECT_FALSE(spans.ends.contains("scan t")) << "until the reader has ended";
    ASSERT_TRUE(reader->ReadNext(&batch).ok());
  }
  EXPECT_EQ(spans.names, (std::vector<std::string>{"upsert t", "flush", "get t", "get t",
                                                   "scan t"}));
  EXPECT_EQ(spans.given["db.system.name"], "varve");
  EXPECT_EQ(spans.given["db.namespace"], "/db");
  EXPECT_EQ(spans.given["db.collection.name"], "t");
  EXPECT_EQ(spans.ends["upsert t"]["db.operation.batch.size"], "2");
  EXPECT_EQ(spans.ends["upsert t"]["varve.commit"], "1");
  EXPECT_EQ(spans.ends["flush"]["varve.runs"], "1");
  EXPECT_EQ(spans.ends["get t"]["db.response.returned_rows"], "0");
  EXPECT_EQ(spans.ends["scan t"]["db.response.returned_rows"], "2");
}

TEST_F(MetricsTextTest, ASpanSaysWhatFailed) {
  Spans spans;
  Open({}, &spans);
  EXPECT_FALSE(db_->Upsert("nothing", RowsBatch({{1, "a"}})));
  EXPECT_EQ(spans.ends["upsert nothing"]["error.type"], "NotFound");
  EXPECT_NE(spans.ends["upsert nothing"]["error"].find("nothing"), std::string::npos);
}

TEST_F(MetricsTextTest, AsyncWritesAndTransactionsAreSpansToo) {
  threads_ = true;
  Spans spans;
  Open({}, &spans);
  auto made = db_->WriteAsync("t", {.rows = RowsBatch({{1, "a"}})});
  ASSERT_TRUE(made.get());
  EXPECT_EQ(spans.ends["upsert t"]["varve.commit"], "1");
  auto one = *db_->Begin();
  ASSERT_TRUE(one->Upsert("t", RowsBatch({{2, "b"}})));
  ASSERT_TRUE(one->Commit());
  EXPECT_EQ(spans.ends["commit"]["varve.commit"], "2");
  auto two = *db_->Begin();
  ASSERT_TRUE(two->Upsert("t", RowsBatch({{3, "c"}})));
  auto last = two->CommitAsync();
  ASSERT_TRUE(last.get());
  EXPECT_EQ(spans.ends["commit"]["varve.rows"], "1");
  EXPECT_FALSE(two->Commit()) << "it has ended";
}

TEST_F(MetricsTextTest, RunsAreListedWithTheirKeys) {
  Open();
  Put(10, 5);
  ASSERT_TRUE(db_->Flush());
  Put(-3, 2);
  ASSERT_TRUE(db_->Flush());
  const auto runs = *(*db_->GetSnapshot())->Runs("t");
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].rows, 5u);
  EXPECT_EQ(runs[0].first_commit, CommitNumber{1});
  EXPECT_EQ(runs[1].keys->column(0)->ToString(),
            RowsBatch({{-3, ""}, {-2, ""}})->column(0)->ToString());
  EXPECT_LT(runs[1].last_key, runs[0].first_key);
  EXPECT_GT(runs[0].bytes, 0u);
  const auto before = *(*db_->GetSnapshot(CommitNumber{1}))->Runs("t");
  EXPECT_EQ(before.size(), 1u) << "the other one is of later commits";
  EXPECT_FALSE((*db_->GetSnapshot())->Runs("no such table"));
}

}  // namespace
}  // namespace varve
