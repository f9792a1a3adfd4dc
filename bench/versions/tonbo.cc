// SPDX-License-Identifier: Apache-2.0
// The workload of tonbo's own harness: `id: utf8` and `v: int64`, keys of a small space, so that
// most rows are overwritten. tonbo is a program of its own (bench/tonbo), which is told what to do
// next over a pipe, so that the slices alternate here too.
#include <arrow/api.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/slice.h"
#include "bench/versions/groups.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr const char* kSmallTable = "small";
constexpr std::uint64_t kSeed = 584;
constexpr std::int64_t kIngestRows = 64;
constexpr std::int64_t kIngestKeys = 65'536;
constexpr std::int64_t kIngestBatches = kIngestKeys / kIngestRows;  // have each key once

struct Workload {
  std::int64_t batches, rows, keys;
};
constexpr Workload kWorkloads[] = {{640, 64, 2'048}, {2'048, 128, 65'536}};

std::shared_ptr<arrow::Schema> SmallSchema() {
  return arrow::schema(
      {arrow::field("id", arrow::utf8(), false), arrow::field("v", arrow::int64(), false)});
}

// As the harness draws them.
BatchPtr SmallBatch(std::int64_t number, std::int64_t rows, std::int64_t keys) {
  arrow::StringBuilder ids;
  arrow::Int64Builder values;
  arrow::Status made;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto at = static_cast<std::uint64_t>(number * rows + row);
    const auto key = (at * 0x9E37'79B9'7F4A'7C15 + kSeed) % static_cast<std::uint64_t>(keys);
    const auto value = at * 6'364'136'223'846'793'005 + (kSeed ^ 0x9E37'79B9'7F4A'7C15);
    made &= ids.Append(fmt::format("k{:08}", key));
    made &= values.Append(static_cast<std::int64_t>(value >> 1));
  }
  std::shared_ptr<arrow::Array> id, v;
  made &= ids.Finish(&id);
  made &= values.Finish(&v);
  if (!made.ok()) Die(made.ToString());
  return arrow::RecordBatch::Make(SmallSchema(), rows, {id, v});
}

std::unique_ptr<Database> OpenSmall(const std::string& dir) {
  auto database = Must(Database::Open(dir, {.create_if_missing = true}));
  Must(database->CreateTable(kSmallTable, SmallSchema(), {"id"}));
  return database;
}

// The program of bench/tonbo, one command and one answer at a time.
class Tonbo {
 public:
  Tonbo(const std::string& program, const std::string& dir) {
    int commands[2], answers[2];
    if (::pipe(commands) != 0 || ::pipe(answers) != 0) Die("no pipes for tonbo");
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(commands[0], STDIN_FILENO);
      ::dup2(answers[1], STDOUT_FILENO);
      for (const int end : {commands[0], commands[1], answers[0], answers[1]}) ::close(end);
      ::execl(program.c_str(), program.c_str(), dir.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(commands[0]);
    ::close(answers[1]);
    commands_ = ::fdopen(commands[1], "w");
    answers_ = ::fdopen(answers[0], "r");
  }
  ~Tonbo() {
    std::fclose(commands_);  // it ends
    std::fclose(answers_);
    ::waitpid(child_, nullptr, 0);
  }
  Tonbo(const Tonbo&) = delete;
  Tonbo& operator=(const Tonbo&) = delete;

  nlohmann::json Ask(const std::string& command) {
    fmt::print(commands_, "{}\n", command);
    std::fflush(commands_);
    char line[4096];
    if (std::fgets(line, sizeof line, answers_) == nullptr) Die("tonbo ended at: " + command);
    return nlohmann::json::parse(line);
  }

 private:
  pid_t child_;
  std::FILE *commands_, *answers_;
};

class TonboGroup {
 public:
  explicit TonboGroup(const VersionsSettings& settings)
      : settings_(settings),
        ingest_(OpenSmall(settings.dir + "/ingest")) {
    for (std::int64_t i = 0; i < kIngestBatches; ++i) {
      batches_.push_back(SmallBatch(i, kIngestRows, kIngestKeys));
    }
    for (auto workload : kWorkloads) Load(workload);
    PrintSettings("varve, tonbo's workload", "defaults; for scans flushed once, to one run");
    if (settings.tonbo.empty()) {
      PrintMissing("tonbo", settings.tonbo_absent);
    } else {
      tonbo_ = std::make_unique<Tonbo>(settings.tonbo, settings.dir + "/tonbo");
      for (const auto& scanned : scanned_) LoadTonbo(scanned);
    }
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      for (const auto& scanned : scanned_) {
        RunScan(round, scanned);
        if (tonbo_) {
          AskTonbo(round, fmt::format("tonbo scan {}, tonbo", scanned.workload.keys),
                   fmt::format("scan {} {}", settings_.slice_seconds, scanned.workload.keys),
                   scanned.live);
        }
      }
      RunIngest(round);
      if (tonbo_) {
        AskTonbo(round, "tonbo ingest, tonbo",
                 fmt::format("ingest {} {}", settings_.slice_seconds, kIngestRows), kIngestRows);
      }
    }
    for (auto& scanned : scanned_) Must(scanned.database->Close());
    Must(ingest_->Close());
  }

 private:
  struct Scanned {
    Workload workload;
    std::unique_ptr<Database> database;
    std::int64_t live = 0;
  };

  void Load(Workload workload) {
    workload.batches = std::max<std::int64_t>(workload.batches / settings_.tonbo_scale, 1);
    Scanned scanned{workload, OpenSmall(fmt::format("{}/{}", settings_.dir, workload.keys))};
    for (std::int64_t i = 0; i < workload.batches; ++i) {
      Must(scanned.database->Upsert(kSmallTable, SmallBatch(i, workload.rows, workload.keys),
                                    {.ack = AckLevel::kBuffered}));
    }
    Must(scanned.database->Flush());
    scanned.live = Scan(*scanned.database);
    scanned_.push_back(std::move(scanned));
  }

  void LoadTonbo(const Scanned& scanned) {
    const auto& [batches, rows, keys] = scanned.workload;
    const auto rests = tonbo_->Ask(fmt::format("load {} {} {}", batches, rows, keys));
    PrintSettings(fmt::format("tonbo, {} keys", keys),
                  fmt::format("0.4.0-a2: minor compaction after each sealed memtable, leveled "
                              "compaction with its defaults and a tick of 200 ms, at rest at {} "
                              "files; ingest with sync always and without leveled compaction",
                              rests["files"].get<int>()));
  }

  static std::int64_t Scan(const Database& database) {
    return DrainRows(Must(database.Scan(kSmallTable)).get());
  }

  void RunScan(int round, const Scanned& scanned) {
    WaitForCalm(settings_.patience_seconds);
    auto slice = ClosedLoop(1, settings_.slice_seconds, [&](int) {
      if (Scan(*scanned.database) != scanned.live) Die("a scan gave other rows than before");
    });
    Print(round, fmt::format("tonbo scan {}, varve", scanned.workload.keys), std::move(slice));
  }

  void RunIngest(int round) {
    WaitForCalm(settings_.patience_seconds);
    auto slice = ClosedLoop(1, settings_.slice_seconds, [&](int) {
      Must(ingest_->Upsert(kSmallTable, batches_[ingested_++ % batches_.size()]));
    });
    Print(round, "tonbo ingest, varve", std::move(slice));
  }

  void AskTonbo(int round, const std::string& name, const std::string& command, std::int64_t rows) {
    WaitForCalm(settings_.patience_seconds);
    const auto answer = tonbo_->Ask(command);
    if (answer["rows"] != rows) {
      Die(fmt::format("{}: tonbo has {} rows, varve {}", command, answer["rows"].dump(), rows));
    }
    Slice slice;
    slice.operations = answer["operations"].get<std::int64_t>();
    slice.seconds = answer["seconds"].get<double>();
    Print(round, name, std::move(slice));
  }

  const VersionsSettings& settings_;
  std::vector<Scanned> scanned_;
  std::unique_ptr<Database> ingest_;
  std::vector<BatchPtr> batches_;  // made beforehand: what is measured is to keep them
  std::size_t ingested_ = 0;
  std::unique_ptr<Tonbo> tonbo_;
};

}  // namespace

void MeasureTonbo(const VersionsSettings& settings) { TonboGroup(settings).Run(); }

}  // namespace varve::bench
