// SPDX-License-Identifier: Apache-2.0
// PrometheusWriter: metrics in Prometheus' text form, which OpenMetrics scrapers read too:
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
//
// A family is one name with its samples, which differ in their labels; samples of one family are
// written one after the other, and its HELP and TYPE lines before the first. We write the text
// ourselves: prometheus-cpp's serializer wants a registry of its own objects, each with a lock.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace varve {

struct MetricLabel {
  std::string_view name;
  std::string_view value;  // any text; it is escaped
};

class PrometheusWriter {
 public:
  // Every name is begun by `prefix`.
  explicit PrometheusWriter(std::string_view prefix) : prefix_(prefix) {}

  using Labels = std::span<const MetricLabel>;
  void Counter(std::string_view name, std::string_view help, std::uint64_t value,
               std::initializer_list<MetricLabel> labels = {});
  void Gauge(std::string_view name, std::string_view help, std::uint64_t value,
             std::initializer_list<MetricLabel> labels = {});
  // A time given in microseconds, as seconds.
  void CounterOfSeconds(std::string_view name, std::string_view help, std::uint64_t micros,
                        std::initializer_list<MetricLabel> labels = {});
  void GaugeOfSeconds(std::string_view name, std::string_view help, std::int64_t micros,
                      std::initializer_list<MetricLabel> labels = {});
  // Of times in whole microseconds, cut off: buckets[i] counts those of i significant bits, which
  // are times below 2^i microseconds; the last one all the rest. Bounds from 16 microseconds on.
  void HistogramOfSeconds(std::string_view name, std::string_view help,
                          std::span<const std::uint64_t> buckets, std::uint64_t sum_micros,
                          std::initializer_list<MetricLabel> labels = {});

  std::string Take() { return std::move(text_); }

 private:
  void Head(std::string_view name, std::string_view help, std::string_view type);
  void Sample(std::string_view name, std::string_view suffix, Labels labels, std::string_view le,
              std::string_view value);

  const std::string_view prefix_;
  std::string family_;  // that was written last
  std::string text_;
};

// 1234567 as "1.234567".
std::string SecondsText(std::int64_t micros);

}  // namespace varve
