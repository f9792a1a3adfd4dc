// SPDX-License-Identifier: Apache-2.0
// Measures what goes on beside reading and writing: flushes, compactions, opening. Prints one line
// of JSON a slice; bench/upkeep_suite.py runs it, sets the figures in relation and judges them.
//
//   bench_upkeep DIR [OPTION...] [GROUP...]
//
//   --rounds N             rounds that count; a warm-up comes on top
//   --run-rows N           rows of a flush, and of each run that is compacted
//   --small-rows N, --large-rows N   the tables that one-row upserts are compared in
//   --upserts N            one-row upserts in a slice
//   --minutes N            for how long upserts are sustained
//   --memory BYTES         for memtables, there; the table takes four times that
//   --commit-rows N        in a commit, there
//   --log-bytes BYTES      of log that is reopened
//   --space-rows N         in the table whose space is measured
//   --overwritten BYTES    of the table that is overwritten
//   --overwrites N         for how many times
//   --commits N            one-row commits before an open
//   --runs N               runs that are opened
//   --tonbo FILE           the program of bench/tonbo
//   --tonbo-absent WHY     why there is none
//   --tonbo-scale N        its workloads, divided by this
//   --patience SECONDS     in all, to wait until others leave the processors alone
//
// Groups: flush, compaction, upserts, sustained, reopen, space, amplification, commits, runs, tonbo
// (default: all). DIR must be an empty or missing folder on a real disk.
//
//   bench_upkeep serve-upserts DIR   is how it starts itself
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <vector>

#include "bench/raw_file.h"
#include "bench/slice.h"
#include "bench/upkeep/groups.h"

namespace {

using varve::bench::Die;
using varve::bench::UpkeepSettings;

const std::vector<std::pair<std::string, void (*)(const UpkeepSettings&)>> kGroups = {
    {"flush", varve::bench::MeasureFlush},
    {"compaction", varve::bench::MeasureCompaction},
    {"upserts", varve::bench::MeasureUpserts},
    {"sustained", varve::bench::MeasureSustained},
    {"reopen", varve::bench::MeasureReopen},
    {"space", varve::bench::MeasureSpace},
    {"amplification", varve::bench::MeasureAmplification},
    {"commits", varve::bench::MeasureCommits},
    {"runs", varve::bench::MeasureRuns},
    {"tonbo", varve::bench::MeasureTonboCompaction},
};

struct Arguments {
  UpkeepSettings settings;
  std::vector<std::string> groups;
};

bool SetOption(UpkeepSettings* settings, const std::string& name, const std::string& value) {
  const std::map<std::string, std::int64_t*> counts = {
      {"--run-rows", &settings->run_rows},       {"--small-rows", &settings->small_rows},
      {"--large-rows", &settings->large_rows},   {"--upserts", &settings->upserts},
      {"--commit-rows", &settings->commit_rows}, {"--space-rows", &settings->space_rows},
      {"--commits", &settings->commits},         {"--overwrites", &settings->overwrites},
      {"--runs", &settings->runs},               {"--tonbo-scale", &settings->tonbo_scale}};
  const std::map<std::string, std::uint64_t*> bytes = {
      {"--memory", &settings->memory_bytes},
      {"--log-bytes", &settings->log_bytes},
      {"--overwritten", &settings->overwritten_bytes}};
  const std::map<std::string, std::string*> texts = {{"--tonbo", &settings->tonbo},
                                                     {"--tonbo-absent", &settings->tonbo_absent}};
  if (const auto at = counts.find(name); at != counts.end()) {
    *at->second = std::stoll(value);
    if (*at->second <= 0) Die(name + " must be more than 0");
  } else if (const auto size = bytes.find(name); size != bytes.end()) {
    *size->second = std::stoull(value);
  } else if (const auto text = texts.find(name); text != texts.end()) {
    *text->second = value;
  } else if (name == "--rounds") {
    settings->rounds = std::stoi(value);
  } else if (name == "--minutes") {
    settings->minutes = std::stod(value);
  } else if (name == "--patience") {
    *settings->patience_seconds = std::stod(value);
  } else {
    return false;
  }
  return true;
}

void ParseArguments(int argc, char** argv, Arguments* arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with("--")) {
      if (i + 1 == argc || !SetOption(&arguments->settings, argument, argv[i + 1])) {
        Die("no such option, or no value: " + argument);
      }
      ++i;
    } else if (arguments->settings.dir.empty()) {
      arguments->settings.dir = argument;
    } else {
      arguments->groups.push_back(argument);
    }
  }
  if (arguments->settings.dir.empty()) Die("usage: bench_upkeep DIR [OPTION...] [GROUP...]");
  for (const auto& name : arguments->groups) {
    if (std::ranges::none_of(kGroups, [&](const auto& group) { return group.first == name; })) {
      Die("no group " + name);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "serve-upserts") {
    varve::bench::ServeUpserts(argv[2]);
    return 0;
  }
  double patience_seconds = 0;
  Arguments arguments{.settings = {.program = argv[0], .patience_seconds = &patience_seconds}};
  ParseArguments(argc, argv, &arguments);
  auto& settings = arguments.settings;
  std::filesystem::create_directories(settings.dir);
  varve::bench::RefuseMemoryFileSystem(settings.dir);
  if (!std::filesystem::is_empty(settings.dir)) Die(settings.dir + " is not empty");
  // tonbo takes no other.
  const auto base = std::filesystem::absolute(settings.dir).string();
  for (const auto& [name, measure] : kGroups) {
    const auto& wanted = arguments.groups;
    if (!wanted.empty() && std::ranges::find(wanted, name) == wanted.end()) continue;
    settings.dir = base + "/" + name;
    std::filesystem::create_directories(settings.dir);
    measure(settings);
    std::filesystem::remove_all(settings.dir);
  }
}
