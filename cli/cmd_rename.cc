// SPDX-License-Identifier: Apache-2.0
// varve rename: gives a table another name.
#include <fmt/format.h>

#include "commands.h"
#include "table.h"

namespace varve::cli {
namespace {

struct RenameArguments {
  std::string database;
  std::string from;
  std::string to;
};

Outcome<ExitCode> Run(const Session& session, const RenameArguments& options) {
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kWrite));
  CLI_ASSIGN(const auto commit, database->RenameTable(options.from, options.to));
  CLI_TRY(database->Close());
  const Json document = {{"from", options.from}, {"to", options.to}, {"commit", commit.value}};
  CLI_TRY(PrintResult(session, document,
                      fmt::format("renamed table {} to {} in commit {}\n", options.from, options.to,
                                  commit.value)));
  return kExitDone;
}

}  // namespace

void AddRename(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<RenameArguments>(
      app, session, "rename", "Give a table another name",
      "varve rename shop.varve orders orders_2025\n"
      "\n"
      "It is a commit of its own; versions before it show the table under its former name.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("OLD", &options->from, "Name of the table").Required();
  verb.Add("NEW", &options->to, "Its name from now on").Required();
}

}  // namespace varve::cli
