// SPDX-License-Identifier: Apache-2.0
// Measures the database against rivals in one process, in alternating slices. Prints one line of
// JSON a slice; bench/versions_suite.py runs it, sets the figures in relation and judges them.
//
//   bench_versions DIR [OPTION...] [GROUP...]
//
//   --rounds N             rounds that count; a warm-up comes on top
//   --slice SECONDS        the length of a slice
//   --budget BYTES         of new rows before an ingesting store flushes them
//   --scan-rows N, --get-rows N, --transaction-rows N   how large the tables are
//   --tonbo-scale N        tonbo's workloads, divided by this
//   --patience SECONDS     in all, to wait until others leave the processors alone
//   --duckdb FILE          the library inside of DuckDB's Python wheel
//   --python NAME          libpython, whose symbols it wants
//   --tonbo FILE           the program of bench/tonbo
//   --tonbo-absent WHY     why there is none
//   --only TEXT            just the cases with this in their name (not of tonbo's)
//   --no-peers             varve alone
//
// Groups: ingest, scan, get, transactions, changes, tonbo (default: all). DIR must be an empty or
// missing folder on a real disk.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/raw_file.h"
#include "bench/slice.h"
#include "bench/versions/duckdb_api.h"
#include "bench/versions/groups.h"

namespace {

using varve::bench::Die;
using varve::bench::VersionsSettings;

const std::vector<std::pair<std::string, void (*)(const VersionsSettings&)>> kGroups = {
    {"ingest", varve::bench::MeasureIngest},   {"scan", varve::bench::MeasureScans},
    {"get", varve::bench::MeasureGets},        {"transactions", varve::bench::MeasureTransactions},
    {"changes", varve::bench::MeasureChanges}, {"tonbo", varve::bench::MeasureTonbo},
};

struct Arguments {
  VersionsSettings settings;
  std::string duckdb, python;
  std::vector<std::string> groups;
};

bool SetOption(Arguments* arguments, const std::string& name, const std::string& value) {
  auto& settings = arguments->settings;
  if (name == "--rounds")
    settings.rounds = std::stoi(value);
  else if (name == "--slice")
    settings.slice_seconds = std::stod(value);
  else if (name == "--budget")
    settings.budget_bytes = std::stoull(value);
  else if (name == "--scan-rows")
    settings.scan_rows = std::stoll(value);
  else if (name == "--get-rows")
    settings.get_rows = std::stoll(value);
  else if (name == "--transaction-rows")
    settings.transaction_rows = std::stoll(value);
  else if (name == "--tonbo-scale")
    settings.tonbo_scale = std::stoll(value);
  else if (name == "--patience")
    *settings.patience_seconds = std::stod(value);
  else if (name == "--only")
    settings.only = value;
  else if (name == "--duckdb")
    arguments->duckdb = value;
  else if (name == "--python")
    arguments->python = value;
  else if (name == "--tonbo")
    settings.tonbo = value;
  else if (name == "--tonbo-absent")
    settings.tonbo_absent = value;
  else
    return false;
  return true;
}

void ParseArguments(int argc, char** argv, Arguments* arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--no-peers") {
      arguments->settings.peers = false;
    } else if (argument.starts_with("--")) {
      if (i + 1 == argc || !SetOption(arguments, argument, argv[i + 1])) {
        Die("no such option, or no value: " + argument);
      }
      ++i;
    } else if (arguments->settings.dir.empty()) {
      arguments->settings.dir = argument;
    } else {
      arguments->groups.push_back(argument);
    }
  }
  if (arguments->settings.dir.empty()) Die("usage: bench_versions DIR [OPTION...] [GROUP...]");
  for (const auto& name : arguments->groups) {
    if (std::ranges::none_of(kGroups, [&](const auto& group) { return group.first == name; })) {
      Die("no group " + name);
    }
  }
}

void LeaveOutPeers(VersionsSettings* settings) {
  settings->duckdb_absent = settings->tonbo_absent = varve::bench::kLeftOut;
  settings->tonbo.clear();
}

}  // namespace

namespace varve::bench {

void PrintSettings(std::string_view system, std::string_view settings) {
  fmt::print("{}\n", nlohmann::json{{"system", system}, {"settings", settings}}.dump());
}

}  // namespace varve::bench

int main(int argc, char** argv) {
  double patience_seconds = 0;
  Arguments arguments{.settings = {.patience_seconds = &patience_seconds}};
  ParseArguments(argc, argv, &arguments);
  auto& settings = arguments.settings;
  std::filesystem::create_directories(settings.dir);
  varve::bench::RefuseMemoryFileSystem(settings.dir);
  if (!std::filesystem::is_empty(settings.dir)) Die(settings.dir + " is not empty");
  settings.duckdb_absent = varve::bench::duckdb::Load(arguments.duckdb, arguments.python);
  if (!settings.peers) LeaveOutPeers(&settings);
  const auto base = settings.dir;
  for (const auto& [name, measure] : kGroups) {
    const auto& wanted = arguments.groups;
    if (!wanted.empty() && std::ranges::find(wanted, name) == wanted.end()) continue;
    settings.dir = base + "/" + name;
    std::filesystem::create_directories(settings.dir);
    measure(settings);
    std::filesystem::remove_all(settings.dir);
  }
}
