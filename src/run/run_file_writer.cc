// SPDX-License-Identifier: Apache-2.0
#include "run/run_file_writer.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <parquet/arrow/schema.h>
#include <parquet/encryption/encryption.h>
#include <parquet/exception.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/cipher.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/gather.h"
#include "columns/parquet_properties.h"
#include "run/file_cipher.h"
#include "run/group_encoder.h"
#include "run/key_filters.h"
#include "run/run_writer.h"
#include "run/object_sink.h"

namespace varve {
namespace {

// A hand-over to other threads costs what encoding some thousand values does.
constexpr std::int64_t kLargeRows = 4096;

// Measured on 600,000 rows of 19 columns: level 3 took a tenth more time for a file no smaller.
constexpr int kZstdLevel = 1;

// Pages end at pieces. Keys and times differ in every row: a dictionary of them is larger than they
// are, and has to be read for a single page. Measured on ten columns: with Parquet's own limit of
// 1 MiB the file was a third larger and took a fifth more time to read.
constexpr std::int64_t kDictionaryBytesMax = 32 << 10;

using PropertiesBuilder = parquet::WriterProperties::Builder;

// Key columns ascending, then the newest commit first: the order of versions.
arrow::Result<std::vector<parquet::SortingColumn>> SortingColumns(
    const arrow::Schema& file_schema, const TableSchema& schema,
    const parquet::WriterProperties& properties) {
  std::shared_ptr<parquet::SchemaDescriptor> descriptor;
  ARROW_RETURN_NOT_OK(parquet::arrow::ToParquetSchema(&file_schema, properties,
                                                      *ArrowWriterSettings(), &descriptor));
  const auto leaves = LeavesOfFields(*descriptor);
  std::vector<parquet::SortingColumn> columns;
  for (const auto& name : schema.key_names()) {
    const auto field = static_cast<std::size_t>(file_schema.GetFieldIndex(name));
    columns.push_back({leaves[field].front(), /*descending=*/false, /*nulls_first=*/false});
  }
  columns.push_back({leaves.back().front(), /*descending=*/true, /*nulls_first=*/false});
  return columns;
}

arrow::Result<std::shared_ptr<parquet::WriterProperties>> WriterSettings(
    const arrow::Schema& file_schema, const TableSchema& schema, const RunTarget& target,
    const std::shared_ptr<parquet::FileEncryptionProperties>& encryption,
    std::int64_t group_rows) {
  // Groups are not all of one size: those of a few rows more still have a filter that does.
  const parquet::BloomFilterOptions filter{
      .ndv = std::min(target.row_group_rows, group_rows + group_rows / 4)};
  PropertiesBuilder builder;
  builder.created_by("varve")
      ->memory_pool(PoolOf(target.memory.get(), target.holder))
      ->compression(parquet::Compression::ZSTD)
      ->compression_level(kZstdLevel)
      ->max_row_group_length(target.row_group_rows)
      ->max_rows_per_page(target.piece_rows_max)
      ->dictionary_pagesize_limit(kDictionaryBytesMax)
      ->enable_page_checksum()
      ->enable_write_page_index();
  for (const auto& field : schema.key_schema()->fields()) {
    if (encryption != nullptr || !HasKeyFilter(*field->type())) continue;
    builder.enable_bloom_filter(field->name(), filter);
  }
  auto properties = builder.encryption(encryption)->build();
  if (!schema.key_codec().parquet_order()) return properties;
  ARROW_ASSIGN_OR_RAISE(auto columns, SortingColumns(file_schema, schema, *properties));
  return PropertiesBuilder(*properties)
      .set_sorting_columns(std::move(columns))
      ->encryption(encryption)
      ->build();
}

// How many rows a piece of these has, so that it is small in memory.
std::int64_t PieceRowsOf(const arrow::RecordBatch& rows, std::int64_t rows_max,
                         std::uint64_t piece_bytes) {
  const std::uint64_t bytes = std::max<std::uint64_t>(BatchBytes(rows), 1);
  const auto count = static_cast<std::uint64_t>(rows.num_rows());
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(piece_bytes * count / bytes), 1,
                                  rows_max);
}

std::shared_ptr<arrow::Array> CommitArray(const std::vector<std::uint64_t>& commits) {
  return std::make_shared<arrow::Int64Array>(static_cast<std::int64_t>(commits.size()),
                                             arrow::Buffer::Wrap(commits));
}

}  // namespace

std::shared_ptr<arrow::Schema> WithCommitColumn(const arrow::Schema& columns) {
  arrow::FieldVector fields = columns.fields();
  fields.push_back(arrow::field(std::string(kCommitColumn), arrow::int64(), /*nullable=*/false));
  return arrow::schema(std::move(fields), columns.metadata());
}

RunFileWriter::~RunFileWriter() {
  // Parquet's writer, when dropped, tries to complete the file: let it find the sink closed.
  if (encoder_ != nullptr && sink_->Close().ok()) encoder_.reset();
}

