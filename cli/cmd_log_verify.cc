// SPDX-License-Identifier: Apache-2.0
// varve log verify: reads every byte that a log would trust; exit 6 when something is damaged.
#include <fmt/format.h>

#include <filesystem>

#include "commands.h"
#include "format_cell.h"
#include "log_folder.h"

namespace varve::cli {
namespace {

struct LogVerifyArguments {
  LogFolder folder;
};

Json Document(const std::string& path, const LogVerification& found) {
  Json damages = Json::array();
  for (const LogDamage& damage : found.damages) {
    damages.push_back({{"file", (std::filesystem::path(path) / damage.file).string()},
                       {"offset", damage.offset},
                       {"message", damage.message}});
  }
  return {{"sound", found.damages.empty()},
          {"segments", found.segments.size()},
          {"units", found.report.units},
          {"records", found.report.records},
          {"bytes", found.report.bytes},
          {"last_lsn", found.report.end.value},
          {"torn_bytes", found.report.torn_bytes},
          {"damages", std::move(damages)}};
}

std::string Text(const std::string& path, const LogVerification& found) {
  const RecoveryReport& report = found.report;
  std::string text = DescribeDamages(path, found.damages);
  text += fmt::format("{}: {} with {} and {}, {} read; ends at LSN {}\n",
                      found.damages.empty() ? "sound" : "DAMAGED",
                      Counted(found.segments.size(), "segment"),
                      Counted(report.units, "unit"), Counted(report.records, "record"),
                      FormatBytes(report.bytes), report.end.value);
  if (report.torn_bytes > 0) {
    text += fmt::format("the log ends in {} that were never acknowledged (no damage)\n",
                        FormatBytes(report.torn_bytes));
  }
  return text;
}

Outcome<ExitCode> Run(const Session& session, const LogVerifyArguments& options) {
  const std::string& path = options.folder.path;
  CLI_ASSIGN(const LogVerification found, VerifyLogFolder(options.folder));
  CLI_TRY(PrintResult(session, Document(path, found), Text(path, found)));
  return found.damages.empty() ? kExitDone : kExitDamage;
}

}  // namespace

void AddLogVerify(CLI::App* app, Session* session) {
  AddLogVerb<LogVerifyArguments>(
      app, session, /*takes_keys=*/true, "verify",
      "Check every byte the log must trust: exit 0 when sound, 6 with a line per damage",
      "varve log verify my.log\n"
      "\n"
      "Changes nothing and takes no lock. Units of an encrypted log are checked by the checksums\n"
      "of what is stored, and with --key-file they are opened, too. last_lsn of --json is where\n"
      "the log ends, not where its last unit begins.",
      Run);
}

}  // namespace varve::cli
