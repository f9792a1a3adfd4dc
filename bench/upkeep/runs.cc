// SPDX-License-Identifier: Apache-2.0
// A manifest of COUNT runs, whose files are not there: how long it takes to open it, and edits,
// commits and flushes beside them.
#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/random.h"
#include "bench/upkeep/databases.h"
#include "bench/upkeep/groups.h"
#include "bench/upkeep/pairs.h"
#include "files/files.h"
#include "files/object_store.h"
#include "manifest/manifest.h"

namespace varve::bench {
namespace {

constexpr int kRunsAtOnce = 2000;
constexpr std::int64_t kRunsPerEdit = 50;  // there are so many when an edit is tried
constexpr int kTries = 100;

std::string KeyOf(std::uint64_t number) {
  std::string key(8, '\0');
  number |= 1ull << 63;
  for (std::size_t i = 0; i < 8; ++i) key[i] = static_cast<char>(number >> (56 - 8 * i));
  return key;
}

// Apart from each other on a level with room for them, so that there is nothing to compact.
AddRunEdit MakeRun(std::uint64_t id, std::uint64_t commit) {
  RunMeta run{.id = id, .table_id = 1, .schema_id = 1, .level = 4};
  run.data = {.name = fmt::format("data/{}/{:020}.parquet", kPairs, id),
              .bytes = 200'000,
              .rows = 10'000,
              .data_bytes = 190'000,
              .tail_crc32c = static_cast<std::uint32_t>(id)};
  run.min_key = KeyOf(1'000'000'000 + 10'000 * id);
  run.max_key = KeyOf(1'000'000'000 + 10'000 * id + 9'999);
  run.min_commit = run.max_commit = commit;
  run.distinct_keys = true;
  return {std::make_shared<const RunMeta>(std::move(run))};
}

template <typename Operation>
void PrintEach(const std::string& name, int count, const Operation& operation) {
  const Bystanders watch;
  Slice slice;
  slice.operations = count;
  for (int i = 0; i < count; ++i) {
    const auto start = Nanos();
    operation(i);
    const auto nanos = std::min<std::int64_t>(Nanos() - start, UINT32_MAX);
    slice.nanos.push_back(static_cast<std::uint32_t>(nanos));
    slice.seconds += static_cast<double>(nanos) / 1e9;
  }
  slice.counts["others"] = watch.Share();
  Print(1, name, std::move(slice));
}

void AddRuns(const std::string& dir, std::int64_t count) {
  const auto store = NewFolderStore(PosixFiles(), dir, SystemRandom());
  const auto manifest = Must(Manifest::Open(store.get()));
  std::uint64_t id = manifest->state()->next_run_id;
  while (id < static_cast<std::uint64_t>(count)) {
    std::vector<Edit> many;
    for (int i = 0; i < kRunsAtOnce; ++i) many.emplace_back(MakeRun(id++, 1));
    Must(manifest->Commit(many, {1}));
  }
  PrintEach("an edit beside many runs", static_cast<int>(count / kRunsPerEdit), [&](int) {
    Must(manifest->Commit({MakeRun(id++, 1)}, {1}));
  });
}

}  // namespace

void MeasureRuns(const UpkeepSettings& settings) {
  const std::string dir = settings.dir + "/database";
  {
    const auto database = OpenPairs(dir);
    Must(database->Upsert(kPairs, Pairs({1})));
    Must(database->Flush());
    Must(database->Close());
  }
  AddRuns(dir, settings.runs);
  for (int round = 0; round <= settings.rounds; ++round) {
    WaitForCalm(settings.patience_seconds);
    const auto resident = ResidentBytes();
    const Stretch stretch;
    const auto database = OpenPairs(dir);
    auto slice = stretch.End(1);
    slice.counts["runs"] = static_cast<double>(AllRuns(database->Stats()).runs);
    slice.counts["resident_bytes"] =
        static_cast<double>(ResidentBytes()) - static_cast<double>(resident);
    Print(round, "open of many runs", std::move(slice));
    Must(database->Close());
  }
  const auto database = OpenPairs(dir);
  PrintEach("a commit beside many runs", kTries,
            [&](int i) { Must(database->Upsert(kPairs, Pairs({2 + i}))); });
  PrintEach("a commit and a flush beside many runs", kTries, [&](int i) {
    Must(database->Upsert(kPairs, Pairs({2 + i})));
    Must(database->Flush());
  });
  Must(database->Close());
}

}  // namespace varve::bench
