// SPDX-License-Identifier: Apache-2.0
// Tracing hooks. The library never prints; a host that wants to know gives a sink. When there is
// none, a hook costs one test of a pointer.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace varve {

struct TraceField {
  std::string_view name;
  std::uint64_t value = 0;
};

// Called from any thread; must be thread-safe and quick.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // `event` is a dotted name such as "flush.done"; `text` details it for a person.
  virtual void Event(std::string_view event, std::string_view text,
                     std::initializer_list<TraceField> fields) = 0;
};

inline void Trace(TraceSink* sink, std::string_view event, std::string_view text = {},
                  std::initializer_list<TraceField> fields = {}) {
  if (sink != nullptr) sink->Event(event, text, fields);
}

}  // namespace varve
