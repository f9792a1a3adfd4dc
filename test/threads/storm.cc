// SPDX-License-Identifier: Apache-2.0
#include "test/threads/storm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/futex.h"
#include "upkeep/compact.h"

namespace varve::testing {

Storm::Storm(const StormSettings& settings) : settings_(settings), random_(settings.seed) {
  CutsOfCompactions().part_bytes_min = 1;  // several parts, of files however small
  for (int i = 0; i < 2; ++i) {
    writers_.push_back({.name = "w" + std::to_string(i), .first_key = i * 1000});
  }
}

// Small, so that memtables fill, files are many and lookups push each other out of the cache.
void Storm::Open() {
  db_.reset();
  auto db = Database::Open(settings_.path,
                           {.create_if_missing = true,
                            .memtable_bytes_max = 64 << 10,
                            .seal_policy = SealAt({.commits_max = 60, .age_ms_max = 300}),
                            .read_cache_bytes_max = 64 << 10,
                            .compaction_threads = 2,
                            .background_bytes_per_second = 4 << 20,
                            .log_segment_bytes_max = 256 << 10},
                           {.files = settings_.files,
                            .clock = SystemClock(),
                            .random = &random_,
                            .executor = &threads_});
  ASSERT_TRUE(db) << db.error().message();
  db_ = *std::move(db);
  for (const char* table : {"t", "u"}) {
    const auto made = db_->CreateTable(table, RowsSchema(), {"id"}, {.if_not_exists = true});
    // "u" may have other columns by now.
    if (!made) {
      ASSERT_EQ(made.error().kind(), ErrorKind::kConflict) << made.error().message();
    }
  }
  if (db_->Stats().commit == CommitNumber{}) {
    ASSERT_TRUE(db_->Upsert("t", RowsBatch({{kCounter, "0"}})));
  }
}

void Storm::Start(std::vector<std::thread>* threads, Work work) {
  const std::uint64_t seed = settings_.seed * 1000 + ++started_;
  threads->emplace_back([seed, work = std::move(work)] {
    SeededRandom random(seed);
    work(random);
  });
}

std::vector<std::thread> Storm::StartWriters() {
  std::vector<std::thread> threads;
  for (Writer& writer : writers_) Start(&threads, [&](Random& random) { Write(&writer, random); });
  return threads;
}

std::vector<std::thread> Storm::StartOthers() {
  std::vector<std::thread> threads;
  for (const auto work : {&Storm::Read, &Storm::Read, &Storm::FollowOthers, &Storm::WriteLoosely,
                          &Storm::Transact, &Storm::Transact, &Storm::ChangeTables, &Storm::Tend}) {
    Start(&threads, [this, work](Random& random) { (this->*work)(random); });
  }
  Start(&threads, [this](Random& random) { Follow(&follower_, random); });
  return threads;
}

void Storm::Rage() {
  auto others = StartOthers();
  auto writers = StartWriters();
  std::optional<Held> held;
  if (settings_.close_amid) {
    AwaitCommits(settings_.commits * 2 / 3);
    const auto snapshot = db_->GetSnapshot();
    if (snapshot) held = Held{*snapshot, ReadRows(**snapshot)};
    closing_.store(true, std::memory_order_relaxed);
    CountCommit();  // whoever waits is told by the database
    const Status closed = db_->Close();
    EXPECT_TRUE(closed) << closed.error().message();
  }
  for (auto& thread : writers) thread.join();
  stop_.store(true, std::memory_order_relaxed);
  CountCommit();
  for (auto& thread : others) thread.join();
  if (held) {
    EXPECT_EQ(ReadRows(*held->snapshot), held->rows) << "a snapshot outlives Close";
  }
  offered_snapshot_.reset();
  offered_cursor_.reset();
}

void Storm::CountCommit() {
  commits_.fetch_add(1, std::memory_order_relaxed);
  FutexWakeAll(commits_);
}

bool Storm::AwaitCommits(std::uint32_t more) const {
  const std::uint32_t first = commits_.load(std::memory_order_relaxed);
  for (std::uint32_t now = first; now - first < more && !stopped() && !closing();
       now = commits_.load(std::memory_order_relaxed)) {
    FutexWait(commits_, now, 10'000);  // stop may be seen later than the count
  }
  return !stopped();
}

// Tables come and go, keys are there or not, and others were faster; nothing else can be wrong.
bool Storm::MayGoOn(const Error& error) {
  if (error.reason() == ErrorReason::kClosed) return false;
  EXPECT_TRUE(error.kind() == ErrorKind::kConflict || error.kind() == ErrorKind::kNotFound ||
              error.kind() == ErrorKind::kInvalid)
      << ToString(error.kind()) << ": " << error.message();
  return true;
}

void Storm::CheckAll() {
  const auto snapshot = db_->GetSnapshot();
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  const Rows rows = ReadRows(**snapshot);
  CheckPairs(rows);
  for (const Writer& writer : writers_) CheckWriter(writer, rows);
  const auto counted = counted_.load();
  ASSERT_TRUE(rows.contains(kCounter));
  if (settings_.close_amid) {
    EXPECT_GE(std::stoll(rows.at(kCounter)), counted);
  } else {
    EXPECT_EQ(std::stoll(rows.at(kCounter)), counted) << "a refused transaction left something";
  }
  CheckFollower(follower_);
  CheckOtherTables(**snapshot);
}

// Each pair is as the last acknowledged commit left it, or one that nobody heard of any more.
void Storm::CheckWriter(const Writer& writer, const Rows& rows) const {
  for (const auto& [pair, story] : writer.stories) {
    const auto at = rows.find(pair);
    const auto found = at == rows.end() ? std::nullopt : std::optional(at->second);
    std::vector<std::optional<std::string>> may_be;
    bool acknowledged = false;
    for (auto left = story.rbegin(); left != story.rend() && !acknowledged; ++left) {
      may_be.push_back(left->value);
      acknowledged = left->acknowledged;
    }
    if (!acknowledged) may_be.emplace_back();
    EXPECT_TRUE(settings_.close_amid || may_be.size() == 1) << pair;
    EXPECT_NE(std::ranges::find(may_be, found), may_be.end())
        << pair << ": " << found.value_or("nothing");
  }
}

void Storm::CheckFollower(const Follower& follower) const {
  if (follower.position == CommitNumber{}) return;  // it came too late
  const auto then = db_->GetSnapshot(follower.position);
  ASSERT_TRUE(then) << then.error().message();
  EXPECT_EQ(follower.rows, ReadRows(**then)) << "changes up to " << follower.position.value;
}

}  // namespace varve::testing
