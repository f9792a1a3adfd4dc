// SPDX-License-Identifier: Apache-2.0
// varve log tail: the records of a log while another process appends to it.
#include <fmt/format.h>

#include <algorithm>

#include "commands.h"
#include "log_folder.h"
#include "process.h"
#include "record_text.h"
#include "varve/log_reader.h"

namespace varve::cli {
namespace {

constexpr std::uint64_t kWaitMillis = 100;  // then an interrupt is seen

struct Options {
  LogFolder folder;
  std::string from = "0";
  std::string format = "lines";
  std::string until;
  std::string limit;
  bool durable = false;
};

struct Plan {
  RecordFormat format = RecordFormat::kLines;
  LogReaderOptions reader;
  Lsn until{UINT64_MAX};
  std::uint64_t records_max = UINT64_MAX;
};

Outcome<Plan> MakePlan(const Session& session, const Options& options) {
  Plan plan;
  CLI_TRY(CheckLogFolder(options.folder.path));
  CLI_ASSIGN(plan.format,
             ParseRecordFormat("--format", session.json ? "json" : options.format));
  CLI_ASSIGN(plan.reader.from.value, ParseCount("--from", options.from, 0));
  if (!options.until.empty()) {
    CLI_ASSIGN(plan.until.value, ParseCount("--until", options.until, 0));
  }
  if (!options.limit.empty()) {
    CLI_ASSIGN(plan.records_max, ParseCount("--limit", options.limit, 1));
  }
  plan.reader.level = options.durable ? AckLevel::kDurable : AckLevel::kWritten;
  plan.reader.follow = true;
  return plan;
}

// Prints units until the plan's end; what there is reaches stdout before it waits for more.
Done Follow(const LogFolder& folder, const Plan& plan, LogCursor* cursor) {
  std::uint64_t left = plan.records_max;
  std::string text;
  while (left > 0 && cursor->position() < plan.until) {
    if (Interrupted()) return InterruptedFailure("interrupted");
    auto next = cursor->Next();
    if (!next) return std::unexpected(LogFailure(folder, next.error()));
    auto& unit = *next;
    if (!unit) {
      CLI_ARROW_TRY(Stdout()->Flush());
      CLI_TRY(cursor->WaitForMore(kWaitMillis));
      continue;
    }
    if (unit->lsn >= plan.until) break;
    unit->records = unit->records.first(std::min<std::size_t>(unit->records.size(), left));
    left -= unit->records.size();
    text.clear();
    AppendUnit(*unit, plan.format, &text);
    CLI_TRY(Print(text));
  }
  return {};
}

Outcome<ExitCode> Run(const Session& session, const Options& options) {
  CLI_ASSIGN(Plan plan, MakePlan(session, options));
  CLI_ASSIGN(const auto keys, ReadKeys(options.folder));
  plan.reader.keys = keys.get();
  const auto cursor = LogCursor::Open(options.folder.path, plan.reader);
  if (!cursor) return std::unexpected(LogFailure(options.folder, cursor.error()));
  CLI_TRY(Follow(options.folder, plan, cursor->get()));
  return kExitDone;
}

}  // namespace

void AddLogTail(CLI::App* app, Session* session) {
  auto [verb, options] = AddLogVerb<Options>(
      app, session, /*takes_keys=*/true, "tail",
      "Print the records of a log, and then what others append to it",
      "varve log tail my.log --from 8256\n"
      "\n"
      "Begins with the oldest unit, or at --from, and goes on until --limit or --until is reached\n"
      "or it is interrupted. Changes nothing and takes no lock: the writer does not notice it.",
      Run);
  verb.Add("--from", &options->from, "Leave out units before this position (0)").Type("LSN");
  verb.Add("--until", &options->until, "End before the first unit at or after this position")
      .Type("LSN");
  verb.Add("--limit", &options->limit, "End after this many records").Type("N");
  verb.Add("--format", &options->format, "lines or json (lines)");
  verb.AddFlag("--durable", &options->durable,
               "Print a unit when it is known to be durable, not when it is in the file");
}

}  // namespace varve::cli
