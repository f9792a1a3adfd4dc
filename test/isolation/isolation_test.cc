// SPDX-License-Identifier: Apache-2.0
// A million transactions, whose histories must be what their isolation level allows.
//
// Most are interleaved by one thread: which transaction takes the next step is chosen by the seed,
// so that a history replays. The others run in four threads at once.
#include <arrow/api.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/isolation/history.h"
#include "test/support/seed.h"
#include "varve/database.h"

namespace varve::testing {
namespace {

constexpr int kLives = 240;  // of each level
constexpr int kFewLives = 4;
constexpr std::size_t kTransactionsOfALife = 2000;
constexpr int kThreadedLives = 4;  // of each level
constexpr int kThreads = 4;
constexpr std::size_t kTransactionsOfAThread = 1500;
constexpr std::size_t kActors = 6;
constexpr std::uint64_t kHotKeys = 5;
constexpr std::int64_t kListMost = 24;  // then another key takes its place
using Kind = Operation::Kind;

std::shared_ptr<arrow::Schema> ListSchema() {
  static const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("list", arrow::binary())});
  return schema;
}

std::shared_ptr<arrow::RecordBatch> ListBatch(std::int64_t key, const std::vector<Value>& list) {
  arrow::Int64Builder ids;
  arrow::BinaryBuilder lists;
  EXPECT_TRUE(ids.Append(key).ok());
  EXPECT_TRUE(lists.Append(reinterpret_cast<const char*>(list.data()),
                           static_cast<int>(list.size() * sizeof(Value))).ok());
  return arrow::RecordBatch::Make(ListSchema(), 1, {*ids.Finish(), *lists.Finish()});
}

std::vector<Value> ListAt(const arrow::RecordBatch& batch, std::int64_t row) {
  const auto bytes = static_cast<const arrow::BinaryArray&>(*batch.column(1)).GetView(row);
  std::vector<Value> list(bytes.size() / sizeof(Value));
  std::memcpy(list.data(), bytes.data(), bytes.size());
  return list;
}

// What all transactions of a life share.
struct World {
  Database* db = nullptr;
  Isolation isolation = Isolation::kSnapshot;
  std::atomic<std::uint64_t> events = 0;
  std::atomic<Value> values = 0;
  std::atomic<std::uint64_t> conflicts = 0;
  std::atomic<std::int64_t> appended = 0;  // for which keys are hot
};

// Does one transaction after the other, step by step, and records what it saw.
class Actor {
 public:
  Actor(World* world, std::uint64_t seed) : world_(world), chance_(seed) {}

  void Step() {
    if (!open_) return Begin();
    if (steps_left_ == 0) return End();
    --steps_left_;
    switch (chance_.Below(8)) {
      case 0: case 1: Read(PickKey()); return;
      case 2: return ReadRange();
      case 3: return Save();
      case 4: return GoBack();
      default: return AppendTo(PickKey());
    }
  }
  bool open() const { return open_ != nullptr; }
  void Abandon() {
    if (open_) Record(false);
  }
  History TakeHistory() { return std::move(history_); }
  std::size_t done() const { return history_.size(); }

