// SPDX-License-Identifier: Apache-2.0
// Rows that were written again before a flush: their newest versions in one run, the older ones in
// another, which only readers of then look at.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/object_store.h"
#include "files/simulated_disk.h"
#include "manifest/manifest.h"
#include "test/support/rows.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::Rows;

class OlderVersionsTest : public ::testing::Test {
 protected:
  OlderVersionsTest() : files_(NewMemoryFiles()), random_(1) { Open(); }

  Components World() {
    return {.files = files_.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  void Open() {
    db_.reset();
    auto db = Database::Open("/db", {.create_if_missing = true}, World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
  void Put(const Rows& rows) {
    const auto info = db_->Upsert("t", testing::RowsBatch(rows));
    ASSERT_TRUE(info) << info.error().message();
    for (const auto& [id, value] : rows) now_[id] = value;
    then_[info->commit.value] = now_;
  }
  void Erase(std::int64_t id) {
    const auto info = db_->Delete("t", testing::RowsBatch({{id, ""}}));
    ASSERT_TRUE(info) << info.error().message();
    now_.erase(id);
    then_[info->commit.value] = now_;
  }
  std::shared_ptr<const Snapshot> At(std::uint64_t commit) {
    auto snapshot = db_->GetSnapshot(CommitNumber{commit});
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return *snapshot;
  }
  // By scan, by key, by count.
  void ExpectEveryMoment() {
    for (const auto& [commit, rows] : then_) {
      const auto snapshot = At(commit);
      ASSERT_EQ(testing::ReadRows(*snapshot), rows) << "commit " << commit;
      EXPECT_EQ(snapshot->Count("t")->rows, rows.size()) << "commit " << commit;
      for (std::int64_t id = 0; id < kKeys; ++id) {
        const auto key = testing::RowsBatch({{id, ""}})->SelectColumns({0}).ValueOrDie();
        const auto found = snapshot->Get("t", key);
        ASSERT_TRUE(found) << found.error().message();
        const auto at = rows.find(id);
        ASSERT_EQ((*found)->num_rows(), at == rows.end() ? 0 : 1) << commit << " " << id;
        if (at == rows.end()) continue;
        const auto& values = static_cast<const arrow::StringArray&>(*(*found)->column(1));
        EXPECT_EQ(values.GetString(0), at->second) << commit << " " << id;
      }
    }
  }
  std::uint64_t RowsEstimate() const { return db_->Stats().tables.at(0).rows_estimate; }
  // Why each source is not read, "" for one that is.
  std::vector<std::string> ReasonsAt(std::uint64_t commit, const ScanOptions& options = {}) {
    std::vector<std::string> reasons;
    const auto plan = At(commit)->Explain("t", options);
    EXPECT_TRUE(plan) << plan.error().message();
    for (const auto& source : plan->sources) {
      if (source.name.starts_with("data/")) reasons.push_back(source.reason);
    }
    return reasons;
  }
  // Lets go of the database.
  std::vector<std::string> Damages() {
    db_.reset();
    const auto verified = VerifyDatabase("/db", {.deep = true}, World());
    EXPECT_TRUE(verified) << verified.error().message();
    std::vector<std::string> damages;
    for (const Damage& damage : verified->damages) damages.push_back(damage.message);
    return damages;
  }

  static constexpr std::int64_t kKeys = 12;
  const std::string kOlder = "older versions of keys that other runs have";

  std::unique_ptr<Files> files_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
  Rows now_;
  std::map<std::uint64_t, Rows> then_;  // by commit
};

TEST_F(OlderVersionsTest, OnlyWhoReadsThenLooksAtThem) {
  Put({{1, "a"}, {2, "b"}, {3, "c"}});  // 1
  Put({{1, "A"}});                      // 2
  Erase(2);                             // 3
  Put({{4, "d"}});                      // 4
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(ReasonsAt(4), (std::vector<std::string>{"", kOlder}));
  EXPECT_EQ(ReasonsAt(3), (std::vector<std::string>{"", kOlder})) << "from here on";
  EXPECT_EQ(ReasonsAt(2), (std::vector<std::string>{"", ""})) << "2 was still there";
  EXPECT_EQ(ReasonsAt(1), (std::vector<std::string>{"", ""}));
  ExpectEveryMoment();
  const auto stats = db_->Stats().tables.at(0);
  EXPECT_EQ(stats.levels.at(0).runs, 1u);
  EXPECT_EQ(stats.levels.at(0).rows, 4u) << "deletes included";
  EXPECT_EQ(stats.history.runs, 1u);
  EXPECT_EQ(stats.history.rows, 2u);
  EXPECT_EQ(stats.rows_estimate, 3u) << "the upserts among the newest";
  EXPECT_EQ(Damages(), std::vector<std::string>());
}

TEST_F(OlderVersionsTest, TheEstimateOfRowsIsExactWhenRowsAreOnlyAdded) {
  EXPECT_EQ(RowsEstimate(), 0u);
  Put({{1, "a"}, {2, "b"}, {3, "c"}});
  EXPECT_EQ(RowsEstimate(), 3u);
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(RowsEstimate(), 3u);
  Put({{4, "d"}, {5, "e"}});
  EXPECT_EQ(RowsEstimate(), 5u);
}

TEST_F(OlderVersionsTest, TheEstimateOfRowsIsNeverTooLow) {
  const auto expect_bound = [this] {
    EXPECT_GE(RowsEstimate(), now_.size());
    ASSERT_TRUE(db_->Flush());
    EXPECT_GE(RowsEstimate(), now_.size()) << "flushed";
  };
  Put({{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}, {5, "e"}});
  expect_bound();
  Put({{11, "a"}, {12, "b"}, {13, "c"}, {14, "d"}, {15, "e"}});
  for (std::int64_t id = 11; id <= 15; ++id) Erase(id);  // their upserts end in a hidden run
  expect_bound();
  EXPECT_EQ(RowsEstimate(), 5u) << "what only readers of then see does not count";
  for (std::int64_t id = 100; id < 108; ++id) Erase(id);  // never there
  expect_bound();
  for (std::int64_t id = 11; id <= 15; ++id) Erase(id);  // gone already
  expect_bound();
  Put({{1, "A"}});
  Erase(2);
  Put({{2, "B"}});
  expect_bound();
}

TEST_F(OlderVersionsTest, MetadataCountTheNewestAlone) {
  Put({{1, "a"}, {2, "b"}});
  Put({{1, "A"}, {3, "c"}});
  ASSERT_TRUE(db_->Flush());
  const auto count = At(2)->Count("t");
  ASSERT_TRUE(count) << count.error().message();
  EXPECT_EQ(count->rows, 3u);
  EXPECT_EQ(count->rows_scanned, 0u);
  EXPECT_EQ(At(1)->Count("t")->rows, 2u);
}

TEST_F(OlderVersionsTest, WithoutAnyThereIsOneRun) {
  Put({{1, "a"}, {2, "b"}});
  Put({{3, "c"}});
  Erase(4);
  ASSERT_TRUE(db_->Flush());
  EXPECT_EQ(ReasonsAt(3), std::vector<std::string>{""});
  ExpectEveryMoment();
}

TEST_F(OlderVersionsTest, RowGroupsAreLeftOutByValueBesideThem) {
  Put({{1, "a"}});
  Put({{1, "b"}});
  ASSERT_TRUE(db_->Flush());
  const auto options = ScanOptions{.filter = *ParseFilter("v = 'x'", testing::RowsSchema())};
  const auto reasons = ReasonsAt(2, options);
  ASSERT_EQ(reasons.size(), 2u);
  EXPECT_NE(reasons[0].find("without a value that the filter accepts"), std::string::npos)
      << reasons[0];
  EXPECT_EQ(ReasonsAt(1, options)[0], "newer than commit 1");
}

TEST_F(OlderVersionsTest, EveryMomentIsExactOverManyFlushesAndReopenings) {
  SeededRandom random(7);
  for (int step = 0; step < 200; ++step) {
    const auto id = static_cast<std::int64_t>(random.Next() % kKeys);
    if (random.Next() % 4 == 0) {
      Erase(id);
    } else {
      const auto other = static_cast<std::int64_t>(random.Next() % kKeys);
      Put({{id, std::to_string(step)}, {other, std::to_string(step)}});
    }
    if (random.Next() % 20 == 0) {
      EXPECT_TRUE(db_->Flush());
    }
    if (random.Next() % 60 == 0) Open();  // no Close
  }
  ASSERT_TRUE(db_->Flush());
  ExpectEveryMoment();
  ASSERT_TRUE(db_->Close());
  EXPECT_EQ(Damages(), std::vector<std::string>());
  Open();
  ExpectEveryMoment();
}

// As by a damaged manifest, or a wrong compaction.
TEST_F(OlderVersionsTest, VerifyMissesTheNewerVersions) {
  Put({{1, "a"}, {2, "b"}});
  Put({{1, "A"}, {2, "B"}});
  ASSERT_TRUE(db_->Flush());
  ASSERT_TRUE(db_->Close());
  db_.reset();
  const auto store = NewFolderStore(files_.get(), "/db", &random_);
  const auto manifest = *Manifest::Open(store.get());
  const auto runs = manifest->state()->FindTable(1)->runs;
  ASSERT_EQ(runs.size(), 2u);
  ASSERT_TRUE(manifest->Commit({RemoveRunEdit{1, runs[0]->id}}, clock_.Now()));
  const auto damages = Damages();
  ASSERT_EQ(damages.size(), 1u);
  EXPECT_NE(damages[0].find("key 1: a reader as of commit 2 is to see the version of commit 1, but "
                            "the runs that are shown to it have no version of it"),
            std::string::npos)
      << damages[0];
}

}  // namespace
}  // namespace varve
