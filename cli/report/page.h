// SPDX-License-Identifier: Apache-2.0
// A report as one HTML page that needs nothing else: no request leaves it, which its policy
// forbids, too. It is light or dark as the reader's system is, and can be read without scripts.
#pragma once

#include <string>

#include "report/facts.h"

namespace varve::cli {

std::string ReportPage(const ReportFacts& facts);

}  // namespace varve::cli
