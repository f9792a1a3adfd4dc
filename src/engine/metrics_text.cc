// SPDX-License-Identifier: Apache-2.0
// Database::PrometheusText: what is counted (base/metrics.h), and what can be asked for now.
#include <string>
#include <utility>
#include <vector>

#include "base/prometheus.h"
#include "engine/engine.h"
#include "log/log_look.h"
#include "run/read_cache.h"

namespace varve {
namespace {

void WriteCommits(const DatabaseStats& stats, const Metrics& metrics, PrometheusWriter* out) {
  const char* const help = "Commits acknowledged, by the level asked for.";
  out->Counter("commits_total", help, metrics.ReadTimes("commit_seconds/durable").count(),
               {{"ack", "durable"}});
  out->Counter("commits_total", help, metrics.ReadTimes("commit_seconds/written").count(),
               {{"ack", "written"}});
  out->Counter("commits_total", help, metrics.ReadTimes("commit_seconds/buffered").count(),
               {{"ack", "buffered"}});
  out->Gauge("commit_number", "The last commit given out.", stats.commit.value);
  out->Gauge("visible_commit_number", "The last commit that new snapshots show.",
             stats.visible.value);
  out->Gauge("durable_commit_number", "The last commit known to be on the device.",
             stats.durable.value);
  out->Gauge("commits_waiting", "Commits that wait for room now, by reason.",
             stats.commits_stalled, {{"reason", "memtables_full"}});
  const char* const behind = "Time that commits were held back for flushes or compaction.";
  out->CounterOfSeconds("commit_held_back_seconds_total", behind, stats.commit_slowed_micros,
                        {{"how", "slowed"}});
  out->CounterOfSeconds("commit_held_back_seconds_total", behind, stats.commit_stopped_micros,
                        {{"how", "stopped"}});
  out->Gauge("commits_held_back", "1 while commits are slowed or stopped for it.",
             stats.pressure.empty() ? 0 : 1);
}

void WriteBackgroundIo(const BackgroundIoStats& io, PrometheusWriter* out) {
  out->Gauge("background_io_bytes_per_second_max",
             "What flushes and compactions may read and write together; 0: no limit.",
             io.bytes_per_second_max);
  const char* const bytes = "Bytes read and written under that limit, by the work.";
  out->Counter("background_io_bytes_total", bytes, io.flush_bytes, {{"work", "flush"}});
  out->Counter("background_io_bytes_total", bytes, io.compaction_bytes, {{"work", "compaction"}});
  const char* const waited = "Time that threads waited for that limit, by their work.";
  out->CounterOfSeconds("background_io_wait_seconds_total", waited, io.flush_waited_micros,
                        {{"work", "flush"}});
  out->CounterOfSeconds("background_io_wait_seconds_total", waited, io.compaction_waited_micros,
                        {{"work", "compaction"}});
}

// Where others may read it, tables of an encrypted database have no names but their ids.
std::vector<TableStats> WithoutNames(std::vector<TableStats> tables) {
  for (TableStats& table : tables) table.name = "id " + std::to_string(table.id);
  return tables;
}

void WriteTables(const DatabaseStats& stats, PrometheusWriter* out) {
  const auto each = [&](const char* name, const char* help, auto value) {
    for (const TableStats& table : stats.tables) {
      out->Gauge(name, help, value(table), {{"table", table.name}});
    }
  };
  each("table_rows", "Rows of a table, at most.",
       [](const TableStats& table) { return table.rows_estimate; });
  each("table_memtable_rows", "Versions of rows in memory, not yet flushed.",
       [](const TableStats& table) { return table.memtable_rows; });
  each("table_memtable_bytes", "Memory of rows that are not yet flushed.",
       [](const TableStats& table) { return table.memtable_bytes; });
  const auto each_level = [&](const char* name, const char* help, auto member) {
    for (const TableStats& table : stats.tables) {
      for (std::size_t level = 0; level < table.levels.size(); ++level) {
        out->Gauge(name, help, table.levels[level].*member,
                   {{"table", table.name}, {"level", std::to_string(level)}});
      }
    }
  };
  each_level("level_runs", "Runs of a table, by level.", &LevelStats::runs);
  each_level("level_bytes", "Bytes of a table's files, by level.", &LevelStats::bytes);
  each_level("level_rows", "Versions of rows in a table's files, by level.", &LevelStats::rows);
}

void WriteMemory(const MemoryStats& memory, PrometheusWriter* out) {
  for (const auto& holder : memory.holders) {
    out->Gauge("memory_bytes", "Memory held, by who holds it.", holder.bytes,
               {{"holder", holder.name}});
  }
  for (const auto& holder : memory.holders) {
    out->Gauge("memory_peak_bytes", "The most that each of them held since open.", holder.peak,
               {{"holder", holder.name}});
  }
  out->Gauge("memory_held_bytes", "Memory held by all together.", memory.bytes);
  out->Gauge("memory_held_peak_bytes", "The most that all together held since open.",
             memory.peak);
  out->Gauge("memory_bytes_max", "Memory that they may hold together.", memory.bytes_max);
}

void WriteCache(const ReadCache& cache, std::uint64_t bytes_max, PrometheusWriter* out) {
  struct Kind {
    const char* name;
    ReadCache::Stats stats;
  };
  const Kind kinds[] = {{"keys", cache.stats(ReadCache::Part::kKeys)},
                        {"rows", cache.stats(ReadCache::Part::kRows)}};
  for (const auto& [name, stats] : kinds) {
    out->Gauge("read_cache_bytes", "Memory of the read cache, by kind.", stats.bytes,
               {{"kind", name}});
  }
  for (const auto& [name, stats] : kinds) {
    out->Counter("read_cache_hits_total", "Pieces of files that lookups found in memory.",
                 stats.hits, {{"kind", name}});
  }
  for (const auto& [name, stats] : kinds) {
    out->Counter("read_cache_misses_total", "Pieces of files that lookups did not find in memory.",
                 stats.misses, {{"kind", name}});
  }
  out->Gauge("read_cache_bytes_max", "Memory that the read cache may take.", bytes_max);
}

void WriteTails(const TailCacheStats& tails, PrometheusWriter* out) {
  out->Gauge("tail_cache_bytes", "Memory of the tails of runs: footers, filters, first keys.",
             tails.bytes);
  out->Gauge("tail_cache_runs", "Runs whose tails are in memory.", tails.runs);
  out->Counter("tail_cache_hits_total", "Runs that a read found open.", tails.hits);
  out->Counter("tail_cache_misses_total", "Runs that a read had to open.", tails.misses);
  out->Gauge("tail_cache_bytes_max", "Memory that the tails of runs may take.", tails.bytes_max);
}

}  // namespace

std::string Database::Impl::PrometheusText(std::string_view prefix, bool names) {
  DatabaseStats stats = Stats();
  if (!names) stats.tables = WithoutNames(std::move(stats.tables));
  std::uint64_t sealed = 0, sealed_bytes = 0, transactions = 0;
  {
    const std::lock_guard lock(commit_mutex_);
    sealed = sealed_.size();
    for (const auto& generation : sealed_) sealed_bytes += generation->bytes();
    transactions = open_transactions_.size();
  }
  const Metrics& metrics = environment_.telemetry()->metrics;
  PrometheusWriter out(prefix);
  out.Gauge("database_info", "1; the labels say which database this is, and of which process.", 1,
            {{"path", path_}, {"pid", std::to_string(owner_)}});
  out.GaugeOfSeconds("text_timestamp_seconds", "When this text was made.",
                     environment_.clock()->Now().micros);
  WriteCommits(stats, metrics, &out);
  out.Counter("flushes_total", "Flushes that are official.", stats.flushes);
  out.Counter("compactions_total", "Compactions that are official.", stats.compactions);
  WriteBackgroundIo(stats.background_io, &out);
  metrics.WriteTo(&out);
  // What ended first: between the two more may begin, and the difference is never below zero.
  const std::uint64_t ended = metrics.Read("snapshots_ended_total");
  out.Gauge("open_snapshots", "Snapshots held now, each of which keeps the files it needs.",
            metrics.Read("snapshots_begun_total") - ended);
  out.Gauge("open_transactions", "Transactions begun and not ended.", transactions);
  out.Gauge("memtable_bytes", "Memory of rows that are not yet flushed.", stats.memtable_bytes);
  out.Gauge("memtable_bytes_max", "Memory at which commits wait.", *options_.memtable_bytes_max);
  out.Gauge("sealed_memtables", "Generations of memtables that wait for their flush.", sealed);
  out.Gauge("sealed_memtable_bytes", "Memory of those.", sealed_bytes);
  out.Gauge("manifest_number", "Number of the newest manifest.", stats.manifest_number);
  WriteTables(stats, &out);
  WriteMemory(stats.memory, &out);
  WriteCache(*caches_.pieces, *options_.read_cache_bytes_max, &out);
  WriteTails(stats.tail_cache, &out);
  std::string text = out.Take();
  return text + LogPrometheusText(stats.log, std::string(prefix) + "log_");
}

}  // namespace varve
