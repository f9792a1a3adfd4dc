// SPDX-License-Identifier: Apache-2.0
// varve export-log: the rows that are only in the log, as Parquet files.
#include <fmt/format.h>

#include "commands.h"
#include "format_cell.h"
#include "varve/backup.h"

namespace varve::cli {
namespace {

struct ExportLogArguments {
  std::string database;
  std::string output;
  bool all = false;
};

Json Document(const ExportedLog& exported) {
  Json tables = Json::array();
  for (const ExportedTable& table : exported.tables) {
    tables.push_back({{"table", table.table},
                      {"file", table.file.empty() ? Json() : Json(table.file)},
                      {"rows", table.rows},
                      {"deletes", table.deletes}});
  }
  Json damages = Json::array();
  for (const Damage& damage : exported.damages) {
    damages.push_back(
        {{"file", damage.file}, {"offset", damage.offset}, {"message", damage.message}});
  }
  return {{"commits", exported.commits},
          {"first", exported.first.value},
          {"last", exported.last.value},
          {"tables", std::move(tables)},
          {"damages", std::move(damages)}};
}

std::string Text(const ExportedLog& exported) {
  std::string text;
  for (const Damage& damage : exported.damages) {
    text += fmt::format("{}: offset {}: {}\n", damage.file, damage.offset, damage.message);
  }
  if (exported.commits == 0) return text + "no commit is only in the log\n";
  text += fmt::format("{}, {} to {}\n", Counted(exported.commits, "commit"), exported.first.value,
                      exported.last.value);
  for (const ExportedTable& table : exported.tables) {
    text += fmt::format("{}: {}, {} of them deleted: {}\n", table.table,
                        Counted(table.rows, "row"), WithThousands(table.deletes),
                        table.file.empty() ? "NOT WRITTEN, since no manifest tells its columns"
                                           : table.file);
  }
  return text;
}

Outcome<ExitCode> Run(const Session& session, const ExportLogArguments& options) {
  CLI_TRY(RefuseRemote(options.database));
  ExportLogOptions what{.all = options.all};
  CLI_ASSIGN(what.keys, session.Keys());
  const auto exported = ExportLog(options.database, options.output, what);
  if (!exported && exported.error().reason() == ErrorReason::kMissingKey) {
    return std::unexpected(MissingKey(session, exported.error()));
  }
  if (!exported) return std::unexpected(Failure(exported.error()));
  CLI_TRY(PrintResult(session, Document(*exported), Text(*exported)));
  return exported->damages.empty() ? kExitDone : kExitDamage;
}

}  // namespace

void AddExportLog(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<ExportLogArguments>(
      app, session, "export-log",
      "Write the rows that are only in the log to Parquet files, one for each table, with commit, "
      "time and kind; also of a damaged database, as far as its log can be read (then exit 6)",
      "varve export-log flights.varve -o rescued", Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  verb.Add("-o,--output", &options->output, "New or empty folder").Type("DIR").Required();
  verb.AddFlag("--all", &options->all, "Also commits that are in files already");
}

}  // namespace varve::cli
