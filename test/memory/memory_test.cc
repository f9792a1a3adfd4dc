// SPDX-License-Identifier: Apache-2.0
// OpenOptions::memory_bytes is honoured: what a database takes beside what its process takes with
// next to nothing in it stays within 1.2 times the budget while six times as much (VARVE_LONG:
// twenty times, and eight times a larger one) is loaded, read and compacted, and within twice while
// eight read at once; and what it says that it holds is what it holds. On the real disk.
#include <arrow/api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "files/files.h"
#include "files/files_test_worlds.h"
#include "test/memory/resident.h"
#include "varve/database.h"

namespace varve::testing {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr std::int64_t kBatchRows = 4000;
constexpr std::int64_t kTextBytes = 40;
constexpr std::int64_t kRowBytes = 8 + 8 + 4 + kTextBytes;  // of Arrow data
constexpr int kScans = 8;
constexpr double kMost = 1.2, kMostOfMany = 2;  // of the budget

struct Load {
  std::uint64_t budget = 0;
  std::uint64_t times = 0;  // as much is loaded
};

std::vector<Load> Loads() {
  if (std::getenv("VARVE_LONG") == nullptr) return {{64ull << 20, 6}};
  return {{64ull << 20, 20}, {256ull << 20, 8}};
}

double Mib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// A number that looks like no order, each once: odd multiples are a permutation of the 64-bit ones.
std::uint64_t Mixed(std::uint64_t i) { return i * 0x9E3779B97F4A7C15u; }

std::shared_ptr<arrow::Schema> Schema() {
  return arrow::schema({arrow::field("id", arrow::uint64(), false),
                        arrow::field("v", arrow::int64()), arrow::field("text", arrow::utf8())});
}

BatchPtr MakeBatch(std::uint64_t first) {
  arrow::UInt64Builder ids;
  arrow::Int64Builder values;
  arrow::StringBuilder texts;
  std::string text(kTextBytes, ' ');
  for (std::uint64_t i = first; i < first + kBatchRows; ++i) {
    EXPECT_TRUE(ids.Append(Mixed(i)).ok());
    EXPECT_TRUE(values.Append(static_cast<std::int64_t>(i)).ok());
    std::uint64_t state = i;
    for (char& at : text) at = static_cast<char>('a' + (Mixed(++state) >> 40) % 23);
    EXPECT_TRUE(texts.Append(text).ok());
  }
  return arrow::RecordBatch::Make(Schema(), kBatchRows,
                                  {*ids.Finish(), *values.Finish(), *texts.Finish()});
}

// One database, in the process that measures it.
class Loaded {
 public:
  Loaded(std::string path, std::uint64_t memory) {
    auto db = Database::Open(std::move(path), {.create_if_missing = true, .memory_bytes = memory});
    if (!db) Die(db.error().message());
    db_ = *std::move(db);
    Need(db_->CreateTable("t", Schema(), {"id"}));
  }

  void Load(std::uint64_t bytes) {
    batches_ = 1 + bytes / (kRowBytes * kBatchRows);
    std::atomic<std::uint64_t> next = 0;
    std::vector<std::thread> writers;
    for (int i = 0; i < 2; ++i) {
      writers.emplace_back([&] {
        for (std::uint64_t n = next++; n < batches_; n = next++) {
          Need(db_->Upsert("t", MakeBatch(n * kBatchRows), {.ack = AckLevel::kWritten}));
        }
      });
    }
    for (auto& writer : writers) writer.join();
    Need(db_->Sync());  // so that it is all visible
  }
  void Scan(const ScanOptions& options = {}) {
    auto reader = db_->Scan("t", options);
    if (!reader) Die(reader.error().message());
    std::uint64_t rows = 0, last = 0;
    for (BatchPtr batch; (*reader)->ReadNext(&batch).ok() && batch != nullptr;) {
      const auto* ids = batch->column_data(0)->GetValues<std::uint64_t>(1);
      for (std::int64_t i = 0; i < batch->num_rows(); ++i, ++rows) {
        if (!options.unordered && rows > 0 && ids[i] <= last) Die("rows out of order");
        last = ids[i];
      }
    }
    if (rows != batches_ * kBatchRows) Die(fmt::format("{} rows", rows));
  }
  void ScanAtOnce(int scans) {
    std::vector<std::thread> readers;
    for (int i = 0; i < scans; ++i) readers.emplace_back([this] { Scan(); });
    for (auto& reader : readers) reader.join();
  }
  Database& db() { return *db_; }

