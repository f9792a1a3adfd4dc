// SPDX-License-Identifier: Apache-2.0
// Random lives of several transactions at once, beside plain writes, flushes and power cuts,
// against a model: maps of rows by commit. What each reads is compared after each step, and a
// commit is refused exactly when the model says so.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "varve/database.h"

namespace varve {
namespace {

using testing::Rows;
using Tables = std::map<std::string, Rows>;
using Key = std::pair<std::string, std::int64_t>;  // of a table

constexpr int kLives = 60;
constexpr int kSteps = 150;
constexpr std::int64_t kKeys = 24;
constexpr std::size_t kTransactionsMost = 5;
const std::string kTables[] = {"t", "u"};

struct Model {
  Tables newest;
  std::map<Key, std::uint64_t> written;  // by the last commit that did
};

struct Open {
  std::unique_ptr<Transaction> transaction;
  bool serializable = false;
  std::uint64_t snapshot = 0;
  Tables view;               // with its own writes
  std::set<Key> wrote;       // since the last savepoint that it went back to, and before
  std::set<Key> read;        // single keys, and all of a range
  struct Saved {
    std::uint64_t id;
    Tables view;
    std::set<Key> wrote;
  };
  std::vector<Saved> savepoints;
};

class TransactionModelTest : public ::testing::Test {
 protected:
  TransactionModelTest() : random_(testing::TestSeed()) {}

  std::uint64_t Below(std::uint64_t limit) { return random_.Next() % limit; }
  std::string PickTable() { return kTables[Below(2)]; }
  Rows PickRows() {
    Rows rows;
    for (auto left = 1 + Below(3); left > 0; --left) {
      rows[static_cast<std::int64_t>(Below(kKeys))] = "v" + std::to_string(++values_);
    }
    return rows;
  }

