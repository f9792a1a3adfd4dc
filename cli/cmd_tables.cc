// SPDX-License-Identifier: Apache-2.0
// varve tables: the tables of a database, with their columns and keys.
#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unordered_map>

#include "commands.h"
#include "format_cell.h"
#include "table.h"
#include "time_to_live.h"

namespace varve::cli {
namespace {

struct TablesArguments {
  std::string database;
};

std::string TableText(const Table& table, const std::optional<TimeToLive>& live,
                      std::uint64_t rows) {
  std::string text = fmt::format("{}: key {}; at most {}{}\n", table.name,
                                 fmt::join(table.key, ","), Counted(rows, "row"),
                                 live ? "; rows expire " + TimeToLiveText(*live) : "");
  for (const auto& field : table.schema->fields()) {
    text += fmt::format("  {} {}{}\n", field->name(), field->type()->ToString(),
                        field->nullable() ? "" : " not null");
  }
  return text;
}

Outcome<ExitCode> Run(const Session& session, const TablesArguments& options) {
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  std::unordered_map<std::string, std::uint64_t> rows;
  for (const TableStats& stats : database->Stats().tables) rows[stats.name] = stats.rows_estimate;
  CLI_ASSIGN(const auto snapshot, database->GetSnapshot());
  Json tables = Json::array();
  std::string text;
  for (const TableInfo& info : database->Tables()) {
    const std::string& name = info.name;
    const Table table{snapshot, name, info.schema, info.key};
    tables.push_back({{"name", name},
                      {"id", info.id},
                      {"key", table.key},
                      {"rows_estimate", rows[name]},
                      {"time_to_live", DescribeTimeToLive(info.time_to_live)},
                      {"columns", DescribeColumns(*table.schema)}});
    text += TableText(table, info.time_to_live, rows[name]);
  }
  if (text.empty()) text = "no tables\n";
  CLI_TRY(PrintResult(session, {{"tables", std::move(tables)}}, text));
  return kExitDone;
}

}  // namespace

void AddTables(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<TablesArguments>(app, session, "tables",
                                                  "List the tables with their columns and keys",
                                                  "varve tables flights.varve", Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddNoLease(verb, session);
}

}  // namespace varve::cli
