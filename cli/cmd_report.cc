// SPDX-License-Identifier: Apache-2.0
// varve report: how a database lies and how it came to be, as one page for a browser.
#include <fmt/format.h>

#include <cstdint>

#include "commands.h"
#include "format_cell.h"
#include "output/row_writer.h"
#include "point_in_time.h"
#include "process.h"
#include "report/page.h"

namespace varve::cli {
namespace {

struct ReportArguments {
  std::string database;
  std::string output;
  std::string at;
  bool yes = false;
};

Outcome<ExitCode> Run(const Session& session, const ReportArguments& options) {
  CLI_TRY(CheckPlace(options.output, options.yes));
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  CLI_ASSIGN(const auto facts, GatherFacts(options.database, options.at, *database));
  const std::string page = ReportPage(facts);
  CLI_ASSIGN(const auto file, ReplacedFile::Open(options.output));
  CLI_ARROW_TRY(file->Write(page.data(), static_cast<std::int64_t>(page.size())));
  CLI_TRY(file->Commit());
  std::uint64_t runs = 0;
  for (const TableFacts& table : facts.tables) runs += table.runs.size();
  CLI_TRY(PrintResult(session,
                      {{"file", options.output},
                       {"bytes", page.size()},
                       {"as_of", facts.as_of.value},
                       {"tables", facts.tables.size()},
                       {"runs", runs},
                       {"versions", facts.versions.size()}},
                      fmt::format("{}: {}, {}, {}; open it in any browser\n", options.output,
                                  Counted(facts.tables.size(), "table"), Counted(runs, "run"),
                                  Counted(facts.versions.size(), "version"))));
  return kExitDone;
}

}  // namespace

void AddReport(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<ReportArguments>(
      app, session, "report", "Draw levels, versions, log and memory as a page for a browser",
      "varve report flights.varve -o flights.html\n"
      "  varve report flights.varve -o then.html --at -7d\n"
      "\n"
      "The page is one file: it needs no network, no server and no script to be read, and the\n"
      "figures stand in it as JSON too.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddNoLease(verb, session);
  verb.Add("-o,--output", &options->output, "The page").Required().Type("FILE.html").NotEmpty();
  verb.Add("--at,--open-as", &options->at, kPointInTimeHelp).Type("V").NotEmpty();
  verb.AddFlag("--yes", &options->yes, "Replace FILE.html when it is there");
}

}  // namespace varve::cli
