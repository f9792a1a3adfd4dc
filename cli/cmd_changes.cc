// SPDX-License-Identifier: Apache-2.0
// varve changes: what the commits between two versions did to a table, in their order.
#include <arrow/record_batch.h>

#include <algorithm>
#include <variant>

#include "commands.h"
#include "names.h"
#include "point_in_time.h"
#include "process.h"
#include "table.h"
#include "write_rows.h"

namespace varve::cli {
namespace {

struct ChangesArguments {
  std::string database;
  std::string table;
  std::string from;
  std::string to;
  std::string columns;
  bool before = false;
  RowFlags rows;
};

// Commits after this one. Before the first commit nothing had changed yet, which is commit 0.
Outcome<CommitNumber> CommitOf(const Database& database, const AsOf& from) {
  auto snapshot = SnapshotAt(database, from);
  if (snapshot) return (*snapshot)->commit();
  const bool too_old = std::holds_alternative<WallTime>(from) &&
                       snapshot.error().error.kind() == ErrorKind::kNotFound;
  if (!too_old) return std::unexpected(std::move(snapshot).error());
  CLI_ASSIGN(const auto empty, database.GetSnapshot(CommitNumber{0}));
  return empty->commit();
}

// A change says nothing without its key: columns of it that are not named come first.
std::vector<std::string> WithKey(const std::vector<std::string>& names,
                                 const std::vector<std::string>& key) {
  std::vector<std::string> columns;
  for (const std::string& column : key) {
    if (std::ranges::find(names, column) == names.end()) columns.push_back(column);
  }
  columns.insert(columns.end(), names.begin(), names.end());
  return columns;
}

Outcome<ExitCode> Run(const Session& session, const ChangesArguments& options) {
  CLI_TRY(CheckRowFlags(session, options.rows));
  const WallTime now = WallNow();
  CLI_ASSIGN(const AsOf from, ParsePointInTime(options.from, now, "--from"));
  CLI_ASSIGN(const AsOf to, ParsePointInTime(options.to, now, "--to"));
  ChangesOptions changes{.before_images = options.before};
  CLI_ASSIGN(const OutputOptions output, MakeOutputOptions(session, options.rows));
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  CLI_ASSIGN(const CommitNumber after, CommitOf(*database, from));
  CLI_ASSIGN(const Table table, FindTable(*database, options.table, to));
  if (!options.columns.empty()) {
    CLI_ASSIGN(const auto names, SplitNames("--columns", options.columns));
    CLI_TRY(table.CheckColumns(names));
    changes.columns = WithKey(names, table.key);
  }
  CLI_ASSIGN(auto reader, table.snapshot->Changes(table.name, after, changes));
  return WriteRows(session, output, reader.get());
}

}  // namespace

void AddChanges(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<ChangesArguments>(
      app, session, "changes", "Print what commits changed in a table, in their order",
      "varve changes flights.varve flights --from 120 --to 140 --before \\\n"
      "    --columns carrier,flight,dep_delay\n"
      "\n"
      "The first columns are _commit, the number, and _kind: upsert or delete. With --before it\n"
      "is insert, update or delete, and columns _before_NAME follow, the values before that\n"
      "commit. Of a delete only the key has values. Formats: as of scan.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddNoLease(verb, session);
  verb.Add("TABLE", &options->table, "Name of the table").Required();
  verb.Add("--from", &options->from,
           "Commits after this version: a commit number (0, or a time before the first: from the "
           "first on), or as --at of scan")
      .Type("V")
      .NotEmpty()
      .Required();
  verb.Add("--to", &options->to, "And up to this one; the newest when not given")
      .Type("V")
      .NotEmpty();
  verb.Add("--columns", &options->columns,
           "Columns of the table to print, in this order: a,b; a name with a comma in double "
           "quotes; the key always is, before them when not named")
      .NotEmpty();
  verb.AddFlag("--before", &options->before, "Also print the values before each change");
  AddRowFlags(&verb, &options->rows);
}

}  // namespace varve::cli
