// SPDX-License-Identifier: Apache-2.0
// varve log cat: the records of whole committed units, in order. Changes nothing.
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "commands.h"
#include "log_folder.h"
#include "process.h"
#include "record_text.h"

namespace varve::cli {
namespace {

struct LogCatArguments {
  LogFolder folder;
  std::string from = "0";
  std::string format = "lines";
  std::string recovery = "strict";
};

struct CatPlan {
  RecordFormat format = RecordFormat::kLines;
  Lsn from;
  RecoveryMode mode = RecoveryMode::kStrict;
};

Outcome<RecoveryMode> ParseRecoveryMode(const std::string& what, const std::string& text) {
  if (text == "strict") return RecoveryMode::kStrict;
  if (text == "tolerate-tail") return RecoveryMode::kTolerateTail;
  if (text == "point-in-time") return RecoveryMode::kPointInTime;
  if (text == "salvage") return RecoveryMode::kSalvage;
  return WrongUsage(what + ": expected strict, tolerate-tail, point-in-time or salvage, found \"" +
                    text + "\"");
}

Outcome<CatPlan> MakePlan(const Session& session, const LogCatArguments& options) {
  CatPlan plan;
  CLI_ASSIGN(plan.format,
             ParseRecordFormat("--format", session.json ? "json" : options.format));
  CLI_ASSIGN(plan.from.value, ParseCount("--from", options.from, 0));
  CLI_ASSIGN(plan.mode, ParseRecoveryMode("--recovery", options.recovery));
  return plan;
}

// Prints the units that a log is opened with.
class Printer {
 public:
  explicit Printer(const CatPlan& plan) : plan_(plan) {}

  Status Take(const LogUnit& unit) {
    if (unit.lsn < plan_.from) return {};
    text_.clear();
    AppendUnit(unit, plan_.format, &text_);
    Done printed = Interrupted() ? InterruptedFailure("interrupted") : Print(text_);
    if (printed) return {};
    failure_ = printed.error();
    return std::unexpected(failure_->error);
  }

  // Of printing, not of the log.
  const std::optional<Failure>& failure() const { return failure_; }

 private:
  const CatPlan& plan_;
  std::string text_;
  std::optional<Failure> failure_;
};

// A cursor takes no lock: who has the log open writes on, and is read up to where it is now.
Done PrintAll(const LogCatArguments& options, LogCursor* cursor, Printer* printer) {
  while (true) {
    const auto unit = cursor->Next();
    if (!unit) return std::unexpected(LogFailure(options.folder, unit.error()));
    if (!*unit) return {};
    if (!printer->Take(**unit)) return std::unexpected(*printer->failure());
  }
}

Done PrintStrictly(const Session& session, const LogCatArguments& options, const CatPlan& plan,
                   Printer* printer) {
  CLI_TRY(CheckLogFolder(options.folder.path));
  CLI_ASSIGN(const auto keys, ReadKeys(options.folder));
  LogReaderOptions from{.from = plan.from, .keys = keys.get()};
  auto cursor = LogCursor::Open(options.folder.path, from);
  const bool beyond = !cursor && cursor.error().kind() == ErrorKind::kInvalid &&
                      cursor.error().reason() == ErrorReason::kNone;
  if (beyond) {  // nothing to print, but whether all that there is is sound is to be told
    if (!session.json) PrintError("varve: " + cursor.error().message() + "\n");
    from.from = {};
    cursor = LogCursor::Open(options.folder.path, from);
  }
  if (!cursor) return std::unexpected(LogFailure(options.folder, cursor.error()));
  return PrintAll(options, cursor->get(), printer);
}

Done PrintPastDamage(const LogCatArguments& options, const CatPlan& plan, Printer* printer) {
  const LogReplay print = [&](const LogUnit& unit) { return printer->Take(unit); };
  auto opened = OpenLog(options.folder, LogOptions{.read_only = true}, print,
                        {.mode = plan.mode, .replay_from = plan.from});
  if (printer->failure()) return std::unexpected(*printer->failure());
  if (!opened) return std::unexpected(std::move(opened).error());
  return {};
}

// What was gone past is said in full.
Done NoteDamages(const LogCatArguments& options, const CatPlan& plan) {
  auto verified = VerifyLogFolder(options.folder);
  if (!verified && verified.error().error.reason() == ErrorReason::kMissingKey) {
    verified = VerifyLogFolder({options.folder.path, {}});  // of units before --from
  }
  CLI_ASSIGN(const LogVerification found, std::move(verified));
  if (found.damages.empty()) return {};
  const char* const what = plan.mode == RecoveryMode::kSalvage
                               ? "what is damaged was left out"
                               : "the log was read up to its first damage";
  PrintError(fmt::format("varve: {}; nothing was changed\n{}", what,
                         DescribeDamages(options.folder.path, found.damages)));
  return {};
}

Outcome<ExitCode> Run(const Session& session, const LogCatArguments& options) {
  CLI_ASSIGN(const CatPlan plan, MakePlan(session, options));
  Printer printer(plan);
  if (plan.mode == RecoveryMode::kStrict) {
    CLI_TRY(PrintStrictly(session, options, plan, &printer));
    return kExitDone;
  }
  CLI_TRY(PrintPastDamage(options, plan, &printer));
  CLI_TRY(FlushStdout());
  CLI_TRY(NoteDamages(options, plan));
  return kExitDone;
}

}  // namespace

void AddLogCat(CLI::App* app, Session* session) {
  auto [verb, options] = AddLogVerb<LogCatArguments>(
      app, session, /*takes_keys=*/true, "cat",
      "Print the records of whole committed units, in order",
      "varve log cat my.log --from 8192 --format json\n"
      "\n"
      "Changes nothing, and needs no right to write. In lines, a record is followed by a newline,\n"
      "and the log's own records (checkpoints) are left out. In JSON each record is an object\n"
      "with lsn, index and kind, and either record or, when it is no UTF-8, base64.\n"
      "\n"
      "Takes no lock: a log that another process opens meanwhile is printed up to where it is.\n"
      "--recovery says what to do with damage: strict stops there with exit 6; tolerate-tail ends\n"
      "before damage at the end, and point-in-time before any; salvage goes on behind it. These\n"
      "three need the log at rest, and say on stderr what they went past. A key that is missing\n"
      "is no damage: every mode ends there with exit 8, and none leaves out what it cannot open.\n"
      "Units of other keys are printed with --from a position behind: the files that `varve log\n"
      "stat --json` lists have a key each, and begin at their first_lsn.\n"
      "--from a position beyond the end prints nothing, and says so on stderr.",
      Run);
  verb.Add("--from", &options->from, "Leave out units before this position (0)").Type("LSN");
  verb.Add("--format", &options->format, "lines or json (lines)");
  verb.Add("--recovery", &options->recovery,
           "strict, tolerate-tail, point-in-time or salvage (strict)");
}

}  // namespace varve::cli
