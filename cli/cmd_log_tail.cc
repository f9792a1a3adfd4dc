// SPDX-License-Identifier: Apache-2.0
// varve log tail: the records of a log while another process appends to it.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "commands.h"
#include "log_folder.h"
#include "process.h"
#include "record_text.h"
#include "varve/log_reader.h"

namespace varve::cli {
namespace {

constexpr std::uint64_t kWaitMillis = 100;  // then an interrupt is seen

struct LogTailArguments {
  LogFolder folder;
  std::string from = "0";
  std::string format = "lines";
  std::string until;
  std::string limit;
  bool durable = false;
};

struct TailPlan {
  RecordFormat format = RecordFormat::kLines;
  LogReaderOptions reader;
  bool from_end = false;  // behind what is there now
  Lsn until{UINT64_MAX};
  std::uint64_t records_max = UINT64_MAX;
};

Outcome<TailPlan> MakePlan(const Session& session, const LogTailArguments& options) {
  TailPlan plan;
  CLI_TRY(CheckLogFolder(options.folder.path));
  CLI_ASSIGN(plan.format,
             ParseRecordFormat("--format", session.json ? "json" : options.format));
  plan.from_end = options.from == "end";
  if (!plan.from_end) {
    CLI_ASSIGN(plan.reader.from.value, ParseCount("--from", options.from, 0));
  }
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

Done PassAll(const LogFolder& folder, LogCursor* cursor) {
  while (!Interrupted()) {
    const auto unit = cursor->Next();
    if (!unit) return std::unexpected(LogFailure(folder, unit.error()));
    if (!*unit) return {};
  }
  return InterruptedFailure("interrupted");
}

// From beyond the end too: what comes before that is read and left out.
Outcome<std::unique_ptr<LogCursor>> OpenCursor(const Session& session, const LogFolder& folder,
                                               const TailPlan& plan) {
  LogReaderOptions reader = plan.reader;
  auto cursor = LogCursor::Open(folder.path, reader);
  const bool beyond = !cursor && cursor.error().kind() == ErrorKind::kInvalid &&
                      cursor.error().reason() == ErrorReason::kNone;
  if (beyond) {
    if (!session.json) PrintError("varve: " + cursor.error().message() + "\n");
    reader.from = {};
    cursor = LogCursor::Open(folder.path, reader);
  }
  if (!cursor) return std::unexpected(LogFailure(folder, cursor.error()));
  if (plan.from_end) CLI_TRY(PassAll(folder, cursor->get()));
  return *std::move(cursor);
}

// Prints units until the plan's end; what there is reaches stdout before it waits for more.
Done Follow(const LogFolder& folder, const TailPlan& plan, LogCursor* cursor) {
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
    if (unit->lsn < plan.reader.from) continue;
    unit->records = unit->records.first(std::min<std::size_t>(unit->records.size(), left));
    left -= unit->records.size();
    text.clear();
    AppendUnit(*unit, plan.format, &text);
    CLI_TRY(Print(text));
  }
  return {};
}

Outcome<ExitCode> Run(const Session& session, const LogTailArguments& options) {
  CLI_ASSIGN(TailPlan plan, MakePlan(session, options));
  CLI_ASSIGN(const auto keys, ReadKeys(options.folder));
  plan.reader.keys = keys.get();
  CLI_ASSIGN(const auto cursor, OpenCursor(session, options.folder, plan));
  CLI_TRY(Follow(options.folder, plan, cursor.get()));
  return kExitDone;
}

}  // namespace

void AddLogTail(CLI::App* app, Session* session) {
  auto [verb, options] = AddLogVerb<LogTailArguments>(
      app, session, /*takes_keys=*/true, "tail",
      "Print the records of a log, and then what others append to it",
      "varve log tail my.log --from 8256\n"
      "\n"
      "Begins with the oldest unit, or at --from, and goes on until --limit or --until is reached\n"
      "or it is interrupted. Changes nothing and takes no lock: the writer does not notice it.\n"
      "--from end begins behind what is there now, which is read over once. From a position\n"
      "beyond the end, which is said on stderr, it waits for that position.",
      Run);
  verb.Add("--from", &options->from,
           "Leave out units before this position, or end: those there are (0)")
      .Type("LSN");
  verb.Add("--until", &options->until, "End before the first unit at or after this position")
      .Type("LSN");
  verb.Add("--limit", &options->limit, "End after this many records").Type("N");
  verb.Add("--format", &options->format, "lines or json (lines)");
  verb.AddFlag("--durable", &options->durable,
               "Print a unit when it is known to be durable, not when it is in the file");
}

}  // namespace varve::cli
