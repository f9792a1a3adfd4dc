// SPDX-License-Identifier: Apache-2.0
// Options that C gives, in the form of C++. Each of these classes is made before anything else is
// looked at, so that the Arrow structs that its options name are released whatever is refused.
#pragma once

#include <arrow/record_batch.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/c_database.h"

namespace varve {

// Names of columns; nothing when `given` is null.
Result<std::optional<std::vector<std::string>>> ColumnNamesOf(const char* const* given,
                                                              std::size_t size);

class GivenRange {
 public:
  explicit GivenRange(const varve_db_key_range* given);
  Result<KeyRange> Take();

 private:
  // Null for neither; a bound with one of its halves missing is refused.
  Result<std::shared_ptr<arrow::RecordBatch>> TakeBound(std::string_view which, bool is_there,
                                                        ArrowRows* bound) const;

  const Result<varve_db_key_range> given_;
  ArrowRows lower_;
  ArrowRows upper_;
};

class GivenScan {
 public:
  explicit GivenScan(const varve_db_scan_options* given);
  // `schema` is the table's, for the filter.
  Result<ScanOptions> Take(const std::shared_ptr<arrow::Schema>& schema);

 private:
  const Result<varve_db_scan_options> given_;
  GivenRange range_;
};

class GivenChanges {
 public:
  explicit GivenChanges(const varve_db_changes_options* given);
  Result<ChangesOptions> Take();

 private:
  const Result<varve_db_changes_options> given_;
  GivenRange range_;
};

// Of a write: its rows and its options.
class GivenWrite {
 public:
  GivenWrite(ArrowArray* rows, ArrowSchema* schema, const varve_db_write_options* given);
  // The options as they were given; Invalid when there are none.
  const Result<varve_db_write_options>& options() const { return given_; }
  // `snapshot` knows the table's columns, which a filter needs; it is asked for one alone.
  template <typename SnapshotOf>
  Result<WriteRequest> Take(std::string_view table, const SnapshotOf& snapshot_of) {
    if (!given_) return std::unexpected(given_.error());
    std::shared_ptr<arrow::Schema> schema;
    if (given_->filter != nullptr) {
      VARVE_ASSIGN(const std::shared_ptr<Snapshot> snapshot, snapshot_of());
      VARVE_ASSIGN(schema, snapshot->Schema(table));
    }
    return Request(schema);
  }
  std::uint64_t* rows_passed() const { return given_ ? given_->rows_passed : nullptr; }

 private:
  Result<WriteRequest> Request(const std::shared_ptr<arrow::Schema>& schema);

  const bool has_rows_;
  ArrowRows rows_;
  const Result<varve_db_write_options> given_;
  GivenRange range_;
};

}  // namespace varve
