// SPDX-License-Identifier: Apache-2.0
// varve scan: rows of a table, in key order.
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include "commands.h"
#include "format_cell.h"
#include "output/row_writer.h"
#include "point_in_time.h"
#include "process.h"
#include "table.h"

namespace varve::cli {
namespace {

struct Options {
  std::string database;
  std::string table;
  std::string columns;
  std::string where;
  std::string limit;
  std::string at;
  std::string format;
  std::string output;
  bool reverse = false;
  bool count = false;
  bool explain = false;
  bool yes = false;
};

Done CheckUsage(const Session& session, const Options& options) {
  if (options.count && options.explain) {
    return WrongUsage("--count and --explain exclude each other");
  }
  if ((options.count || options.explain) && !(options.output.empty() && options.format.empty())) {
    return WrongUsage("--count and --explain print no rows: leave out --format and -o");
  }
  if (session.json && options.output.empty() && !options.format.empty() &&
      options.format != "json") {
    return WrongUsage("--json and --format " + options.format + " exclude each other");
  }
  return {};
}

Outcome<ScanOptions> MakeScanOptions(const Options& options, const Table& table) {
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
  return scan;
}

// Calls `each` for every batch. Stops with a failure when the user interrupts.
template <typename Each>
Done ReadAll(arrow::RecordBatchReader* reader, const Each& each) {
  while (true) {
    if (Interrupted()) return InterruptedFailure("interrupted");
    std::shared_ptr<arrow::RecordBatch> batch;
    CLI_ARROW_TRY(reader->ReadNext(&batch));
    if (batch == nullptr) return {};
    CLI_TRY(each(*batch));
  }
}

Outcome<ExitCode> Count(const Session& session, const Table& table, ScanOptions scan) {
  scan.columns.emplace();
  CLI_ASSIGN(auto reader, table.snapshot->Scan(table.name, scan));
  std::uint64_t rows = 0;
  CLI_TRY(ReadAll(reader.get(), [&rows](const arrow::RecordBatch& batch) -> Done {
    rows += static_cast<std::uint64_t>(batch.num_rows());
    return {};
  }));
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
  std::string text = fmt::format("as of commit {}\nkey range    {}\nfilter       {}\n",
                                 plan.as_of.value, plan.key_range,
                                 plan.filter.empty() ? "none" : plan.filter);
  for (const ScanSource& source : plan.sources) {
    text += fmt::format("{}: {} of {} read, {} of {} row groups, {} rows{}{}\n", source.name,
                        FormatBytes(source.bytes_read), FormatBytes(source.bytes),
                        source.row_groups_read, source.row_groups, WithThousands(source.rows),
                        source.reason.empty() ? "" : "; ", source.reason);
  }
  return text;
}

Outcome<ExitCode> WriteRows(const Session& session, const Options& options, const Table& table,
                            const ScanOptions& scan) {
  CLI_ASSIGN(const bool color, session.UseColor());
  const OutputOptions output{options.format, options.output, session.json, color,
                             options.yes};
  CLI_TRY(ChooseFormat(output));
  CLI_ASSIGN(auto reader, table.snapshot->Scan(table.name, scan));
  CLI_ASSIGN(auto writer, OpenOutput(output, reader->schema()));
  std::uint64_t rows = 0;
  CLI_TRY(ReadAll(reader.get(), [&](const arrow::RecordBatch& batch) -> Done {
    rows += static_cast<std::uint64_t>(batch.num_rows());
    return writer->Write(batch);
  }));
  CLI_TRY(writer->Finish());
  if (options.output.empty()) return kExitDone;
  CLI_TRY(PrintResult(session, {{"file", options.output}, {"rows", rows}},
                      fmt::format("wrote {} rows to {}\n", WithThousands(rows), options.output)));
  return kExitDone;
}

Outcome<ExitCode> Run(const Session& session, const Options& options) {
  CLI_TRY(CheckUsage(session, options));
  CLI_ASSIGN(const AsOf as_of, ParsePointInTime(options.at, WallNow()));
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  CLI_ASSIGN(const Table table, FindTable(*database, options.table, as_of));
  CLI_ASSIGN(const ScanOptions scan, MakeScanOptions(options, table));
  if (options.count) return Count(session, table, scan);
  if (!options.explain) return WriteRows(session, options, table, scan);
  CLI_ASSIGN(const ScanPlan plan, table.snapshot->Explain(table.name, scan));
  CLI_TRY(PrintResult(session, DescribePlan(plan), PlanText(plan)));
  return kExitDone;
}

}  // namespace

void AddScan(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<Options>(
      app, session, "scan", "Print the rows of a table, in key order",
      "varve scan flights.varve flights --columns carrier,flight,dep_delay \\\n"
      "    --where \"dep_delay > 120 and origin = 'JFK'\" --limit 5\n"
      "\n"
      "Formats: a table for a terminal, otherwise CSV. Times are ISO 8601, binary values\n"
      "hexadecimal, lists and structs JSON. Arrow goes to a pipe as a stream.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  verb.Add("TABLE", &options->table, "Name of the table").Required();
  verb.Add("--columns", &options->columns, "Columns to print, in this order: a,b").NotEmpty();
  verb.Add("--where", &options->where, "Rows for which this expression is true").NotEmpty();
  verb.Add("--limit", &options->limit, "At most N rows").Type("N").NotEmpty();
  verb.AddFlag("--reverse", &options->reverse, "From the largest key to the smallest");
  verb.Add("--at", &options->at, kPointInTimeHelp).Type("V").NotEmpty();
  verb.Add("--format", &options->format, "table, csv, json, arrow or parquet").NotEmpty();
  verb.Add("-o,--output", &options->output,
           "Write this file, whole or not at all; format by extension (.gz, .zst too)")
      .NotEmpty();
  verb.AddFlag("--yes", &options->yes, "Overwrite the file of -o when it exists");
  verb.AddFlag("--count", &options->count, "Print only how many rows there are");
  verb.AddFlag("--explain", &options->explain,
               "Print which files and row groups would be read or skipped, and why");
}

}  // namespace varve::cli
