// SPDX-License-Identifier: Apache-2.0
// varve restore: a table as it was, as one new commit. Without --yes only the counts are shown.
#include <fmt/format.h>

#include <algorithm>

#include "commands.h"
#include "format_cell.h"
#include "former_table.h"
#include "names.h"
#include "point_in_time.h"
#include "process.h"
#include "table.h"

namespace varve::cli {
namespace {

struct RestoreArguments {
  std::string database;
  std::string table;
  std::string at;
  bool dry_run = false;
  bool yes = false;
};

Done Report(const Session& session, const RestoreArguments& options, const RestoreInfo& info,
            bool dry_run) {
  const bool made = !dry_run && info.rows_written + info.rows_deleted > 0;
  const Json document = {{"table", options.table},
                         {"as_of", info.as_of.value},
                         {"dry_run", dry_run},
                         {"rows_written", info.rows_written},
                         {"rows_deleted", info.rows_deleted},
                         {"commit", made ? info.commit.commit.value : 0}};
  std::string text =
      fmt::format("{} as of commit {}: {} {}, {} {}", options.table, info.as_of.value,
                  dry_run ? "would write" : "wrote", Counted(info.rows_written, "row"),
                  dry_run ? "delete" : "deleted", WithThousands(info.rows_deleted));
  if (made) text += fmt::format(", in commit {}", info.commit.commit.value);
  if (dry_run && !options.dry_run) text += "; nothing was changed: add --yes";
  return PrintResult(session, document, text + "\n");
}

// The version that was asked for when it shows the table, else the newest that does.
std::shared_ptr<Snapshot> ToBringBack(const Database& database, const std::string& table,
                                      const AsOf& as_of, const FormerTable& former) {
  auto asked = database.GetSnapshot(as_of);
  if (!asked) return former.last;
  const auto tables = (*asked)->Tables();
  return std::ranges::find(tables, table) == tables.end() ? former.last : *std::move(asked);
}

// A table that was dropped is no table to write to, but its rows are to be had.
Done CheckTable(const Database& database, const RestoreArguments& options, const AsOf& as_of) {
  auto table = FindTable(database, options.table);
  if (table) return {};
  Failure failure = std::move(table).error();
  CLI_ASSIGN(const auto now, database.GetSnapshot());
  const auto former = FindFormerTable(database, options.table, now->commit());
  if (failure.error.kind() != ErrorKind::kNotFound || !former || !former->renamed_to.empty()) {
    return std::unexpected(std::move(failure));
  }
  const auto snapshot = ToBringBack(database, options.table, as_of, *former);
  CLI_ASSIGN(const auto key, snapshot->Key(options.table));
  return NotFound(fmt::format("{0}; bring it back with: varve scan {1} {2} --at {3} -o "
                              "{2}.parquet, and varve load {1} {2} {2}.parquet --create --key {4}",
                              failure.error.message(), ShellWord(options.database), options.table,
                              snapshot->commit().value, ShellWord(JoinNames(key))));
}

Outcome<ExitCode> Run(const Session& session, const RestoreArguments& options) {
  if (options.dry_run && options.yes) return WrongUsage("--dry-run and --yes exclude each other");
  const bool dry_run = !options.yes;
  CLI_ASSIGN(const AsOf as_of, ParsePointInTime(options.at, WallNow()));
  CLI_ASSIGN(auto database,
             OpenDatabase(session, options.database, dry_run ? OpenMode::kRead : OpenMode::kWrite));
  CLI_TRY(CheckTable(*database, options, as_of));
  CLI_TRY(SnapshotAt(*database, as_of));  // whose message says more
  CLI_ASSIGN(const RestoreInfo info,
             database->RestoreTable(options.table, as_of, {.dry_run = dry_run},
                                    {.ack = session.environment.ack}));
  CLI_TRY(database->Close());
  CLI_TRY(Report(session, options, info, dry_run));
  return kExitDone;
}

}  // namespace

void AddRestore(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<RestoreArguments>(
      app, session, "restore", "Make a table what it was at a version, as a new commit",
      "varve restore flights.varve flights --at before-import --yes\n"
      "\n"
      "One commit of what differs: the versions in between stay readable, and restoring the one\n"
      "before takes it back. Without --yes nothing is changed.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("TABLE", &options->table, "Name of the table").Required();
  verb.Add("--at", &options->at, kPointInTimeHelp).Type("V").Required().NotEmpty();
  verb.AddFlag("--dry-run", &options->dry_run, "Only say how many rows would be written");
  verb.AddFlag("--yes", &options->yes, "Restore; otherwise show how many rows that would write");
}

}  // namespace varve::cli
