// SPDX-License-Identifier: Apache-2.0
#include "test/model/table_scan.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve::testing {

bool Wanted::Accepts(const Key& key, const Row& row) const {
  return Within(range, key) && (!condition || condition->holds(key, row).value_or(false));
}

TableRows Wanted::Of(const TableRows& rows) const {
  TableRows accepted;
  for (const auto& [key, row] : rows) {
    if (Accepts(key, row)) accepted.emplace(key, row);
  }
  return accepted;
}

// At least one of both.
Wanted PickWanted(const Shape& shape, Random* chance) {
  Wanted wanted;
  const auto what = chance->Below(4);
  if (what != 0) wanted.condition = PickCondition(shape, chance);
  if (what <= 1) wanted.range = PickRange(shape, chance);
  return wanted;
}

TableScan PickScan(const Shape& shape, Random* chance) {
  TableScan scan{.wanted = {}, .shape = std::make_shared<const Shape>(shape), .limit = {}};
  if (chance->Below(8) > 0) scan.wanted = PickWanted(shape, chance);
  if (chance->Below(4) == 0) scan.shape = PickPart(shape, chance);
  if (chance->Below(2) == 0) scan.limit = chance->Below(10);
  const auto order = chance->Below(3);
  scan.reverse = order == 1;
  scan.unordered = order == 2;
  scan.batch_rows_max = 1 + static_cast<std::int64_t>(chance->Below(5));
  return scan;
}

ScanOptions OptionsOf(const TableScan& scan, const Shape& shape) {
  ScanOptions options{.filter = FilterOf(shape, scan.wanted.condition),
                      .range = KeyRangeOf(shape, scan.wanted.range),
                      .limit = scan.limit,
                      .reverse = scan.reverse,
                      .unordered = scan.unordered,
                      .batch_rows_max = scan.batch_rows_max};
  if (scan.shape->columns != shape.columns) options.columns = SchemaOf(*scan.shape)->field_names();
  return options;
}

void RequireRows(const TableScan& scan, const Table& table, RowList found,
                 const std::string& what) {
  const auto wanted = Under({table.id, table.shape, scan.wanted.Of(table.rows)}, *scan.shape);
  RowList expected(wanted.begin(), wanted.end());
  const auto most = std::min<std::uint64_t>(expected.size(), scan.limit.value_or(UINT64_MAX));
  if (scan.unordered) {  // any of them will do
    std::ranges::sort(found, {}, &RowList::value_type::first);
    std::erase_if(expected, [&](const auto& row) {
      return !std::ranges::binary_search(found, row.first, {}, &RowList::value_type::first);
    });
  } else {
    if (scan.reverse) std::ranges::reverse(expected);
    expected.resize(most);
  }
  Require(found == expected && found.size() == most,
          fmt::format("{}{}: found {}:{}, expected {}:{}", what, Describe(scan), found.size(),
                      Describe(found), most, Describe(Listed(wanted))));
}

std::string Describe(const Wanted& wanted) {
  const auto range = Describe(wanted.range);
  return (range.empty() ? "" : " within" + range) +
         (wanted.condition ? " where " + wanted.condition->text : "");
}

std::string Describe(const TableScan& scan) {
  return fmt::format("{}{}{}{}", Describe(scan.wanted), scan.reverse ? ", reverse" : "",
                     scan.unordered ? ", unordered" : "",
                     scan.limit ? fmt::format(", limit {}", *scan.limit) : std::string());
}

}  // namespace varve::testing
