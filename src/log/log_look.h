// SPDX-License-Identifier: Apache-2.0
// Which segments a log has, for whoever describes one that another process may be writing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "files/files.h"
#include "varve/error.h"
#include "varve/log.h"

namespace varve {

// Those in use, oldest first, by their headers and links alone. `end` is where the log ends; the
// zero position: not known. What is damaged is left out. NotFound when the folder is missing.
Result<std::vector<LogSegmentInfo>> LookAtSegments(Files* files, const std::string& dir, Lsn end);

// As Log::PrometheusText.
std::string LogPrometheusText(const LogStats& stats, std::string_view prefix);

}  // namespace varve
