// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <vector>

#include "bench/bare_appends.h"
#include "bench/log_groups.h"
#include "bench/raw_file.h"
#include "varve/log.h"

namespace varve::bench {
namespace {

constexpr int kRoundsMax = 5;  // making segments takes longer than writing to them
constexpr std::uint64_t kLogBlock = 4096;
constexpr std::uint64_t kQueueBytes = 1u << 20;

// What is appended in a slice. To measure another way of appending add a line to Variants().
struct Shape {
  std::size_t record_bytes;
  int threads;
};
struct Variant {
  std::string name;
  LogOptions options;
  std::vector<Shape> shapes;
};

class OneKey final : public KeyProvider {
 public:
  Result<std::string> CurrentKeyId() override { return std::string("bench"); }
  Result<std::string> Key(std::string_view) override { return std::string(32, 'k'); }
};

std::vector<Variant> Variants(std::uint64_t segment_bytes) {
  static OneKey keys;
  const std::vector<Shape> all = {{4096, 1}, {4096, 2}, {4096, 4}, {128, 1}, {128, 2}, {128, 4}};
  const std::vector<Shape> one = {{4096, 1}, {128, 1}};
  const LogOptions unsynced{.segment_bytes_max = segment_bytes,
                            .queue_bytes_max = kQueueBytes,
                            .sync_policy = LogSyncPolicy::kNever};
  std::vector<Variant> variants = {{"append", unsynced, all},
                                   {"append, encrypted", unsynced, one},
                                   {"append, lz4", unsynced, one},
                                   {"append, zstd", unsynced, one},
                                   {"append, synced behind", unsynced, one}};
  variants[1].options.keys = &keys;
  variants[2].options.compression = LogCompression::kLz4;
  variants[3].options.compression = LogCompression::kZstd;
  variants[4].options.sync_policy = LogSyncPolicy::kEveryGroup;
  return variants;
}

// Half of it is the same byte, half of it chance: it compresses to about half.
std::string HalfRandom(std::size_t bytes) {
  std::string record(bytes, 'a');
  std::minstd_rand chance(1);
  for (std::size_t i = 0; i < bytes / 2; ++i) record[i] = static_cast<char>(chance() >> 8);
  return record;
}

// More than twice what a slice writes: the next segment is made when one is half full.
std::uint64_t SegmentBytes(std::uint64_t append_bytes) { return append_bytes * 5 / 2; }

class Appender {
 public:
  Appender(const std::string& dir, Variant variant)
      : variant_(std::move(variant)),
        log_(Must(Log::Open(dir, variant_.options, [](const LogUnit&) { return Status(); }))) {}

  void Run(int round, std::uint64_t bytes) {
    for (const auto& shape : variant_.shapes) RunShape(round, shape, bytes);
  }

 private:
  // A slice begins in a segment of full size that is there already, and stays inside it unless the
  // log pads its groups to more than twice their bytes; bench/log_suite.py shows both. The first
  // segments of a log are small, and truncation keeps small ones for reuse too.
  void StartSegment() {
    const auto bytes = variant_.options.segment_bytes_max / kLogBlock * kLogBlock;
    do {
      Must(log_->Rotate());
      Must(log_->Append({"the first one of a segment"}));
      Must(log_->TruncateBefore(log_->positions().durable));
    } while (log_->stats().segments.back().file_bytes < bytes);
  }

  void RunShape(int round, const Shape& shape, std::uint64_t bytes) {
    StartSegment();
    const auto before = log_->stats();
    const Bystanders watch;
    const auto records = bytes / shape.record_bytes / static_cast<std::uint64_t>(shape.threads);
    Slice slice;
    slice.seconds = SecondsOf(shape.threads, [&](int) { AppendAll(shape.record_bytes, records); }) +
                    SecondsOf(1, [&](int) { WaitUntilWritten(); });
    const auto after = log_->stats();
    const auto changes = after.segments.back().sequence - before.segments.back().sequence;
    slice.counts["segment_changes"] = static_cast<double>(changes);
    slice.counts["log_bytes"] = static_cast<double>(after.bytes_written - before.bytes_written);
    slice.operations = static_cast<std::int64_t>(after.records - before.records);
    slice.counts["bytes"] = static_cast<double>(slice.operations) *
                            static_cast<double>(shape.record_bytes);
    slice.counts["others"] = watch.Share();
    slice.counts["syncs"] = static_cast<double>(after.syncs - before.syncs);
    Must(log_->Sync());
    Print(round, fmt::format("{}, {} B, {} thread{}", variant_.name, shape.record_bytes,
                             shape.threads, shape.threads == 1 ? "" : "s"),
          std::move(slice));
  }

  void AppendAll(std::size_t record_bytes, std::uint64_t records) {
    const std::string record = HalfRandom(record_bytes);
    const LogRecord unit[] = {record};
    for (std::uint64_t i = 0; i < records; ++i) Must(log_->Enqueue(unit));
  }

  void WaitUntilWritten() {
    Must(log_->WaitUntil(log_->positions().appended, AckLevel::kWritten));
  }

  const Variant variant_;
  const std::unique_ptr<Log> log_;
};

void PrintLimits(int round, PreparedFile* raw, std::uint64_t bytes) {
  Print(round, "M, 4096 B", Copies(4096, bytes));
  Print(round, "M, 128 B", Copies(128, bytes));
  Print(round, "C", Checksums(bytes));
  Print(round, "A", Encryptions(bytes));
  Print(round, "W", raw->Overwrites(bytes));
}

void PrintBareAppends(int round, BareAppends* bare, std::uint64_t bytes) {
  for (const std::uint64_t record_bytes : {4096, 128}) {
    for (const int threads : {1, 2, 4}) {
      Print(round, fmt::format("bare append, {} B, {} thread{}", record_bytes, threads,
                               threads == 1 ? "" : "s"),
            bare->Run(record_bytes, threads, bytes));
    }
  }
}

}  // namespace

void MeasureAppend(const Settings& settings) {
  PreparedFile raw(settings.dir + "/raw", settings.append_bytes);
  BareAppends bare(&raw);
  std::vector<std::unique_ptr<Appender>> appenders;
  for (auto& variant : Variants(SegmentBytes(settings.append_bytes))) {
    const auto dir = settings.dir + "/append" + std::to_string(appenders.size());
    appenders.push_back(std::make_unique<Appender>(dir, std::move(variant)));
  }
  for (int round = 0; round <= std::min(settings.rounds, kRoundsMax); ++round) {
    WaitForCalm(settings.patience_seconds);
    PrintLimits(round, &raw, settings.append_bytes);
    PrintBareAppends(round, &bare, settings.append_bytes);
    for (auto& appender : appenders) appender->Run(round, settings.append_bytes);
  }
}

}  // namespace varve::bench
