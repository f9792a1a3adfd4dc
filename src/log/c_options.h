// SPDX-License-Identifier: Apache-2.0
// The C API's options, whose struct may be older or newer than the library.
#pragma once

#include <cstddef>
#include <cstdint>

#include "varve/error.h"
#include "varve/log_options.h"
#include "varve_log.h"

namespace varve {

inline constexpr std::size_t kFirstOptionsBytes = 168;   // sizeof in ABI 1: never changes
inline constexpr std::uint64_t kWaitMsMost = 1ull << 40; // 34 years; more is for ever

// The settings that both sides know, and the defaults for the rest, also for null. Invalid when
// `given` has a setting that this library does not know.
Result<varve_log_options> KnownOptions(const varve_log_options* given);
// But the keys.
Result<LogOptions> ToCpp(const varve_log_options& from);
Result<RecoveryOptions> RecoveryOf(const varve_log_options& from);
void ToC(const LogOptions& from, varve_log_options* to);

}  // namespace varve