Result<std::unique_ptr<RunFileWriter>> RunFileWriter::Open(
    ObjectStore* store, const std::string& name, const std::shared_ptr<arrow::Schema>& columns,
    const TableSchema& schema, const RunTarget& target, std::int64_t group_rows) {
  std::unique_ptr<RunFileWriter> file(new RunFileWriter());
  file->name_ = name;
  file->schema_ = &schema;
  file->piece_rows_max_ = target.piece_rows_max;
  file->piece_bytes_ = target.piece_bytes;
  for (const auto& key : schema.key_names()) {
    file->key_fields_.push_back(columns->GetFieldIndex(key));
  }
  file->file_schema_ = WithCommitColumn(*ParquetSchema(*columns));
  std::shared_ptr<parquet::FileEncryptionProperties> encryption;
  if (target.encrypted) {
    VARVE_ASSIGN(file->file_key_, SecretBytes(kCipherKeyBytes));
    encryption = EncryptionWith(file->file_key_);
    file->cipher_ = std::make_shared<const FileCipher>(file->file_key_, encryption->file_aad());
  }
  VARVE_ASSIGN(auto object, store->NewWriter(name));
  file->sink_ = std::make_shared<ObjectSink>(std::move(object));
  const auto open = [&]() -> arrow::Status {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    ARROW_ASSIGN_OR_RAISE(const auto settings,
                          WriterSettings(*file->file_schema_, schema, target, encryption,
                                         group_rows));
    ARROW_ASSIGN_OR_RAISE(file->encoder_, GroupEncoder::Open(*file->file_schema_, file->sink_,
                                                             settings, group_rows >= kLargeRows));
    return arrow::Status::OK();
    END_PARQUET_CATCH_EXCEPTIONS
  };
  VARVE_TRY(FromArrow(open()));
  return file;
}

Status RunFileWriter::WriteRowGroup(std::shared_ptr<arrow::RecordBatch> rows,
                                    const std::vector<std::uint64_t>& commits,
                                    std::string first_key,
                                    const std::vector<std::uint64_t>& key_hashes) {
  VARVE_CHECK(rows->num_rows() == std::ssize(commits));
  VARVE_TRY(NotePieces(*rows));
  VARVE_ASSIGN(rows, ToParquet(rows));
  const auto write = [&]() -> arrow::Status {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    arrow::ArrayVector columns = rows->columns();
    columns.push_back(CommitArray(commits));
    ARROW_RETURN_NOT_OK(encoder_->WriteGroup(
        *arrow::RecordBatch::Make(file_schema_, rows->num_rows(), std::move(columns))));
    if (cipher_ != nullptr) {
      VARVE_CHECK(key_hashes.size() == commits.size());
      key_filters_.push_back(MakeKeyFilter(key_hashes));
    }
    return arrow::Status::OK();
    END_PARQUET_CATCH_EXCEPTIONS
  };
  VARVE_TRY(FromArrow(write()));
  footer_.row_group_keys.push_back(std::move(first_key));
  rows_ += commits.size();
  return {};
}

Status RunFileWriter::NotePieces(const arrow::RecordBatch& rows) {
  const std::int64_t piece_rows = PieceRowsOf(rows, piece_rows_max_, piece_bytes_);
  for (std::int64_t row = piece_rows; row < rows.num_rows(); row += piece_rows) {
    VARVE_ASSIGN(const EncodedKeys key, schema_->key_codec().Encode(rows, key_fields_, row, 1));
    footer_.piece_keys.emplace_back(key[0]);
  }
  footer_.piece_rows.push_back(piece_rows);
  return {};
}

// The filters of encrypted keys, between the row groups and what Parquet's writer puts behind them.
Status RunFileWriter::WriteFilters() {
  for (std::size_t group = 0; group < key_filters_.size(); ++group) {
    VARVE_ASSIGN(const auto module,
                 cipher_->EncryptFilter(static_cast<int>(group), key_filters_[group]));
    const auto bytes = static_cast<std::int64_t>(module.size());
    VARVE_TRY(FromArrow(sink_->Write(module.data(), bytes)));
    footer_.key_filters.push_back(bytes);
  }
  return {};
}

Result<RunObject> RunFileWriter::Finish() {
  sink_->EndData();
  footer_.block_crc32c = sink_->block_crc32c();
  VARVE_TRY(WriteFilters());
  const auto close = [&]() -> arrow::Status {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    return encoder_->Close(footer_.ToMetadata());
    END_PARQUET_CATCH_EXCEPTIONS
  };
  VARVE_TRY(FromArrow(close()));
  VARVE_TRY(sink_->Finish());
  return RunObject{.name = name_,
                   .bytes = sink_->bytes(),
                   .rows = rows_,
                   .data_bytes = sink_->data_bytes(),
                   .tail_crc32c = sink_->tail_crc32c(),
                   .file_key = file_key_};
}

}  // namespace varve
