// SPDX-License-Identifier: Apache-2.0
#include "run/row_range_reader.h"

#include <arrow/array/concatenate.h>
#include <arrow/chunked_array.h>
#include <arrow/io/memory.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/page_index.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/arrow_pool.h"
#include "columns/parquet_properties.h"
#include "run/decoded_rows.h"
#include "run/file_cipher.h"
#include "run/run_file.h"

namespace varve {
namespace {

using Pages = std::vector<parquet::PageLocation>;

// Pages of one column chunk that lie one after the other: their rows in the row group, their bytes
// in the file.
struct PageSpan {
  std::int64_t first_row = 0;
  std::int64_t end_row = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  int first_page = 0;  // its number among the data pages of the chunk
};

PageSpan Cover(const Pages& pages, std::int64_t first_row, std::int64_t end_row,
               std::int64_t group_rows) {
  const auto first =
      std::ranges::upper_bound(pages, first_row, {}, &parquet::PageLocation::first_row_index) - 1;
  const auto end =
      std::ranges::lower_bound(pages, end_row, {}, &parquet::PageLocation::first_row_index);
  const auto& last = end[-1];
  return {first->first_row_index, end == pages.end() ? group_rows : end->first_row_index,
          first->offset, last.offset + last.compressed_page_size,
          static_cast<int>(first - pages.begin())};
}

// What is to be read of the row group at hand.
struct Selection {
  int index = 0;  // of the row group
  std::unique_ptr<parquet::RowGroupMetaData> group;
  std::vector<PageSpan> spans;  // by leaf; of the leaves that are asked for
};

// One row group, of which there are only the pages selected.
class SelectedGroup final : public parquet::RowGroupReader::Contents {
 public:
  // `cipher`: null when the file is not encrypted.
  SelectedGroup(CheckedFile* file, const FileCipher* cipher, const Selection* selection,
                const parquet::ReaderProperties* properties)
      : file_(*file), cipher_(cipher), selection_(*selection), properties_(*properties) {}

  std::unique_ptr<parquet::PageReader> GetColumnPageReader(int leaf) override {
    const auto chunk = selection_.group->ColumnChunk(leaf);
    const PageSpan& span = selection_.spans[static_cast<std::size_t>(leaf)];
    PARQUET_ASSIGN_OR_THROW(auto bytes, ReadPages(leaf, *chunk, span));
    // Counted in values, of which only the pages know: the end of the bytes ends it.
    return parquet::PageReader::Open(std::make_shared<arrow::io::BufferReader>(std::move(bytes)),
                                     chunk->num_values(), chunk->compression(), properties_,
                                     *selection_.group->schema()->Column(leaf));
  }
  const parquet::RowGroupMetaData* metadata() const override { return selection_.group.get(); }
  const parquet::ReaderProperties* properties() const override { return &properties_; }

 private:
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadPages(int leaf,
                                                          const parquet::ColumnChunkMetaData& chunk,
                                                          const PageSpan& span) {
    FileCipher::Place place{.group = selection_.index, .leaf = leaf,
                            .first_page = span.first_page};
    ARROW_ASSIGN_OR_RAISE(auto pages, file_.ReadAt(span.begin, span.end - span.begin));
    ARROW_ASSIGN_OR_RAISE(pages, Decrypted(std::move(pages), place));
    if (!chunk.has_dictionary_page()) return pages;
    const std::int64_t begin = chunk.dictionary_page_offset();
    ARROW_ASSIGN_OR_RAISE(auto dictionary, file_.ReadAt(begin, chunk.data_page_offset() - begin));
    place.dictionary = true;
    ARROW_ASSIGN_OR_RAISE(dictionary, Decrypted(std::move(dictionary), place));
    return arrow::ConcatenateBuffers({std::move(dictionary), std::move(pages)},
                                     properties_.memory_pool());
  }

  arrow::Result<std::shared_ptr<arrow::Buffer>> Decrypted(std::shared_ptr<arrow::Buffer> pages,
                                                          const FileCipher::Place& place) {
    if (cipher_ == nullptr) return pages;
    return cipher_->DecryptPages(std::string_view(*pages), place);
  }

