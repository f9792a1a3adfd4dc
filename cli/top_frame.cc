// SPDX-License-Identifier: Apache-2.0
#include "top_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "format_cell.h"
#include "shown_text.h"

namespace varve::cli {
namespace {

using Source = Observation::Source;

// 950, 12.3 k, 4.56 M
std::string Short(double value) {
  for (const char* const unit : {"", " k", " M", " G"}) {
    if (value < 999.5) {
      const int digits = *unit == '\0' && value >= 99.5 ? 0 : value < 9.995 ? 2 : value < 99.95;
      std::string text = fmt::format("{:.{}f}", value, digits);
      if (text.find('.') != std::string::npos) {
        text.erase(text.find_last_not_of('0') + 1);
        if (text.ends_with('.')) text.pop_back();
      }
      return text + unit;
    }
    value /= 1000;
  }
  return fmt::format("{:.0f} T", value);
}

std::string Bytes(double bytes) { return FormatBytes(Whole(bytes)); }

// 1.2 ms
std::string Spent(double seconds) {
  if (seconds <= 0) return "-";
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
  return fmt::format("{:.1f} s", seconds);
}

// Writes lines whose first word says what they are of.
class Page {
 public:
  explicit Page(bool color) : color_(color) {}

  std::string Bold(std::string_view text) const { return Paint("1", text); }
  std::string Dim(std::string_view text) const { return Paint("2", text); }
  std::string Warn(std::string_view text) const { return Paint("1;31", text); }
  void Line(std::string_view name, std::string_view text) {
    text_ += fmt::format("{}{:{}}{}\n", Dim(name), "", 10 - name.size(), text);
  }
  void Bare(std::string_view text) { text_.append(text).append("\n"); }

