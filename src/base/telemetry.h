// SPDX-License-Identifier: Apache-2.0
// Telemetry: what one open database counts and whom it tells; shared with whatever may outlive it.
// Span: a piece of work that a sink hears of (varve/trace.h). Without a sink it costs one test of a
// pointer where it begins, and one where it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "varve/error.h"
#include "varve/trace.h"

namespace varve {

struct Telemetry {
  TraceSink* trace = nullptr;  // null: nobody wants to know
  std::string database;        // its path
  Metrics metrics;
};

// Movable; ends when it is destroyed, or sooner by End. Not thread-safe.
class Span {
 public:
  Span() = default;
  // `collection` is a table; empty: the work is of none, or of several.
  Span(const Telemetry* telemetry, std::string_view operation, std::string_view collection = {}) {
    if (telemetry != nullptr && telemetry->trace != nullptr) [[unlikely]] {
      Start(*telemetry, operation, collection);
    }
  }
  Span(Span&&) noexcept = default;
  Span& operator=(Span&& other) noexcept {
    End();
    told_ = std::move(other.told_);
    return *this;
  }
  ~Span() { End(); }

  bool on() const { return told_ != nullptr; }
  // A number for the end; the last one of a key counts. `key` is a literal.
  void Set(std::string_view key, std::uint64_t value) {
    if (told_ != nullptr) [[unlikely]] {
      SetNumber(key, value);
    }
  }
  // Looks whether it failed, and gives it back.
  template <typename T>
  T Watch(T result) {
    if (told_ != nullptr && !result) [[unlikely]] {
      SetError(result.error());
    }
    return result;
  }
  void SetError(const Error& error) noexcept;
  void End() noexcept {
    if (told_ != nullptr) [[unlikely]] {
      EndNow();
    }
  }

 private:
  struct Told;
  struct Delete {
    void operator()(Told* told) const;
  };

  void Start(const Telemetry& telemetry, std::string_view operation,
             std::string_view collection) noexcept;
  void SetNumber(std::string_view key, std::uint64_t value) noexcept;
  void EndNow() noexcept;

  std::unique_ptr<Told, Delete> told_;  // null: nobody hears of it
};

}  // namespace varve
