// SPDX-License-Identifier: Apache-2.0
// Many schedules of one scenario.
#pragma once

#include <cstdint>
#include <functional>

#include "test/log_schedule/log_world.h"

namespace varve::testing {

// Runs `schedules` schedules of a scenario, a few at once, or the one that VARVE_TEST_SEED names;
// stops at the first that is wrong, and says how to replay it. VARVE_LONG runs 20 times as many.
void Explore(std::uint64_t schedules, const std::function<void(LogWorld&)>& scenario);

}  // namespace varve::testing
