// SPDX-License-Identifier: Apache-2.0
// Random lives against a reference model: a vector of maps, one per commit. Snapshots are held
// across commits, flushes and (as commit numbers) reopenings, and must go on showing what they did.
#include <gtest/gtest.h>

#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "test/support/seed.h"

namespace varve::testing {
namespace {

class Model {
 public:
  explicit Model(std::uint64_t seed)
      : chance_(seed), random_(seed + 1), memtable_bytes_(chance_.Below(2) == 0 ? 4096 : 1 << 20) {
    Open();
    EXPECT_TRUE(db_->CreateTable("t", RowsSchema(), {"id"}));
  }

  void Step() {
    switch (chance_.Below(16)) {
      case 0: return Flush();
      case 1: return Reopen();
      case 2: return Kill();
      case 3: case 4: return Hold();
      case 5: return Release();
      case 6: case 7: case 8: return Erase();
      case 9: executor_.RunAll(); return;
      case 10: return CheckGet();
      case 11: return CheckRange();
      default: return Put();
    }
  }
  // Everything there is to read, against the model.
  void CheckAll() {
    Check(**db_->GetSnapshot(), after_.size() - 1);
    for (const auto& [snapshot, commit] : held_) Check(*snapshot, commit);
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t commit = chance_.Below(after_.size());
      Check(**db_->GetSnapshot(CommitNumber{commit}), commit);
    }
  }

 private:
  static constexpr std::int64_t kIds = 40;

  void Open() {
    auto db = Database::Open(
        "/db", {.create_if_missing = true, .memtable_bytes_max = memtable_bytes_},
        {.files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_});
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Put() {
    Rows rows;
    for (std::uint64_t n = chance_.Below(8) + 1; n > 0; --n) {
      rows[static_cast<std::int64_t>(chance_.Below(kIds))] =
          std::to_string(chance_.Below(1000)) + std::string(chance_.Below(60), 'p');
    }
    Rows next = after_.back();
    for (const auto& [id, value] : rows) next[id] = value;
    const auto ack = static_cast<AckLevel>(chance_.Below(3));
    const auto info = db_->Upsert("t", RowsBatch(rows), {.ack = ack});
    ASSERT_TRUE(info) << info.error().message();
    Committed(info->commit, std::move(next));
    if (ack != AckLevel::kDurable) {
      ASSERT_TRUE(db_->Sync());
    }
  }
  void Erase() {
    Rows keys;
    for (std::uint64_t n = chance_.Below(6) + 1; n > 0; --n) {
      keys[static_cast<std::int64_t>(chance_.Below(kIds))] = "";
    }
    Rows next = after_.back();
    for (const auto& [id, unused] : keys) next.erase(id);
    const auto info = db_->Delete("t", RowsBatch(keys));
    ASSERT_TRUE(info) << info.error().message();
    Committed(info->commit, std::move(next));
  }
  void Committed(CommitNumber commit, Rows next) {
    ASSERT_EQ(commit.value, after_.size());
    after_.push_back(std::move(next));
  }
  void Flush() { ASSERT_TRUE(db_->Flush()); }
  void Reopen() {
    held_.clear();
    ASSERT_TRUE(db_->Close());
    db_.reset();
    Open();
  }
  void Kill() {
    held_.clear();
    db_.reset();
    disk_.KillProcess();
    Open();
  }
  void Hold() {
    auto snapshot = db_->GetSnapshot();
    ASSERT_TRUE(snapshot);
    ASSERT_EQ((*snapshot)->commit().value, after_.size() - 1);
    held_.emplace_back(*std::move(snapshot), after_.size() - 1);
  }
  void Release() {
    if (!held_.empty()) held_.erase(held_.begin() + static_cast<long>(chance_.Below(held_.size())));
  }
  void Check(const Snapshot& snapshot, std::uint64_t commit) {
    ASSERT_EQ(snapshot.commit().value, commit);
    ASSERT_EQ(ReadRows(snapshot), after_[commit]) << "as of commit " << commit;
  }
  void CheckGet() {
    Rows keys;
    for (int i = 0; i < 5; ++i) keys[static_cast<std::int64_t>(chance_.Below(kIds))] = "";
    const std::uint64_t commit = chance_.Below(after_.size());
    auto snapshot = *db_->GetSnapshot(CommitNumber{commit});
    const auto found = snapshot->Get("t", RowsBatch(keys));
    ASSERT_TRUE(found) << found.error().message();
    Rows expected;
    for (const auto& [id, unused] : keys) {
      if (after_[commit].contains(id)) expected[id] = after_[commit][id];
    }
    auto reader = *arrow::RecordBatchReader::Make({*found}, (*found)->schema());
    ASSERT_EQ(Drain(reader.get()), expected);
  }
  void CheckRange() {
    const auto low = static_cast<std::int64_t>(chance_.Below(kIds));
    const auto high = low + static_cast<std::int64_t>(chance_.Below(kIds));
    const std::string text = "id >= " + std::to_string(low) + " and id < " + std::to_string(high) +
                             " and v like '1%'";
    const auto filter = ParseFilter(text, RowsSchema());
    ASSERT_TRUE(filter) << filter.error().message();
    Rows expected;
    for (const auto& [id, value] : after_.back()) {
      if (id >= low && id < high && value.starts_with('1')) expected[id] = value;
    }
    ASSERT_EQ(ReadRows(**db_->GetSnapshot(), "t", {.filter = *filter}), expected) << text;
  }

  SeededRandom chance_;
  SeededRandom random_;
  ManualClock clock_;
  ManualExecutor executor_;
  SimulatedDisk disk_;
  const std::uint64_t memtable_bytes_;
  std::unique_ptr<Database> db_;
  std::vector<std::pair<std::shared_ptr<Snapshot>, std::uint64_t>> held_;
  std::vector<Rows> after_ = {Rows{}};
};

TEST(Model, RandomLivesReadAsTheReferenceDoes) {
  const std::uint64_t first = TestSeed(1);
  const int lives = std::getenv("VARVE_TEST_SEED") != nullptr ? 1 : 60;
  for (int life = 0; life < lives; ++life) {
    const std::uint64_t seed = first + static_cast<std::uint64_t>(life);
    SCOPED_TRACE(SeedTrace(seed));
    Model model(seed);
    for (int step = 0; step < 120; ++step) {
      model.Step();
      if (step % 10 == 9) model.CheckAll();
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace varve::testing
