// SPDX-License-Identifier: Apache-2.0
// The figures at the top, the log, memory and what the last writer told of itself.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "format_cell.h"
#include "metrics_samples.h"
#include "report/html.h"
#include "report/sections.h"

namespace varve::cli {
namespace {

std::string Tile(std::string_view name, const std::string& value, const std::string& note) {
  return fmt::format("<div class=\"tile\"><span>{}</span><b>{}</b><small>{}</small></div>\n", name,
                     value, note);
}

std::uint64_t LogFileBytes(const LogStats& log) {
  std::uint64_t bytes = 0;
  for (const LogSegmentInfo& segment : log.segments) bytes += segment.file_bytes;
  return bytes;
}

std::uint64_t UsedBytes(const LogSegmentInfo& segment) {
  return segment.end > segment.base ? segment.end.value - segment.base.value : 0;
}

// A part of a whole, with what it is.
std::string Meter(std::string_view name, double part, double whole, const std::string& note) {
  const double share = whole <= 0 ? 0 : std::clamp(part / whole, 0.0, 1.0);
  return fmt::format(
      "<div class=\"meter{}\"><span>{}</span><svg viewBox=\"0 0 1000 10\" "
      "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{:.0f} percent\">"
      "<rect class=\"whole\" width=\"1000\" height=\"10\"/>"
      "<rect class=\"part\" width=\"{:.1f}\" height=\"10\"/></svg><small>{}</small></div>\n",
      share > 0.9 ? " full" : "", name, share * 100, share * 1000, note);
}

std::string TimeText(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.0f} \xC2\xB5s", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  return fmt::format("{:.3g} s", seconds);
}

// Bars of a histogram, from the first that holds something to the last.
std::string Histogram(std::string_view title, const MetricSamples::Bounds& bounds) {
  struct Bucket {
    double from, to, count;
  };
  std::vector<Bucket> buckets;
  double from = 0, below = 0;
  for (const auto& [bound, count] : bounds) {
    if (count > below || !buckets.empty()) buckets.push_back({from, bound, count - below});
    from = bound;
    below = count;
  }
  while (!buckets.empty() && buckets.back().count <= 0) buckets.pop_back();
  if (buckets.empty()) return "";
  constexpr std::size_t kBucketsLeast = 10;  // so that a bar looks like one
  while (buckets.size() < kBucketsLeast && buckets.front().from > 1e-6) {
    const double low = buckets.front().from;
    buckets.insert(buckets.begin(), {low / 2, low, 0});
    const double high = buckets.back().to;
    if (high < std::numeric_limits<double>::infinity()) buckets.push_back({high, high * 2, 0});
  }
  double most = 1;
  for (const Bucket& bucket : buckets) most = std::max(most, bucket.count);
  const double slot = 1000 / static_cast<double>(buckets.size());
  std::string bars;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const auto& [low, high, count] = buckets[i];
    const bool endless = high == std::numeric_limits<double>::infinity();
    const double height = count <= 0 ? 0 : std::max(count / most * 86, 1.0);
    bars += fmt::format(
        "<g><title>{} to {}: {}</title><rect class=\"reach\" x=\"{:.1f}\" width=\"{:.1f}\" y=\"0\" "
        "height=\"90\"/><rect class=\"count\" x=\"{:.1f}\" width=\"{:.1f}\" y=\"{:.1f}\" "
        "height=\"{:.1f}\"/></g>",
        TimeText(low), endless ? "more" : TimeText(high), WithThousands(Whole(count)),
        static_cast<double>(i) * slot, slot, static_cast<double>(i) * slot + slot * 0.06,
        slot * 0.88, 90 - height, height);
  }
  return fmt::format(
      "<figure><figcaption>{} <small>p50 {}, p99 {}</small></figcaption>"
      "<div class=\"plot small\"><svg viewBox=\"0 0 1000 90\" preserveAspectRatio=\"none\" "
      "role=\"img\" aria-label=\"{}\">{}</svg></div>"
      "<div class=\"axis\"><span>{}</span><span></span><span>{}</span></div></figure>\n",
      title, TimeText(Quantile(bounds, 0.5)), TimeText(Quantile(bounds, 0.99)), title, bars,
      TimeText(buckets.front().from),
      buckets.back().to == std::numeric_limits<double>::infinity() ? "more"
                                                                   : TimeText(buckets.back().to));
}

