// SPDX-License-Identifier: Apache-2.0
// Every byte of every file of a database flipped, plain and encrypted: whoever opens it, reads any
// of its versions, follows its changes or verifies it is told, or gets what was there. Nobody is
// told otherwise. With VARVE_LONG every byte, else one of each kStep.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "test/support/test_keys.h"
#include "varve/changes.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve::testing {
namespace {

constexpr std::size_t kStep = 23;

class FlipSweep : public ::testing::TestWithParam<bool> {
 protected:
  FlipSweep() { keys_ = GetParam() ? &test_keys_ : nullptr; }

  Components World(Files* files) {
    return {.files = files, .clock = &clock_, .random = &random_, .executor = &executor_};
  }

  // Runs of several levels, with deletes and older versions; times, a tag; commits in the log.
  void Make() {
    auto opened = Database::Open("/db",
                                 {.create_if_missing = true,
                                  .history_micros = 1'000'000'000'000,
                                  .log_segment_bytes_max = 64 << 10,
                                  .keys = keys_},
                                 World(&disk_));
    ASSERT_TRUE(opened) << opened.error().message();
    const auto db = *std::move(opened);
    ASSERT_TRUE(db->CreateTable("t", RowsSchema(), {"id"}));
    for (std::int64_t round = 0; round < 4; ++round) {
      Rows rows;
      for (std::int64_t i = 0; i < 60; ++i) rows[i * (round + 1)] = std::string(10, 'a') + "x";
      ASSERT_TRUE(db->Upsert("t", RowsBatch(rows)));
      ASSERT_TRUE(db->Delete("t", RowsBatch({{round * 3, ""}})));
      if (round < 3) ASSERT_NO_FATAL_FAILURE(Flush(db.get(), round == 1));
      clock_.Advance(1'000'000);
    }
    ASSERT_TRUE(db->Tag("kept", CommitNumber{3}));
    commits_ = db->Stats().visible.value;
    ASSERT_TRUE(db->Close());
  }
  static void Flush(Database* db, bool compact) {
    ASSERT_TRUE(db->Flush());
    ASSERT_TRUE(!compact || db->Compact());
  }

  // Everything that a database can be asked for, as text; or the first error.
  Result<std::string> ReadAll(Files* files) {
    VARVE_ASSIGN(const auto db, Database::Open("/db",
                                               {.read_only = true, .lease = false, .keys = keys_},
                                               World(files)));
    std::string all;
    const auto add = [&](const Snapshot& snapshot) -> Status {
      VARVE_ASSIGN(const auto reader, snapshot.Scan("t"));
      std::shared_ptr<arrow::RecordBatch> batch;
      while (true) {
        if (const auto read = reader->ReadNext(&batch); !read.ok()) {
          return std::unexpected(ErrorFromArrow(read));
        }
        if (batch == nullptr) break;
        all += batch->ToString();
      }
      all += "\n---\n";
      return {};
    };
    for (std::uint64_t commit = 0; commit <= commits_; ++commit) {
      VARVE_ASSIGN(const auto snapshot, db->GetSnapshot(CommitNumber{commit}));
      VARVE_TRY(add(*snapshot));
    }
    VARVE_ASSIGN(const auto tagged, db->GetSnapshot(TagName{"kept"}));
    VARVE_TRY(add(*tagged));
    VARVE_ASSIGN(const auto now, db->GetSnapshot());
    VARVE_ASSIGN(const auto found, now->Get("t", RowsBatch({{6, ""}, {7, ""}, {999, ""}})
                                                     ->SelectColumns({0}).ValueOrDie()));
    all += found->ToString();
    VARVE_ASSIGN(const auto then, db->GetSnapshot(WallTime{clock_.Now().micros - 1'500'000}));
    all += std::to_string(then->commit().value);
    VARVE_ASSIGN(const auto changes, db->Changes("t", CommitNumber{0}));
    std::shared_ptr<arrow::RecordBatch> batch;
    while (true) {
      if (const auto read = changes->ReadNext(&batch); !read.ok()) {
        return std::unexpected(ErrorFromArrow(read));
      }
      if (batch == nullptr) break;
      all += batch->ToString();
    }
    return all;
  }

  // What is wrong with what is said of the flipped byte; empty: nothing.
  std::string Judge(Files* files, const std::string& sound) {
    const auto read = ReadAll(files);
    const auto verified = VerifyDatabase("/db", {.deep = true, .keys = keys_}, World(files));
    const bool found = !verified || !verified->damages.empty();
    if (read && *read != sound) return "other rows";
    if (!read && !found) return "verify is silent: " + read.error().message();
    if (!read && read.error().kind() == ErrorKind::kInternal) return read.error().message();
    ++(found ? told_ : unchanged_);
    return "";
  }

  std::vector<std::string> FilesIn(const std::string& folder) {
    std::vector<std::string> paths;
    const auto entries = disk_.List(folder);
    for (const auto& entry : *entries) {
      const std::string path = folder + "/" + entry.name;
      if (!entry.is_directory) {
        paths.push_back(path);
        continue;
      }
      for (auto& inner : FilesIn(path)) paths.push_back(std::move(inner));
    }
    return paths;
  }

  SimulatedDisk disk_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  TestKeys test_keys_;
  KeyProvider* keys_ = nullptr;
  std::uint64_t commits_ = 0;
  std::uint64_t told_ = 0, unchanged_ = 0;
};

TEST_P(FlipSweep, NobodyIsToldOtherwise) {
  ASSERT_NO_FATAL_FAILURE(Make());
  const auto sound = ReadAll(&disk_);
  ASSERT_TRUE(sound) << sound.error().message();
  const std::size_t step = std::getenv("VARVE_LONG") != nullptr ? 1 : kStep;
  for (const std::string& path : FilesIn("/db")) {
    const std::string whole = *disk_.Peek(path);
    // Behind what was written a segment is zeros, of which some are enough.
    const std::size_t written = whole.find_last_not_of('\0') + 1;
    for (std::size_t at = path.size() % step; at < whole.size();
         at += at < written ? step : 97 * step) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
      const auto disk = disk_.Clone();
      disk->Poke(path, flipped);
      EXPECT_EQ(Judge(disk.get(), *sound), "") << path << " byte " << at;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(told_, 10 * unchanged_ / 100);
  std::printf("%llu flips were told, %llu changed nothing\n",
              static_cast<unsigned long long>(told_), static_cast<unsigned long long>(unchanged_));
}

INSTANTIATE_TEST_SUITE_P(All, FlipSweep, ::testing::Bool(), [](const auto& encrypted) {
  return encrypted.param ? std::string("encrypted") : std::string("plain");
});

}  // namespace
}  // namespace varve::testing
