// SPDX-License-Identifier: Apache-2.0
// The style and the script of a report's page: the same for every page, so its policy names them by
// their hashes and allows no others.
#pragma once

#include <string_view>

namespace varve::cli {

extern const std::string_view kReportStyle;
// Makes reading nicer, and is not needed for it: tips that follow the pointer and the keyboard, and
// a switch between light and dark.
extern const std::string_view kReportScript;

}  // namespace varve::cli
