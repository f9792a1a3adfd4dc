// SPDX-License-Identifier: Apache-2.0
// varve create: makes a table, and the database when there is none.
#include <arrow/type.h>
#include <fmt/format.h>

#include "commands.h"
#include "input/row_reader.h"
#include "names.h"
#include "table.h"
#include "time_to_live.h"

namespace varve::cli {
namespace {

struct CreateArguments {
  std::string database;
  std::string table;
  std::string key;
  std::string schema;
  std::string like;
  TimeToLiveFlags ttl;
  bool if_not_exists = false;
};

Outcome<std::shared_ptr<arrow::Schema>> SchemaOf(const CreateArguments& options) {
  if (options.schema.empty() == options.like.empty()) {
    return WrongUsage("create needs either --schema TEXT or --like FILE");
  }
  if (!options.schema.empty()) return ParseSchemaFlag(options.schema);
  CLI_ASSIGN(auto rows, OpenRows(options.like, {}));
  return rows->schema();
}

Done Make(Database* database, const CreateArguments& options,
          const std::shared_ptr<arrow::Schema>& schema, const std::vector<std::string>& key,
          const std::optional<TimeToLive>& live) {
  const auto made = database->CreateTable(
      options.table, schema, key,
      {.if_not_exists = options.if_not_exists, .time_to_live = live});
  if (made) return {};
  const Error& error = made.error();
  if (error.reason() != ErrorReason::kAlreadyExists || options.if_not_exists) {
    return std::unexpected(Failure(error));
  }
  return std::unexpected(Failure(Error(
      error.kind(),
      error.message() + "; --if-not-exists takes it when it is the same, and load adds rows to it",
      error.reason())));
}

Outcome<ExitCode> Run(const Session& session, const CreateArguments& options) {
  CLI_ASSIGN(const auto key, SplitNames("--key", options.key));
  CLI_TRY(RefuseRemote(options.database));
  CLI_ASSIGN(const auto schema, SchemaOf(options));
  CLI_ASSIGN(const auto live, ParseTimeToLive(options.ttl));
  CLI_TRY(CheckUnitIsSaid(options.ttl, schema->GetFieldByName(options.ttl.column)));
  CLI_TRY(Database::CheckTable(options.table, schema, key, live));  // before there is a database
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kCreate));
  const auto known = database->Tables();
  CLI_TRY(Make(database.get(), options, schema, key, live));
  const bool created = database->Tables().size() > known.size();
  CLI_TRY(database->Close());
  const Json document = {{"database", options.database},
                         {"table", options.table},
                         {"key", key},
                         {"created", created},
                         {"time_to_live", DescribeTimeToLive(live)},
                         {"columns", DescribeColumns(*schema)}};
  CLI_TRY(
      PrintResult(session, document,
                  fmt::format("{} table {} with {} in {}{}\n", created ? "created" : "found",
                              options.table, Columns(*schema), options.database,
                              live ? "; rows expire " + TimeToLiveText(*live) : "")));
  return kExitDone;
}

}  // namespace

void AddCreate(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<CreateArguments>(
      app, session, "create", "Make a table, and the database when there is none",
      "varve create shop.varve orders --key id \\\n"
      "    --schema \"id int64, name utf8, at timestamp[us, UTC], tags list<utf8>\"\n"
      "varve create shop.varve sessions --key id --schema \"id int64, at timestamp[us]\" \\\n"
      "    --ttl 30d --ttl-column at\n"
      "\n"
      "With --ttl a row is seen no more so long after the time in its column, and its space comes\n"
      "back by itself; where the column is null it stays.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("TABLE", &options->table, "Name of the new table").Required();
  verb.Add("--key", &options->key,
           "Key columns, in key order: a,b; a name with a comma in double quotes")
      .Required();
  verb.Add("--schema", &options->schema, "Columns and types; \"not null\" after a type");
  verb.AddFlag("--if-not-exists", &options->if_not_exists,
               "A table with these columns and this key is no error");
  verb.Add("--like", &options->like, "Take columns and types from this file");
  verb.Add("--ttl", &options->ttl.span, "Time to live of rows: 30d, 12h, 0s");
  verb.Add("--ttl-column", &options->ttl.column,
           "The time they live from: a timestamp, a date or an int64");
  verb.Add("--ttl-unit", &options->ttl.unit,
           "What such an int64 counts since 1970: s, ms, us or ns; not given for the others");
}

}  // namespace varve::cli
