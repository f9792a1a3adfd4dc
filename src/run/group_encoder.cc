// SPDX-License-Identifier: Apache-2.0
#include "run/group_encoder.h"

#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/base64.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/schema.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/file_writer.h>

#include <utility>

#include "columns/parquet_properties.h"

namespace varve {
namespace {

using parquet::schema::GroupNode;

// By which Arrow's readers find the Arrow types again.
constexpr char kArrowSchemaKey[] = "ARROW:schema";

::arrow::Result<std::shared_ptr<::arrow::KeyValueMetadata>> MetadataOf(
    const ::arrow::Schema& schema) {
  const auto& given = schema.metadata();
  auto metadata = given ? given->Copy() : std::make_shared<::arrow::KeyValueMetadata>();
  ARROW_ASSIGN_OR_RAISE(const auto bytes, ::arrow::ipc::SerializeSchema(schema));
  metadata->Append(kArrowSchemaKey, ::arrow::util::base64_encode(std::string_view(*bytes)));
  return metadata;
}

}  // namespace

// Parquet's writer behind Arrow's, with the row group at hand.
class GroupEncoder::File final : public parquet::ParquetFileWriter::Contents {
 public:
  explicit File(std::unique_ptr<parquet::ParquetFileWriter> file)
      : Contents(std::static_pointer_cast<GroupNode>(file->schema()->schema_root()),
                 file->key_value_metadata()),
        file_(std::move(file)) {}

  void CloseGroup() { group_->Close(); }

  parquet::RowGroupWriter* AppendRowGroup() override { return group_ = file_->AppendRowGroup(); }
  parquet::RowGroupWriter* AppendBufferedRowGroup() override {
    return group_ = file_->AppendBufferedRowGroup();
  }
  void Close() override {
    file_->Close();
    file_metadata_ = file_->metadata();
  }
  std::int64_t num_rows() const override { return file_->num_rows(); }
  int num_columns() const override { return file_->num_columns(); }
  int num_row_groups() const override { return file_->num_row_groups(); }
  const std::shared_ptr<parquet::WriterProperties>& properties() const override {
    return file_->properties();
  }
  void AddKeyValueMetadata(
      const std::shared_ptr<const ::arrow::KeyValueMetadata>& metadata) override {
    file_->AddKeyValueMetadata(metadata);
  }

 private:
  const std::unique_ptr<parquet::ParquetFileWriter> file_;
  parquet::RowGroupWriter* group_ = nullptr;
};

GroupEncoder::~GroupEncoder() = default;

::arrow::Result<std::unique_ptr<GroupEncoder>> GroupEncoder::Open(
    const ::arrow::Schema& schema, const std::shared_ptr<::arrow::io::OutputStream>& sink,
    const std::shared_ptr<parquet::WriterProperties>& properties, bool threads) {
  const auto settings = ArrowWriterSettings(threads);
  std::shared_ptr<parquet::SchemaDescriptor> descriptor;
  ARROW_RETURN_NOT_OK(
      parquet::arrow::ToParquetSchema(&schema, *properties, *settings, &descriptor));
  ARROW_ASSIGN_OR_RAISE(auto metadata, MetadataOf(schema));
  auto file = std::make_unique<File>(parquet::ParquetFileWriter::Open(
      sink, std::static_pointer_cast<GroupNode>(descriptor->schema_root()), properties,
      std::move(metadata)));
  std::unique_ptr<GroupEncoder> encoder(new GroupEncoder());
  encoder->file_ = file.get();
  auto outer = std::make_unique<parquet::ParquetFileWriter>();
  outer->Open(std::move(file));
  ARROW_RETURN_NOT_OK(parquet::arrow::FileWriter::Make(
      properties->memory_pool(), std::move(outer),
      std::make_shared<::arrow::Schema>(schema), settings, &encoder->writer_));
  return encoder;
}

::arrow::Status GroupEncoder::WriteGroup(const ::arrow::RecordBatch& rows) {
  ARROW_RETURN_NOT_OK(writer_->NewBufferedRowGroup());
  ARROW_RETURN_NOT_OK(writer_->WriteRecordBatch(rows));
  file_->CloseGroup();
  return ::arrow::Status::OK();
}

::arrow::Status GroupEncoder::Close(
    const std::shared_ptr<const ::arrow::KeyValueMetadata>& metadata) {
  ARROW_RETURN_NOT_OK(writer_->AddKeyValueMetadata(metadata));
  return writer_->Close();
}

}  // namespace varve
