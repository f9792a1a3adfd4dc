// SPDX-License-Identifier: Apache-2.0
// varve_db_report.h over varve::Database and varve::Snapshot.
#include <arrow/api.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "columns/arrow_errors.h"
#include "engine/c_database.h"
#include "engine/c_given.h"
#include "manifest/json_line.h"
#include "varve_db_report.h"
#include "view/aggregate.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

// Throws std::bad_alloc.
void GiveText(const std::string& text, char** to) {
  auto* const copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy == nullptr) throw std::bad_alloc();
  std::memcpy(copy, text.c_str(), text.size() + 1);
  *to = copy;
}

// Calls `each` with the table in the form of C; what it gives.
Result<int> Visit(const TableInfo& table, varve_db_each_table each, void* context) {
  std::vector<const char*> key;
  for (const std::string& name : table.key) key.push_back(name.c_str());
  ArrowSchema schema{};
  VARVE_TRY(FromArrow(arrow::ExportSchema(*table.schema, &schema)));
  const Given left(&schema);  // by the callback
  const varve_db_table lent = {table.name.c_str(), key.data(), key.size(), &schema, table.id};
  return each(context, &lent);
}

Status VisitAll(const std::vector<TableInfo>& tables, varve_db_each_table each, void* context) {
  for (const TableInfo& table : tables) {
    VARVE_ASSIGN(const int ended, Visit(table, each, context));
    if (ended != 0) break;
  }
  return {};
}

Json DescribeTable(const TableStats& table) {
  Json levels = Json::array();
  for (const LevelStats& level : table.levels) {
    levels.push_back({{"runs", level.runs}, {"bytes", level.bytes}, {"rows", level.rows}});
  }
  return {{"name", table.name},
          {"id", table.id},
          {"key", table.key},
          {"rows_estimate", table.rows_estimate},
          {"memtable", {{"rows", table.memtable_rows}, {"bytes", table.memtable_bytes}}},
          {"levels", std::move(levels)}};
}

Json DescribeLog(const LogStats& log) {
  std::uint64_t bytes = 0;
  for (const LogSegmentInfo& segment : log.segments) bytes += segment.file_bytes;
  return {{"segments", log.segments.size()},
          {"bytes", bytes},
          {"first_lsn", log.first.value},
          {"last_lsn", log.positions.appended.value},
          {"durable_lsn", log.positions.durable.value}};
}

Json DescribeRecovery(const RecoveryReport& recovery) {
  return {{"segments", recovery.segments},
          {"units", recovery.units},
          {"records", recovery.records},
          {"bytes", recovery.bytes},
          {"torn_bytes", recovery.torn_bytes}};
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

Json Describe(const DatabaseStats& stats) {
  Json tables = Json::array();
  for (const TableStats& table : stats.tables) tables.push_back(DescribeTable(table));
  const ReadCacheStats& cache = stats.read_cache;
  const TailCacheStats& tails = stats.tail_cache;
  return {{"commit", stats.commit.value},
          {"visible", stats.visible.value},
          {"durable", stats.durable.value},
          {"tables", std::move(tables)},
          {"memtable", {{"bytes", stats.memtable_bytes}}},
          {"memory", DescribeMemory(stats.memory)},
          {"log", DescribeLog(stats.log)},
          {"recovery", DescribeRecovery(stats.recovery)},
          {"manifest", {{"number", stats.manifest_number}}},
          {"read_cache",
           {{"bytes", cache.bytes},
            {"bytes_max", cache.bytes_max},
            {"hits", cache.hits},
            {"misses", cache.misses}}},
          {"tail_cache",
           {{"bytes", tails.bytes},
            {"bytes_max", tails.bytes_max},
            {"runs", tails.runs},
            {"hits", tails.hits},
            {"misses", tails.misses}}},
          {"flushes", stats.flushes},
          {"commit_stall_micros", stats.commit_stall_micros},
          {"commits_stalled", stats.commits_stalled},
          {"pressure", stats.pressure},
          {"commit_slowed_micros", stats.commit_slowed_micros},
          {"commit_stopped_micros", stats.commit_stopped_micros}};
}

Json Describe(const ScanPlan& plan) {
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

// An array of the least and the greatest value.
Result<std::shared_ptr<arrow::Array>> BothOf(const ValueRange& range,
                                             const std::shared_ptr<arrow::DataType>& type) {
  VARVE_ASSIGN(auto builder, FromArrow(arrow::MakeBuilder(type)));
  for (std::shared_ptr<arrow::Scalar> value : {range.min, range.max}) {
    if (value == nullptr) {
      VARVE_TRY(FromArrow(builder->AppendNull()));
      continue;
    }
    if (!value->type->Equals(*type)) {
      VARVE_ASSIGN(value, FromArrow(value->CastTo(type)));
    }
    VARVE_TRY(FromArrow(builder->AppendScalar(*value)));
  }
  return FromArrow(builder->Finish());
}

}  // namespace
}  // namespace varve