std::string LastWriter(const ReportFacts& facts) {
  const MetricSamples& metrics = facts.published;
  if (metrics.empty()) {
    return "<p class=\"none\">No process published metrics of this database "
           "(OpenOptions::metrics_interval_ms), so nothing is known of its stalls and "
           "latencies.</p>\n";
  }
  const double time = metrics.Sum("varve_text_timestamp_seconds");
  const double waits = metrics.Sum("varve_commit_waits_total");
  const double failed = metrics.Sum("varve_flush_failures_total");
  std::string html = fmt::format(
      "<h3>The last process that published metrics <small>{}, process {}</small></h3>\n"
      "<div class=\"tiles\">{}{}{}{}</div>\n",
      ShortTime({static_cast<std::int64_t>(time * 1e6)}),
      EscapeHtml(metrics.LabelOf("varve_database_info", "pid")),
      Tile("Commits", WithThousands(Whole(metrics.Sum("varve_commits_total"))),
           Counted(Whole(metrics.Sum("varve_commit_rows_total")), "row")),
      Tile("Stalls", WithThousands(Whole(waits)),
           waits > 0 ? TimeText(metrics.Sum("varve_commit_wait_seconds_sum")) + " waited for memory"
                     : "no commit waited for memory"),
      Tile("Flushes", WithThousands(Whole(metrics.Sum("varve_flushes_total"))),
           failed > 0 ? fmt::format("{} failed", Whole(failed))
                      : FormatBytes(Whole(metrics.Sum("varve_flush_bytes_total"))) + " written"),
      Tile("Syncs", WithThousands(Whole(metrics.Sum("varve_log_syncs_total"))),
           FormatBytes(Whole(metrics.Sum("varve_log_written_bytes_total"))) + " to the log"));
  return html + "<div class=\"figures\">" +
         Histogram("Commits, from call to ack", metrics.Since({}, "varve_commit_seconds")) +
         Histogram("Writes and syncs of the log", metrics.Since({}, "varve_log_flush_seconds")) +
         Histogram("Waits for memory", metrics.Since({}, "varve_commit_wait_seconds")) +
         Histogram("Flushes", metrics.Since({}, "varve_flush_seconds")) + "</div>\n";
}

std::string Segments(const LogStats& log) {
  const auto all = static_cast<double>(std::max<std::uint64_t>(LogFileBytes(log), 1));
  std::string svg;
  double x = 0;
  for (const LogSegmentInfo& segment : log.segments) {
    const double width = static_cast<double>(segment.file_bytes) / all * 1000;
    const double used =
        std::min(static_cast<double>(UsedBytes(segment)) / all * 1000, width);
    svg += fmt::format(
        "<g class=\"segment{}\"><title>{}\nLSN {} to {}\n{} of {} used{}</title>"
        "<rect class=\"whole\" x=\"{:.2f}\" width=\"{:.2f}\" height=\"28\"/>"
        "<rect class=\"part\" x=\"{:.2f}\" width=\"{:.2f}\" height=\"28\"/></g>\n",
        segment.sealed ? " sealed" : "", EscapeHtml(segment.name),
        WithThousands(segment.base.value), WithThousands(segment.end.value),
        FormatBytes(UsedBytes(segment)), FormatBytes(segment.file_bytes),
        segment.sealed ? "; sealed" : "", x + 0.5, std::max(width - 1, 0.5), x + 0.5,
        std::max(used - 1, 0.0));
    x += width;
  }
  return svg;
}

}  // namespace

