// SPDX-License-Identifier: Apache-2.0
// varve get: rows by key.
#include <fmt/format.h>

#include "commands.h"
#include "output/row_writer.h"
#include "point_in_time.h"
#include "process.h"
#include "table.h"

namespace varve::cli {
namespace {

struct GetArguments {
  std::string database;
  std::string table;
  std::vector<std::string> keys;
  std::string at;
  std::string format;
};

constexpr std::size_t kMissingNamed = 5;

Done Missing(const GetArguments& options, const std::vector<bool>& found) {
  std::string names;
  std::size_t missing = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i]) continue;
    if (missing++ < kMissingNamed) names += (missing > 1 ? ", " : "") + options.keys[i];
  }
  if (missing == 0) return {};
  if (missing > kMissingNamed) names += fmt::format(" and {} more", missing - kMissingNamed);
  return NotFound(fmt::format("table {} has no row with key {}", options.table, names));
}

Outcome<ExitCode> Run(const Session& session, const GetArguments& options) {
  CLI_ASSIGN(const bool color, session.UseColor());
  const OutputOptions output{options.format, "", session.json, color};
  CLI_TRY(ChooseFormat(output));
  CLI_ASSIGN(const AsOf as_of, ParsePointInTime(options.at, WallNow()));
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  CLI_ASSIGN(const Table table, FindTable(*database, options.table, as_of));
  CLI_ASSIGN(const auto keys, ParseKeys(table, options.keys));
  std::vector<bool> found;
  CLI_ASSIGN(const auto rows, table.snapshot->Get(table.name, keys, &found));
  CLI_ASSIGN(auto writer, OpenOutput(output, table.schema));
  CLI_TRY(writer->Write(*rows));
  CLI_TRY(writer->Finish());
  CLI_TRY(Missing(options, found));
  return kExitDone;
}

}  // namespace

void AddGet(CLI::App* app, Session* session) {
  auto [verb, options] =
      AddVerb<GetArguments>(app, session, "get", "Print rows by key; exit 3 when one is not there",
                            "varve get shop.varve orders 42\n"
                            "  varve get flights.varve flights \\\n"
                            "    '[2013,1,1,\"UA\",1545,\"EWR\",\"2013-01-01T10:00:00Z\"]'\n"
                            "\n"
                            "A KEY is a JSON value; an array when the key has several columns. A\n"
                            "string key may go without its quotes, also 42 or true, unless it is\n"
                            "a JSON string, array or object: '\"[1]\"'. A binary key\n"
                            "is hexadecimal, as scan prints it: '\"00ff\"'.",
                            Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddNoLease(verb, session);
  verb.Add("TABLE", &options->table, "Name of the table").Required();
  verb.Add("KEY", &options->keys, "Keys, in key order of columns").Required();
  verb.Add("--at", &options->at, kPointInTimeHelp).Type("V").NotEmpty();
  verb.Add("--format", &options->format, "table, csv, json, arrow or parquet");
}

}  // namespace varve::cli
