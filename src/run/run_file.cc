// SPDX-License-Identifier: Apache-2.0
#include "run/run_file.h"

#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/bloom_filter.h>
#include <parquet/bloom_filter_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/arrow_pool.h"
#include "columns/parquet_properties.h"
#include "run/decoded_rows.h"
#include "run/file_cipher.h"
#include "run/key_filters.h"
#include "run/object_sink.h"
#include "run/row_range_reader.h"

namespace varve {
namespace {

// A Parquet file ends with the footer's length in four bytes and the magic "PAR1", or "PARE" when
// the footer is encrypted.
constexpr std::uint64_t kTrailerBytes = 8;

// Of memory, measured.
constexpr std::uint64_t kOpenFileBytes = 4000;
constexpr std::uint64_t kGroupBytes = 300;
constexpr std::uint64_t kChunkBytes = 780;
constexpr std::uint64_t kColumnBytes = 700;
constexpr std::uint64_t kIdleReaderBytes = 4000;
constexpr std::uint64_t kIdleReaderColumnBytes = 1000;

// In memory; zero: not all values are equally large.
std::uint64_t WidthOf(parquet::Type::type type) {
  switch (type) {
    case parquet::Type::BOOLEAN: return 1;
    case parquet::Type::INT32:
    case parquet::Type::FLOAT: return 4;
    case parquet::Type::INT64:
    case parquet::Type::INT96:
    case parquet::Type::DOUBLE: return 8;
    default: return 0;
  }
}

std::unexpected<Error> Damaged(const std::string& where, std::string_view what) {
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}: {}; run verify, then restore the file from a copy", where, what));
}

Result<std::unique_ptr<ObjectReader>> OpenObject(ObjectStore* store, const RunObject& object,
                                                 const std::string& where) {
  auto reader = store->OpenReader(object.name);
  if (!reader) {
    if (reader.error().kind() != ErrorKind::kNotFound) return reader;
    return Damaged(where, "the file is missing, though the manifest names it");
  }
  if ((*reader)->size() != object.bytes) {
    return Damaged(where, fmt::format("the file has {} bytes, the manifest says {}",
                                      (*reader)->size(), object.bytes));
  }
  return reader;
}

Result<std::shared_ptr<arrow::Buffer>> ReadTail(ObjectReader* reader, const RunObject& object,
                                                const std::string& where) {
  if (object.data_bytes > object.bytes || object.bytes - object.data_bytes < kTrailerBytes) {
    return Damaged(where, fmt::format("the manifest says {} bytes of row groups in {} bytes, which "
                                      "leaves no room for a footer",
                                      object.data_bytes, object.bytes));
  }
  const std::uint64_t size = object.bytes - object.data_bytes;
  VARVE_ASSIGN(std::shared_ptr<arrow::Buffer> tail,
               FromArrow(arrow::AllocateBuffer(static_cast<std::int64_t>(size), ArrowPool())));
  char* const bytes = reinterpret_cast<char*>(tail->mutable_data());
  VARVE_TRY(reader->ReadAt(object.data_bytes, size, bytes));
  const std::uint32_t found = Crc32c(std::string_view(bytes, size));
  if (found != object.tail_crc32c) {
    return Damaged(where, fmt::format("bytes {} to {} (the footer) are damaged: their CRC-32C is "
                                      "{:08x}, expected {:08x}",
                                      object.data_bytes, object.bytes, found,
                                      object.tail_crc32c));
  }
  return tail;
}

}  // namespace

RunFile::~RunFile() = default;

