// SPDX-License-Identifier: Apache-2.0
// Durable upserts of one row into a small table and into a large one, whose rows have two numbers.
// Each table in a process of its own, which only opened it: so what is resident can be compared.
#include <arrow/api.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <random>
#include <sstream>

#include "bench/child_process.h"
#include "bench/upkeep/databases.h"
#include "bench/upkeep/groups.h"
#include "bench/upkeep/pairs.h"

namespace varve::bench {
namespace {

constexpr std::int64_t kPairsAtOnce = 1'000'000;

void LoadPairs(const std::string& dir, std::int64_t rows) {
  const auto database = OpenPairs(dir);
  std::vector<std::int64_t> keys;
  for (std::int64_t first = 0; first < rows; first += kPairsAtOnce) {
    keys.resize(static_cast<std::size_t>(std::min(kPairsAtOnce, rows - first)));
    std::iota(keys.begin(), keys.end(), first);
    Must(database->Upsert(kPairs, Pairs(keys), {.ack = AckLevel::kBuffered}));
  }
  Must(database->Flush());
  AwaitRest(*database);
  const auto found = Must(Must(database->GetSnapshot())->Count(kPairs));
  if (found.rows != static_cast<std::uint64_t>(rows)) Die("rows are missing");
  Must(database->Close());
}

struct PairsTable {
  std::string name;
  std::int64_t rows;
  std::unique_ptr<ChildProcess> process;
};

Slice AskForUpserts(const PairsTable& table, std::int64_t upserts) {
  const auto answer = table.process->Ask(fmt::format("{} {}", upserts, table.rows));
  Slice slice;
  slice.operations = upserts;
  for (const auto& [name, value] : answer.items()) slice.counts[name] = value.get<double>();
  slice.seconds = slice.counts["seconds"];
  slice.counts.erase("seconds");
  slice.counts["rows"] = static_cast<double>(table.rows);
  return slice;
}

double MicrosAt(const std::vector<std::uint32_t>& sorted, double part) {
  return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))] / 1e3;
}

}  // namespace

void ServeUpserts(const std::string& dir) {
  const auto database = OpenPairs(dir);
  std::mt19937_64 random(1);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::int64_t upserts = 0, rows = 0;
    words >> upserts >> rows;
    if (upserts <= 0 || rows <= 0) Die("no such command: " + line);
    std::vector<std::uint32_t> nanos;
    const Stretch stretch;
    for (std::int64_t i = 0; i < upserts; ++i) {
      const auto key = random() % static_cast<std::uint64_t>(rows);
      const auto row = Pairs({static_cast<std::int64_t>(key)});
      const auto start = Nanos();
      Must(database->Upsert(kPairs, row));
      nanos.push_back(
          static_cast<std::uint32_t>(std::min<std::int64_t>(Nanos() - start, UINT32_MAX)));
    }
    auto counts = stretch.End(upserts);
    std::ranges::sort(nanos);
    fmt::print("{{\"seconds\": {}, \"others\": {}, \"p50_us\": {}, \"p99_us\": {}, "
               "\"resident_bytes\": {}, \"runs\": {}}}\n",
               counts.seconds, counts.counts["others"], MicrosAt(nanos, 0.5),
               MicrosAt(nanos, 0.99), ResidentBytes(), ShownRuns(database->Stats()).runs);
    std::fflush(stdout);
  }
  Must(database->Close());
}

void MeasureUpserts(const UpkeepSettings& settings) {
  std::vector<PairsTable> tables;
  tables.push_back({"small", settings.small_rows, nullptr});
  tables.push_back({"large", settings.large_rows, nullptr});
  for (auto& table : tables) {
    const auto dir = settings.dir + "/" + table.name;
    const Stretch stretch;
    LoadPairs(dir, table.rows);
    Print(0, "load of the " + table.name + " table", stretch.End(table.rows));
    table.process = std::make_unique<ChildProcess>(
        std::vector<std::string>{settings.program, "serve-upserts", dir});
  }
  for (int round = 0; round <= settings.rounds; ++round) {
    for (const auto& table : tables) {
      WaitForCalm(settings.patience_seconds);
      Print(round, "one-row upserts, " + table.name, AskForUpserts(table, settings.upserts));
    }
  }
}

}  // namespace varve::bench
