// SPDX-License-Identifier: Apache-2.0
#include "base/telemetry.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace varve {

struct Span::Told {
  TraceSink* sink;
  std::uint64_t id = 0;
  std::vector<TraceAttribute> attributes = {};
  std::string error_type = {};  // empty: it did not fail
  std::string error = {};
};

void Span::Delete::operator()(Told* told) const { delete told; }

// What a sink throws, and memory that is refused, are nobody's trouble: the span is not told.
void Span::Start(const Telemetry& telemetry, std::string_view operation,
                 std::string_view collection) noexcept {
  try {
    std::unique_ptr<Told, Delete> told(new Told{.sink = telemetry.trace});
    std::string name(operation);
    std::vector<TraceAttribute> attributes = {{"db.system.name", "varve"},
                                              {"db.namespace", telemetry.database},
                                              {"db.operation.name", operation}};
    if (!collection.empty()) {
      name.append(" ").append(collection);
      attributes.push_back({"db.collection.name", collection});
    }
    told->id = telemetry.trace->StartSpan(name, attributes);
    told_ = std::move(told);
  } catch (...) {
  }
}

void Span::SetNumber(std::string_view key, std::uint64_t value) noexcept {
  try {
    auto& attributes = told_->attributes;
    const auto at = std::ranges::find(attributes, key, &TraceAttribute::key);
    if (at != attributes.end()) {
      at->number = value;
    } else {
      attributes.push_back({key, {}, value});
    }
  } catch (...) {
  }
}

void Span::SetError(const Error& error) noexcept {
  if (told_ == nullptr) return;
  try {
    told_->error_type = ToString(error.kind());
    if (error.reason() != ErrorReason::kNone) {
      told_->error_type.append(".").append(ToString(error.reason()));
    }
    told_->error = error.message();
  } catch (...) {
  }
}

void Span::EndNow() noexcept {
  const auto told = std::move(told_);
  try {
    if (!told->error_type.empty()) told->attributes.push_back({"error.type", told->error_type});
    told->sink->EndSpan(told->id, told->attributes, told->error);
  } catch (...) {
  }
}

}  // namespace varve