Result<std::shared_ptr<const RunFile>> RunFile::Open(ObjectStore* store, const RunObject& object,
                                                     std::shared_ptr<const TableSchema> schema,
                                                     std::shared_ptr<arrow::Schema> columns,
                                                     std::shared_ptr<FileLife> life) {
  std::shared_ptr<RunFile> file(new RunFile());
  file->object_ = object;
  file->where_ = store->Describe(object.name);
  file->schema_ = std::move(schema);
  file->columns_ = std::move(columns);
  for (const auto& name : file->schema_->key_names()) {
    file->key_fields_.push_back(file->columns_->GetFieldIndex(name));
  }
  VARVE_ASSIGN(auto reader, OpenObject(store, object, file->where_));
  VARVE_ASSIGN(auto tail, ReadTail(reader.get(), object, file->where_));
  RunFooter footer;
  VARVE_TRY(file->ReadFooter(tail, &footer));
  VARVE_TRY(file->CheckFooter(footer));
  VARVE_TRY(file->CheckLayout());
  VARVE_TRY(file->NoteFilters(footer));
  VARVE_TRY(file->CutIntoPieces(&footer));
  file->open_bytes_ = file->CountMemory(static_cast<std::uint64_t>(tail->capacity()), footer);
  file->first_keys_ = std::move(footer.row_group_keys);
  file->file_ = std::make_shared<CheckedFile>(std::move(reader), file->where_, object,
                                              std::move(tail), std::move(footer.block_crc32c),
                                              PoolOf(life->memory(), MemoryHolder::kReads));
  file->life_ = std::move(life);
  file->life_->NotePieces(file->pieces_.size());
  file->booking_ = file->life_->Book(MemoryHolder::kTails, file->memory_bytes());
  return file;
}

// Of what Parquet makes of a footer the sizes are measured (tail_cache_test.cc): it keeps an object
// for each column of each row group, and its own text of what is in the footer.
std::uint64_t RunFile::CountMemory(std::uint64_t tail_bytes, const RunFooter& footer) const {
  const auto strings = [](const std::vector<std::string>& keys) {
    std::uint64_t bytes = keys.capacity() * sizeof(std::string);
    for (const std::string& key : keys) bytes += key.capacity() > 15 ? key.capacity() + 17 : 0;
    return bytes;
  };
  const auto groups = static_cast<std::uint64_t>(metadata_->num_row_groups());
  const auto columns = static_cast<std::uint64_t>(metadata_->num_columns());
  return kOpenFileBytes + tail_bytes + metadata_->size() + groups * kGroupBytes +
         groups * columns * kChunkBytes + columns * kColumnBytes + strings(footer.row_group_keys) +
         strings(piece_keys_) + pieces_.capacity() * sizeof(Piece) +
         footer.block_crc32c.capacity() * sizeof(std::uint32_t);
}

std::uint64_t RunFile::IdleReaderBytes() const {
  return kIdleReaderBytes +
         static_cast<std::uint64_t>(metadata_->num_columns()) * kIdleReaderColumnBytes;
}

Status RunFile::ReadFooter(const std::shared_ptr<arrow::Buffer>& tail, RunFooter* footer) {
  const auto size = static_cast<std::uint64_t>(tail->size());
  const char* const end = reinterpret_cast<const char*>(tail->data()) + size;
  const auto length = LoadLittle<std::uint32_t>(end - kTrailerBytes);
  const bool encrypted = !object_.file_key.empty();
  if (std::string_view(end - 4, 4) != (encrypted ? "PARE" : "PAR1") ||
      length > size - kTrailerBytes) {
    return Damaged(where_, encrypted ? "the file does not end as an encrypted Parquet file does"
                                     : "the file does not end as a Parquet file does");
  }
  const auto parse = [&]() -> arrow::Status {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    if (encrypted) {
      ARROW_ASSIGN_OR_RAISE(auto read, DecryptFooter(tail, length, object_.file_key));
      metadata_ = std::move(read.metadata);
      cipher_ = std::move(read.cipher);
      leaves_ = LeavesOfFields(*metadata_->schema());
      return arrow::Status::OK();
    }
    std::uint32_t parsed = length;
    metadata_ = parquet::FileMetaData::Make(end - kTrailerBytes - length, &parsed);
    leaves_ = LeavesOfFields(*metadata_->schema());
    return arrow::Status::OK();
    END_PARQUET_CATCH_EXCEPTIONS
  };
  if (const arrow::Status status = parse(); !status.ok()) {
    return Damaged(where_, "its Parquet footer cannot be read: " + status.message());
  }
  VARVE_ASSIGN(*footer, RunFooter::Parse(metadata_->key_value_metadata().get(), where_));
  return {};
}

