// SPDX-License-Identifier: Apache-2.0
// The steps of a life that read in another process, which goes on while the writer flushes,
// compacts, closes and opens again. It makes durable what it shows, and the writer keeps the files
// that it reads.
#include <fmt/format.h>

#include <algorithm>

#include "test/model/life.h"

namespace varve::testing {
namespace {

constexpr std::size_t kHeldMost = 3;

}  // namespace

void Life::UseElsewhere() {
  if (elsewhere_ != nullptr && Below(6) == 0) return EndElsewhere();
  last_ = "read in another process";
  if (elsewhere_ == nullptr) {
    elsewhere_ = Must(Database::Open("/db", {.read_only = true,
                                             .keys = encrypted_ ? &keys_ : nullptr},
                                     World()),
                      "open in another process");
  }
  const auto snapshot = Must(elsewhere_->GetSnapshot(), last_);
  const auto commit = snapshot->commit().value;
  SeeElsewhere(commit);
  CheckSnapshot(*snapshot, commit, reference_.At(commit));
  if (held_elsewhere_.size() == kHeldMost) held_elsewhere_.erase(held_elsewhere_.begin());
  if (Below(2) == 0) held_elsewhere_.push_back({snapshot, commit, reference_.At(commit)});
}

// It never goes back. The writer may not know yet that so much is durable.
void Life::SeeElsewhere(std::uint64_t commit) {
  const auto least = std::max(durable_, seen_elsewhere_);
  Require(commit >= least && commit <= newest(),
          fmt::format("commit {} is seen in another process, of {}, of which {} are durable",
                      commit, newest(), least));
  seen_elsewhere_ = commit;
}

void Life::CheckElsewhere() {
  for (const auto& [snapshot, commit, tables] : held_elsewhere_) {
    CheckSnapshot(*snapshot, commit, tables);
  }
}

void Life::EndElsewhere() {
  last_ = "end another process";
  CheckElsewhere();
  held_elsewhere_.clear();
  elsewhere_.reset();
}

}  // namespace varve::testing