  CheckedFile& file_;
  const FileCipher* const cipher_;
  const Selection& selection_;
  const parquet::ReaderProperties& properties_;
};

// The file as Arrow's reader sees it: whichever row group it asks for is the selected one.
class SelectedFile final : public parquet::ParquetFileReader::Contents {
 public:
  SelectedFile(const RunFile& file, const Selection* selection, arrow::MemoryPool* pool)
      : file_(file.file()),
        metadata_(file.metadata()),
        cipher_(file.cipher()),
        selection_(selection),
        properties_(pool) {}

  void Close() override {}
  std::shared_ptr<parquet::RowGroupReader> GetRowGroup(int) override {
    return std::make_shared<parquet::RowGroupReader>(
        std::make_unique<SelectedGroup>(file_.get(), cipher_, selection_, &properties_));
  }
  std::shared_ptr<parquet::FileMetaData> metadata() const override { return metadata_; }
  std::shared_ptr<parquet::PageIndexReader> GetPageIndexReader() override { return nullptr; }
  parquet::BloomFilterReader& GetBloomFilterReader() override {
    throw parquet::ParquetException("no bloom filters are read through selected pages");
  }

 private:
  const std::shared_ptr<CheckedFile> file_;
  const std::shared_ptr<parquet::FileMetaData> metadata_;
  const FileCipher* const cipher_;
  const Selection* const selection_;
  const parquet::ReaderProperties properties_;
};

arrow::Status Damaged(std::string what) {
  return ToArrow(Error(ErrorKind::kCorruption,
                       std::move(what) + "; run verify, then restore the file from a copy"));
}

bool IsSound(const Pages& pages, const parquet::ColumnChunkMetaData& chunk) {
  std::int64_t row = 0;
  std::int64_t at = chunk.data_page_offset();
  for (const auto& page : pages) {
    const bool first = &page == &pages.front();
    if (first ? page.first_row_index != 0 : page.first_row_index <= row) return false;
    if (page.offset < at || page.compressed_page_size < 0) return false;
    row = page.first_row_index;
    at = page.offset + page.compressed_page_size;
  }
  const std::int64_t begin = chunk.has_dictionary_page() ? chunk.dictionary_page_offset()
                                                         : chunk.data_page_offset();
  return !pages.empty() && at <= begin + chunk.total_compressed_size();
}

// The data pages of a chunk; without an offset index, all of it as one.
Pages PagesOf(parquet::RowGroupPageIndexReader* index, const parquet::RowGroupMetaData& group,
              int leaf) {
  const auto chunk = group.ColumnChunk(leaf);
  const auto offsets = index == nullptr ? nullptr : index->GetOffsetIndex(leaf);
  if (offsets != nullptr) {
    if (IsSound(offsets->page_locations(), *chunk)) return offsets->page_locations();
    throw parquet::ParquetStatusException(
        Damaged(fmt::format("the offset index of column {} does not fit its pages", leaf)));
  }
  const std::int64_t begin = chunk->has_dictionary_page() ? chunk->dictionary_page_offset()
                                                          : chunk->data_page_offset();
  const std::int64_t end = begin + chunk->total_compressed_size();
  return {{chunk->data_page_offset(), static_cast<std::int32_t>(end - chunk->data_page_offset()),
           0}};
}

}  // namespace

struct RowRangeReader::Parts {
  const RunFile* file = nullptr;
  // Before the index reader, which keeps a reference to it.
  const parquet::ReaderProperties properties = parquet::default_reader_properties();
  std::unique_ptr<parquet::ParquetFileReader> encrypted;  // has the key of the index; else null
  std::shared_ptr<parquet::PageIndexReader> index;
  Selection selection;  // before the reader, which refers to it
  std::unique_ptr<parquet::arrow::FileReader> reader;

  void Enter(int group);
  // Selects the pages of a field that hold the rows; gives the rows that they hold.
  PageSpan Select(int field, std::int64_t first_row, std::int64_t end_row);
  arrow::Result<std::shared_ptr<arrow::Array>> ReadField(int field, std::int64_t first_row,
                                                         std::int64_t rows);
  std::shared_ptr<parquet::RowGroupPageIndexReader> group_index;
  arrow::MemoryPool* pool = nullptr;
};

void RowRangeReader::Parts::Enter(int group) {
  selection.index = group;
  selection.group = file->metadata()->RowGroup(group);
  selection.spans.resize(static_cast<std::size_t>(selection.group->num_columns()));
  group_index = index == nullptr ? nullptr : index->RowGroup(group);
}

PageSpan RowRangeReader::Parts::Select(int field, std::int64_t first_row, std::int64_t end_row) {
  const auto& leaves = file->leaves_of(field);
  std::vector<Pages> pages;
  for (const int leaf : leaves) {
    pages.push_back(PagesOf(group_index.get(), *selection.group, leaf));
  }
  PageSpan common{first_row, end_row};
  for (bool same = false; !same;) {  // each round takes in more rows, at most all of the group
    same = true;
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      const PageSpan span =
          Cover(pages[i], common.first_row, common.end_row, selection.group->num_rows());
      selection.spans[static_cast<std::size_t>(leaves[i])] = span;
      const bool wider = span.first_row < common.first_row || span.end_row > common.end_row;
      if (wider) common = span;
      same = same && (!wider || leaves.size() == 1);
    }
  }
  return common;
}

