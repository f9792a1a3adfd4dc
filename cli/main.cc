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
  AddChanges(app, session);
  AddGet(app, session);
  AddDelete(app, session);
  AddDrop(app, session);
  AddAlter(app, session);
  AddRename(app, session);
  AddTables(app, session);
  AddVersions(app, session);
  AddTag(app, session);
  AddUntag(app, session);
  AddRestore(app, session);
  AddFlush(app, session);
  AddRekey(app, session);
  AddCompact(app, session);
  AddRetire(app, session);
  AddStats(app, session);
  AddTop(app, session);
  AddReport(app, session);
  AddBackup(app, session);
  AddClone(app, session);
  AddRestoreBackup(app, session);
  AddVerify(app, session);
  AddRepair(app, session);
  AddExportLog(app, session);
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

// The verb, or group of verbs, that the command line had come to when it went wrong.
const CLI::App& Reached(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : Reached(*chosen.front());
}

// "varve log append".
std::string PathOf(const CLI::App& app) {
  const CLI::App* const parent = app.get_parent();
  return parent == nullptr ? app.get_name() : PathOf(*parent) + " " + app.get_name();
}

std::string DescribeMissingVerb(const CLI::App& group) {
  std::string verbs;
  for (const CLI::App* verb : group.get_subcommands([](const CLI::App*) { return true; })) {
    verbs += (verbs.empty() ? "" : ", ") + verb->get_name();
  }
  const auto words = group.remaining();
  const auto is_option = [](const std::string& word) { return word.starts_with('-'); };
  const auto wrong = std::ranges::find_if_not(words, is_option);
  const std::string found = wrong == words.end() ? "a verb is required"
                                                 : "there is no verb \"" + *wrong + "\"";
  return found + "; " + PathOf(group) + " has " + verbs;
}

// Words that nobody takes may stand before the verb, and are then the group's.
std::string DescribeExtras(const CLI::App& verb) {
  const CLI::App* owner = &verb;
  while (owner->remaining().empty() && owner->get_parent() != nullptr) owner = owner->get_parent();
  std::string words;
  for (const std::string& word : owner->remaining()) {
    if (!word.starts_with('-') && !words.empty()) continue;  // perhaps the value of that option
    words += (words.empty() ? "" : ", ") + word;
  }
  const std::string where = owner == &verb ? "" : " before the verb";
  return PathOf(*owner) + " does not take " + words + where;
}

std::string DescribeParseError(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& at = Reached(app);
  const bool is_group = !at.get_subcommands([](const CLI::App*) { return true; }).empty();
  if (is_group) return DescribeMissingVerb(at);
  const bool extras = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  return (extras ? DescribeExtras(at) : std::string(error.what())) + "; see " + PathOf(at) +
         " --help";
}

Outcome<ExitCode> Run(Session* session, std::vector<std::string> arguments) {
  CLI_ASSIGN(session->environment, ReadEnvironment(environ));
  session->key_file = session->environment.key_file;
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
    return WrongUsage(DescribeParseError(app, e));
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
  const Error& error = outcome.error().error;
  const bool of_stdout =
      error.kind() == ErrorKind::kInternal || error.reason() == ErrorReason::kClosed;
  if (Stdout()->closed() && of_stdout) return kExitDone;
  Report(outcome.error(), json);
  return outcome.error().exit;
}

}  // namespace
}  // namespace varve::cli

int main(int argc, char** argv) { return varve::cli::Main(argc, argv); }
