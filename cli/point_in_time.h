// SPDX-License-Identifier: Apache-2.0
// The V of `--at V` and its like: a commit number, a time (2026-11-20, 2026-11-20T12:00:00Z, with
// an offset; no zone means UTC), or a time back from now (-30s, -5m, -2h, -7d).
#pragma once

#include <string>

#include "failure.h"
#include "varve/options.h"

namespace varve::cli {

// `flag` is for messages.
Outcome<AsOf> ParsePointInTime(const std::string& text, WallTime now,
                               const std::string& flag = "--at");

}  // namespace varve::cli
