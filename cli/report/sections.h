// SPDX-License-Identifier: Apache-2.0
// The parts of a report's page, each a piece of HTML with its drawing in SVG. All of it can be read
// without scripts: what a mark means stands in its <title>.
//
// Drawings are 1000 units wide and stretched to the page's width, so they hold shapes alone; words
// stand beside them.
#pragma once

#include <string>

#include "report/facts.h"

namespace varve::cli {

std::string TilesSection(const ReportFacts& facts);
std::string TableSection(const TableFacts& table, std::size_t number);
std::string VersionsSection(const ReportFacts& facts);
std::string LogSection(const ReportFacts& facts);
std::string MemorySection(const ReportFacts& facts);

}  // namespace varve::cli
