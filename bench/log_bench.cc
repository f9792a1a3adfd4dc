// SPDX-License-Identifier: Apache-2.0
// Measures varve::log against the limits of the machine and against its peers, in one process, in
// alternating slices. Prints one line of JSON a slice; bench/log_suite.py runs it, sets the figures
// in relation to each other and judges them.
//
//   bench_log DIR [OPTION...] [GROUP...]
//
//   --rounds N          rounds that count; a warm-up comes on top
//   --slice SECONDS     of durable commits
//   --flush SECONDS     of F, before and after each slice
//   --prepared BYTES    of the file for F, of the log's segments and of the peers' logs
//   --append BYTES      user bytes of a slice of appends that are not durable
//   --change BYTES      of the segments whose changes are watched
//   --patience SECONDS  in all, to wait until others leave the processors alone
//   --case NAME         of durable commits this case alone, such as "varve N=8"
//   --no-peers          the log alone
//
// Groups: durable, append, replay, changes (default: all). DIR must be an empty or missing folder
// on a real disk.
#include <algorithm>
#include <filesystem>
#include <vector>


#include "bench/log_groups.h"
#include "bench/raw_file.h"

namespace {

using varve::bench::Die;
using varve::bench::Settings;

const std::vector<std::pair<std::string, void (*)(const Settings&)>> kGroups = {
    {"durable", varve::bench::MeasureDurable},
    {"append", varve::bench::MeasureAppend},
    {"replay", varve::bench::MeasureReplay},
    {"changes", varve::bench::MeasureSegmentChanges},
    {"knobs", varve::bench::MeasureKnobs},
};

bool SetOption(Settings* settings, const std::string& name, const std::string& value) {
  if (name == "--rounds") settings->rounds = std::stoi(value);
  else if (name == "--slice") settings->slice_seconds = std::stod(value);
  else if (name == "--flush") settings->flush_seconds = std::stod(value);
  else if (name == "--prepared") settings->prepared_bytes = std::stoull(value);
  else if (name == "--case") settings->only = value;
  else if (name == "--append") settings->append_bytes = std::stoull(value);
  else if (name == "--change") settings->change_bytes = std::stoull(value);
  else if (name == "--patience") *settings->patience_seconds = std::stod(value);
  else return false;
  return true;
}

std::vector<std::string> ParseArguments(int argc, char** argv, Settings* settings) {
  std::vector<std::string> groups;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--no-peers") {
      settings->peers = false;
    } else if (argument.starts_with("--")) {
      if (i + 1 == argc || !SetOption(settings, argument, argv[i + 1])) {
        Die("no such option, or no value: " + argument);
      }
      ++i;
    } else if (settings->dir.empty()) {
      settings->dir = argument;
    } else {
      groups.push_back(argument);
    }
  }
  if (settings->dir.empty()) Die("usage: bench_log DIR [OPTION...] [GROUP...]");
  return groups;
}

}  // namespace

int main(int argc, char** argv) {
  double patience_seconds = 0;
  Settings settings{.patience_seconds = &patience_seconds};
  const auto wanted = ParseArguments(argc, argv, &settings);
  std::filesystem::create_directories(settings.dir);
  varve::bench::RefuseMemoryFileSystem(settings.dir);
  if (!std::filesystem::is_empty(settings.dir)) Die(settings.dir + " is not empty");
  for (const auto& name : wanted) {
    if (std::ranges::none_of(kGroups, [&](const auto& group) { return group.first == name; })) {
      Die("no group " + name);
    }
  }
  const auto base = settings.dir;
  for (const auto& [name, measure] : kGroups) {
    if (!wanted.empty() && std::ranges::find(wanted, name) == wanted.end()) continue;
    settings.dir = base + "/" + name;
    std::filesystem::create_directories(settings.dir);
    measure(settings);
    std::filesystem::remove_all(settings.dir);
  }
}
