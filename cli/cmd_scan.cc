// SPDX-License-Identifier: Apache-2.0
// varve scan: rows of a table, in key order.
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include "commands.h"
#include "format_cell.h"
#include "names.h"
#include "point_in_time.h"
#include "process.h"
#include "table.h"
#include "write_rows.h"

namespace varve::cli {
namespace {

struct ScanArguments {
  std::string database;
  std::string table;
  std::string columns;
  std::string where;
  std::string limit;
  std::string at;
  bool reverse = false;
  bool count = false;
  bool explain = false;
  bool profile = false;
  RowFlags rows;
};

Done CheckUsage(const Session& session, const ScanArguments& options) {
  if (options.count && options.explain) {
    return WrongUsage("--count and --explain exclude each other");
  }
  const bool rows_asked = !options.rows.output.empty() || !options.rows.format.empty();
  if ((options.count || options.explain) && rows_asked) {
    return WrongUsage("--count and --explain print no rows: leave out --format and -o");
  }
  if ((options.count || options.explain) && options.profile) {
    return WrongUsage("--profile measures how rows are read: leave out --count and --explain");
  }
  return CheckRowFlags(session, options.rows);
}

Outcome<ScanOptions> MakeScanOptions(const ScanArguments& options, const Table& table) {
  ScanOptions scan;
  if (!options.columns.empty()) {
    CLI_ASSIGN(scan.columns, SplitNames("--columns", options.columns));
    CLI_TRY(table.CheckColumns(*scan.columns));
  }
  if (!options.where.empty()) {
    CLI_ASSIGN(scan.filter, ParseWhere(options.where, table));
  }
  if (!options.limit.empty()) {
    CLI_ASSIGN(scan.limit, ParseCount("--limit", options.limit, 0));
  }
  scan.reverse = options.reverse;
  if (options.profile) scan.profile = std::make_shared<ScanProfile>();
  return scan;
}

// Columns and order make no difference to it.
Outcome<std::uint64_t> CountRows(const Table& table, ScanOptions scan) {
  scan.columns.reset();
  scan.reverse = false;
  if (scan.filter == nullptr) {
    CLI_ASSIGN(const RowCount count, table.snapshot->Count(table.name, scan));
    return count.rows;
  }
  scan.columns.emplace();
  scan.unordered = true;
  CLI_ASSIGN(auto reader, table.snapshot->Scan(table.name, scan));
  std::uint64_t rows = 0;
  CLI_TRY(ReadAll(reader.get(), [&rows](const arrow::RecordBatch& batch) -> Done {
    rows += static_cast<std::uint64_t>(batch.num_rows());
    return {};
  }));
  return rows;
}

Outcome<ExitCode> Count(const Session& session, const Table& table, ScanOptions scan) {
  CLI_ASSIGN(const std::uint64_t rows, CountRows(table, std::move(scan)));
  CLI_TRY(PrintResult(session, {{"count", rows}}, std::to_string(rows) + "\n"));
  return kExitDone;
}

Json DescribePlan(const ScanPlan& plan) {
  Json sources = Json::array();
  for (const ScanSource& source : plan.sources) {
    sources.push_back({{"name", source.name},
                       {"rows", source.rows},
                       {"bytes", source.bytes},
                       {"bytes_read", source.bytes_read},
                       {"row_groups", source.row_groups},
                       {"row_groups_read", source.row_groups_read},
                       {"reason", source.reason}});
  }
  return {{"as_of", plan.as_of.value},
          {"key_range", plan.key_range},
          {"filter", plan.filter},
          {"sources", std::move(sources)}};
}

std::string PlanText(const ScanPlan& plan) {
  std::string text =
      fmt::format("as of commit {}\nkey range    {}\nfilter       {}\n", plan.as_of.value,
                  plan.key_range, plan.filter.empty() ? "none" : plan.filter);
  for (const ScanSource& source : plan.sources) {
    text += fmt::format("{}: {} of {} read, {} of {}, {}{}{}\n", source.name,
                        FormatBytes(source.bytes_read), FormatBytes(source.bytes),
                        source.row_groups_read, Counted(source.row_groups, "row group"),
                        Counted(source.rows, "row"),
                        source.reason.empty() ? "" : "; ", source.reason);
  }
  return text;
}

// On stderr: stdout has the rows.
void PrintProfile(const Session& session, const ScanProfile& profile) {
  if (session.json) {
    const Json document = {{"plan_micros", profile.plan_micros},
                           {"first_micros", profile.first_micros},
                           {"read_micros", profile.read_micros},
                           {"rows", profile.rows},
                           {"batches", profile.batches}};
    return PrintError(document.dump() + "\n");
  }
  const auto milliseconds = [](std::int64_t micros) {
    return static_cast<double>(micros) / 1000;
  };
  const std::string batches =
      profile.batches == 1 ? "1 batch" : fmt::format("{} batches", profile.batches);
  PrintError(fmt::format("{} read in {:.3f} ms, {}: {:.3f} ms to plan, {:.3f} ms to the first\n",
                         Counted(profile.rows, "row"),
                         milliseconds(profile.plan_micros + profile.read_micros), batches,
                         milliseconds(profile.plan_micros), milliseconds(profile.first_micros)));
}

Outcome<ExitCode> Run(const Session& session, const ScanArguments& options) {
  CLI_TRY(CheckUsage(session, options));
  CLI_ASSIGN(const AsOf as_of, ParsePointInTime(options.at, WallNow()));
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  CLI_ASSIGN(const Table table, FindTable(*database, options.table, as_of));
  CLI_ASSIGN(const ScanOptions scan, MakeScanOptions(options, table));
  if (options.count) return Count(session, table, scan);
  if (!options.explain) {
    CLI_ASSIGN(const OutputOptions output, MakeOutputOptions(session, options.rows));
    CLI_ASSIGN(auto reader, table.snapshot->Scan(table.name, scan));
    CLI_ASSIGN(const ExitCode code, WriteRows(session, output, reader.get()));
    if (scan.profile) PrintProfile(session, *scan.profile);
    return code;
  }
  CLI_ASSIGN(const ScanPlan plan, table.snapshot->Explain(table.name, scan));
  CLI_TRY(PrintResult(session, DescribePlan(plan), PlanText(plan)));
  return kExitDone;
}

}  // namespace

void AddScan(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<ScanArguments>(
      app, session, "scan", "Print the rows of a table, in key order",
      "varve scan flights.varve flights --columns carrier,flight,dep_delay \\\n"
      "    --where \"dep_delay > 120 and origin = 'JFK'\" --limit 5\n"
      "\n"
      "Formats: a table for a terminal, otherwise CSV. Times are ISO 8601, binary values\n"
      "hexadecimal, lists and structs JSON. Arrow goes to a pipe as a stream. In CSV null is\n"
      "empty and an empty string \"\": load --null \"\" takes it as it was.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddNoLease(verb, session);
  verb.Add("TABLE", &options->table, "Name of the table").Required();
  verb.Add("--columns", &options->columns,
           "Columns to print, in this order: a,b; a name with a comma in double quotes")
      .NotEmpty();
  verb.Add("--where", &options->where, kWhereHelp).NotEmpty();
  verb.Add("--limit", &options->limit, "At most N rows").Type("N").NotEmpty();
  verb.AddFlag("--reverse", &options->reverse, "From the largest key to the smallest");
  verb.Add("--at", &options->at, kPointInTimeHelp).Type("V").NotEmpty();
  AddRowFlags(&verb, &options->rows);
  verb.AddFlag("--count", &options->count, "Print only how many rows there are");
  verb.AddFlag("--explain", &options->explain,
               "Print which files and row groups would be read or skipped, and why");
  verb.AddFlag("--profile", &options->profile,
               "After the rows, say on stderr where the time of reading them went");
}

}  // namespace varve::cli
