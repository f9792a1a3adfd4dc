// SPDX-License-Identifier: Apache-2.0
// varve log rotate: ends the current segment, so that what comes next is in files of its own.
#include <fmt/format.h>

#include "commands.h"
#include "format_cell.h"
#include "log_folder.h"

namespace varve::cli {
namespace {

struct LogRotateArguments {
  LogFolder folder;
};

Outcome<ExitCode> Run(const Session& session, const LogRotateArguments& options) {
  CLI_ASSIGN(const OpenedLog opened,
             OpenLogToWrite(options.folder, session.environment.log, /*create=*/false));
  NoteTornTail(session, opened.log->recovery().torn_bytes);
  CLI_TRY(opened.log->Rotate());
  const LogStats stats = opened.log->stats();
  CLI_TRY(opened.log->Close());
  CLI_TRY(PrintResult(
      session,
      {{"segments", stats.segments.size()}, {"last_lsn", stats.positions.appended.value}},
      fmt::format("the next unit starts a new segment; {} up to LSN {}\n",
                  Counted(stats.segments.size(), "segment"),
                  stats.positions.appended.value)));
  return kExitDone;
}

}  // namespace

void AddLogRotate(CLI::App* app, Session* session) {
  AddLogVerb<LogRotateArguments>(
      app, session, /*takes_keys=*/true, "rotate",
      "End the current segment; what is appended next starts a new one",
      "varve log rotate my.log\n"
      "\n"
      "last_lsn of --json is where the log ends, not where its last unit begins.",
      Run);
}

}  // namespace varve::cli