  // A rate that is not known yet is a dash.
  static std::string PerSecond(const std::optional<double>& rate, bool bytes = false) {
    if (!rate) return "-/s";
    return (bytes ? Bytes(*rate) : Short(*rate)) + "/s";
  }
  // [######------] of a part of a whole.
  std::string Bar(double part, double whole) const {
    constexpr int kWide = 20;
    const double share = whole <= 0 ? 0 : std::clamp(part / whole, 0.0, 1.0);
    const int filled = static_cast<int>(std::lround(share * kWide));
    std::string bar(static_cast<std::size_t>(filled), '#');
    bar = share > 0.9 ? Warn(bar) : Paint("36", bar);
    return "[" + bar + Dim(std::string(static_cast<std::size_t>(kWide - filled), '-')) + "]";
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string Paint(std::string_view code, std::string_view text) const {
    return color_ && !text.empty() ? fmt::format("\x1b[{}m{}\x1b[m", code, text)
                                   : std::string(text);
  }

  const bool color_;
  std::string text_;
};

double StalledPart(const TopFrame& frame) {
  return frame.Rate("varve_commit_wait_seconds_sum").value_or(0);
}

MetricSamples::Bounds Latencies(const TopFrame& frame, std::string_view histogram) {
  return frame.now.metrics.Since(frame.before ? frame.before->metrics : MetricSamples(),
                                 histogram);
}

std::string SourceText(const Observation& seen, WallTime now) {
  const double age = static_cast<double>(now.micros - seen.time.micros) * 1e-6;
  switch (seen.source) {
    case Source::kOpened: return "nobody writes";
    case Source::kPublished:
      return fmt::format("process {}, {:.1f} s ago", ShownText(seen.holder), std::max(0.0, age));
    case Source::kFolder: return fmt::format("process {}", ShownText(seen.holder));
  }
  return "";
}

void WriteWork(const TopFrame& frame, Page* page) {
  const MetricSamples& now = frame.now.metrics;
  const auto acks = Latencies(frame, "varve_commit_seconds");
  const std::string commits = Page::PerSecond(frame.Rate("varve_commits_total"));
  page->Line("commits", fmt::format("{}   rows {}   {}   ack p50 {}  p99 {}", page->Bold(commits),
                                    Page::PerSecond(frame.Rate("varve_commit_rows_total")),
                                    Page::PerSecond(frame.Rate("varve_commit_bytes_total"), true),
                                    Spent(Quantile(acks, 0.5)), Spent(Quantile(acks, 0.99))));
  const auto syncs = Latencies(frame, "varve_log_flush_seconds");
  page->Line("log", fmt::format("syncs {}   written {}   sync p50 {}  p99 {}   {} in {}",
                                Page::PerSecond(frame.Rate("varve_log_syncs_total")),
                                Page::PerSecond(frame.Rate("varve_log_written_bytes_total"), true),
                                Spent(Quantile(syncs, 0.5)), Spent(Quantile(syncs, 0.99)),
                                Bytes(now.Sum("varve_log_segment_bytes")),
                                Counted(Whole(now.Sum("varve_log_segments")), "segment")));
  if (now.Sum("varve_log_stopped") > 0) {
    page->Line("", page->Warn("the log is stopped by a failure: reopen the database"));
  }
  const double behind =
      now.Sum("varve_commit_number") - now.Sum("varve_durable_commit_number");
  page->Line("position",
             fmt::format("commit {}, visible {}, {} not yet durable; manifest {}",
                         WithThousands(Whole(now.Sum("varve_commit_number"))),
                         WithThousands(Whole(now.Sum("varve_visible_commit_number"))),
                         WithThousands(Whole(behind)), Whole(now.Sum("varve_manifest_number"))));
}

// Who holds memory, those that hold most first.
std::string Holders(const MetricSamples& now, Page* page) {
  const double bytes = now.Sum("varve_memory_held_bytes");
  const double most = now.Sum("varve_memory_bytes_max");
  std::vector<std::pair<double, std::string>> holders;
  for (const MetricSample& sample : now.all()) {
    if (sample.name != "varve_memory_bytes" || sample.value <= 0) continue;
    holders.emplace_back(sample.value, sample.Label("holder"));
  }
  std::ranges::sort(holders, std::greater());
  std::string text = fmt::format("{} {} of {}, at most {}", page->Bar(bytes, most), Bytes(bytes),
                                 Bytes(most), Bytes(now.Sum("varve_memory_held_peak_bytes")));
  constexpr std::size_t kShown = 3;
  for (std::size_t i = 0; i < std::min(holders.size(), kShown); ++i) {
    text += fmt::format("; {} {}", ShownText(holders[i].second), Bytes(holders[i].first));
  }
  return text;
}

void WriteMemory(const TopFrame& frame, Page* page) {
  const MetricSamples& now = frame.now.metrics;
  const double bytes = now.Sum("varve_memtable_bytes");
  const double most = now.Sum("varve_memtable_bytes_max");
  page->Line("memory", fmt::format("{} {} of {}; {} sealed, {}", page->Bar(bytes, most),
                                   Bytes(bytes), Bytes(most),
                                   Whole(now.Sum("varve_sealed_memtables")),
                                   Bytes(now.Sum("varve_sealed_memtable_bytes"))));
  page->Line("budget", Holders(now, page));
  const double waiting = now.Sum("varve_commits_waiting"), part = StalledPart(frame);
  const std::string stalls = fmt::format(
      "{} waiting now, {} since open for {}; writers stood still {:.0f} % of the time",
      Whole(waiting), Whole(now.Sum("varve_commit_waits_total")),
      Spent(now.Sum("varve_commit_wait_seconds_sum")), part * 100);
  page->Line("stalls", waiting > 0 || part > 0.01 ? page->Warn(stalls) : stalls);
  const double failed = now.Sum("varve_flush_failures_total");
  const std::string failures = fmt::format("{} failed", Whole(failed));
  const auto times = Latencies(frame, "varve_flush_seconds");
  page->Line("flushes", fmt::format("{}, {}; {} written; p50 {}  p99 {}",
                                    Whole(now.Sum("varve_flushes_total")),
                                    failed > 0 ? page->Warn(failures) : failures,
                                    Bytes(now.Sum("varve_flush_bytes_total")),
                                    Spent(Quantile(times, 0.5)), Spent(Quantile(times, 0.99))));
}

void WriteReads(const TopFrame& frame, Page* page) {
  const MetricSamples& now = frame.now.metrics;
  const auto of = [&](const char* kind) {
    return Page::PerSecond(frame.Rate("varve_reads_total", "operation", kind));
  };
  page->Line("reads", fmt::format("gets {}   scans {}   scanned rows {}   files {}", of("get"),
                                  of("scan"), Page::PerSecond(frame.Rate("varve_scan_rows_total")),
                                  Page::PerSecond(frame.Rate("varve_store_read_bytes_total", "kind",
                                                             "run"),
                                                  true)));
  const double hits = now.Sum("varve_read_cache_hits_total");
  const double asked = hits + now.Sum("varve_read_cache_misses_total");
  const double bytes = now.Sum("varve_read_cache_bytes");
  const double most = now.Sum("varve_read_cache_bytes_max");
  page->Line("cache",
             fmt::format("{} {} of {}; {} of lookups found there", page->Bar(bytes, most),
                         Bytes(bytes), Bytes(most),
                         asked > 0 ? fmt::format("{:.0f} %", hits / asked * 100) : "-"));
  const std::string snapshots = Counted(Whole(now.Sum("varve_open_snapshots")), "snapshot");
  page->Line("open", snapshots + ", " +
                         Counted(Whole(now.Sum("varve_open_transactions")), "transaction"));
}

std::string LevelsOf(const MetricSamples& now, std::string_view table) {
  std::string text;
  for (const MetricSample& sample : now.all()) {
    if (sample.name != "varve_level_runs" || sample.Label("table") != table) continue;
    double bytes = 0;
    for (const MetricSample& other : now.all()) {
      if (other.name == "varve_level_bytes" && other.labels == sample.labels) bytes = other.value;
    }
    text += fmt::format("{}L{} {} ({})", text.empty() ? "" : "  ", ShownText(sample.Label("level")),
                        Counted(Whole(sample.value), "run"), Bytes(bytes));
  }
  return text.empty() ? "no files" : text;
}

void WriteTables(const TopFrame& frame, Page* page) {
  const MetricSamples& now = frame.now.metrics;
  page->Bare(page->Dim(fmt::format("\n{:<24} {:>14} {:>10}  {}", "table", "rows, at most",
                                   "in memory", "levels")));
  for (const MetricSample& sample : now.all()) {
    if (sample.name != "varve_table_rows") continue;
    const std::string table(sample.Label("table"));
    page->Bare(fmt::format("{:<24} {:>14} {:>10}  {}", ShownText(table),
                           WithThousands(Whole(sample.value)),
                           Bytes(now.Sum("varve_table_memtable_bytes", "table", table)),
                           LevelsOf(now, table)));
  }
}

void WriteFolder(const Observation& seen, Page* page) {
  const FolderFacts& folder = seen.folder;
  page->Line("manifest", fmt::format("{}, {} there", folder.manifest_number,
                                     Counted(folder.manifests, "object")));
  page->Line("log", fmt::format("{}, {}", Counted(folder.log_segments, "segment"),
                                FormatBytes(folder.log_bytes)));
  page->Line("files", fmt::format("{}, {}", Counted(folder.runs, "Parquet file"),
                                  FormatBytes(folder.run_bytes)));
  page->Bare("\n" + ShownText(seen.why));
}

Json OrNull(const std::optional<double>& rate) {
  if (!rate) return nullptr;
  return std::round(*rate * 1000) / 1000;
}

Json RatesOf(const TopFrame& frame) {
  return {{"commits", OrNull(frame.Rate("varve_commits_total"))},
          {"rows", OrNull(frame.Rate("varve_commit_rows_total"))},
          {"bytes", OrNull(frame.Rate("varve_commit_bytes_total"))},
          {"syncs", OrNull(frame.Rate("varve_log_syncs_total"))},
          {"gets", OrNull(frame.Rate("varve_reads_total", "operation", "get"))},
          {"scans", OrNull(frame.Rate("varve_reads_total", "operation", "scan"))},
          {"scan_rows", OrNull(frame.Rate("varve_scan_rows_total"))},
          {"read_bytes", OrNull(frame.Rate("varve_store_read_bytes_total", "kind", "run"))},
          {"stalled", OrNull(frame.Rate("varve_commit_wait_seconds_sum"))}};
}

Json SecondsOf(const TopFrame& frame, std::string_view histogram) {
  const auto bounds = Latencies(frame, histogram);
  return {{"p50", Quantile(bounds, 0.5)}, {"p99", Quantile(bounds, 0.99)}};
}

}  // namespace

std::optional<double> TopFrame::Rate(std::string_view counter) const {
  if (!before) return std::nullopt;
  const double more = now.metrics.Sum(counter) - before->metrics.Sum(counter);
  return std::max(0.0, more / (now.seconds() - before->seconds()));
}

std::optional<double> TopFrame::Rate(std::string_view counter, std::string_view label,
                                     std::string_view value) const {
  if (!before) return std::nullopt;
  const double more =
      now.metrics.Sum(counter, label, value) - before->metrics.Sum(counter, label, value);
  return std::max(0.0, more / (now.seconds() - before->seconds()));
}

TopFrame MakeFrame(const std::optional<Observation>& before, Observation now) {
  TopFrame frame{std::move(now), std::nullopt};
  const Observation& seen = frame.now;
  if (!before || seen.source == Source::kFolder || before->source != seen.source) return frame;
  if (before->holder != seen.holder || before->time >= seen.time) return frame;
  frame.before = before;
  return frame;
}

Json Document(const TopFrame& frame, const std::string& path) {
  const Observation& seen = frame.now;
  const FolderFacts& folder = seen.folder;
  const char* const sources[] = {"opened", "published", "folder"};
  Json document = {{"time", FormatTime(seen.time)},
                   {"database", path},
                   {"source", sources[static_cast<int>(seen.source)]},
                   {"holder", seen.holder.empty() ? Json() : Json(seen.holder)},
                   {"folder",
                    {{"manifests", folder.manifests},
                     {"manifest_number", folder.manifest_number},
                     {"log_segments", folder.log_segments},
                     {"log_bytes", folder.log_bytes},
                     {"runs", folder.runs},
                     {"run_bytes", folder.run_bytes}}}};
  if (seen.source == Source::kFolder) {
    document["why"] = seen.why;
    return document;
  }
  document["per_second"] = RatesOf(frame);
  document["commit_seconds"] = SecondsOf(frame, "varve_commit_seconds");
  document["sync_seconds"] = SecondsOf(frame, "varve_log_flush_seconds");
  Json metrics = Json::array();
  for (const MetricSample& sample : seen.metrics.all()) {
    if (sample.name.ends_with("_bucket")) continue;
    Json labels = Json::object();
    for (const auto& [label, value] : sample.labels) labels[label] = value;
    metrics.push_back({{"name", sample.name}, {"labels", labels}, {"value", sample.value}});
  }
  document["metrics"] = std::move(metrics);
  return document;
}

std::string Text(const TopFrame& frame, const std::string& path, WallTime now, bool color) {
  Page page(color);
  page.Bare(fmt::format("{}  {}  {}\n", page.Bold("varve top"), ShownText(path),
                        page.Dim(SourceText(frame.now, now))));
  if (frame.now.source == Source::kFolder) {
    WriteFolder(frame.now, &page);
    return page.Take();
  }
  WriteWork(frame, &page);
  WriteMemory(frame, &page);
  WriteReads(frame, &page);
  WriteTables(frame, &page);
  return page.Take();
}

}  // namespace varve::cli
