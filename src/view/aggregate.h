// SPDX-License-Identifier: Apache-2.0
// Counting rows and finding the least and the greatest value, from what the files say of themselves
// where that is exact.
//
// A run answers for itself when its rows are what a scan would give of its keys: all of it visible
// and within the range, one version a key, no deletes, no other source with a key between its first
// and its last. Everything else is scanned, with the columns needed and no more.
#pragma once

#include <memory>
#include <string_view>

#include "varve/error.h"
#include "varve/options.h"
#include "varve/snapshot.h"
#include "view/superversion.h"

namespace varve {

// The type as which values of `type` are compared, and in which the extremes of a column are told.
std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type);

Result<RowCount> CountRows(const std::shared_ptr<const Superversion>& owner, const TableView& table,
                           CommitNumber as_of, const ScanOptions& options);
Result<ValueRange> FindMinMax(const std::shared_ptr<const Superversion>& owner,
                              const TableView& table, CommitNumber as_of, std::string_view column,
                              const ScanOptions& options);

}  // namespace varve