Status RunFile::CheckFooter(const RunFooter& footer) const {
  const auto rows = static_cast<std::uint64_t>(metadata_->num_rows());
  if (rows != object_.rows) {
    return Damaged(where_, fmt::format("the footer says {} rows, the manifest {}", rows,
                                       object_.rows));
  }
  if (std::ssize(footer.row_group_keys) != metadata_->num_row_groups() ||
      metadata_->num_row_groups() == 0 || !std::ranges::is_sorted(footer.row_group_keys)) {
    return Damaged(where_, "the footer's list of first keys does not fit its row groups");
  }
  const std::uint64_t blocks =
      RoundUp(object_.data_bytes, kChecksumBlockBytes) / kChecksumBlockBytes;
  if (footer.block_crc32c.size() != blocks) {
    return Damaged(where_, fmt::format("the footer has {} block checksums for {} blocks",
                                       footer.block_crc32c.size(), blocks));
  }
  return {};
}

// The filters of encrypted keys begin where the row groups end.
Status RunFile::NoteFilters(const RunFooter& footer) {
  if (cipher_ == nullptr) return {};
  const auto end = static_cast<std::int64_t>(object_.bytes);
  auto at = static_cast<std::int64_t>(object_.data_bytes);
  for (const std::int64_t bytes : footer.key_filters) {
    if (bytes > end - at) break;
    key_filters_.emplace_back(at, bytes);
    at += bytes;
  }
  if (std::ssize(key_filters_) == metadata_->num_row_groups()) return {};
  return Damaged(where_, "the footer's filters do not fit its row groups");
}

// The file's columns are the table's and the commit, and all their bytes are in the data region.
Status RunFile::CheckLayout() const {
  const auto* const root = metadata_->schema()->group_node();
  if (root->field_count() != columns_->num_fields() + 1) {
    return Damaged(where_, fmt::format("it has {} columns, the table's schema asks for {}",
                                       root->field_count(), columns_->num_fields() + 1));
  }
  for (int field = 0; field < root->field_count(); ++field) {
    const std::string& found = root->field(field)->name();
    const std::string expected = field == columns_->num_fields() ? std::string(kCommitColumn)
                                                                 : columns_->field(field)->name();
    if (found != expected) {
      return Damaged(where_, fmt::format("column {} is '{}', the table's schema says '{}'", field,
                                         found, expected));
    }
  }
  const auto check = [&]() -> arrow::Status {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    return CheckGroups();
    END_PARQUET_CATCH_EXCEPTIONS
  };
  const arrow::Status status = check();
  return status.ok() ? Status() : Damaged(where_, status.message());
}

// What passes here can be asked again without an exception.
arrow::Status RunFile::CheckGroups() const {
  const auto end = static_cast<std::int64_t>(object_.data_bytes);
  std::int64_t rows_left = metadata_->num_rows();
  for (int group = 0; group < metadata_->num_row_groups(); ++group) {
    const auto row_group = metadata_->RowGroup(group);
    if (row_group->num_columns() != metadata_->num_columns()) {
      return arrow::Status::Invalid("row group ", group, " has ", row_group->num_columns(),
                                    " columns of ", metadata_->num_columns());
    }
    if (row_group->num_rows() <= 0 || row_group->num_rows() > rows_left) {
      return arrow::Status::Invalid("row group ", group, " has ", row_group->num_rows(),
                                    " rows of ", metadata_->num_rows());
    }
    rows_left -= row_group->num_rows();
    for (int leaf = 0; leaf < row_group->num_columns(); ++leaf) {
      const auto chunk = row_group->ColumnChunk(leaf);
      const std::int64_t begin = chunk->has_dictionary_page()
                                     ? std::min(chunk->dictionary_page_offset(),
                                                chunk->data_page_offset())
                                     : chunk->data_page_offset();
      const std::int64_t bytes = chunk->total_compressed_size();
      if (begin < 0 || begin > end || bytes < 0 || bytes > end - begin) {
        return arrow::Status::Invalid("row group ", group, " lies outside of the data region");
      }
    }
  }
  if (rows_left == 0) return arrow::Status::OK();
  return arrow::Status::Invalid("its row groups have ", rows_left, " rows fewer than it says");
}

