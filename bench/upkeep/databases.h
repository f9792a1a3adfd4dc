// SPDX-License-Identifier: Apache-2.0
// What the groups ask of databases and of this process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/slice.h"
#include "bench/upkeep/arrow_files.h"
#include "varve/varve.h"

namespace varve::bench {

inline constexpr std::int64_t kCommitRows = 1000;  // where commits are not what is measured

// Times a stretch of work; what others used of the processors meanwhile, and we ("processors": the
// time of all threads over the time that passed).
class Stretch {
 public:
  Stretch();
  // Of what was done since it was made.
  Slice End(std::int64_t operations) const;

 private:
  const Bystanders watch_;
  const double processor_seconds_;
  const std::int64_t start_;
};

// Waits until nothing goes on in the background. Ends the program when that takes ten minutes.
void AwaitRest(const Database& database);

// Files of runs in the folder of a database, by name.
Paths RunFiles(const std::string& dir, std::string_view table);
// Those that are not among the earlier ones.
Paths NewFiles(const Paths& all, const Paths& earlier);
std::uint64_t BytesOf(const Paths& files);
// Every file below it.
std::uint64_t BytesBelow(const std::string& dir);

std::uint64_t ResidentBytes();
// The runs that readers of now take, and their bytes; with those that only older readers do.
LevelStats ShownRuns(const DatabaseStats& stats);
LevelStats AllRuns(const DatabaseStats& stats);
// One value of PrometheusText; ends the program when it is not there.
double MetricOf(const std::string& text, std::string_view name);

// What the rows take as Arrow data.
std::uint64_t ArrowBytes(const arrow::RecordBatch& batch);

}  // namespace varve::bench
