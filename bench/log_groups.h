// SPDX-License-Identifier: Apache-2.0
// The groups of measurements of bench_log. Each prints its slices; see bench/slice.h.
#pragma once

#include <cstdint>
#include <string>

namespace varve::bench {

struct Settings {
  std::string dir;
  int rounds = 9;                            // the first is a warm-up and comes on top
  double slice_seconds = 1;
  double flush_seconds = 0.3;                // of F, before and after each slice
  std::uint64_t prepared_bytes = 64u << 20;  // of the file for F, of segments, of peers' logs
  std::uint64_t append_bytes = 192u << 20;   // user bytes of a slice that is not durable
  std::uint64_t change_bytes = 16u << 20;    // of the segments whose changes are watched
  double* patience_seconds = nullptr;        // left, to wait until others are quiet
  bool peers = true;
  std::string only;  // the one case of durable commits to measure, for whoever looks into it
};

// Durable commits by 1, 8, 16 and 64 writers, one thread with 64 tickets, the peers; F between.
void MeasureDurable(const Settings& settings);
// Appends that are not durable, with M, C and W of the same round.
void MeasureAppend(const Settings& settings);
// Replay, with reading and checksumming the same files.
void MeasureReplay(const Settings& settings);
// The latency of commits across ten segment changes, with that of as many F.
void MeasureSegmentChanges(const Settings& settings);
// Each preset, and each linger, against the defaults.
void MeasureKnobs(const Settings& settings);

}  // namespace varve::bench