std::int64_t RunFile::rows_of(int group) const { return metadata_->RowGroup(group)->num_rows(); }

bool RunFile::IsLarge() const { return object_.data_bytes > kChecksumBlockBytes; }

std::uint64_t RunFile::bytes_of(int group, const std::vector<int>& fields) const {
  const auto row_group = metadata_->RowGroup(group);
  std::int64_t bytes = 0;
  for (const int field : fields) {
    for (const int leaf : leaves_[static_cast<std::size_t>(field)]) {
      bytes += row_group->ColumnChunk(leaf)->total_compressed_size();
    }
  }
  return static_cast<std::uint64_t>(bytes);
}

std::vector<int> RunFile::LeavesByWork(int group, const std::vector<int>& fields) const {
  const auto row_group = metadata_->RowGroup(group);
  // Text is built value by value, also where its dictionary is small.
  std::vector<std::tuple<bool, std::int64_t, int>> by_work;
  for (const int field : fields) {
    bool text = false;
    std::int64_t bytes = 0;
    for (const int leaf : leaves_[static_cast<std::size_t>(field)]) {
      const auto chunk = row_group->ColumnChunk(leaf);
      text = text || chunk->type() == parquet::Type::BYTE_ARRAY;
      bytes += chunk->total_uncompressed_size();
    }
    by_work.emplace_back(text, bytes, field);
  }
  std::ranges::sort(by_work, std::ranges::greater());
  std::vector<int> leaves;
  for (const auto& [text, bytes, field] : by_work) {
    const auto& of_field = leaves_[static_cast<std::size_t>(field)];
    leaves.insert(leaves.end(), of_field.begin(), of_field.end());
  }
  return leaves;
}

std::uint64_t RunFile::offset_of(int group) const {
  const auto chunk = metadata_->RowGroup(group)->ColumnChunk(0);
  const bool dictionary = chunk->has_dictionary_page();
  return static_cast<std::uint64_t>(dictionary ? chunk->dictionary_page_offset()
                                               : chunk->data_page_offset());
}

namespace {

int FirstPlace(const std::vector<std::string>& first_keys, std::string_view key, bool distinct) {
  const auto at = std::ranges::lower_bound(first_keys, key);
  const bool starts_here = at != first_keys.end() && *at == key && distinct;
  if (at == first_keys.begin() || starts_here) return static_cast<int>(at - first_keys.begin());
  return static_cast<int>(at - first_keys.begin()) - 1;
}

}  // namespace

int RunFile::FirstGroup(std::string_view key, bool distinct) const {
  return FirstPlace(first_keys_, key, distinct);
}

int RunFile::FirstPiece(std::string_view key, bool distinct) const {
  return FirstPlace(piece_keys_, key, distinct);
}

int RunFile::PieceOf(int group) const {
  return static_cast<int>(std::ranges::lower_bound(pieces_, group, {}, &Piece::group) -
                          pieces_.begin());
}

std::uint64_t RunFile::DecodedBytes(int group, const std::vector<int>& fields) const {
  const auto row_group = metadata_->RowGroup(group);
  const auto rows = static_cast<std::uint64_t>(row_group->num_rows());
  std::uint64_t bytes = 0;
  for (const int field : fields) {
    for (const int leaf : leaves_of(field)) {
      const auto chunk = row_group->ColumnChunk(leaf);
      const auto pages = static_cast<std::uint64_t>(chunk->total_uncompressed_size());
      const auto values = static_cast<std::uint64_t>(chunk->num_values());
      const auto width = WidthOf(metadata_->schema()->Column(leaf)->physical_type());
      bytes += width > 0 ? values * width : pages + sizeof(std::int32_t) * rows;
    }
  }
  return bytes;
}

int RunFile::EndGroup(std::string_view key) const {
  return static_cast<int>(std::ranges::lower_bound(first_keys_, key) - first_keys_.begin());
}

