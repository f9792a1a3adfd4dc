// SPDX-License-Identifier: Apache-2.0
// The samples of a text that Database::PrometheusText made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace varve::cli {

struct MetricSample {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;

  // The value of a label; empty when there is none of this name.
  std::string_view Label(std::string_view label) const;
};

class MetricSamples {
 public:
  MetricSamples() = default;
  // Passes over what it does not understand: a text that a power cut left may be cut or empty. And
  // over values beyond 1e18: no sample of ours has them, and whoever adds some need not fear.
  explicit MetricSamples(std::string_view text);

  const std::vector<MetricSample>& all() const { return samples_; }
  bool empty() const { return samples_.empty(); }
  // The sum of all samples of the name, of those with this value of a label; 0 without any.
  double Sum(std::string_view name) const;
  double Sum(std::string_view name, std::string_view label, std::string_view value) const;
  // Of the first sample of the name.
  std::string_view LabelOf(std::string_view name, std::string_view label) const;

  // A histogram's counts since `before`, over all labels but le: (upper bound, count below it).
  using Bounds = std::vector<std::pair<double, double>>;
  Bounds Since(const MetricSamples& before, std::string_view histogram) const;

 private:
  std::vector<MetricSample> samples_;
};

// To the next whole number: from 0 to 1e18, whatever the value.
std::uint64_t Whole(double value);

// The bound below which this part of the values lies; 0 when there are none.
double Quantile(const MetricSamples::Bounds& bounds, double part);

}  // namespace varve::cli
