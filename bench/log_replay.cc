// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <vector>

#include "bench/log_groups.h"
#include "bench/raw_file.h"
#include "varve/log.h"

namespace varve::bench {
namespace {

// Groups of about 1 MiB, as a busy log has them.
constexpr std::uint64_t kReplayQueueBytes = 1u << 20;

void WriteLog(const std::string& dir, std::size_t record_bytes, std::uint64_t bytes) {
  const auto log = Must(Log::Open(dir, {.queue_bytes_max = kReplayQueueBytes,
                                        .sync_policy = LogSyncPolicy::kNever},
                                  [](const LogUnit&) { return Status(); }));
  const std::string record(record_bytes, 'p');
  const LogRecord unit[] = {record};
  for (std::uint64_t done = 0; done < bytes; done += record_bytes) {
    Must(log->Enqueue(unit));
  }
  Must(log->Close());
}

Slice Replay(const std::string& dir, const RecoveryOptions& recovery = {}) {
  Slice slice;
  std::uint64_t bytes = 0;
  const auto count = [&](const LogUnit& unit) {
    for (const auto& record : unit.records) bytes += record.bytes.size();
    ++slice.operations;
    return Status();
  };
  const Bystanders watch;
  const auto start = Nanos();
  const auto log = Must(Log::Open(dir, {.read_only = true}, count, recovery));
  slice.seconds = static_cast<double>(Nanos() - start) / 1e9;
  slice.counts["bytes"] = static_cast<double>(bytes);
  slice.counts["others"] = watch.Share();
  return slice;
}

}  // namespace

void MeasureReplay(const Settings& settings) {
  const std::vector<std::size_t> sizes = {4096, 128};
  const auto dir_of = [&](std::size_t size) {
    return fmt::format("{}/replay{}", settings.dir, size);
  };
  for (const auto size : sizes) WriteLog(dir_of(size), size, settings.append_bytes);
  for (int round = 0; round <= settings.rounds; ++round) {
    WaitForCalm(settings.patience_seconds);
    for (const auto size : sizes) {
      Print(round, fmt::format("read and CRC, {} B", size), ReadAndChecksum(dir_of(size)));
      Print(round, fmt::format("replay, {} B", size), Replay(dir_of(size)));
      Print(round, fmt::format("replay without reading ahead, {} B", size),
            Replay(dir_of(size), {.read_ahead_bytes = 0}));
    }
  }
}

}  // namespace varve::bench
