// SPDX-License-Identifier: Apache-2.0
// The kinds of damage. All are applied to the files of the log alone.
#pragma once

#include <span>

#include "bench/log_damage/sweep.h"

namespace varve::bench {

// `twin`: another database of the same system, made in the same way with other commits.
struct DamageKind {
  const char* name;
  void (*make)(const Victim& victim, const Victim& twin, Sampler* sampler);
};
std::span<const DamageKind> AllDamageKinds();

}  // namespace varve::bench
