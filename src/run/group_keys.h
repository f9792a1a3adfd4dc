// SPDX-License-Identifier: Apache-2.0
// GroupKeys: the encoded keys of one row group, encoded when asked for: one by one at first (a
// binary search asks for few), all at once after kSingleKeysMax questions (a merge asks for most).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "columns/key_codec.h"
#include "columns/table_schema.h"
#include "varve/error.h"

namespace varve {

inline constexpr int kSingleKeysMax = 64;

class GroupKeys {
 public:
  GroupKeys() = default;
  // `batch` has the key columns at `columns`, in key order.
  GroupKeys(std::shared_ptr<const TableSchema> schema, std::shared_ptr<arrow::RecordBatch> batch,
            std::vector<int> columns);

  bool loaded() const { return batch_ != nullptr; }
  // Whether all keys are at hand; what At lends is then valid while this lives.
  bool encoded() const { return all_.size() > 0; }
  std::string_view Encoded(std::int64_t row) const { return all_[row]; }  // when encoded()
  // Valid until the next call.
  Result<std::string_view> At(std::int64_t row);
  // The first row in [from, to) whose key is >= `key`; `to` when there is none. Gallops.
  Result<std::int64_t> FirstAtLeast(std::int64_t from, std::int64_t to, std::string_view key);
  // All of them; valid while this lives.
  Result<const EncodedKeys*> All();

 private:
  std::shared_ptr<const TableSchema> schema_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::vector<int> columns_;
  int singles_ = 0;
  EncodedKeys single_;
  EncodedKeys all_;  // empty until encoded
};

}  // namespace varve
