// SPDX-License-Identifier: Apache-2.0
// varve drop: a table is gone from a commit on; older versions show it.
#include <fmt/format.h>

#include <algorithm>

#include "commands.h"
#include "format_cell.h"
#include "table.h"

namespace varve::cli {
namespace {

struct DropArguments {
  std::string database;
  std::string table;
  bool yes = false;
};

// Who still has to decide wants to know it exactly; without that, nothing is read for it.
Outcome<std::uint64_t> RowsThatGo(const Database& database, const Table& table, bool exact) {
  if (exact) {
    CLI_ASSIGN(const RowCount count, table.snapshot->Count(table.name));
    return count.rows;
  }
  const auto stats = database.Stats().tables;
  return std::ranges::find(stats, table.name, &TableStats::name)->rows_estimate;
}

Outcome<ExitCode> Run(const Session& session, const DropArguments& options) {
  const OpenMode mode = options.yes ? OpenMode::kWrite : OpenMode::kRead;
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, mode));
  CLI_ASSIGN(const Table table, FindTable(*database, options.table));
  CLI_ASSIGN(const std::uint64_t rows, RowsThatGo(*database, table, !options.yes));
  Json document = {{"table", table.name}, {"dry_run", !options.yes}, {"rows_estimate", rows}};
  std::string text =
      fmt::format("{} table {} with {}{}", options.yes ? "dropped" : "would drop", table.name,
                  options.yes ? "at most " : "", Counted(rows, "row"));
  if (options.yes) {
    CLI_ASSIGN(const auto commit, database->DropTable(table.name));
    CLI_TRY(database->Close());
    document["commit"] = commit.value;
    text += fmt::format(" in commit {}; read it as it was with scan --at {}", commit.value,
                        commit.value - 1);
  } else {
    text += "; nothing was changed: add --yes";
  }
  CLI_TRY(PrintResult(session, document, text + "\n"));
  return kExitDone;
}

}  // namespace

void AddDrop(CLI::App* app, Session* session) {
  auto [verb, options] =
      AddVerb<DropArguments>(app, session, "drop", "Drop a table; older versions still show it",
                             "varve drop shop.varve orders --yes\n"
                             "\n"
                             "It is a commit of its own. Without --yes nothing is changed.",
                             Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("TABLE", &options->table, "Name of the table").Required();
  verb.AddFlag("--yes", &options->yes, "Drop it; otherwise show what would go");
}

}  // namespace varve::cli
