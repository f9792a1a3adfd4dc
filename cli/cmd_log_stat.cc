// SPDX-License-Identifier: Apache-2.0
// varve log stat: how large a log is and from where to where it goes.
#include <fmt/format.h>

#include "commands.h"
#include "format_cell.h"
#include "log_folder.h"
#include "process.h"

namespace varve::cli {
namespace {

struct LogStatArguments {
  LogFolder folder;
};

std::uint64_t FileBytes(const LogVerification& found) {
  std::uint64_t bytes = 0;
  for (const LogSegmentInfo& segment : found.segments) bytes += segment.file_bytes;
  return bytes;
}

Lsn FirstLsn(const LogVerification& found) {
  return found.segments.empty() ? Lsn{} : found.segments.front().base;
}

Json Document(const LogVerification& found) {
  const RecoveryReport& report = found.report;
  Json files = Json::array();
  for (const LogSegmentInfo& segment : found.segments) {
    files.push_back({{"name", segment.name},
                     {"bytes", segment.file_bytes},
                     {"first_lsn", segment.base.value},
                     {"last_lsn", segment.end.value},
                     {"sealed", segment.sealed}});
  }
  return {{"segments", found.segments.size()},
          {"bytes", FileBytes(found)},
          {"first_lsn", FirstLsn(found).value},
          {"last_lsn", report.end.value},
          {"durable_lsn", found.durable.value},
          {"records", report.records},
          {"units", report.units},
          {"torn_bytes", report.torn_bytes},
          {"damages", found.damages.size()},
          {"files", std::move(files)}};
}

std::string Text(const LogVerification& found) {
  const RecoveryReport& report = found.report;
  return fmt::format(
      "segments  {}, {}\n"
      "positions LSN {} to {}, synced up to {}\n"
      "content   {}, {}\n"
      "torn      {}\n",
      found.segments.size(), FormatBytes(FileBytes(found)), FirstLsn(found).value,
      report.end.value, found.durable.value, Counted(report.units, "unit"),
      Counted(report.records, "record"),
      report.torn_bytes == 0 ? "nothing" : FormatBytes(report.torn_bytes));
}

Outcome<ExitCode> Run(const Session& session, const LogStatArguments& options) {
  const std::string& path = options.folder.path;
  CLI_ASSIGN(const LogVerification found, VerifyLogFolder(options.folder));
  CLI_TRY(PrintResult(session, Document(found), Text(found)));
  if (found.damages.empty()) return kExitDone;
  CLI_TRY(FlushStdout());
  PrintError(DescribeDamages(path, found.damages));
  return kExitDamage;
}

}  // namespace

void AddLogStat(CLI::App* app, Session* session) {
  AddLogVerb<LogStatArguments>(
      app, session, /*takes_keys=*/false, "stat", "Print sizes, positions and counts of a log",
      "varve log stat my.log --json\n"
      "\n"
      "Reads the whole log to count, changes nothing, takes no lock, needs no key. The units lie\n"
      "from first_lsn up to last_lsn, where the log ends (append calls that end). durable_lsn is\n"
      "as far as its files show that they were synced: the last flush shows it when the next one\n"
      "comes, or the log is closed. torn_bytes lie behind last_lsn: they were never acknowledged\n"
      "as durable. Where there is damage the rest is counted, and the exit code is 6.",
      Run);
}

}  // namespace varve::cli
