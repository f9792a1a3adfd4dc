// SPDX-License-Identifier: Apache-2.0
#include "run/decoded_rows.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/parquet_properties.h"
#include "run/run_file.h"

namespace varve {
namespace {

Error Damage(const RunFile& file, int group, const std::string& what) {
  std::string part = "its footer";
  if (group != kFooter) {
    part = fmt::format("row group {}, from byte {} on,", group, file.offset_of(group));
  }
  return Error(ErrorKind::kCorruption,
               fmt::format("{}: {} is not what was written: {}; run verify, then restore the file "
                           "from a copy",
                           file.where(), part, what));
}

bool IsNeverNull(const RunFile& file, int field) {
  const std::vector<int>& keys = file.key_fields();
  return field == file.commit_field() || std::ranges::find(keys, field) != keys.end();
}

}  // namespace

Error DecodeError(const RunFile& file, int group, const arrow::Status& status) {
  if (CarriesError(status)) {
    const Error error = ErrorFromArrow(status);
    return error.message().contains(file.where()) ? error : error.Within(file.where());
  }
  if (status.IsOutOfMemory() || status.IsCancelled()) {
    return ErrorFromArrow(status).Within(file.where());
  }
  if (status.IsNotImplemented()) {  // a codec, or a type, that this build of Arrow has not
    return Error(ErrorKind::kInvalid,
                 fmt::format("{}: this build of Arrow cannot read it: {}; use a newer one",
                             file.where(), status.message()),
                 ErrorReason::kUnsupportedFormat);
  }
  return Damage(file, group, status.message());
}

Result<std::shared_ptr<arrow::RecordBatch>> DecodedRows(
    const RunFile& file, int group, std::int64_t rows, const std::vector<int>& fields,
    const std::shared_ptr<arrow::Schema>& schema,
    arrow::Result<std::shared_ptr<arrow::RecordBatch>> read) {
  VARVE_ASSIGN(const auto stored, Decoded(file, group, std::move(read)));
  if (stored->num_rows() != rows) {
    return std::unexpected(Damage(
        file, group, fmt::format("expected {} rows, found {}", rows, stored->num_rows())));
  }
  auto batch = CastToSchema(stored, schema);
  if (!batch) return std::unexpected(Damage(file, group, batch.error().message()));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (IsNeverNull(file, fields[i]) && (*batch)->column(static_cast<int>(i))->null_count() > 0) {
      return std::unexpected(
          Damage(file, group, "a null in column " + schema->field(static_cast<int>(i))->name()));
    }
  }
  return batch;
}

}  // namespace varve
