// SPDX-License-Identifier: Apache-2.0
// varve compact: the files of a table, or of all, into one level.
#include <fmt/format.h>

#include "commands.h"
#include "format_cell.h"

namespace varve::cli {
namespace {

struct CompactArguments {
  std::string database;
  std::string table;
};

Outcome<ExitCode> Run(const Session& session, const CompactArguments& options) {
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kWrite));
  if (!options.table.empty()) CLI_TRY(FindTable(*database, options.table));
  CLI_ASSIGN(const CompactInfo info, database->Compact(options.table));
  CLI_TRY(database->Close());
  CLI_TRY(PrintResult(session,
                      {{"runs_before", info.runs_before},
                       {"runs_after", info.runs_after},
                       {"bytes_before", info.bytes_before},
                       {"bytes_after", info.bytes_after}},
                      fmt::format("compacted {}, {}, to {}, {}\n",
                                  Counted(info.runs_before, "run"), FormatBytes(info.bytes_before),
                                  Counted(info.runs_after, "run"),
                                  FormatBytes(info.bytes_after))));
  return kExitDone;
}

}  // namespace

void AddCompact(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<CompactArguments>(
      app, session, "compact",
      "Merge the Parquet files of each table into one level that has each row once. Older commits "
      "stay readable; their files are kept for as long (see `varve retire`)",
      "varve compact flights.varve", Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("TABLE", &options->table, "Only this table");
}

}  // namespace varve::cli
