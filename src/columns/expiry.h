// SPDX-License-Identifier: Apache-2.0
// Which rows of a table have expired at a moment: those whose time to live is over (TimeToLive).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "columns/table_schema.h"
#include "varve/error.h"
#include "varve/types.h"

namespace arrow {
class Array;
struct Scalar;
}  // namespace arrow

namespace varve {

class VersionCursor;

// Of one table and one moment: a row has expired when the time in its column, and what it may live
// from then on, are before that moment. A null never is.
class Expiry {
 public:
  // Nothing when rows of the table do not expire.
  static std::optional<Expiry> At(const TableSchema& schema, WallTime now);

  int column() const { return column_; }  // its place in the table's schema
  // The least value of a row that has not expired, in the column's own unit.
  std::int64_t alive_from() const { return alive_from_; }
  std::shared_ptr<arrow::Scalar> AliveFrom() const;
  bool Has(const arrow::Array& values, std::int64_t row) const;  // `values` of that column

 private:
  Expiry(int column, std::shared_ptr<arrow::DataType> type, std::int64_t alive_from)
      : column_(column), type_(std::move(type)), alive_from_(alive_from) {}

  int column_;
  std::shared_ptr<arrow::DataType> type_;
  std::int64_t alive_from_;
};

// The first moment at which a row with this value has expired; nothing when there is none.
std::optional<WallTime> ExpiresAt(const TableSchema& schema, std::int64_t value);
// A value of a column that rows may expire by, as the number it is.
std::int64_t TimeValue(const arrow::Scalar& value);

// Invalid when rows cannot expire as lifetime(), which it has, says.
Status CheckLifetime(const TableSchema& schema);
// For people: "2592000s by at", "none".
std::string DescribeTimeToLive(const TableSchema& schema);

// The same versions, but expired rows are deletes. The batches have the expiry's column at `place`;
// with `hide` it is the last one, and is not shown on.
std::unique_ptr<VersionCursor> ExpireVersions(std::unique_ptr<VersionCursor> versions,
                                              const Expiry& expiry, int place, bool hide = false);

}  // namespace varve
