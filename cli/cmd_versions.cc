// SPDX-License-Identifier: Apache-2.0
// varve versions: the points in time that `scan --at` can name.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>

#include "commands.h"
#include "format_cell.h"

namespace varve::cli {
namespace {

struct VersionsArguments {
  std::string database;
  std::string limit;
};

Outcome<ExitCode> Run(const Session& session, const VersionsArguments& options) {
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
  if (!options.limit.empty()) {
    CLI_ASSIGN(limit, ParseCount("--limit", options.limit, 0));
  }
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  Json versions = Json::array();
  std::string text = fmt::format("{:>10}  {:<27}  {:>6}  {:>14}  {:>10}  {:<7}  {}\n", "commit",
                                 "time", "runs", "rows in runs", "bytes", "kept in", "tags");
  for (const Version& version : database->Versions(limit)) {
    const std::string time = FormatTime(version.time);
    versions.push_back({{"commit", version.commit.value},
                        {"time", time},
                        {"runs", version.runs},
                        {"rows", version.rows},
                        {"bytes", version.bytes},
                        {"flushed", version.flushed},
                        {"tags", version.tags}});
    text += fmt::format("{:>10}  {:<27}  {:>6}  {:>14}  {:>10}  {}{}{}\n", version.commit.value,
                        time, version.runs, WithThousands(version.rows), FormatBytes(version.bytes),
                        version.flushed ? "Parquet" : "the log", version.tags.empty() ? "" : "  ",
                        fmt::join(version.tags, ", "));
  }
  CLI_TRY(PrintResult(session, {{"versions", std::move(versions)}}, text));
  return kExitDone;
}

}  // namespace

void AddVersions(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<VersionsArguments>(
      app, session, "versions",
      "List flushes, the commits since, and tags, newest first; --at reads any commit",
      "varve versions flights.varve --limit 10", Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddNoLease(verb, session);
  verb.Add("--limit", &options->limit, "At most N versions").Type("N");
}

}  // namespace varve::cli