Result<std::unique_ptr<RowGroupReader>> RunFile::NewReader(MemoryHolder holder) const {
  const auto make = [&]() -> arrow::Result<std::unique_ptr<parquet::arrow::FileReader>> {
    parquet::arrow::FileReaderBuilder builder;
    auto* const pool = PoolOf(life_->memory(), holder);
    ARROW_RETURN_NOT_OK(builder.Open(file_, parquet::ReaderProperties(pool), metadata_));
    builder.memory_pool(pool);
    auto settings = ArrowReaderSettings();
    settings.set_use_threads(IsLarge());
    settings.set_pre_buffer(IsLarge());  // one coalesced read for all columns of a row group
    builder.properties(settings);
    return builder.Build();
  };
  VARVE_ASSIGN(auto reader, Decoded(*this, kFooter, make()));
  return std::make_unique<RowGroupReader>(shared_from_this(), std::move(reader),
                                          PoolOf(life_->memory(), holder));
}

Result<bool> RunFile::MayContain(int group, std::string_view key) const {
  if (cipher_ == nullptr) {
    const auto decoded = schema_->key_codec().Decode({key});
    if (!decoded) return true;
    return Decoded(*this, group, MayHaveValues(group, **decoded));
  }
  const auto [at, bytes] = key_filters_[static_cast<std::size_t>(group)];
  VARVE_ASSIGN(const auto module, Decoded(*this, group, file_->ReadAt(at, bytes)));
  const auto filter = cipher_->DecryptFilter(group, std::string_view(*module));
  if (!filter) return std::unexpected(filter.error().Within(where_));
  const auto ask = [&]() -> arrow::Result<bool> {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    return MayContainKey(*filter, key);
    END_PARQUET_CATCH_EXCEPTIONS
  };
  return Decoded(*this, group, ask());
}

arrow::Result<bool> RunFile::MayHaveValues(int group, const arrow::RecordBatch& key) const {
  BEGIN_PARQUET_CATCH_EXCEPTIONS
  // The filter reader keeps a reference to its properties.
  const auto properties = parquet::default_reader_properties();
  auto filters = parquet::BloomFilterReader::Make(file_, metadata_, properties);
  auto group_filters = filters->RowGroup(group);
  if (group_filters == nullptr) return true;
  for (int column = 0; column < key.num_columns(); ++column) {
    if (!HasKeyFilter(*key.column(column)->type())) continue;
    const auto field = static_cast<std::size_t>(key_fields_[static_cast<std::size_t>(column)]);
    const auto filter = group_filters->GetColumnBloomFilter(leaves_[field].front());
    if (filter == nullptr) continue;
    ARROW_ASSIGN_OR_RAISE(const auto value, key.column(column)->GetScalar(0));
    if (!varve::MayContain(*filter, *value)) return false;
  }
  return true;
  END_PARQUET_CATCH_EXCEPTIONS
}

RowGroupReader::RowGroupReader(std::shared_ptr<const RunFile> file,
                               std::unique_ptr<parquet::arrow::FileReader> reader,
                               arrow::MemoryPool* pool)
    : file_(std::move(file)), reader_(std::move(reader)), pool_(pool) {}

RowGroupReader::~RowGroupReader() = default;

Result<std::shared_ptr<arrow::RecordBatch>> RowGroupReader::Read(
    int group, const std::vector<int>& fields, const std::shared_ptr<arrow::Schema>& schema) {
  if (fields.empty()) {
    return arrow::RecordBatch::Make(schema, file_->rows_of(group), arrow::ArrayVector());
  }
  const auto leaves = file_->LeavesByWork(group, fields);
  const auto read = [&]() -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    ARROW_ASSIGN_OR_RAISE(auto table, reader_->ReadRowGroup(group, leaves));
    std::vector<int> order;  // Parquet's order need not be that of `fields`
    for (const auto& field : schema->fields()) {
      order.push_back(table->schema()->GetFieldIndex(field->name()));
    }
    ARROW_ASSIGN_OR_RAISE(table, table->SelectColumns(order));
    return table->CombineChunksToBatch(pool_);
    END_PARQUET_CATCH_EXCEPTIONS
  };
  return DecodedRows(*file_, group, file_->rows_of(group), fields, schema, read());
}

}  // namespace varve
