// SPDX-License-Identifier: Apache-2.0
// varve stats: how large everything is and how far it has come.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "commands.h"
#include "format_cell.h"
#include "observation.h"
#include "process.h"

namespace varve::cli {
namespace {

struct StatsArguments {
  std::string database;
  bool prometheus = false;
};

std::uint64_t LogBytes(const LogStats& log) {
  std::uint64_t bytes = 0;
  for (const LogSegmentInfo& segment : log.segments) bytes += segment.file_bytes;
  return bytes;
}

Json DescribeLevel(const LevelStats& level) {
  return {{"runs", level.runs}, {"bytes", level.bytes}, {"rows", level.rows}};
}

Json DescribeTable(const TableStats& table) {
  Json levels = Json::array();
  for (const LevelStats& level : table.levels) levels.push_back(DescribeLevel(level));
  return {{"name", table.name},
          {"key", table.key},
          {"rows_estimate", table.rows_estimate},
          {"memtable", {{"rows", table.memtable_rows}, {"bytes", table.memtable_bytes}}},
          {"levels", std::move(levels)},
          {"history", DescribeLevel(table.history)}};
}

Json DescribeReaders(const std::vector<ReaderStats>& readers) {
  Json list = Json::array();
  for (const ReaderStats& reader : readers) {
    list.push_back({{"holder", reader.holder},
                    {"manifest", reader.manifest_number},
                    {"commit", reader.commit.value}});
  }
  return list;
}

// Null: nobody asked yet.
Json HitRate(std::uint64_t hits, std::uint64_t misses) {
  if (hits + misses == 0) return nullptr;
  return static_cast<double>(hits) / static_cast<double>(hits + misses);
}

Json DescribeMemory(const MemoryStats& memory) {
  Json holders = Json::object();
  for (const auto& holder : memory.holders) {
    holders[holder.name] = {{"bytes", holder.bytes}, {"peak", holder.peak}};
  }
  return {{"bytes", memory.bytes},
          {"bytes_max", memory.bytes_max},
          {"peak", memory.peak},
          {"holders", std::move(holders)}};
}

std::string MemoryText(const MemoryStats& memory) {
  std::string text = fmt::format("memory    {} of {}, at most {}", FormatBytes(memory.bytes),
                                 FormatBytes(memory.bytes_max), FormatBytes(memory.peak));
  for (const auto& holder : memory.holders) {
    if (holder.bytes > 0) text += fmt::format("; {} {}", holder.name, FormatBytes(holder.bytes));
  }
  return text + "\n";
}

Json Document(const DatabaseStats& stats) {
  Json tables = Json::array();
  for (const TableStats& table : stats.tables) tables.push_back(DescribeTable(table));
  return {{"commit", stats.commit.value},
          {"visible", stats.visible.value},
          {"durable", stats.durable.value},
          {"tables", std::move(tables)},
          {"memtable", {{"bytes", stats.memtable_bytes}}},
          {"memory", DescribeMemory(stats.memory)},
          {"log",
           {{"segments", stats.log.segments.size()},
            {"bytes", LogBytes(stats.log)},
            {"first_lsn", stats.log.first.value},
            {"last_lsn", stats.log.positions.appended.value},
            {"durable_lsn", stats.log.positions.durable.value}}},
          {"recovery",
           {{"segments", stats.recovery.segments},
            {"units", stats.recovery.units},
            {"records", stats.recovery.records},
            {"bytes", stats.recovery.bytes},
            {"torn_bytes", stats.recovery.torn_bytes}}},
          {"manifest", {{"number", stats.manifest_number}}},
          {"writer", stats.writer},
          {"readers", DescribeReaders(stats.readers)},
          {"read_cache",
           {{"bytes", stats.read_cache.bytes},
            {"bytes_max", stats.read_cache.bytes_max},
            {"hits", stats.read_cache.hits},
            {"misses", stats.read_cache.misses},
            {"hit_rate", HitRate(stats.read_cache.hits, stats.read_cache.misses)}}},
          {"tail_cache",
           {{"bytes", stats.tail_cache.bytes},
            {"bytes_max", stats.tail_cache.bytes_max},
            {"runs", stats.tail_cache.runs},
            {"hits", stats.tail_cache.hits},
            {"misses", stats.tail_cache.misses},
            {"hit_rate", HitRate(stats.tail_cache.hits, stats.tail_cache.misses)}}}};
}

std::string LevelText(const LevelStats& level) {
  return fmt::format("{}, {}, {}", Counted(level.runs, "run"), FormatBytes(level.bytes),
                     Counted(level.rows, "row"));
}

std::string Text(const DatabaseStats& stats) {
  std::string text = fmt::format(
      "commit    {} given out, {} visible, {} durable\n"
      "manifest  {}\n"
      "log       {} in {}, LSN {} to {}\n"
      "rows      {} not yet flushed\n",
      stats.commit.value, stats.visible.value, stats.durable.value, stats.manifest_number,
      FormatBytes(LogBytes(stats.log)), Counted(stats.log.segments.size(), "segment"),
      stats.log.first.value,
      stats.log.positions.durable.value, FormatBytes(stats.memtable_bytes));
  text += MemoryText(stats.memory);
  if (!stats.writer.empty()) text += fmt::format("writer    {}\n", stats.writer);
  for (const ReaderStats& reader : stats.readers) {
    text += fmt::format("reader    process {} shows commit {} and later ones\n", reader.holder,
                        reader.commit.value);
  }
  for (const TableStats& table : stats.tables) {
    text += fmt::format("table     {}: key {}; at most {}, {} of them in memory\n", table.name,
                        fmt::join(table.key, ","), Counted(table.rows_estimate, "row"),
                        WithThousands(table.memtable_rows));
    for (std::size_t i = 0; i < table.levels.size(); ++i) {
      text += fmt::format("  level {}  {}\n", i, LevelText(table.levels[i]));
    }
    if (table.history.runs > 0) {
      text += fmt::format("  history  {}, for readers of the past\n", LevelText(table.history));
    }
  }
  return text;
}

// Also of a database that another process writes, when that publishes them.
Outcome<ExitCode> PrintPrometheus(const Session& session, const std::string& path) {
  CLI_ASSIGN(const auto seen, Observe(session, path));
  if (seen.text.empty()) {
    return std::unexpected(
        Failure(Error(ErrorKind::kUnavailable, seen.why, ErrorReason::kLocked)));
  }
  CLI_TRY(Print(seen.text));
  return kExitDone;
}

Outcome<ExitCode> Run(const Session& session, const StatsArguments& options) {
  if (options.prometheus) {
    if (session.json) return WrongUsage("--json and --prometheus exclude each other");
    return PrintPrometheus(session, options.database);
  }
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, OpenMode::kRead));
  const DatabaseStats stats = database->Stats();
  CLI_TRY(PrintResult(session, Document(stats), Text(stats)));
  return kExitDone;
}

}  // namespace

void AddStats(CLI::App* app, Session* session) {
  auto [verb, options] =
      AddVerb<StatsArguments>(app, session, "stats", "Print sizes, positions and levels",
                              "varve stats flights.varve --json\n"
                              "  varve stats flights.varve --prometheus\n"
                              "\n"
                              "With --prometheus also while another process writes, if that one\n"
                              "publishes its metrics (OpenOptions::metrics_interval_ms).",
                              Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddNoLease(verb, session);
  verb.AddFlag("--prometheus", &options->prometheus,
               "Print metrics in Prometheus' text form instead");
}

}  // namespace varve::cli