 private:
  std::int64_t FirstHotKey() const { return world_->appended / kListMost; }
  std::int64_t PickKey() {
    return FirstHotKey() + static_cast<std::int64_t>(chance_.Below(kHotKeys));
  }
  void Begin() {
    now_ = {.began = ++world_->events, .ended = 0, .committed = false, .operations = {}};
    auto begun = world_->db->Begin({.isolation = world_->isolation});
    ASSERT_TRUE(begun) << begun.error().message();
    open_ = *std::move(begun);
    steps_left_ = 1 + chance_.Below(6);
  }
  std::vector<Value> Read(std::int64_t key) {
    const auto found = open_->Get("lists", ListBatch(key, {}));
    EXPECT_TRUE(found) << found.error().message();
    auto list = (*found)->num_rows() == 0 ? std::vector<Value>() : ListAt(**found, 0);
    now_.operations.push_back({Kind::kRead, key, list, 0});
    return list;
  }
  // Also keys that are not there, and come: phantoms.
  void ReadRange() {
    const auto first = FirstHotKey();
    const auto past = first + static_cast<std::int64_t>(kHotKeys);
    auto reader = open_->Scan("lists", {.range = {.lower = KeyOf(first), .upper = KeyOf(past)}});
    ASSERT_TRUE(reader) << reader.error().message();
    const auto table = (*reader)->ToTable();
    ASSERT_TRUE(table.ok()) << table.status().ToString();
    const auto rows = *(*table)->CombineChunksToBatch();
    std::int64_t row = 0;
    for (auto key = first; key < past; ++key) {
      std::vector<Value> list;
      const auto& ids = static_cast<const arrow::Int64Array&>(*rows->column(0));
      if (row < rows->num_rows() && ids.Value(row) == key) list = ListAt(*rows, row++);
      now_.operations.push_back({Kind::kRead, key, std::move(list), 0});
    }
    ASSERT_EQ(row, rows->num_rows());
  }
  static std::shared_ptr<arrow::RecordBatch> KeyOf(std::int64_t key) {
    return *ListBatch(key, {})->SelectColumns({0});
  }
  void AppendTo(std::int64_t key) {
    auto list = Read(key);
    const Value value = ++world_->values;
    list.push_back(value);
    const auto written = open_->Upsert("lists", ListBatch(key, list));
    ASSERT_TRUE(written) << written.error().message();
    now_.operations.push_back({Kind::kAppend, key, {}, value});
  }
  void Save() {
    if (savepoint_) return;
    const auto saved = open_->Savepoint();
    ASSERT_TRUE(saved) << saved.error().message();
    savepoint_ = *saved;
    now_.operations.push_back({Kind::kSavepoint, 0, {}, 0});
  }
  void GoBack() {
    if (!savepoint_) return;
    const auto back = open_->RollbackTo(*savepoint_);
    ASSERT_TRUE(back) << back.error().message();
    now_.operations.push_back({Kind::kRollback, 0, {}, 0});
  }
  void End() {
    if (chance_.Below(12) == 0) return Record(false);
    const auto info = open_->Commit();
    if (!info) {
      ASSERT_EQ(info.error().kind(), ErrorKind::kConflict) << info.error().message();
      ++world_->conflicts;
    } else {
      world_->appended += 1;
    }
    Record(info.has_value());
  }
  void Record(bool committed) {
    open_.reset();
    savepoint_.reset();
    now_.committed = committed;
    now_.ended = ++world_->events;
    history_.push_back(std::move(now_));
  }

  World* const world_;
  SeededRandom chance_;
  std::unique_ptr<Transaction> open_;
  std::optional<std::uint64_t> savepoint_;
  std::uint64_t steps_left_ = 0;
  RecordedTransaction now_;
  History history_;
};

