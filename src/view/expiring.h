// SPDX-License-Identifier: Apache-2.0
// Rows that expire: what a reader sees is settled when it takes its view, once, by the clock of
// that moment. So whatever it reads of one snapshot agrees, however long that is held.
#pragma once

#include <memory>
#include <optional>

#include <arrow/compute/expression.h>

#include "varve/types.h"
#include "view/superversion.h"

namespace varve {

// The view without what has expired by its clock's now. To be called after `view` was taken: what
// compaction has dropped of it had then expired by a moment that is not after this one.
std::shared_ptr<const Superversion> WithoutExpired(std::shared_ptr<const Superversion> view);
std::shared_ptr<const TableView> WithoutExpired(const std::shared_ptr<const TableView>& table,
                                                WallTime now);

// What is true of each row of `table` that has not expired; nothing when rows do not.
std::optional<arrow::compute::Expression> AliveFilter(const TableView& table);

// Whether the statistics of a run say that none of its rows have.
Result<bool> NoneHaveExpired(const Run& run, const TableView& table);

}  // namespace varve
