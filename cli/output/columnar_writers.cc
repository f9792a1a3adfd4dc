// SPDX-License-Identifier: Apache-2.0
// Arrow IPC and Parquet.
#include <arrow/array.h>
#include <arrow/array/array_dict.h>
#include <arrow/compute/cast.h>
#include <arrow/ipc/writer.h>
#include <arrow/type.h>
#include <arrow/util/checked_cast.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <vector>

#include "output/row_writer.h"

namespace varve::cli {
namespace {

constexpr std::int64_t kRowGroupRows = 128 << 10;

class ArrowWriter final : public RowWriter {
 public:
  explicit ArrowWriter(std::shared_ptr<arrow::ipc::RecordBatchWriter> writer)
      : writer_(std::move(writer)) {}
  Done Write(const arrow::RecordBatch& batch) override {
    CLI_ARROW_TRY(writer_->WriteRecordBatch(batch));
    return {};
  }
  Done Finish() override {
    CLI_ARROW_TRY(writer_->Close());
    return {};
  }

 private:
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

// The nearest type that Arrow writes to Parquet and reads back. It cannot read fixed-size lists
// that have nulls among them, which become lists of any size, nor write dictionaries of view
// strings, whose values become plain strings.
std::shared_ptr<arrow::DataType> ParquetType(const std::shared_ptr<arrow::DataType>& type) {
  const auto field = [&type](int i) {
    return type->field(i)->WithType(ParquetType(type->field(i)->type()));
  };
  switch (type->id()) {
    case arrow::Type::LIST:
    case arrow::Type::FIXED_SIZE_LIST: return arrow::list(field(0));
    case arrow::Type::LARGE_LIST: return arrow::large_list(field(0));
    case arrow::Type::STRUCT: {
      std::vector<std::shared_ptr<arrow::Field>> fields;
      for (int i = 0; i < type->num_fields(); ++i) fields.push_back(field(i));
      return arrow::struct_(std::move(fields));
    }
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = arrow::internal::checked_cast<const arrow::DictionaryType&>(*type);
      const auto values = dictionary.value_type()->id();
      if (!arrow::is_binary_view_like(values)) return type;
      return arrow::dictionary(dictionary.index_type(), values == arrow::Type::STRING_VIEW
                                                            ? arrow::utf8()
                                                            : arrow::binary());
    }
    default: return type;
  }
}

std::shared_ptr<arrow::Schema> ParquetSchema(const arrow::Schema& schema) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (const auto& field : schema.fields()) {
    fields.push_back(field->WithType(ParquetType(field->type())));
  }
  return arrow::schema(std::move(fields));
}

class ParquetWriter final : public RowWriter {
 public:
  ParquetWriter(std::shared_ptr<arrow::Schema> schema,
                std::unique_ptr<parquet::arrow::FileWriter> writer)
      : schema_(std::move(schema)), writer_(std::move(writer)) {}
  Done Write(const arrow::RecordBatch& batch) override {
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (int i = 0; i < batch.num_columns(); ++i) {
      CLI_ARROW(auto column, Convert(batch.column(i), schema_->field(i)->type()));
      columns.push_back(std::move(column));
    }
    const auto converted = arrow::RecordBatch::Make(schema_, batch.num_rows(), std::move(columns));
    CLI_ARROW_TRY(writer_->WriteRecordBatch(*converted));
    return {};
  }
  Done Finish() override {
    CLI_ARROW_TRY(writer_->Close());
    return {};
  }

 private:
  static arrow::Result<std::shared_ptr<arrow::Array>> Convert(
      const std::shared_ptr<arrow::Array>& column, const std::shared_ptr<arrow::DataType>& type) {
    if (column->type()->Equals(*type)) return column;
    if (type->id() != arrow::Type::DICTIONARY) return arrow::compute::Cast(*column, type);
    const auto& from = arrow::internal::checked_cast<const arrow::DictionaryArray&>(*column);
    const auto& to = arrow::internal::checked_cast<const arrow::DictionaryType&>(*type);
    ARROW_ASSIGN_OR_RAISE(auto values, arrow::compute::Cast(*from.dictionary(), to.value_type()));
    return arrow::DictionaryArray::FromArrays(type, from.indices(), std::move(values));
  }

  const std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

}  // namespace

Outcome<std::unique_ptr<RowWriter>> MakeArrowWriter(ByteStream to,
                                                    const std::shared_ptr<arrow::Schema>& schema,
                                                    bool as_file) {
  // Batches of one reader may carry different dictionaries.
  arrow::ipc::IpcWriteOptions options = arrow::ipc::IpcWriteOptions::Defaults();
  options.unify_dictionaries = false;
  auto writer = as_file ? arrow::ipc::MakeFileWriter(to, schema, options)
                        : arrow::ipc::MakeStreamWriter(to, schema, options);
  if (!writer.ok()) return FailWith(writer.status());
  return std::make_unique<ArrowWriter>(*std::move(writer));
}

Outcome<std::unique_ptr<RowWriter>> MakeParquetWriter(
    ByteStream to, const std::shared_ptr<arrow::Schema>& schema) {
  const auto properties = parquet::WriterProperties::Builder()
                              .compression(parquet::Compression::ZSTD)
                              ->max_row_group_length(kRowGroupRows)
                              ->build();
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  const auto written = ParquetSchema(*schema);
  CLI_ARROW(auto writer, parquet::arrow::FileWriter::Open(*written, arrow::default_memory_pool(),
                                                          to, properties, arrow_properties));
  return std::make_unique<ParquetWriter>(written, std::move(writer));
}

}  // namespace varve::cli