using namespace varve;

extern "C" {

int varve_db_tables(varve_db* db, varve_db_each_table each, void* context, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(reinterpret_cast<const void*>(each), "each"));
    VARVE_TRY(CheckOpen(*db));
    return VisitAll(db->database->Tables(), each, context);
  });
}

int varve_db_snapshot_tables(const varve_db_snapshot* snapshot, varve_db_each_table each,
                             void* context, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(snapshot, "snapshot"));
    VARVE_TRY(Need(reinterpret_cast<const void*>(each), "each"));
    std::vector<TableInfo> tables;
    for (const std::string& name : snapshot->snapshot->Tables()) {
      TableInfo table{.name = name};
      VARVE_ASSIGN(table.schema, snapshot->snapshot->Schema(name));
      VARVE_ASSIGN(table.key, snapshot->snapshot->Key(name));
      tables.push_back(std::move(table));
    }
    return VisitAll(tables, each, context);
  });
}

int varve_db_stats(varve_db* db, char** json, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(json, "json"));
    VARVE_TRY(CheckOpen(*db));
    GiveText(JsonText(Describe(db->database->Stats())), json);
    return {};
  });
}

int varve_db_prometheus(varve_db* db, const char* prefix, char** text, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(text, "text"));
    VARVE_TRY(CheckOpen(*db));
    GiveText(prefix == nullptr ? db->database->PrometheusText()
                               : db->database->PrometheusText(prefix),
             text);
    return {};
  });
}

int varve_db_explain(const varve_db_snapshot* snapshot, const char* table,
                     const varve_db_scan_options* options, char** json, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    GivenScan given(options);
    VARVE_TRY(Need(snapshot, "snapshot"));
    VARVE_TRY(Need(table, "table"));
    VARVE_TRY(Need(json, "json"));
    VARVE_ASSIGN(const auto schema, snapshot->snapshot->Schema(table));
    VARVE_ASSIGN(const auto scan, given.Take(schema));
    VARVE_ASSIGN(const auto plan, snapshot->snapshot->Explain(table, scan));
    GiveText(JsonText(Describe(plan)), json);
    return {};
  });
}

int varve_db_min_max(const varve_db_snapshot* snapshot, const char* table, const char* column,
                     const varve_db_scan_options* options, ArrowArray* values, ArrowSchema* schema,
                     std::uint64_t* rows_scanned, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    GivenScan given(options);
    VARVE_TRY(Need(snapshot, "snapshot"));
    VARVE_TRY(Need(table, "table"));
    VARVE_TRY(Need(column, "column"));
    VARVE_TRY(Need(values, "values"));
    VARVE_TRY(Need(schema, "schema"));
    VARVE_ASSIGN(const auto columns, snapshot->snapshot->Schema(table));
    VARVE_ASSIGN(const auto scan, given.Take(columns));
    VARVE_ASSIGN(const auto range, snapshot->snapshot->MinMax(table, column, scan));
    const auto type = PlainType(columns->GetFieldByName(column)->type());
    VARVE_ASSIGN(const auto both, BothOf(range, type));
    ArrowSchema field{};
    VARVE_TRY(FromArrow(arrow::ExportField(*arrow::field(column, type), &field)));
    const Given unless_moved(&field);
    VARVE_TRY(FromArrow(arrow::ExportArray(*both, values)));
    *schema = std::exchange(field, ArrowSchema{});
    if (rows_scanned != nullptr) *rows_scanned = range.rows_scanned;
    return {};
  });
}

}  // extern "C"