std::string TilesSection(const ReportFacts& facts) {
  std::uint64_t bytes = 0, runs = 0, rows = 0, in_memory = 0;
  for (const TableFacts& table : facts.tables) {
    bytes += table.bytes();
    runs += table.runs.size();
    rows += table.stats ? table.stats->rows_estimate : table.rows();
    if (table.stats) in_memory += table.stats->memtable_rows;
  }
  const bool past = !facts.asked_as_of.empty();
  return "<section class=\"tiles\">\n" +
         Tile("Tables", WithThousands(facts.tables.size()), Counted(runs, "run")) +
         Tile(past ? "Rows in files" : "Rows", WithThousands(rows),
              past ? "all versions of them"
                   : in_memory == 0 ? "at most" : WithThousands(in_memory) + " in memory") +
         Tile("Files", FormatBytes(bytes), "Parquet") +
         Tile("Log", FormatBytes(LogFileBytes(facts.stats.log)),
              Counted(facts.stats.log.segments.size(), "segment")) +
         Tile("Commit", WithThousands(facts.as_of.value),
              past ? fmt::format("of {}", WithThousands(facts.stats.commit.value))
                   : fmt::format("{} durable", WithThousands(facts.stats.durable.value))) +
         Tile("Manifest", WithThousands(facts.stats.manifest_number), "newest") + "</section>\n";
}

std::string LogSection(const ReportFacts& facts) {
  const LogStats& log = facts.stats.log;
  return fmt::format(
      "<section class=\"card\" id=\"log\"><h2>Log</h2>\n"
      "<p class=\"facts\">{} in {} \xC2\xB7 LSN {} to {} \xC2\xB7 durable up to {}</p>\n"
      "<div class=\"plot log\"><svg viewBox=\"0 0 1000 28\" preserveAspectRatio=\"none\" "
      "role=\"img\" aria-label=\"segments of the log\">\n{}</svg></div>\n"
      "<p class=\"legend\"><i class=\"part\"></i><span>written</span><i class=\"whole\"></i>"
      "<span>made ahead of need</span></p></section>\n",
      FormatBytes(LogFileBytes(log)), Counted(log.segments.size(), "segment"),
      WithThousands(log.first.value),
      WithThousands(std::max(log.first, log.positions.appended).value),
      WithThousands(std::max(log.first, log.positions.durable).value), Segments(log));
}

// Of this process, which has just opened the database.
std::string Holders(const MemoryStats& memory) {
  std::string html = fmt::format(
      "<p class=\"facts\">of {} that it may hold, an open holds {}:</p>\n<div class=\"meters\">\n",
      FormatBytes(memory.bytes_max), FormatBytes(memory.bytes));
  for (const auto& holder : memory.holders) {
    if (holder.bytes == 0) continue;
    html += Meter(EscapeHtml(holder.name), static_cast<double>(holder.bytes),
                  static_cast<double>(memory.bytes_max), FormatBytes(holder.bytes));
  }
  return html + "</div>\n";
}

std::string MemorySection(const ReportFacts& facts) {
  std::string html = "<section class=\"card\" id=\"memory\"><h2>Memory and stalls</h2>\n";
  const double told = facts.published.Sum("varve_memtable_bytes_max");
  const double most = told > 0 ? told : static_cast<double>(facts.stats.memory.bytes_max / 4);
  html += fmt::format(
      "<p class=\"facts\">{} of rows that are not in files yet, which an open puts into memory "
      "again; commits wait at {}</p>\n",
      FormatBytes(facts.stats.memtable_bytes), FormatBytes(Whole(most)));
  html += Holders(facts.stats.memory);
  if (facts.stats.memtable_bytes > 0) {
    html += "<div class=\"meters\">\n";
    for (const TableFacts& table : facts.tables) {
      if (!table.stats || table.stats->memtable_bytes == 0) continue;
      html += Meter(EscapeHtml(Shortened(table.name, 24)),
                    static_cast<double>(table.stats->memtable_bytes),
                    most,
                    fmt::format("{}, {}", Counted(table.stats->memtable_rows, "row"),
                                FormatBytes(table.stats->memtable_bytes)));
    }
    html += "</div>\n";
  }
  return html + LastWriter(facts) + "</section>\n";
}

}  // namespace varve::cli