arrow::Result<std::shared_ptr<arrow::Array>> RowRangeReader::Parts::ReadField(
    int field, std::int64_t first_row, std::int64_t rows) {
  const PageSpan span = Select(field, first_row, first_row + rows);
  std::unique_ptr<parquet::arrow::ColumnReader> column;
  ARROW_RETURN_NOT_OK(reader->GetColumn(field, &column));
  std::shared_ptr<arrow::ChunkedArray> read;
  ARROW_RETURN_NOT_OK(column->NextBatch(span.end_row - span.first_row, &read));
  if (read->length() != span.end_row - span.first_row) {
    return Damaged(fmt::format("pages of column {} hold {} rows, the offset index says {}", field,
                               read->length(), span.end_row - span.first_row));
  }
  const auto wanted = read->Slice(first_row - span.first_row, rows);
  if (wanted->num_chunks() == 1) return wanted->chunk(0);
  return arrow::Concatenate(wanted->chunks(), pool);
}

RowRangeReader::RowRangeReader(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

RowRangeReader::~RowRangeReader() = default;

Result<std::unique_ptr<RowRangeReader>> RowRangeReader::Open(const RunFile& file,
                                                             arrow::MemoryPool* pool) {
  if (pool == nullptr) pool = ArrowPool();
  auto parts = std::make_unique<Parts>();
  const auto open = [&]() -> arrow::Status {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    parts->file = &file;
    parts->pool = pool;
    if (file.cipher() == nullptr) {
      parts->index = parquet::PageIndexReader::Make(file.file().get(), file.metadata(),
                                                    parts->properties);
    } else {
      parts->encrypted =
          parquet::ParquetFileReader::Open(file.file(), parts->properties, file.metadata());
      parts->index = parts->encrypted->GetPageIndexReader();
    }
    auto reader = std::make_unique<parquet::ParquetFileReader>();
    reader->Open(std::make_unique<SelectedFile>(file, &parts->selection, pool));
    auto settings = ArrowReaderSettings();
    settings.set_pre_buffer(false);
    ARROW_ASSIGN_OR_RAISE(parts->reader,
                          parquet::arrow::FileReader::Make(pool, std::move(reader), settings));
    return arrow::Status::OK();
    END_PARQUET_CATCH_EXCEPTIONS
  };
  if (const auto opened = open(); !opened.ok()) {
    return std::unexpected(DecodeError(file, kFooter, opened));
  }
  return std::unique_ptr<RowRangeReader>(new RowRangeReader(std::move(parts)));
}

Result<std::shared_ptr<arrow::RecordBatch>> RowRangeReader::Read(
    int group, std::int64_t first_row, std::int64_t rows, const std::vector<int>& fields,
    const std::shared_ptr<arrow::Schema>& schema) {
  VARVE_CHECK(first_row >= 0 && rows > 0);
  VARVE_CHECK(first_row + rows <= parts_->file->rows_of(group));
  const auto read = [&]() -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    parts_->Enter(group);
    arrow::ArrayVector columns;
    arrow::FieldVector stored;
    for (const int field : fields) {
      ARROW_ASSIGN_OR_RAISE(auto column, parts_->ReadField(field, first_row, rows));
      stored.push_back(arrow::field("", column->type()));
      columns.push_back(std::move(column));
    }
    return arrow::RecordBatch::Make(arrow::schema(std::move(stored)), rows, std::move(columns));
    END_PARQUET_CATCH_EXCEPTIONS
  };
  return DecodedRows(*parts_->file, group, rows, fields, schema, read());
}

}  // namespace varve
