// SPDX-License-Identifier: Apache-2.0
// Where the scheduler may let another thread go on. Outside of a schedule a point does nothing.
#pragma once

#include <cstdint>

namespace varve::testing {

enum class PointKind : std::uint8_t {
  kStart, kLoad, kStore, kSwap, kSwapped, kLock, kUnlocked, kCondWait, kCondNotify, kFutexWait,
  kFutexWake, kYield, kFile, kTask, kJoin, kStep,
};
const char* ToString(PointKind kind);

// `object` is what the thread is about to touch; for reports only.
void SchedulePoint(PointKind kind, const volatile void* object = nullptr);

// The schedule's own value of a count that is a static variable: it starts at 0 with each schedule,
// or what came before would change what a seed means. Null for any other, and in no schedule.
std::uint64_t* CountOfSchedule(const volatile void* object);

}  // namespace varve::testing
