// SPDX-License-Identifier: Apache-2.0
// varve flush: everything committed so far into Parquet.
#include <fmt/format.h>

#include "commands.h"

namespace varve::cli {
namespace {

struct FlushArguments {
  std::string database;
};

Outcome<ExitCode> Run(const Session& session, const FlushArguments& options) {
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kWrite));
  CLI_TRY(database->Flush());
  const DatabaseStats stats = database->Stats();
  CLI_TRY(database->Close());
  CLI_TRY(PrintResult(
      session, {{"commit", stats.durable.value}, {"manifest", stats.manifest_number}},
      fmt::format("flushed up to commit {}; manifest {}\n", stats.durable.value,
                  stats.manifest_number)));
  return kExitDone;
}

}  // namespace

void AddFlush(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<FlushArguments>(
      app, session, "flush",
      "Write all committed rows to Parquet files and let go of their log",
      "varve flush flights.varve", Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
}

}  // namespace varve::cli
