// SPDX-License-Identifier: Apache-2.0
#include "report/facts.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "format_cell.h"
#include "point_in_time.h"
#include "process.h"
#include "table.h"

namespace varve::cli {
namespace {

std::string KeyText(const arrow::RecordBatch& keys, std::int64_t row) {
  std::string text;
  for (const auto& column : keys.columns()) {
    if (!text.empty()) text += ", ";
    AppendText(*column, row, &text);
  }
  return text;
}

// Gives each run its places, and lanes in its level: the first in which its keys come after those
// of the run before.
void Arrange(TableFacts* table) {
  std::ranges::sort(table->runs, {}, [](const RunFacts& run) {
    return std::tuple(run.info.level, std::string_view(run.info.first_key), run.info.id);
  });
  std::map<std::string_view, std::size_t> places;  // lends the runs' keys, which stay from here on
  for (const RunFacts& run : table->runs) {
    places[run.info.first_key];
    places[run.info.last_key];
  }
  for (auto& [key, place] : places) place = table->places++;
  std::vector<std::size_t> ends;  // of each lane, the place of its last key
  for (std::size_t i = 0; i < table->runs.size(); ++i) {
    RunFacts& run = table->runs[i];
    if (i > 0 && table->runs[i - 1].info.level != run.info.level) ends.clear();
    run.first_place = places.at(run.info.first_key);
    run.last_place = places.at(run.info.last_key);
    const auto free = std::ranges::find_if(
        ends, [&](std::size_t end) { return end < run.first_place; });
    run.lane = static_cast<std::size_t>(free - ends.begin());
    if (free == ends.end()) ends.push_back(0);
    ends[run.lane] = run.last_place;
  }
}

Outcome<TableFacts> GatherTable(const Snapshot& snapshot, const std::string& name) {
  TableFacts table{.name = name, .key = {}, .schema = nullptr, .stats = {}, .runs = {}};
  const auto failed = [](const auto& result) {
    return std::unexpected(Failure(result.error()));
  };
  auto key = snapshot.Key(name);
  if (!key) return failed(key);
  table.key = *std::move(key);
  auto schema = snapshot.Schema(name);
  if (!schema) return failed(schema);
  table.schema = *std::move(schema);
  auto runs = snapshot.Runs(name);
  if (!runs) return failed(runs);
  for (RunInfo& info : *runs) {
    std::string first = KeyText(*info.keys, 0), last = KeyText(*info.keys, 1);
    table.runs.push_back({.info = std::move(info),
                          .first_key = std::move(first),
                          .last_key = std::move(last)});
  }
  Arrange(&table);
  return table;
}

Json DescribeRun(const RunFacts& run) {
  const RunInfo& info = run.info;
  return {{"id", info.id},
          {"level", info.level},
          {"lane", run.lane},
          {"first_key", run.first_key},
          {"last_key", run.last_key},
          {"rows", info.rows},
          {"deletes", info.deletes},
          {"bytes", info.bytes},
          {"first_commit", info.first_commit.value},
          {"last_commit", info.last_commit.value},
          {"hidden", info.hidden},
          {"file", info.name.empty() ? Json() : Json(info.name)},
          {"deletes_file", info.deletes_name.empty() ? Json() : Json(info.deletes_name)}};
}

Json DescribeTable(const TableFacts& table) {
  Json runs = Json::array();
  for (const RunFacts& run : table.runs) runs.push_back(DescribeRun(run));
  Json document = {{"name", table.name},
                   {"key", table.key},
                   {"columns", DescribeColumns(*table.schema)},
                   {"bytes", table.bytes()},
                   {"rows_in_files", table.rows()},
                   {"runs", std::move(runs)}};
  if (table.stats) {
    document["rows_estimate"] = table.stats->rows_estimate;
    document["memtable"] = {{"rows", table.stats->memtable_rows},
                            {"bytes", table.stats->memtable_bytes}};
  }
  return document;
}

Json DescribeLog(const LogStats& log) {
  Json segments = Json::array();
  for (const LogSegmentInfo& segment : log.segments) {
    segments.push_back({{"name", segment.name},
                        {"bytes", segment.file_bytes},
                        {"first_lsn", segment.base.value},
                        {"last_lsn", segment.end.value},
                        {"sealed", segment.sealed}});
  }
  return {{"first_lsn", log.first.value},
          {"last_lsn", log.positions.appended.value},
          {"durable_lsn", log.positions.durable.value},
          {"segments", std::move(segments)}};
}

}  // namespace

std::uint64_t TableFacts::bytes() const {
  std::uint64_t sum = 0;
  for (const RunFacts& run : runs) sum += run.info.bytes;
  return sum;
}

std::uint64_t TableFacts::rows() const {
  std::uint64_t sum = 0;
  for (const RunFacts& run : runs) sum += run.info.rows;
  return sum;
}

Outcome<ReportFacts> GatherFacts(const std::string& path, const std::string& at,
                                 const Database& database) {
  ReportFacts facts;
  facts.path = path;
  facts.made = WallNow();
  facts.asked_as_of = at;
  AsOf as_of;
  if (!at.empty()) {
    CLI_ASSIGN(as_of, ParsePointInTime(at, facts.made));
  }
  CLI_ASSIGN(const auto snapshot, SnapshotAt(database, as_of));
  facts.as_of = snapshot->commit();
  facts.stats = database.Stats();
  for (const std::string& name : snapshot->Tables()) {
    CLI_ASSIGN(auto table, GatherTable(*snapshot, name));
    const auto now = std::ranges::find(facts.stats.tables, name, &TableStats::name);
    if (at.empty() && now != facts.stats.tables.end()) table.stats = *now;
    facts.tables.push_back(std::move(table));
  }
  facts.versions = database.Versions(kVersionsMax + 1);
  facts.versions_left_out = facts.versions.size() > kVersionsMax;
  if (facts.versions_left_out) facts.versions.pop_back();
  std::ranges::reverse(facts.versions);
  facts.published = MetricSamples(ReadPublished(path).value_or(""));
  return facts;
}

Json Document(const ReportFacts& facts) {
  Json tables = Json::array();
  for (const TableFacts& table : facts.tables) tables.push_back(DescribeTable(table));
  Json versions = Json::array();
  for (const Version& version : facts.versions) {
    versions.push_back({{"commit", version.commit.value},
                        {"time", FormatTime(version.time)},
                        {"runs", version.runs},
                        {"rows", version.rows},
                        {"bytes", version.bytes},
                        {"flushed", version.flushed},
                        {"tags", version.tags}});
  }
  return {{"database", facts.path},
          {"made", FormatTime(facts.made)},
          {"as_of", facts.as_of.value},
          {"commit", facts.stats.commit.value},
          {"durable", facts.stats.durable.value},
          {"manifest", {{"number", facts.stats.manifest_number}}},
          {"memtable", {{"bytes", facts.stats.memtable_bytes}}},
          {"tables", std::move(tables)},
          {"versions", std::move(versions)},
          {"versions_left_out", facts.versions_left_out},
          {"log", DescribeLog(facts.stats.log)}};
}

}  // namespace varve::cli
