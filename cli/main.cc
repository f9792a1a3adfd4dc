// SPDX-License-Identifier: Apache-2.0
// The varve command: parses the command line, runs one verb, reports how it ended.
#include <arrow/compute/api.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "commands.h"
#include "process.h"

namespace varve::cli {
namespace {

void Describe(CLI::App* app, Session* session) {
  app->require_subcommand(1);
  app->set_version_flag("--version", std::string("varve ") + VARVE_VERSION);
  app->footer(std::string("\n") + kEnvironmentHelp +
              "\n`varve VERB --help` says more about a verb.");
  AddCreate(app, session);
  AddLoad(app, session);
  AddScan(app, session);
  AddGet(app, session);
  AddDelete(app, session);
  AddTables(app, session);
  AddVersions(app, session);
  AddFlush(app, session);
  AddStats(app, session);
  AddVerify(app, session);
  AddInspect(app, session);
  AddLog(app, session);
}

// `varve help [VERB]` is `varve [VERB] --help`.
std::vector<std::string> Arguments(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0] == "help") {
    arguments.erase(arguments.begin());
    arguments.push_back("--help");
  }
  return arguments;
}

Outcome<ExitCode> Run(Session* session, std::vector<std::string> arguments) {
  CLI_ASSIGN(session->environment, ReadEnvironment(environ));
  CLI_ARROW_TRY(arrow::compute::Initialize());
  CLI::App app("varve: an embedded database of Arrow columns, durable by a write-ahead log",
               "varve");
  Describe(&app, session);
  // "[...]" is a list of several values to CLI11; to us it is one JSON array, as a key of get. A
  // blank behind it, which JSON allows, keeps it whole.
  for (std::string& argument : arguments) {
    if (argument.starts_with('[') && argument.ends_with(']')) argument += ' ';
  }
  try {
    std::ranges::reverse(arguments);  // as CLI11 wants a vector
    app.parse(std::move(arguments));
  } catch (const CLI::CallForVersion& e) {
    CLI_TRY(Print(std::string(e.what()) + "\n"));
    return kExitDone;
  } catch (const CLI::CallForHelp&) {
    CLI_TRY(Print(app.help()));
    return kExitDone;
  } catch (const CLI::ParseError& e) {
    return WrongUsage(std::string(e.what()) + "; see varve --help");
  }
  return session->run();
}

void Report(const Failure& failure, bool json) {
  const Error& error = failure.error;
  if (!json) return PrintError("varve: " + error.message() + "\n");
  const Json document = {{"error",
                          {{"kind", ToString(error.kind())},
                           {"reason", ToString(error.reason())},
                           {"message", error.message()},
                           {"exit", static_cast<int>(failure.exit)}}}};
  PrintError(document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

int Main(int argc, char** argv) {
  OpenStandardFiles();
  HandleSignals();
  Session session;
  std::vector<std::string> arguments = Arguments(argc, argv);
  // Errors of the command line itself come before the parser has seen the flag.
  const bool json = std::ranges::find(arguments, "--json") != arguments.end();
  Outcome<ExitCode> outcome = Run(&session, std::move(arguments));
  if (const arrow::Status flushed = Stdout()->Flush(); outcome && !flushed.ok()) {
    if (!Stdout()->closed()) outcome = FailWith(flushed);
  }
  if (outcome) return *outcome;
  // A reader such as `head` that has seen enough is no failure.
  const bool of_stdout = outcome.error().error.kind() == ErrorKind::kInternal;
  if (Stdout()->closed() && of_stdout) return kExitDone;
  Report(outcome.error(), json);
  return outcome.error().exit;
}

}  // namespace
}  // namespace varve::cli

int main(int argc, char** argv) { return varve::cli::Main(argc, argv); }
