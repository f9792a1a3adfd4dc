// SPDX-License-Identifier: Apache-2.0
#include "base/prometheus.h"

#include <string>

namespace varve {
namespace {

constexpr std::size_t kFirstBound = 4;  // 16 microseconds: less is noise

// In label values; in HELP, where a quote stands for itself.
void AppendEscaped(std::string_view text, bool quotes, std::string* out) {
  for (const char c : text) {
    if (c == '\\') {
      *out += "\\\\";
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '"' && quotes) {
      *out += "\\\"";
    } else {
      *out += c;
    }
  }
}

}  // namespace

std::string SecondsText(std::int64_t micros) {
  const bool negative = micros < 0;
  const std::uint64_t value =
      negative ? ~static_cast<std::uint64_t>(micros) + 1 : static_cast<std::uint64_t>(micros);
  std::string text = (negative ? "-" : "") + std::to_string(value / 1'000'000);
  if (value % 1'000'000 == 0) return text;
  std::string fraction = std::to_string(value % 1'000'000);
  fraction.insert(0, 6 - fraction.size(), '0');
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return text + "." + fraction;
}

void PrometheusWriter::Head(std::string_view name, std::string_view help, std::string_view type) {
  if (family_ == name) return;
  family_ = name;
  text_.append("# HELP ").append(prefix_).append(name).append(" ");
  AppendEscaped(help, false, &text_);
  text_.append("\n# TYPE ").append(prefix_).append(name).append(" ").append(type).append("\n");
}

void PrometheusWriter::Sample(std::string_view name, std::string_view suffix, Labels labels,
                              std::string_view le, std::string_view value) {
  text_.append(prefix_).append(name).append(suffix);
  char before = '{';
  const auto add = [&](std::string_view label, std::string_view of) {
    text_.append(1, before).append(label).append("=\"");
    AppendEscaped(of, true, &text_);
    text_ += '"';
    before = ',';
  };
  for (const MetricLabel& label : labels) add(label.name, label.value);
  if (!le.empty()) add("le", le);
  if (before == ',') text_ += '}';
  text_.append(" ").append(value).append("\n");
}

void PrometheusWriter::Counter(std::string_view name, std::string_view help, std::uint64_t value,
                               std::initializer_list<MetricLabel> labels) {
  Head(name, help, "counter");
  Sample(name, "", labels, "", std::to_string(value));
}

void PrometheusWriter::Gauge(std::string_view name, std::string_view help, std::uint64_t value,
                             std::initializer_list<MetricLabel> labels) {
  Head(name, help, "gauge");
  Sample(name, "", labels, "", std::to_string(value));
}

void PrometheusWriter::CounterOfSeconds(std::string_view name, std::string_view help,
                                        std::uint64_t micros,
                                        std::initializer_list<MetricLabel> labels) {
  Head(name, help, "counter");
  Sample(name, "", labels, "", SecondsText(static_cast<std::int64_t>(micros)));
}

void PrometheusWriter::GaugeOfSeconds(std::string_view name, std::string_view help,
                                      std::int64_t micros,
                                      std::initializer_list<MetricLabel> labels) {
  Head(name, help, "gauge");
  Sample(name, "", labels, "", SecondsText(micros));
}

void PrometheusWriter::HistogramOfSeconds(std::string_view name, std::string_view help,
                                          std::span<const std::uint64_t> buckets,
                                          std::uint64_t sum_micros,
                                          std::initializer_list<MetricLabel> labels) {
  Head(name, help, "histogram");
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    below += buckets[i];
    const bool last = i + 1 == buckets.size();
    if (i < kFirstBound && !last) continue;
    const std::string bound = last ? "+Inf" : SecondsText(std::int64_t{1} << i);
    Sample(name, "_bucket", labels, bound, std::to_string(below));
  }
  Sample(name, "_sum", labels, "", SecondsText(static_cast<std::int64_t>(sum_micros)));
  Sample(name, "_count", labels, "", std::to_string(below));
}

}  // namespace varve
