// SPDX-License-Identifier: Apache-2.0
// What a WriteRequest comes to: rows to upsert and keys to delete, and what it looked at for that.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "columns/write_batch.h"
#include "engine/footprint.h"
#include "varve/error.h"
#include "varve/options.h"
#include "view/superversion.h"

namespace varve {

// Whether it depends on what is in the table.
bool LooksFirst(const WriteRequest& request);

struct PreparedWrite {
  std::vector<WriteBatch> batches;  // upserts, deletes; together no key comes twice
  std::uint64_t rows_passed = 0;
  // When it looked first: every key that it asked for, written or not, or the range it scanned. Any
  // other commit to them would have made it another write.
  Footprint::OfTable looked_at;
  std::optional<Error> refusal;  // kInsert, kUpdate: a key is there, or is not; no batches then
};

// As of `as_of` in `view`, of which `table` is one. Errors: what is wrong with the request itself,
// whatever is in the table; and those of reading.
Result<PreparedWrite> PrepareWrite(const std::shared_ptr<const Superversion>& view,
                                   const TableView& table, CommitNumber as_of,
                                   const WriteRequest& request);

}  // namespace varve
