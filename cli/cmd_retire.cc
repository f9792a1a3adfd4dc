// SPDX-License-Identifier: Apache-2.0
// varve retire: lets go of files that only readers of old versions need.
#include <fmt/format.h>

#include <string>

#include "commands.h"
#include "format_cell.h"
#include "point_in_time.h"

namespace varve::cli {
namespace {

struct RetireArguments {
  std::string database;
  std::string keep;
  std::string window;
  bool dry_run = false;
};

Outcome<ExitCode> Run(const Session& session, const RetireArguments& options) {
  RetireOptions retire{.dry_run = options.dry_run};
  if (!options.keep.empty()) {
    CLI_ASSIGN(retire.keep_micros, ParseSpan(options.keep, "--keep"));
  }
  OpenSettings settings;
  if (!options.window.empty()) {
    if (options.dry_run) return WrongUsage("--window changes the database, --dry-run nothing");
    CLI_ASSIGN(settings.history_micros, ParseSpan(options.window, "--window"));
  }
  const OpenMode mode = options.dry_run ? OpenMode::kRead : OpenMode::kWrite;
  if (!options.window.empty() && !options.keep.empty()) {  // refused, it leaves the window alone
    CLI_ASSIGN(auto before, OpenDatabase(session, options.database, mode, {}));
    const auto allowed = before->Retire({.keep_micros = retire.keep_micros, .dry_run = true});
    if (!allowed) return std::unexpected(Failure(allowed.error()));
    CLI_TRY(before->Close());
  }
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, mode, settings));
  CLI_ASSIGN(const RetireInfo info, database->Retire(retire));
  CLI_TRY(database->Close());
  std::string text = fmt::format(
      "{} {} of {}, {}; the oldest version that {} is commit {}\n",
      options.dry_run ? "would let go" : "let go", Counted(info.files, "file"),
      Counted(info.runs, "run"), FormatBytes(info.bytes),
      options.dry_run ? "would stay readable" : "stays readable", info.oldest.value);
  CLI_TRY(PrintResult(session,
                      {{"dry_run", options.dry_run},
                       {"oldest", info.oldest.value},
                       {"runs", info.runs},
                       {"files", info.files},
                       {"versions", info.versions},
                       {"bytes", info.bytes}},
                      text));
  return kExitDone;
}

}  // namespace

void AddRetire(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<RetireArguments>(
      app, session, "retire",
      "Let go of files that only readers of old versions need. Tags keep the versions that they "
      "name. Happens in the background too, by the window that the database has",
      "varve retire flights.varve --keep 7d --dry-run", Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("--keep", &options->keep,
           "Versions younger than this stay readable: 30s, 5m, 2h, 7d; without it, the window that "
           "the database has, an hour unless its program says otherwise")
      .Type("SPAN")
      .NotEmpty();
  verb.Add("--window", &options->window,
           "From now on the database keeps versions for so long; those older than that go now")
      .Type("SPAN")
      .NotEmpty();
  verb.AddFlag("--dry-run", &options->dry_run, "Only say what would go");
}

}  // namespace varve::cli
