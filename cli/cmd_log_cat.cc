// SPDX-License-Identifier: Apache-2.0
// varve log cat: the records of whole committed units, in order. Changes nothing.
#include <fmt/format.h>

#include <optional>

#include "commands.h"
#include "log_folder.h"
#include "process.h"
#include "record_text.h"

namespace varve::cli {
namespace {

struct Options {
  LogFolder folder;
  std::string from = "0";
  std::string format = "lines";
  std::string recovery = "strict";
};

struct Plan {
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

Outcome<Plan> MakePlan(const Session& session, const Options& options) {
  Plan plan;
  CLI_ASSIGN(plan.format,
             ParseRecordFormat("--format", session.json ? "json" : options.format));
  CLI_ASSIGN(plan.from.value, ParseCount("--from", options.from, 0));
  CLI_ASSIGN(plan.mode, ParseRecoveryMode("--recovery", options.recovery));
  return plan;
}

// Prints the units that a log is opened with.
class Printer {
 public:
  explicit Printer(const Plan& plan) : plan_(plan) {}

  Status Take(const LogUnit& unit) {
    if (unit.lsn < plan_.from) return {};
    text_.clear();
    AppendUnit(unit, plan_.format, &text_);
    Done printed = Interrupted() ? InterruptedFailure("interrupted") : Print(text_);
    ++units_;
    if (printed) return {};
    failure_ = printed.error();
    return std::unexpected(failure_->error);
  }

  std::uint64_t units() const { return units_; }
  // Of printing, not of the log.
  const std::optional<Failure>& failure() const { return failure_; }

 private:
  const Plan& plan_;
  std::string text_;
  std::uint64_t units_ = 0;
  std::optional<Failure> failure_;
};

Outcome<OpenedLog> Read(const Options& options, const Plan& plan, Lsn from, Printer* printer) {
  const LogReplay print = [&](const LogUnit& unit) { return printer->Take(unit); };
  auto opened = OpenLog(options.folder, LogOptions{.read_only = true}, print,
                        {.mode = plan.mode, .replay_from = from});
  if (printer->failure()) return std::unexpected(*printer->failure());
  return opened;
}

// A position that was asked for counts as one that was there: before the first and beyond the last
// one the log seems to have lost something. Whether it has, reading all of it tells.
Outcome<OpenedLog> ReadAll(const Options& options, const Plan& plan, Printer* printer) {
  CLI_ASSIGN(const LogVerification found, VerifyLogFolder(options.folder));
  if (found.segments.empty() || found.segments.front().base <= plan.from) {
    return Read(options, plan, {}, printer);
  }
  return NotFound(fmt::format("{}: LSN {} was truncated; the log begins at LSN {}",
                              options.folder.path, plan.from.value,
                              found.segments.front().base.value));
}

// A log that somebody has open: up to where it is now.
Done ReadBesideWriter(const Options& options, const Plan& plan, Printer* printer) {
  CLI_ASSIGN(const auto keys, ReadKeys(options.folder));
  const auto cursor = LogCursor::Open(options.folder.path,
                                      {.from = plan.from, .keys = keys.get()});
  if (!cursor) {
    const Error& error = cursor.error();
    const bool beyond = error.kind() == ErrorKind::kInvalid && error.reason() == ErrorReason::kNone;
    if (beyond) return {};
    return std::unexpected(LogFailure(options.folder, error));
  }
  while (true) {
    CLI_ASSIGN(const auto unit, (*cursor)->Next());
    if (!unit) return {};
    if (!printer->Take(*unit)) return std::unexpected(*printer->failure());
  }
}

// What another mode than strict went past is said in full.
Done NoteDamages(const Options& options, const Plan& plan) {
  if (plan.mode == RecoveryMode::kStrict) return {};
  CLI_ASSIGN(const LogVerification found, VerifyLogFolder(options.folder));
  if (found.damages.empty()) return {};
  const char* const what = plan.mode == RecoveryMode::kSalvage
                               ? "what is damaged was left out"
                               : "the log was read up to its first damage";
  PrintError(fmt::format("varve: {}; nothing was changed\n{}", what,
                         DescribeDamages(options.folder.path, found.damages)));
  return {};
}

Outcome<ExitCode> Run(const Session& session, const Options& options) {
  CLI_ASSIGN(const Plan plan, MakePlan(session, options));
  Printer printer(plan);
  auto opened = Read(options, plan, plan.from, &printer);
  const bool out_of_range = !opened && !printer.failure() && printer.units() == 0 &&
                            plan.from.value > 0 && opened.error().exit == kExitDamage;
  if (out_of_range) opened = ReadAll(options, plan, &printer);
  if (!opened && opened.error().exit == kExitLocked && plan.mode == RecoveryMode::kStrict) {
    CLI_TRY(ReadBesideWriter(options, plan, &printer));
    return kExitDone;
  }
  if (!opened) return std::unexpected(std::move(opened).error());
  CLI_TRY(FlushStdout());
  CLI_TRY(NoteDamages(options, plan));
  if (plan.mode == RecoveryMode::kStrict) {
    NoteTornTail(session, opened->log->recovery().torn_bytes, "passed over");
  }
  return kExitDone;
}

}  // namespace

void AddLogCat(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<Options>(
      app, session, "cat", "Print the records of whole committed units, in order",
      "varve log cat my.log --from 8192 --format json\n"
      "\n"
      "Changes nothing, and needs no right to write. In lines, a record is followed by a newline,\n"
      "and the log's own records (checkpoints) are left out. In JSON each record is an object\n"
      "with lsn, index and kind, and either record or, when it is no UTF-8, base64.\n"
      "\n"
      "A log that another process has open is printed up to where it is. --recovery needs it at\n"
      "rest, and says what to do with damage: strict stops there with exit 6; tolerate-tail ends\n"
      "before damage at the end, and point-in-time before any; salvage goes on behind it. These\n"
      "three say on stderr what they went past.",
      Run);
  AddLogFolder(verb, &options->folder, /*takes_keys=*/true);
  verb.Add("--from", &options->from, "Leave out units before this position (0)").Type("LSN");
  verb.Add("--format", &options->format, "lines or json (lines)");
  verb.Add("--recovery", &options->recovery,
           "strict, tolerate-tail, point-in-time or salvage (strict)");
}

}  // namespace varve::cli
