// SPDX-License-Identifier: Apache-2.0
// Damages the write-ahead logs of varve and of its peers in every way, and counts what each says.
// Prints a line of JSON for each system and for each kind of damage; bench/log_damage.py runs it
// and makes the table.
//
//   bench_log_damage DIR [OPTION...] [SYSTEM...]
//
//   --seed N        of the commits, and of the sample where not every case is tried
//   --cases-max N   of one kind of damage (0: all; a system may set a lower limit)
//   --list          names the systems and ends
//
// DIR must be empty or missing; a folder in memory will do, nothing is timed.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/log_damage/damages.h"
#include "bench/slice.h"

namespace varve::bench {
namespace {

struct Arguments {
  std::string dir;
  std::uint64_t seed = 1;
  std::uint64_t cases_max = UINT64_MAX;
  bool list = false;
  std::vector<std::string> wanted;
};

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--list") arguments.list = true;
    else if (word == "--seed" && i + 1 < argc) arguments.seed = std::stoull(argv[++i]);
    else if (word == "--cases-max" && i + 1 < argc) arguments.cases_max = std::stoull(argv[++i]);
    else if (word.starts_with("--")) Die("no such option, or no value: " + word);
    else if (arguments.dir.empty()) arguments.dir = word;
    else arguments.wanted.push_back(word);
  }
  if (arguments.dir.empty()) Die("usage: bench_log_damage DIR [OPTION...] [SYSTEM...]");
  if (arguments.cases_max == 0) arguments.cases_max = UINT64_MAX;
  return arguments;
}

Systems AllSystems() {
  Systems systems;
  AddVarveLog(&systems);
#ifdef VARVE_HAS_ROCKSDB
  AddRocksDb(&systems);
#else
  PrintMissing("RocksDB", "its library was not there when this was built");
#endif
#ifdef VARVE_HAS_LEVELDB
  AddLevelDb(&systems);
#else
  PrintMissing("LevelDB", "its library was not there when this was built");
#endif
#ifdef VARVE_HAS_SQLITE3
  AddSqlite(&systems);
#else
  PrintMissing("SQLite", "its library was not there when this was built");
#endif
  AddPlainFiles(&systems);
  return systems;
}

// Messages hold whatever bytes were found.
void PrintLine(const nlohmann::ordered_json& line) {
  const auto text = line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void PrintSystem(const System& system, const Victim& victim, std::uint64_t seed) {
  std::uint64_t bytes = 0;
  for (const auto& path : victim.files) bytes += victim.Bytes(path).size();
  PrintLine({{"system", system.name()}, {"settings", system.settings()},
             {"commits", victim.states.size() - 1}, {"files", victim.files.size()},
             {"bytes", bytes}, {"seed", seed}});
}

void PrintResult(const System& system, const DamageKind& kind, const SweepResult& result) {
  nlohmann::ordered_json line{{"system", system.name()}, {"damage", kind.name},
                              {"one_in", result.one_in}};
  nlohmann::ordered_json first = nlohmann::ordered_json::object();
  std::uint64_t cases = 0;
  for (std::size_t i = 0; i < kOutcomes; ++i) {
    line[kOutcomeNames[i]] = result.tally.counts[i];
    cases += result.tally.counts[i];
    if (result.tally.first[i][0] != '\0') first[kOutcomeNames[i]] = result.tally.first[i];
  }
  line["cases"] = cases;
  line["first"] = first;
  PrintLine(line);
}

// Empty when the undamaged copy comes back whole; otherwise nothing that follows would mean
// anything.
std::string WhyNotSound(System* system, const Victim& victim, const std::string& dir,
                        std::uint64_t seed) {
  const auto sound = RunSweep(system, victim, [](Sampler* sampler) {
    if (sampler->Take()) sampler->Attempt({.what = "sound", .changes = {}});
  }, dir, UINT64_MAX, seed);
  if (sound.tally.counts[static_cast<std::size_t>(Outcome::kExact)] == 1) return "";
  std::string why = "the undamaged log does not come back after a kill: ";
  for (const auto& first : sound.tally.first) why += first;
  return why;
}

void Measure(System* system, const Arguments& arguments) {
  const auto victim = MakeVictim(system, arguments.dir + "/victim", arguments.seed);
  const auto twin = MakeVictim(system, arguments.dir + "/twin", arguments.seed + 1);
  const auto dir = arguments.dir + "/damaged";
  if (const auto why = WhyNotSound(system, victim, dir, arguments.seed); !why.empty()) {
    return PrintLine({{"missing", system->name()}, {"why", why}});
  }
  PrintSystem(*system, victim, arguments.seed);
  const auto cases_max = std::min(arguments.cases_max, system->cases_max());
  for (const auto& kind : AllDamageKinds()) {
    const auto make = [&](Sampler* sampler) { kind.make(victim, twin, sampler); };
    const auto result = RunSweep(system, victim, make, dir, cases_max, arguments.seed);
    PrintResult(*system, kind, result);
  }
  std::filesystem::remove_all(dir);
}

void Main(const Arguments& arguments) {
  const auto systems = AllSystems();
  const auto is_named = [&](const auto& name) {
    return std::ranges::any_of(systems, [&](const auto& known) { return known->name() == name; });
  };
  for (const auto& name : arguments.wanted) {
    if (!is_named(name)) Die("no system " + name);
  }
  std::filesystem::create_directories(arguments.dir);
  if (!std::filesystem::is_empty(arguments.dir)) Die(arguments.dir + " is not empty");
  for (const auto& system : systems) {
    const auto& wanted = arguments.wanted;
    if (!wanted.empty() && std::ranges::find(wanted, system->name()) == wanted.end()) continue;
    if (arguments.list) {
      PrintLine({{"name", system->name()}, {"settings", system->settings()}});
      continue;
    }
    Measure(system.get(), arguments);
  }
}

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  const auto arguments = varve::bench::Parse(argc, argv);
  varve::bench::Main(arguments);
}
