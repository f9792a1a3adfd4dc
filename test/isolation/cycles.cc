// SPDX-License-Identifier: Apache-2.0
#include "test/isolation/cycles.h"

#include <algorithm>

namespace varve::testing {
namespace {

constexpr std::size_t kUnseen = static_cast<std::size_t>(-1);

bool Allows(Cycles which, Dependency how) {
  if (which == Cycles::kOfWrites) return how == Dependency::kWriteWrite;
  return how != Dependency::kReadWrite || which != Cycles::kWithoutReadWrite;
}

}  // namespace

// A place is 2 * node, and 1 more when the step there was an rw and that counts.
std::vector<DependencyGraph::Place> DependencyGraph::Next(Place place, Cycles which) const {
  const bool after_read_write = place % 2 == 1;
  std::vector<Place> next;
  for (const auto& edge : edges_[place / 2]) {
    const bool counts =
        edge.how == Dependency::kReadWrite && which == Cycles::kNoTwoReadWriteInARow;
    if (!Allows(which, edge.how) || (counts && after_read_write)) continue;
    next.push_back(2 * edge.to + (counts ? 1 : 0));
  }
  return next;
}

// Tarjan's strongly connected components, without recursion: the first with more than one place.
// No edge leads from a node to itself.
std::vector<std::size_t> DependencyGraph::FindCycle(Cycles which) const {
  struct Visit {
    Place place;
    std::vector<Place> next;
    std::size_t at = 0;
  };
  const auto places = edges_.size() * 2;
  std::vector<std::size_t> index(places, kUnseen), low(places, 0);
  std::vector<bool> open(places, false);
  std::vector<Place> stack;
  std::vector<Visit> path;
  std::size_t count = 0;
  const auto enter = [&](Place place) {
    index[place] = low[place] = count++;
    open[place] = true;
    stack.push_back(place);
    path.push_back({place, Next(place, which)});
  };
  for (Place root = 0; root < places; root += 2) {
    if (index[root] == kUnseen) enter(root);
    while (!path.empty()) {
      auto& visit = path.back();
      const auto place = visit.place;
      if (visit.at < visit.next.size()) {
        const auto next = visit.next[visit.at++];
        if (index[next] == kUnseen) {
          enter(next);
        } else if (open[next]) {
          low[place] = std::min(low[place], index[next]);
        }
        continue;
      }
      path.pop_back();
      if (!path.empty()) low[path.back().place] = std::min(low[path.back().place], low[place]);
      if (low[place] != index[place]) continue;
      std::vector<std::size_t> component;
      do {
        component.push_back(stack.back() / 2);
        open[stack.back()] = false;
        stack.pop_back();
      } while (open[place]);
      if (component.size() > 1) return component;
    }
  }
  return {};
}

}  // namespace varve::testing