  // What is booked still by those who hold nothing any more.
  std::uint64_t LeftOver() const {
    std::uint64_t left = 0;
    for (const auto& holder : db_->Stats().memory.holders) {
      const bool over = holder.name == "reads" || holder.name == "flush" ||
                        holder.name == "snapshots" || holder.name == "compaction";
      if (over) left += holder.bytes;
    }
    return left;
  }
  std::string Holders() const {
    std::string text;
    for (const auto& holder : db_->Stats().memory.holders) {
      if (holder.peak > 0) text += fmt::format(" {} {:.1f}", holder.name, Mib(holder.peak));
    }
    return text;
  }

  [[noreturn]] static void Die(const std::string& why) {
    fmt::print(stderr, "{}\n", why);
    std::_Exit(1);
  }
  template <typename T>
  static void Need(const T& result) {
    if (!result) Die(result.error().message());
  }

 private:
  std::unique_ptr<Database> db_;
  std::uint64_t batches_ = 0;
};

// What comes one after the other, each measured apart.
struct Phase {
  const char* name;
  std::function<void(Loaded*)> work;
  double most = kMost;
};

class MemoryTest : public ::testing::TestWithParam<Load> {
 protected:
  static std::uint64_t Budget() { return GetParam().budget; }
  static std::uint64_t Of(double part) {
    return static_cast<std::uint64_t>(part * static_cast<double>(Budget()));
  }

  // Of each phase VmHWM; then what was booked at most, and what is left over.
  Numbers Run(const std::string& name, std::uint64_t bytes, const std::vector<Phase>& phases) {
    const PosixWorld world;
    const auto numbers = InAnotherProcess([&] {
      Numbers measured;
      Loaded loaded(JoinPath(world.root(), name), Budget());
      for (const Phase& phase : phases) {
        ForgetHighest();
        if (phase.work != nullptr) {
          phase.work(&loaded);
        } else {
          loaded.Load(bytes);
        }
        measured.push_back(ResidentNow().highest);
      }
      measured.push_back(loaded.db().Stats().memory.peak);
      measured.push_back(loaded.LeftOver());
      fmt::print("{}: at most in MiB:{}\n", name, loaded.Holders());
      return measured;
    });
    EXPECT_EQ(numbers.size(), phases.size() + 2) << "the process failed";
    return numbers;
  }

  // The same with next to nothing in the database is what the process takes without it.
  void ExpectHonoured(const std::vector<Phase>& phases) {
    const Numbers bare = Run("bare", 4 * kRowBytes * kBatchRows, phases);
    const Numbers full = Run("full", GetParam().times * Budget(), phases);
    if (HasFailure()) return;
    const std::uint64_t beside = std::ranges::max(std::span(bare).first(phases.size()));
    const std::uint64_t booked = full[phases.size()];
    std::uint64_t most = 0;
    fmt::print("budget {:.0f} MiB, bare process {:.1f}, booked {:.1f}\n", Mib(Budget()),
               Mib(beside), Mib(booked));
    for (std::size_t i = 0; i < phases.size(); ++i) {
      const std::uint64_t more = full[i] - std::min(full[i], beside);
      if (phases[i].most == kMost) most = std::max(most, more);
      fmt::print("  {:<18} {:6.1f} MiB, {:.2f} of the budget\n", phases[i].name, Mib(more),
                 static_cast<double>(more) / static_cast<double>(Budget()));
      EXPECT_LE(more, Of(phases[i].most)) << phases[i].name;
    }
    EXPECT_LE(booked, Of(kMostOfMany)) << "what is booked";
    EXPECT_GE(booked + Budget() / 4, most) << "somebody does not book what he holds";
    EXPECT_EQ(full.back(), 0u) << "somebody does not give back";
  }
};

// The 8 scans are beside a compaction, of which there is most to do right after the load.
TEST_P(MemoryTest, ALoadAScanAndManyAtOnce) {
  ExpectHonoured({{"load", nullptr},
                  {"scan", [](Loaded* loaded) { loaded->Scan(); }},
                  {"scans at once", [](Loaded* loaded) { loaded->ScanAtOnce(kScans); },
                   kMostOfMany},
                  {"in any order", [](Loaded* loaded) { loaded->Scan({.unordered = true}); }},
                  {"compaction", [](Loaded* loaded) { Loaded::Need(loaded->db().Compact()); }}});
}

INSTANTIATE_TEST_SUITE_P(Loads, MemoryTest, ::testing::ValuesIn(Loads()), [](const auto& load) {
  return fmt::format("budget_{}_MiB", load.param.budget >> 20);
});

}  // namespace
}  // namespace varve::testing