class IsolationTest : public ::testing::TestWithParam<Isolation> {
 protected:
  void Open() {
    world_.isolation = GetParam();
    const OpenOptions options{.create_if_missing = true,
                              .memtable_bytes_max = 1 << 20,
                              .log_segment_bytes_max = 1 << 20};
    const Components components{
        .files = files_.get(), .clock = &clock_, .random = &random_, .executor = executor_.get()};
    auto db = Database::Open("/db", options, components);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
    world_.db = db_.get();
    const auto made = db_->CreateTable("lists", ListSchema(), {"id"});
    ASSERT_TRUE(made || made.error().kind() == ErrorKind::kConflict) << made.error().message();
  }
  // A database and transactions of their own.
  void BeginLife(std::unique_ptr<Executor> executor, std::size_t actors) {
    db_.reset();
    executor_ = std::move(executor);
    files_ = NewMemoryFiles();
    world_.events = 0;
    world_.appended = 0;
    actors_.clear();
    for (std::size_t i = 0; i < actors; ++i) actors_.emplace_back(&world_, random_.Next());
    Open();
  }
  void Reopen() {
    for (auto& actor : actors_) actor.Abandon();
    ASSERT_TRUE(db_->Close());
    db_.reset();
    Open();
  }
  void EndLife() {
    History history;
    for (auto& actor : actors_) {
      actor.Abandon();
      auto part = actor.TakeHistory();
      history.insert(history.end(), std::make_move_iterator(part.begin()),
                     std::make_move_iterator(part.end()));
    }
    ASSERT_NO_FATAL_FAILURE(Judge(history));
    ASSERT_TRUE(db_->Close());
  }
  void Interleave(int lives) {
    SCOPED_TRACE(SeedTrace(TestSeed()));
    for (int life = 0; life < lives; ++life) {
      SCOPED_TRACE(fmt::format("life {}", life));
      ASSERT_NO_FATAL_FAILURE(BeginLife(std::make_unique<ManualExecutor>(), kActors));
      while (Done() < kTransactionsOfALife) {
        const auto pick = random_.Below(30000);
        if (pick < 4) {
          ASSERT_TRUE(db_->Flush());
        } else if (pick == 4) {
          ASSERT_NO_FATAL_FAILURE(Reopen());
        }
        ASSERT_NO_FATAL_FAILURE(actors_[random_.Below(kActors)].Step());
      }
      ASSERT_NO_FATAL_FAILURE(EndLife());
    }
    ExpectWriteSkewWhereItIsAllowed();
  }
  std::size_t Done() const {
    std::size_t done = 0;
    for (const auto& actor : actors_) done += actor.done();
    return done;
  }
  void Judge(const History& history) {
    const auto found = Check(history);
    for (const auto& example : found.examples) ADD_FAILURE() << example;
    ASSERT_TRUE(found.counts.empty());
    if (found.write_skew) ++skews_;
    transactions_ += history.size();
    for (const auto& transaction : history) committed_ += transaction.committed ? 1 : 0;
  }
  void ExpectWriteSkewWhereItIsAllowed() const {
    if (GetParam() == Isolation::kSerializable) {
      EXPECT_EQ(skews_, 0u);
    } else {
      EXPECT_GT(skews_, 0u);
    }
    EXPECT_GT(world_.conflicts, transactions_ / 100);
    EXPECT_GT(committed_, transactions_ / 3);
  }
  ManualClock clock_;
  SeededRandom random_{TestSeed()};
  World world_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Files> files_;
  std::unique_ptr<Database> db_;
  std::deque<Actor> actors_;
  std::uint64_t transactions_ = 0, committed_ = 0, skews_ = 0;
};

TEST_P(IsolationTest, AFewInterleavedHistoriesAreAllowed) {
  ASSERT_NO_FATAL_FAILURE(Interleave(kFewLives));
}

TEST_P(IsolationTest, ManyInterleavedHistoriesAreAllowed) {
  ASSERT_NO_FATAL_FAILURE(Interleave(kLives));
}

TEST_P(IsolationTest, HistoriesOfThreadsAreAllowed) {
  SCOPED_TRACE(SeedTrace(TestSeed()));
  for (int life = 0; life < kThreadedLives; ++life) {
    ASSERT_NO_FATAL_FAILURE(BeginLife(std::make_unique<ThreadPool>(2), kThreads));
    std::atomic<int> running = kThreads;
    std::vector<std::thread> threads;
    for (auto& actor : actors_) {
      threads.emplace_back([&] {
        while (actor.done() < kTransactionsOfAThread && !HasFatalFailure()) actor.Step();
        --running;
      });
    }
    for (std::uint64_t next = 0; running > 0; std::this_thread::yield()) {
      if (world_.events < next) continue;
      EXPECT_TRUE(db_->Flush());
      next = world_.events + 1500;
    }
    for (auto& thread : threads) thread.join();
    ASSERT_NO_FATAL_FAILURE(EndLife());
  }
  ExpectWriteSkewWhereItIsAllowed();
}

INSTANTIATE_TEST_SUITE_P(, IsolationTest,
                         ::testing::Values(Isolation::kSnapshot, Isolation::kSerializable),
                         [](const auto& level) {
                           return level.param == Isolation::kSnapshot ? "Snapshot" : "Serializable";
                         });

}  // namespace
}  // namespace varve::testing
