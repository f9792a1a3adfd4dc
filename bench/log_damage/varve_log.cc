// SPDX-License-Identifier: Apache-2.0
// varve::Log by its public API, as a program would use it: each commit is a unit, replay makes the
// map again. Recovery is strict, which is the default. Beside the log the caller may keep what only
// a caller can know: which log it is, where it begins, how far it was acknowledged.
#include <fmt/format.h>

#include <fstream>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "bench/log_damage/system.h"
#include "bench/slice.h"
#include "varve/log.h"

namespace varve::bench {
namespace {

constexpr auto kDelete = static_cast<LogKind>(1);
constexpr std::uint64_t kSegmentBytes = 64 << 10;

struct Variant {
  const char* name;
  const char* settings;
  bool reuses = false;
  bool caller_knows = false;
};

// What the caller keeps elsewhere.
struct Known {
  std::string id;
  std::uint64_t first = 0;
  std::uint64_t durable = 0;
};

class VarveLog final : public System {
 public:
  explicit VarveLog(const Variant& variant) : variant_(variant) {}
  std::string name() const override { return variant_.name; }
  std::string settings() const override { return variant_.settings; }
  bool IsLog(const std::string& path) const override { return path.ends_with(".log"); }

  void Create(const std::string& dir, const std::vector<Commit>& earlier,
              std::uint64_t seed) override {
    dir_ = dir;
    random_ = std::make_unique<SeededRandom>(seed);
    log_ = Must(Log::Open(dir + "/wal", {.segment_bytes_max = kSegmentBytes}, Ignore, {},
                          {.clock = &clock_, .random = random_.get(), .executor = &executor_}));
    if (variant_.reuses) Reuse(earlier);
    known_ = {.id = log_->stats().id};
    Apply({.deletes = {"nothing"}});  // where the log begins that is to be damaged
  }

  void Apply(const Commit& commit) override {
    std::vector<std::string> puts;
    for (const auto& [key, value] : commit.puts) puts.push_back(key + "\n" + value);
    std::vector<LogRecord> records(puts.begin(), puts.end());
    for (const auto& key : commit.deletes) records.emplace_back(key, kDelete);
    const auto ack = Must(log_->Append(records));
    if (known_.first == 0) known_.first = ack.lsn.value;
    known_.durable = ack.end.value;
    executor_.RunAll();  // makes segments ahead; the folder is at rest while it is copied
    std::ofstream(dir_ + "/known") << known_.id << ' ' << known_.first << ' ' << known_.durable;
  }

  void NextFile() override { Must(log_->Rotate()); }

  Result<State> Read(const std::string& dir) override {
    LogOptions options{.segment_bytes_max = kSegmentBytes, .create_if_missing = false};
    RecoveryOptions recovery;
    if (variant_.caller_knows) {
      Known known;
      std::ifstream(dir + "/known") >> known.id >> known.first >> known.durable;
      options.id = known.id;
      recovery = {.replay_from = Lsn{known.first}, .known_durable = Lsn{known.durable}};
    }
    State state;
    const auto replay = [&](const LogUnit& unit) { return Redo(unit, &state); };
    auto log = Log::Open(dir + "/wal", options, replay, recovery);
    if (!log) return std::unexpected(log.error());
    return state;
  }

 private:
  static Status Ignore(const LogUnit&) { return {}; }

  static Status Redo(const LogUnit& unit, State* state) {
    for (const auto& record : unit.records) {
      if (record.kind == kDelete) {
        state->erase(std::string(record.bytes));
        continue;
      }
      const auto end = record.bytes.find('\n');
      (*state)[std::string(record.bytes.substr(0, end))] = record.bytes.substr(end + 1);
    }
    return {};
  }

  // Truncated segments are kept, and become the next ones.
  void Reuse(const std::vector<Commit>& earlier) {
    for (int segment = 0; segment < 3; ++segment) {
      for (const auto& commit : earlier) Apply(commit);
      Must(log_->Rotate());
    }
    Must(log_->TruncateBefore(log_->positions().durable));
  }

  const Variant variant_;
  std::string dir_;
  std::unique_ptr<SeededRandom> random_;
  ManualClock clock_;  // the same seed makes the same bytes
  ManualExecutor executor_;
  std::unique_ptr<Log> log_;
  Known known_;
};

}  // namespace

void AddVarveLog(Systems* systems) {
  static constexpr Variant kVariants[] = {
      {"varve::log", "defaults (strict recovery), segments of 64 KiB at most"},
      {"varve::log, used again", "the same, in segments that held an earlier life", true},
      {"varve::log, caller knows", "the same; id, first and durable position kept by the caller",
       false, true},
  };
  for (const auto& variant : kVariants) systems->push_back(std::make_unique<VarveLog>(variant));
}

}  // namespace varve::bench
