// SPDX-License-Identifier: Apache-2.0
#include "columns/parquet_properties.h"

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/check.h"
#include "base/result.h"
#include "columns/array_cast.h"
#include "columns/required_values.h"

namespace varve {
namespace {

using Type = std::shared_ptr<arrow::DataType>;

Type ParquetType(const Type& type, bool nested) {
  if (type->id() == arrow::Type::DICTIONARY) {
    const auto& values = static_cast<const arrow::DictionaryType&>(*type).value_type();
    // Arrow cannot read a dictionary inside of another type when a file has several row groups.
    const bool kept = !nested && arrow::is_base_binary_like(values->id());
    return kept ? type : ParquetType(values, nested);
  }
  if (type->id() == arrow::Type::EXTENSION) {
    const auto& storage = static_cast<const arrow::ExtensionType&>(*type).storage_type();
    const auto stored = ParquetType(storage, nested);
    return stored == storage ? type : stored;
  }
  arrow::FieldVector fields;
  for (const auto& field : type->fields()) {
    fields.push_back(field->WithType(ParquetType(field->type(), true)));
    // A list inside of a null struct must come back as null: as an empty list it would be taken
    // for a fixed-size one that has lost its elements.
    const bool fixed = field->type()->storage_id() == arrow::Type::FIXED_SIZE_LIST;
    const bool hideable = fixed && type->id() == arrow::Type::STRUCT;
    if (hideable) fields.back() = fields.back()->WithNullable(true);
  }
  const auto stored = WithFields(type, fields);
  const bool fixed = type->id() == arrow::Type::FIXED_SIZE_LIST;
  return fixed ? arrow::list(stored->field(0)) : stored;
}

using Data = std::shared_ptr<arrow::ArrayData>;

arrow::Result<Data> Cast(Data data, const Type& type) { return CastArray(std::move(data), type); }

arrow::Result<Data> Stored(Data data, const Type& type) {
  ARROW_ASSIGN_OR_RAISE(data, CastArray(std::move(data), type));
  return FillRequiredFields(std::move(data));
}

// The batch as `schema`, each column turned by `turn`.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> TurnColumns(
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Schema>& schema,
    arrow::Result<Data> (*turn)(Data, const Type&)) {
  std::vector<Data> columns;
  for (int i = 0; i < schema->num_fields(); ++i) {
    auto cast = turn(batch.column_data(i), schema->field(i)->type());
    if (!cast.ok()) {
      return cast.status().WithMessage("column '", schema->field(i)->name(), "' (",
                                       schema->field(i)->type()->ToString(),
                                       "): ", cast.status().message());
    }
    columns.push_back(*std::move(cast));
  }
  return arrow::RecordBatch::Make(schema, batch.num_rows(), std::move(columns));
}

}  // namespace

std::shared_ptr<parquet::ArrowWriterProperties> ArrowWriterSettings(bool threads) {
  parquet::ArrowWriterProperties::Builder builder;
  return builder.store_schema()->set_use_threads(threads)->build();
}

parquet::ArrowReaderProperties ArrowReaderSettings() {
  parquet::ArrowReaderProperties settings;
  settings.set_use_threads(false);
  settings.set_arrow_extensions_enabled(true);
  return settings;
}

std::shared_ptr<arrow::Schema> ParquetSchema(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) {
    fields.push_back(field->WithType(ParquetType(field->type(), false)));
  }
  return arrow::schema(std::move(fields), schema.metadata());
}

Result<std::shared_ptr<arrow::RecordBatch>> ToParquet(
    const std::shared_ptr<arrow::RecordBatch>& batch) {
  auto cast = TurnColumns(*batch, ParquetSchema(*batch->schema()), Stored);
  if (!cast.ok()) return Fail(ErrorKind::kInvalid, "to Parquet: " + cast.status().message());
  return *std::move(cast);
}

Result<std::shared_ptr<arrow::RecordBatch>> CastToSchema(
    const std::shared_ptr<arrow::RecordBatch>& batch,
    const std::shared_ptr<arrow::Schema>& schema) {
  VARVE_CHECK(batch->num_columns() == schema->num_fields());
  auto cast = TurnColumns(*batch, schema, Cast);
  if (!cast.ok()) return Fail(ErrorKind::kCorruption, "from Parquet: " + cast.status().message());
  return *std::move(cast);
}

}  // namespace varve
