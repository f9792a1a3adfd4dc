// SPDX-License-Identifier: Apache-2.0
#include "bench/upkeep/databases.h"

#include <arrow/api.h>
#include <arrow/util/byte_size.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

namespace varve::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kLook(250);
constexpr int kCalmLooks = 4;
constexpr int kLooksMax = 2400;
constexpr double kAtRest = 0.02;  // of a processor
constexpr std::uint64_t kLevel0Due = 4;

double ProcessorSeconds() {
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Pause() {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, kLook);
}

bool IsBehind(const DatabaseStats& stats) {
  return std::ranges::any_of(stats.tables, [](const TableStats& table) {
    return !table.levels.empty() && table.levels[0].runs >= kLevel0Due;
  });
}

void Add(const LevelStats& level, LevelStats* sum) {
  sum->runs += level.runs;
  sum->bytes += level.bytes;
  sum->rows += level.rows;
}

}  // namespace

Stretch::Stretch() : processor_seconds_(ProcessorSeconds()), start_(Nanos()) {}

Slice Stretch::End(std::int64_t operations) const {
  Slice slice;
  slice.operations = operations;
  slice.seconds = static_cast<double>(Nanos() - start_) / 1e9;
  slice.counts["processors"] = (ProcessorSeconds() - processor_seconds_) / slice.seconds;
  slice.counts["others"] = watch_.Share();
  return slice;
}

void AwaitRest(const Database& database) {
  std::uint64_t done = 0;
  for (int looks = 0, calm = 0; calm < kCalmLooks; ++looks) {
    if (looks == kLooksMax) Die("the database does not come to rest");
    const Stretch stretch;
    Pause();
    const auto stats = database.Stats();
    const bool rests = stretch.End(1).counts["processors"] < kAtRest &&
                       done == stats.flushes + stats.compactions && !IsBehind(stats);
    calm = rests ? calm + 1 : 0;
    done = stats.flushes + stats.compactions;
  }
}

Paths RunFiles(const std::string& dir, std::string_view table) {
  Paths files;
  const auto folder = fs::path(dir) / "data" / table;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  return files;
}

Paths NewFiles(const Paths& all, const Paths& earlier) {
  Paths files;
  std::ranges::set_difference(all, earlier, std::back_inserter(files));
  return files;
}

std::uint64_t BytesOf(const Paths& files) {
  std::uint64_t bytes = 0;
  for (const auto& file : files) bytes += fs::file_size(file);
  return bytes;
}

std::uint64_t BytesBelow(const std::string& dir) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

std::uint64_t ResidentBytes() {
  std::ifstream facts("/proc/self/statm");
  std::uint64_t all = 0, resident = 0;
  facts >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

LevelStats ShownRuns(const DatabaseStats& stats) {
  LevelStats sum;
  for (const auto& table : stats.tables) {
    for (const auto& level : table.levels) Add(level, &sum);
  }
  return sum;
}

LevelStats AllRuns(const DatabaseStats& stats) {
  LevelStats sum = ShownRuns(stats);
  for (const auto& table : stats.tables) Add(table.history, &sum);
  return sum;
}

double MetricOf(const std::string& text, std::string_view name) {
  const std::string line = "\n" + std::string(name) + " ";
  const auto at = text.find(line);
  if (at == std::string::npos) Die("no metric " + std::string(name));
  return std::strtod(text.c_str() + at + line.size(), nullptr);
}

std::uint64_t ArrowBytes(const arrow::RecordBatch& batch) {
  const auto bytes = arrow::util::ReferencedBufferSize(batch);
  if (!bytes.ok()) Die(bytes.status().ToString());
  return static_cast<std::uint64_t>(*bytes);
}

}  // namespace varve::bench
