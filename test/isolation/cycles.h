// SPDX-License-Identifier: Apache-2.0
// Who depends on whom, and whether they do in a circle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace varve::testing {

enum class Dependency : std::uint8_t { kWriteWrite, kWriteRead, kTime, kReadWrite };

enum class Cycles : std::uint8_t {
  kOfWrites,
  kWithoutReadWrite,
  kNoTwoReadWriteInARow,
  kAny,
};

class DependencyGraph {
 public:
  explicit DependencyGraph(std::size_t nodes) : edges_(nodes) {}
  void Connect(std::size_t from, std::size_t to, Dependency how) {
    edges_[from].push_back({to, how});
  }

  // Nodes that reach each other over edges of such a cycle; empty when there is none.
  std::vector<std::size_t> FindCycle(Cycles which) const;

 private:
  struct Edge {
    std::size_t to;
    Dependency how;
  };
  // A node of the walk: where, and whether an rw led there.
  using Place = std::size_t;
  std::vector<Place> Next(Place place, Cycles which) const;

  std::vector<std::vector<Edge>> edges_;
};

}  // namespace varve::testing
