// SPDX-License-Identifier: Apache-2.0
#include "metrics_samples.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

namespace varve::cli {
namespace {

constexpr double kValueMax = 1e18;

// name{label="value",...} 12.5
class Line {
 public:
  explicit Line(std::string_view text) : rest_(text) {}

  std::optional<MetricSample> Parse() {
    MetricSample sample;
    sample.name = Until("{ ");
    if (sample.name.empty()) return std::nullopt;
    if (Take('{')) {
      while (!Take('}')) {
        std::string label(Until("="));
        if (!Take('=') || !Take('"')) return std::nullopt;
        auto value = Quoted();
        if (!value) return std::nullopt;
        sample.labels.emplace_back(std::move(label), *std::move(value));
        (void)Take(',');
      }
    }
    if (!Take(' ')) return std::nullopt;
    const auto [end, error] =
        std::from_chars(rest_.data(), rest_.data() + rest_.size(), sample.value);
    if (error != std::errc() || end != rest_.data() + rest_.size()) return std::nullopt;
    if (!(std::abs(sample.value) <= kValueMax)) return std::nullopt;
    return sample;
  }

 private:
  std::string_view Until(std::string_view any) {
    const std::size_t end = std::min(rest_.find_first_of(any), rest_.size());
    const std::string_view taken = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return taken;
  }
  bool Take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Behind the first quote, up to the last.
  std::optional<std::string> Quoted() {
    std::string value;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return value;
      if (c != '\\' || rest_.empty()) {
        value += c;
        continue;
      }
      value += rest_.front() == 'n' ? '\n' : rest_.front();
      rest_.remove_prefix(1);
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

double BoundOf(std::string_view text) {
  double bound = std::numeric_limits<double>::infinity();  // "+Inf" is no number to from_chars
  std::from_chars(text.data(), text.data() + text.size(), bound);
  return bound;
}

}  // namespace

std::string_view MetricSample::Label(std::string_view label) const {
  for (const auto& [known, text] : labels) {
    if (known == label) return text;
  }
  return {};
}

MetricSamples::MetricSamples(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (auto sample = Line(line).Parse()) samples_.push_back(*std::move(sample));
  }
}

double MetricSamples::Sum(std::string_view name) const {
  double sum = 0;
  for (const MetricSample& sample : samples_) {
    if (sample.name == name) sum += sample.value;
  }
  return sum;
}

double MetricSamples::Sum(std::string_view name, std::string_view label,
                          std::string_view value) const {
  double sum = 0;
  for (const MetricSample& sample : samples_) {
    if (sample.name == name && sample.Label(label) == value) sum += sample.value;
  }
  return sum;
}

std::string_view MetricSamples::LabelOf(std::string_view name, std::string_view label) const {
  const auto at = std::ranges::find(samples_, name, &MetricSample::name);
  return at == samples_.end() ? std::string_view() : at->Label(label);
}

MetricSamples::Bounds MetricSamples::Since(const MetricSamples& before,
                                           std::string_view histogram) const {
  const std::string name = std::string(histogram) + "_bucket";
  std::map<double, double> counts;
  for (const MetricSample& sample : samples_) {
    if (sample.name == name) counts[BoundOf(sample.Label("le"))] += sample.value;
  }
  for (const MetricSample& sample : before.samples_) {
    if (sample.name == name) counts[BoundOf(sample.Label("le"))] -= sample.value;
  }
  return {counts.begin(), counts.end()};
}

std::uint64_t Whole(double value) {
  if (!(value > 0)) return 0;
  return static_cast<std::uint64_t>(std::llround(std::min(value, kValueMax)));
}

double Quantile(const MetricSamples::Bounds& bounds, double part) {
  if (bounds.empty() || bounds.back().second <= 0) return 0;
  const double wanted = bounds.back().second * part;
  double last = 0;
  for (const auto& [bound, below] : bounds) {
    if (below >= wanted) return bound < std::numeric_limits<double>::infinity() ? bound : last;
    last = bound;
  }
  return last;
}

}  // namespace varve::cli
