// SPDX-License-Identifier: Apache-2.0
// COUNT durable commits of one row by 8 threads, with default options and nothing done by hand:
// how long the database then takes to open, and how many runs there are.
#include <fmt/format.h>

#include "bench/upkeep/databases.h"
#include "bench/upkeep/groups.h"
#include "bench/upkeep/pairs.h"

namespace varve::bench {
namespace {

constexpr int kCommitThreads = 8;

}  // namespace

void MeasureCommits(const UpkeepSettings& settings) {
  const std::string dir = settings.dir + "/database";
  {
    const auto database = OpenPairs(dir);
    const Bystanders watch;
    Slice slice;
    slice.seconds = SecondsOf(kCommitThreads, [&](int thread) {
      for (std::int64_t id = thread; id < settings.commits; id += kCommitThreads) {
        Must(database->Upsert(kPairs, Pairs({id})));
      }
    });
    slice.operations = settings.commits;
    slice.counts["others"] = watch.Share();
    Print(1, "one-row commits by 8 threads", std::move(slice));
  }
  for (int round = 0; round <= settings.rounds; ++round) {
    WaitForCalm(settings.patience_seconds);
    const Stretch stretch;
    const auto database = OpenPairs(dir);
    auto slice = stretch.End(1);
    const auto found = Must(Must(database->GetSnapshot())->Count(kPairs));
    if (found.rows != static_cast<std::uint64_t>(settings.commits)) Die("rows are missing");
    slice.counts["runs"] = static_cast<double>(AllRuns(database->Stats()).runs);
    slice.counts["log_bytes"] = static_cast<double>(BytesBelow(dir + "/log"));
    Print(round, "reopen after one-row commits", std::move(slice));
  }
}

}  // namespace varve::bench
