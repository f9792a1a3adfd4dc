// SPDX-License-Identifier: Apache-2.0
#include "engine/c_given.h"

#include <arrow/api.h>

#include <utility>

namespace varve {
namespace {

// Of ABI 1: members may be added behind, and these numbers stay.
constexpr std::size_t kFirstRangeBytes = 48;
constexpr std::size_t kFirstScanBytes = 56;
constexpr std::size_t kFirstChangesBytes = 40;
constexpr std::size_t kFirstWriteBytes = 48;
static_assert(sizeof(void*) != 8 ||
              (sizeof(varve_db_key_range) == kFirstRangeBytes &&
               offsetof(varve_db_scan_options, range) == kFirstScanBytes &&
               offsetof(varve_db_write_options, range) == kFirstWriteBytes &&
               offsetof(varve_db_changes_options, range) == kFirstChangesBytes));
static_assert(VARVE_DB_DELETE_WHERE == static_cast<int>(WriteMode::kDeleteWhere));

std::stop_token TokenOf(const varve_db_stop* stop) {
  return stop == nullptr ? std::stop_token() : stop->source.get_token();
}

std::shared_ptr<arrow::BooleanArray> BitsOf(const std::uint8_t* bits, std::int64_t rows) {
  const auto bytes = std::make_shared<arrow::Buffer>(bits, (rows + 7) / 8);
  return std::make_shared<arrow::BooleanArray>(rows, bytes);
}

Result<varve_db_write_options> WriteOptionsOf(const varve_db_write_options* given) {
  VARVE_TRY(Need(given, "options"));
  return Sized("varve_db_write_options", given, kFirstWriteBytes);
}

}  // namespace

Result<std::optional<std::vector<std::string>>> ColumnNamesOf(const char* const* given,
                                                              std::size_t size) {
  if (given == nullptr) return std::optional<std::vector<std::string>>();
  std::vector<std::string> columns;
  for (std::size_t i = 0; i < size; ++i) {
    VARVE_TRY(Need(given[i], fmt::format("column {}", i)));
    columns.emplace_back(given[i]);
  }
  return columns;
}

GivenRange::GivenRange(const varve_db_key_range* given)
    : given_(Sized("varve_db_key_range", given, kFirstRangeBytes)),
      lower_(given_ ? given_->lower : nullptr, given_ ? given_->lower_schema : nullptr),
      upper_(given_ ? given_->upper : nullptr, given_ ? given_->upper_schema : nullptr) {}

Result<KeyRange> GivenRange::Take() {
  if (!given_) return std::unexpected(given_.error());
  const varve_db_key_range& range = *given_;
  KeyRange keys{.lower_inclusive = range.lower_exclusive == 0,
                .upper_inclusive = range.upper_inclusive != 0};
  VARVE_ASSIGN(
      keys.lower,
      TakeBound("lower", range.lower != nullptr || range.lower_schema != nullptr, &lower_));
  VARVE_ASSIGN(
      keys.upper,
      TakeBound("upper", range.upper != nullptr || range.upper_schema != nullptr, &upper_));
  return keys;
}

Result<std::shared_ptr<arrow::RecordBatch>> GivenRange::TakeBound(std::string_view which,
                                                                  bool is_there,
                                                                  ArrowRows* bound) const {
  if (!is_there) return nullptr;
  auto row = bound->Take();
  if (row) {
    const auto valid = (*row)->ValidateFull();
    if (valid.ok()) return row;
    row = Fail(ErrorKind::kInvalid, "malformed batch: " + valid.message());
  }
  return std::unexpected(row.error().Within(fmt::format("key range: the {} bound", which)));
}

GivenScan::GivenScan(const varve_db_scan_options* given)
    : given_(Sized("varve_db_scan_options", given, kFirstScanBytes)),
      range_(given_ ? given_->range : nullptr) {}

Result<ScanOptions> GivenScan::Take(const std::shared_ptr<arrow::Schema>& schema) {
  if (!given_) return std::unexpected(given_.error());
  const varve_db_scan_options& options = *given_;
  ScanOptions scan{.reverse = options.reverse != 0,
                   .unordered = options.unordered != 0,
                   .stop = TokenOf(options.stop)};
  VARVE_ASSIGN(scan.columns, ColumnNamesOf(options.columns, options.columns_size));
  if (options.filter != nullptr) {
    VARVE_ASSIGN(scan.filter, ParseFilter(options.filter, schema));
  }
  VARVE_ASSIGN(scan.range, range_.Take());
  if (options.has_limit != 0) scan.limit = options.limit;
  if (options.batch_rows_max != 0) scan.batch_rows_max = options.batch_rows_max;
  return scan;
}

GivenChanges::GivenChanges(const varve_db_changes_options* given)
    : given_(Sized("varve_db_changes_options", given, kFirstChangesBytes)),
      range_(given_ ? given_->range : nullptr) {}

Result<ChangesOptions> GivenChanges::Take() {
  if (!given_) return std::unexpected(given_.error());
  const varve_db_changes_options& options = *given_;
  ChangesOptions changes{.before_images = options.before_images != 0,
                         .stop = TokenOf(options.stop)};
  VARVE_ASSIGN(changes.columns, ColumnNamesOf(options.columns, options.columns_size));
  VARVE_ASSIGN(changes.range, range_.Take());
  if (options.batch_rows_max != 0) changes.batch_rows_max = options.batch_rows_max;
  return changes;
}

GivenWrite::GivenWrite(ArrowArray* rows, ArrowSchema* schema, const varve_db_write_options* given)
    : has_rows_(rows != nullptr || schema != nullptr),
      rows_(rows, schema),
      given_(WriteOptionsOf(given)),
      range_(given_ ? given_->range : nullptr) {}

Result<WriteRequest> GivenWrite::Request(const std::shared_ptr<arrow::Schema>& schema) {
  const varve_db_write_options& options = *given_;
  WriteRequest request;
  VARVE_ASSIGN(request.mode, EnumOf("mode", options.mode, WriteMode::kDeleteWhere));
  if (has_rows_) {
    VARVE_ASSIGN(request.rows, rows_.Take());
  }
  if (options.deletes != nullptr) {
    if (request.rows == nullptr) return Fail(ErrorKind::kInvalid, "deletes without rows");
    request.deletes = BitsOf(options.deletes, request.rows->num_rows());
  }
  if (options.filter != nullptr) {
    VARVE_ASSIGN(request.filter, ParseFilter(options.filter, schema));
  }
  VARVE_ASSIGN(request.range, range_.Take());
  return request;
}

}  // namespace varve
