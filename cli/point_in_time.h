// SPDX-License-Identifier: Apache-2.0
// The V of `--at V` and its like: a commit number, a time (2026-11-20, 2026-11-20T12:00:00Z, with
// an offset; no zone means UTC), a time back from now (-30s, -5m, -2h, -7d), or a tag, which begins
// with a letter or "_" and so is none of the others.
#pragma once

#include <string>

#include "failure.h"
#include "varve/database.h"

namespace varve::cli {

inline constexpr const char* kPointInTimeHelp =
    "As of a commit number, a tag, a time (2026-11-20T12:00:00Z) or -5m, -2h, -7d; a time to come "
    "means now";

inline constexpr const char* kWhereHelp =
    "Rows for which this is true: a > 3 and (b in ('x', 'y') or c is null); also between, like "
    "'x%', not, + - * /; text in single quotes";

// `flag` is for messages.
Outcome<AsOf> ParsePointInTime(const std::string& text, WallTime now,
                               const std::string& flag = "--at");

// Microseconds of 30s, 5m, 2h, 7d. `flag` is for messages.
Outcome<std::int64_t> ParseSpan(const std::string& text, const std::string& flag);

// Database::GetSnapshot; where there is no such tag, the message lists what else V may be.
Outcome<std::shared_ptr<Snapshot>> SnapshotAt(const Database& database, const AsOf& as_of);

}  // namespace varve::cli
