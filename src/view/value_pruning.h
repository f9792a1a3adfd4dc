// SPDX-License-Identifier: Apache-2.0
// Row groups that a scan may leave out because of the values in them.
//
// A row group's statistics say between which values each column lies. Where the filter cannot
// accept any row within them, the group need not be read; but only if nothing else can come to
// light: an older version of a row, in another source, could pass the filter where the newest does
// not. So a run is pruned only when every other source that overlaps its keys is newer, all of it,
// and when no key has two versions in the run. A row left out is then the oldest of its versions,
// and was not to be given: no older one exists, and newer ones are where they were.
#pragma once

#include <map>
#include <vector>

#include <arrow/compute/expression.h>

#include "view/superversion.h"

namespace varve {

// Whether the statistics of such a column are the whole truth. Not of floats: they pass over NaN.
bool HasUsableStatistics(const arrow::DataType& type);

// By run: for each data row group, whether it is left out. Runs of which all is read are not named.
using PrunedGroups = std::map<const Run*, std::vector<bool>>;

// `filter` is bound to the table's schema. Runs that a scan within `bounds` skips are not opened.
Result<PrunedGroups> PruneByValues(const TableView& table, const KeyBounds& bounds,
                                   std::uint64_t as_of, const arrow::compute::Expression& filter);

}  // namespace varve
