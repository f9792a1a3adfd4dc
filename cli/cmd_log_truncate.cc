// SPDX-License-Identifier: Apache-2.0
// varve log truncate: removes segments that lie wholly before a position; without --yes it tells
// which it would remove.
#include <fmt/format.h>

#include "commands.h"
#include "format_cell.h"
#include "log_folder.h"

namespace varve::cli {
namespace {

struct LogTruncateArguments {
  LogFolder folder;
  std::string before;
  bool dry_run = false;
  bool yes = false;
};

// Pins live in the process that has the log open, which this is: so it is a checkpoint.
std::string DescribeHold(const LogTruncation& gone) {
  if (gone.held_at.value == 0) return {};
  return fmt::format("; the newest checkpoint replays from LSN {}, so the rest stays",
                     gone.held_at.value);
}

Outcome<ExitCode> Run(const Session& session, const LogTruncateArguments& options) {
  CLI_ASSIGN(const std::uint64_t before, ParseCount("--before", options.before, 0));
  const bool dry_run = options.dry_run || !options.yes;
  LogOptions settings = session.environment.log;
  settings.recycled_segments_max = 0;  // nothing is appended that could use them again
  settings.read_only = dry_run;
  CLI_ASSIGN(const OpenedLog opened, OpenLogToWrite(options.folder, settings, /*create=*/false));
  if (!dry_run) NoteTornTail(session, opened.log->recovery().torn_bytes);
  CLI_ASSIGN(const LogTruncation gone, opened.log->TruncateBefore({before}, dry_run));
  CLI_TRY(opened.log->Close());
  CLI_TRY(PrintResult(
      session,
      {{"dry_run", dry_run},
       {"segments", gone.segments},
       {"bytes", gone.bytes},
       {"first_lsn", gone.first.value},
       {"held_at", gone.held_at.value == 0 ? Json() : Json(gone.held_at.value)}},
      fmt::format("{} {}, {}; the log {} at LSN {}{}{}\n",
                  dry_run ? "would remove" : "removed", Counted(gone.segments, "segment"),
                  FormatBytes(gone.bytes),
                  dry_run ? "would begin" : "begins", gone.first.value, DescribeHold(gone),
                  options.yes || options.dry_run ? "" : "; nothing was removed: add --yes")));
  return kExitDone;
}

}  // namespace

void AddLogTruncate(CLI::App* app, Session* session) {
  auto [verb, options] = AddLogVerb<LogTruncateArguments>(
      app, session, /*takes_keys=*/true, "truncate",
      "Remove segments that lie wholly before a position; never the last one",
      "varve log truncate my.log --before 1052672 --yes\n"
      "\n"
      "Without --yes, or with --dry-run, nothing is changed and no right to write is needed: the\n"
      "same figures are shown. held_at is where the newest checkpoint says to replay from, when\n"
      "that keeps what lies before the position.",
      Run);
  verb.Add("--before", &options->before, "Everything at or after it stays").Required().Type("LSN");
  verb.AddFlag("--dry-run", &options->dry_run, "Show what would be removed, even with --yes");
  verb.AddFlag("--yes", &options->yes, "Remove");
}

}  // namespace varve::cli
