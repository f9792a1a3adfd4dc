// SPDX-License-Identifier: Apache-2.0
// What the presets move, and what lingering would gain: each knob against the defaults.
#include <fmt/format.h>

#include <atomic>
#include <thread>
#include <vector>

#include "bench/log_committer.h"
#include "bench/log_groups.h"
#include "bench/raw_file.h"
#include "varve/log.h"

namespace varve::bench {
namespace {

constexpr int kKnobRoundsMax = 5;
constexpr std::size_t kFloodBytes = 16u << 10;  // of each record of the flood
constexpr int kFloodTruncates = 2048;           // after so many, so that segments are used again

struct Knob {
  std::string name;
  LogOptions options;
};

std::vector<Knob> Presets() {
  return {{"defaults", {}},
          {"throughput", LogOptions::Throughput()},
          {"latency", LogOptions::Latency()},
          {"durable", LogOptions::Durable()}};
}

std::vector<Knob> Lingers() {
  std::vector<Knob> knobs;
  for (const std::uint64_t micros : {0, 20, 50, 100, 200}) {
    knobs.push_back({fmt::format("linger {} us", micros), {.linger_us = micros}});
  }
  return knobs;
}

class KnobGroup {
 public:
  explicit KnobGroup(const Settings& settings) : settings_(settings) {
    presets_ = Open("preset", Presets());
    lingers_ = Open("linger", Lingers());
  }

  void Run() {
    for (int round = 0; round <= std::min(settings_.rounds, kKnobRoundsMax); ++round) {
      for (auto& [name, log] : presets_) {
        RunCommits(round, name, log.get(), {1, 16});
        RunBesideAFlood(round, name, log.get());
      }
      for (auto& [name, log] : lingers_) RunCommits(round, name, log.get(), {1, 8, 64});
    }
  }

 private:
  using Opened = std::pair<std::string, std::unique_ptr<LogCommitter>>;

  std::vector<Opened> Open(const std::string& dir, std::vector<Knob> knobs) {
    std::vector<Opened> opened;
    for (auto& [name, options] : knobs) {
      options.segment_bytes_max = settings_.prepared_bytes;
      const auto path = fmt::format("{}/{}{}", settings_.dir, dir, opened.size());
      opened.emplace_back(name, std::make_unique<LogCommitter>(path, options));
    }
    return opened;
  }

  void RunCommits(int round, const std::string& name, LogCommitter* log,
                  const std::vector<int>& writers) {
    for (const int n : writers) {
      WaitForCalm(settings_.patience_seconds);
      log->Before();
      auto slice = ClosedLoop(n, settings_.slice_seconds / 2, [&](int) { log->Commit(0); });
      log->After(&slice);
      Print(round, fmt::format("{}, N={}", name, n), std::move(slice));
    }
  }

  // Commits by four writers while a fifth appends as fast as it can, and waits for no device.
  void RunBesideAFlood(int round, const std::string& name, LogCommitter* log) {
    WaitForCalm(settings_.patience_seconds);
    log->Before();
    std::atomic<bool> stop = false;
    std::thread flood([&] {
      const std::string record(kFloodBytes, 'f');
      const LogRecord unit[] = {record};
      for (int i = 1; !stop; ++i) {
        Must(log->log()->Enqueue(unit, AckLevel::kBuffered));
        if (i % kFloodTruncates == 0) {
          Must(log->log()->TruncateBefore(log->log()->positions().durable));
        }
      }
    });
    auto slice = ClosedLoop(4, settings_.slice_seconds / 2, [&](int) { log->Commit(0); });
    stop = true;
    flood.join();
    Print(round, fmt::format("{}, beside a flood", name), std::move(slice));
  }

  const Settings settings_;
  std::vector<Opened> presets_;
  std::vector<Opened> lingers_;
};

}  // namespace

void MeasureKnobs(const Settings& settings) { KnobGroup(settings).Run(); }

}  // namespace varve::bench
