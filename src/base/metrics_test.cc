// SPDX-License-Identifier: Apache-2.0
// Counters, histograms, their text, and spans.
#include "base/metrics.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/prometheus.h"
#include "base/telemetry.h"

namespace varve {
namespace {

TEST(MetricsTest, CountsOfManyThreadsAddUp) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10'000; ++n) metrics.Add("get_keys_total", 2);
      metrics.Record("flush_seconds", 5);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(metrics.Read("get_keys_total"), 240'000u);
  EXPECT_EQ(metrics.Read("get_rows_total"), 0u);
  EXPECT_EQ(metrics.ReadTimes("flush_seconds").count(), 12u);
  EXPECT_EQ(metrics.ReadTimes("flush_seconds").sum_micros, 60u);
}

TEST(MetricsTest, FamiliesStandTogetherAndAreExplainedOnce) {
  const auto check = [](const auto& list) {
    std::set<std::string_view> seen;
    std::string_view last;
    for (const auto& info : list) {
      EXPECT_EQ(info.label.empty(), info.value.empty()) << info.name;
      if (info.name == last) continue;
      EXPECT_TRUE(seen.insert(info.name).second) << info.name << " stands in two places";
      EXPECT_TRUE(info.help.ends_with(".")) << info.name << ": the first one explains";
      last = info.name;
    }
  };
  check(kCounters);
  check(kHistograms);
  for (const auto& info : kCounters) EXPECT_TRUE(info.name.ends_with("_total")) << info.name;
  for (const auto& info : kHistograms) EXPECT_TRUE(info.name.ends_with("_seconds")) << info.name;
}

TEST(MetricsTest, ATimeIsBelowTheBoundOfItsBucket) {
  Metrics metrics;
  for (const std::int64_t micros : {0, 15, 16, 31, 32, -3}) metrics.Record("flush_seconds", micros);
  metrics.Record("flush_seconds", std::int64_t{1} << 40);
  PrometheusWriter out("x_");
  const auto times = metrics.ReadTimes("flush_seconds");
  out.HistogramOfSeconds("t", "Help.", times.buckets, times.sum_micros);
  const std::string text = out.Take();
  EXPECT_TRUE(text.starts_with("# HELP x_t Help.\n# TYPE x_t histogram\n"
                               "x_t_bucket{le=\"0.000016\"} 3\n"
                               "x_t_bucket{le=\"0.000032\"} 5\n"
                               "x_t_bucket{le=\"0.000064\"} 6\n"))
      << text;
  EXPECT_TRUE(text.ends_with("x_t_bucket{le=\"67.108864\"} 6\nx_t_bucket{le=\"+Inf\"} 7\n"
                             "x_t_sum 1099511.62787\nx_t_count 7\n"))
      << text;
}

TEST(MetricsTest, LabelsAreEscaped) {
  PrometheusWriter out("");
  out.Gauge("g", "One \\ two\nlines \"so\".", 1, {{"table", "a\"b\\c\nd"}});
  out.Gauge("g", "", 2, {{"table", "x"}, {"level", "0"}});
  EXPECT_EQ(out.Take(),
            "# HELP g One \\\\ two\\nlines \"so\".\n# TYPE g gauge\n"
            "g{table=\"a\\\"b\\\\c\\nd\"} 1\ng{table=\"x\",level=\"0\"} 2\n");
}

TEST(MetricsTest, SecondsHaveNoMoreDigitsThanTheyNeed) {
  EXPECT_EQ(SecondsText(0), "0");
  EXPECT_EQ(SecondsText(1), "0.000001");
  EXPECT_EQ(SecondsText(1'500'000), "1.5");
  EXPECT_EQ(SecondsText(-1'500'000), "-1.5");
  EXPECT_EQ(SecondsText(60'000'000), "60");
}

// Writes down what it is told.
class Notes final : public TraceSink {
 public:
  void Event(std::string_view, std::string_view, std::initializer_list<TraceField>) override {}
  std::uint64_t StartSpan(std::string_view name,
                          std::span<const TraceAttribute> attributes) override {
    if (throws) throw 1;
    notes.push_back("begin " + std::string(name) + Text(attributes));
    return notes.size();
  }
  void EndSpan(std::uint64_t span, std::span<const TraceAttribute> attributes,
               std::string_view error) override {
    notes.push_back("end " + std::to_string(span) + Text(attributes) + " " + std::string(error));
  }
  static std::string Text(std::span<const TraceAttribute> attributes) {
    std::string text;
    for (const auto& [key, value, number] : attributes) {
      text += " " + std::string(key) + "=" +
              (value.empty() ? std::to_string(number) : std::string(value));
    }
    return text;
  }
  std::vector<std::string> notes;
  bool throws = false;
};

TEST(SpanTest, TellsItsBeginningAndItsEndOnce) {
  Notes notes;
  const Telemetry telemetry{.trace = &notes, .database = "/db", .metrics = {}};
  {
    Span span(&telemetry, "get", "orders");
    span.Set("rows", 1);
    span.Set("rows", 2);
    Span moved = std::move(span);
    (void)moved.Watch(Status(std::unexpected(
        Error(ErrorKind::kUnavailable, "disk is full", ErrorReason::kNoSpace))));
    moved.End();
  }
  EXPECT_EQ(notes.notes,
            (std::vector<std::string>{
                "begin get orders db.system.name=varve db.namespace=/db db.operation.name=get "
                "db.collection.name=orders",
                "end 1 rows=2 error.type=Unavailable.NoSpace disk is full"}));
}

TEST(SpanTest, WithoutASinkThereIsNothing) {
  static_assert(sizeof(Span) == sizeof(void*));
  const Telemetry telemetry;
  Span span(&telemetry, "get", "orders");
  EXPECT_FALSE(span.on());
  EXPECT_FALSE(Span(nullptr, "get").on());
}

TEST(SpanTest, ASinkThatThrowsIsNotHeardOf) {
  Notes notes;
  notes.throws = true;
  const Telemetry telemetry{.trace = &notes, .database = "/db", .metrics = {}};
  Span span(&telemetry, "get", "orders");
  EXPECT_FALSE(span.on());
}

}  // namespace
}  // namespace varve