  void Reopen() {
    open_.clear();
    db_.reset();
    OpenOptions options{.create_if_missing = true};
    if (Below(2) == 0) options.memtable_bytes_max = 32 << 10;  // forgets keys soon
    const Components world{
        .files = disk_.get(), .clock = &clock_, .random = &random_, .executor = &executor_};
    auto db = Database::Open("/db", options, world);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    for (const auto& table : kTables) {
      const auto made = db_->CreateTable(table, testing::RowsSchema(), {"id"});
      ASSERT_TRUE(made || made.error().kind() == ErrorKind::kConflict) << made.error().message();
    }
  }
  void Begin() {
    if (open_.size() == kTransactionsMost) return;
    Open begun;
    begun.serializable = Below(2) == 0;
    auto transaction = db_->Begin(
        {.isolation = begun.serializable ? Isolation::kSerializable : Isolation::kSnapshot});
    ASSERT_TRUE(transaction) << transaction.error().message();
    begun.transaction = *std::move(transaction);
    begun.snapshot = begun.transaction->snapshot().value;
    ASSERT_EQ(begun.snapshot, commits_);
    begun.view = model_.newest;
    open_.push_back(std::move(begun));
  }
  static void Apply(Tables* tables, const std::string& table, const Rows& rows, bool erase) {
    for (const auto& [key, value] : rows) {
      if (erase) {
        (*tables)[table].erase(key);
      } else {
        (*tables)[table][key] = value;
      }
    }
  }
  void PlainWrite() {
    const auto table = PickTable();
    const auto rows = PickRows();
    const bool erase = Below(3) == 0;
    const auto batch = testing::RowsBatch(rows);
    const auto info = erase ? db_->Delete(table, batch) : db_->Upsert(table, batch);
    ASSERT_TRUE(info) << info.error().message();
    ASSERT_EQ(info->commit.value, ++commits_);
    Apply(&model_.newest, table, rows, erase);
    for (const auto& [key, value] : rows) model_.written[{table, key}] = commits_;
  }
  void Write(Open* in) {
    const auto table = PickTable();
    const auto rows = PickRows();
    const bool erase = Below(3) == 0;
    const auto batch = testing::RowsBatch(rows);
    const auto done = erase ? in->transaction->Delete(table, batch)
                            : in->transaction->Upsert(table, batch);
    ASSERT_TRUE(done) << done.error().message();
    Apply(&in->view, table, rows, erase);
    for (const auto& [key, value] : rows) in->wrote.insert({table, key});
  }
  void Get(Open* in) {
    const auto table = PickTable();
    const auto rows = PickRows();
    const auto found = in->transaction->Get(table, testing::RowsBatch(rows));
    ASSERT_TRUE(found) << found.error().message();
    auto reader = *arrow::RecordBatchReader::Make({*found}, (*found)->schema());
    Rows expected;
    for (const auto& [key, value] : rows) {
      in->read.insert({table, key});
      const auto at = in->view[table].find(key);
      if (at != in->view[table].end()) expected.insert(*at);
    }
    ASSERT_EQ(testing::Drain(reader.get()), expected);
  }
  void Scan(Open* in) {
    const auto table = PickTable();
    const auto low = static_cast<std::int64_t>(Below(kKeys));
    const auto high = low + static_cast<std::int64_t>(Below(kKeys));
    const auto filter = ParseFilter(
        "id >= " + std::to_string(low) + " and id < " + std::to_string(high),
        testing::RowsSchema());
    auto reader = in->transaction->Scan(table, {.filter = *filter});
    ASSERT_TRUE(reader) << reader.error().message();
    Rows expected;
    for (auto key = low; key < high; ++key) {
      in->read.insert({table, key});
      const auto at = in->view[table].find(key);
      if (at != in->view[table].end()) expected.insert(*at);
    }
    ASSERT_EQ(testing::Drain(reader->get()), expected);
  }
  void Save(Open* in) {
    const auto id = in->transaction->Savepoint();
    ASSERT_TRUE(id) << id.error().message();
    in->savepoints.push_back({*id, in->view, in->wrote});
  }
  void GoBack(Open* in) {
    if (in->savepoints.empty()) return;
    const auto at = Below(in->savepoints.size());
    in->savepoints.resize(at + 1);
    const auto back = in->transaction->RollbackTo(in->savepoints[at].id);
    ASSERT_TRUE(back) << back.error().message();
    in->view = in->savepoints[at].view;
    in->wrote = in->savepoints[at].wrote;
  }
  // The keys that must not have been written since the snapshot, and were.
  std::set<Key> Clashes(const Open& in) const {
    auto footprint = in.wrote;
    if (in.serializable) footprint.insert(in.read.begin(), in.read.end());
    std::erase_if(footprint, [&](const Key& key) {
      const auto at = model_.written.find(key);
      return at == model_.written.end() || at->second <= in.snapshot;
    });
    return footprint;
  }
  void Commit(std::size_t which) {
    auto in = std::move(open_[which]);
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
    const auto clashes = in.wrote.empty() ? std::set<Key>() : Clashes(in);
    const auto info = in.transaction->Commit();
    if (!clashes.empty()) {
      ASSERT_FALSE(info) << "table " << clashes.begin()->first << ", key "
                         << clashes.begin()->second << " was written since";
      ASSERT_EQ(info.error().kind(), ErrorKind::kConflict) << info.error().message();
      ++conflicts_;
      return;
    }
    ASSERT_TRUE(info) << info.error().message();
    if (in.wrote.empty()) {
      ASSERT_EQ(info->commit.value, in.snapshot);
      return;
    }
    ASSERT_EQ(info->commit.value, ++commits_);
    ++committed_;
    for (const auto& [table, key] : in.wrote) {
      const auto at = in.view[table].find(key);
      Apply(&model_.newest, table, {{key, at == in.view[table].end() ? "" : at->second}},
            at == in.view[table].end());
      model_.written[{table, key}] = commits_;
    }
  }
  void PowerCut() {
    for (auto& open : open_) open.transaction.reset();
    open_.clear();
    db_.reset();
    disk_->Crash(kAllSurvivals[Below(std::size(kAllSurvivals))], &random_);
    Reopen();
  }
  void Step() {
    const auto pick = Below(24);
    if (pick < 3) return Begin();
    if (pick < 6) return PlainWrite();
    if (pick == 6) return static_cast<void>(db_->Flush());
    if (pick == 7) return Below(8) == 0 ? PowerCut() : executor_.RunAll();
    if (open_.empty()) return Begin();
    const auto which = Below(open_.size());
    auto* const in = &open_[which];
    if (pick < 13) return Write(in);
    if (pick < 15) return Get(in);
    if (pick < 17) return Scan(in);
    if (pick == 17) return Save(in);
    if (pick == 18) return GoBack(in);
    if (pick == 19) return open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which)), void();
    return Commit(which);
  }
  void ExpectNewest() {
    for (const auto& table : kTables) {
      const auto snapshot = db_->GetSnapshot();
      ASSERT_TRUE(snapshot);
      ASSERT_EQ(testing::ReadRows(**snapshot, table), model_.newest[table]) << table;
    }
  }

  SeededRandom random_;
  std::unique_ptr<SimulatedDisk> disk_;
  ManualClock clock_;
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
  Model model_;
  std::vector<Open> open_;
  std::uint64_t commits_ = 0, values_ = 0, conflicts_ = 0, committed_ = 0;
};

TEST_F(TransactionModelTest, RandomLivesAreAsTheModelSays) {
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  for (int life = 0; life < kLives; ++life) {
    SCOPED_TRACE("life " + std::to_string(life));
    open_.clear();
    db_.reset();
    disk_ = std::make_unique<SimulatedDisk>();
    model_ = {};
    commits_ = 0;
    ASSERT_NO_FATAL_FAILURE(Reopen());
    for (int step = 0; step < kSteps; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      ASSERT_NO_FATAL_FAILURE(Step());
      if (step % 8 != 0) continue;
      ASSERT_NO_FATAL_FAILURE(ExpectNewest());
    }
    ASSERT_NO_FATAL_FAILURE(ExpectNewest());
  }
  EXPECT_GT(conflicts_, 100u);
  EXPECT_GT(committed_, 100u);
}

}  // namespace
}  // namespace varve
