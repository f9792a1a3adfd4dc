// SPDX-License-Identifier: Apache-2.0
// The pieces of a RunFile: where they are, reading one, keeping it.
#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/metadata.h>
#include <parquet/statistics.h>

#include <algorithm>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "base/result.h"
#include "run/row_range_reader.h"
#include "run/run_file.h"
#include "run/run_file_writer.h"

namespace varve {
namespace {

// More than read at once from one file are rare; each costs some kilobytes.
constexpr std::size_t kIdleReadersMax = 4;

// What Arrow's objects take beside the bytes of buffers: some objects of about a hundred bytes, and
// the counts of references to them.
constexpr std::uint64_t kArrayBytes = 256;
constexpr std::uint64_t kBufferBytes = 128;

using Buffers = std::unordered_set<const arrow::Buffer*>;

// Each buffer once and whole, whatever part of it is shown: all of it is kept.
std::uint64_t HeldBytes(const arrow::ArrayData& data, Buffers* counted) {
  std::uint64_t bytes = kArrayBytes;
  for (const auto& shown : data.buffers) {
    if (shown == nullptr) continue;
    const arrow::Buffer* buffer = shown.get();
    while (buffer->parent() != nullptr) buffer = buffer->parent().get();
    if (!counted->insert(buffer).second) continue;
    bytes += static_cast<std::uint64_t>(buffer->capacity()) + kBufferBytes;
  }
  for (const auto& child : data.child_data) bytes += HeldBytes(*child, counted);
  if (data.dictionary != nullptr) bytes += HeldBytes(*data.dictionary, counted);
  return bytes;
}

std::uint64_t HeldBytes(const arrow::RecordBatch& batch) {
  Buffers counted;
  std::uint64_t bytes = 0;
  for (const auto& column : batch.column_data()) bytes += HeldBytes(*column, &counted);
  return bytes;
}

}  // namespace

Status RunFile::CutIntoPieces(RunFooter* footer) {
  const auto bad = [&] {
    return Fail(ErrorKind::kCorruption,
                fmt::format("{}: the footer's pieces do not fit its row groups; run verify, then "
                            "restore the file from a copy",
                            where_));
  };
  const auto groups = static_cast<std::size_t>(metadata_->num_row_groups());
  if (!footer->piece_rows.empty() && footer->piece_rows.size() != groups) return bad();
  auto key = footer->piece_keys.begin();
  for (std::size_t group = 0; group < groups; ++group) {
    const std::int64_t rows = rows_of(static_cast<int>(group));
    const std::int64_t step = footer->piece_rows.empty() ? rows : footer->piece_rows[group];
    for (std::int64_t row = 0; row < rows; row += step) {
      pieces_.push_back({static_cast<int>(group), row, std::min(step, rows - row)});
      if (row > 0 && key == footer->piece_keys.end()) return bad();
      piece_keys_.push_back(row > 0 ? std::move(*key++) : footer->row_group_keys[group]);
    }
  }
  if (key != footer->piece_keys.end() || !std::ranges::is_sorted(piece_keys_)) return bad();
  return {};
}

std::optional<OpenRun::ValueRange> RunFile::ValuesOf(int group, int field) const {
  if (leaves_of(field).size() != 1) return std::nullopt;
  const auto find = [&]() -> arrow::Result<std::optional<OpenRun::ValueRange>> {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    const auto chunk = metadata_->RowGroup(group)->ColumnChunk(leaves_of(field).front());
    const auto known = chunk->statistics();
    if (known == nullptr || !known->HasNullCount()) return std::nullopt;
    OpenRun::ValueRange range;
    range.has_nulls = known->null_count() > 0;
    if (known->null_count() == chunk->num_values()) return range;
    if (!known->HasMinMax()) return std::nullopt;
    std::shared_ptr<arrow::Scalar> min, max;
    ARROW_RETURN_NOT_OK(parquet::arrow::StatisticsAsScalars(*known, &min, &max));
    const auto& type = columns_->field(field)->type();
    ARROW_ASSIGN_OR_RAISE(range.min, min->CastTo(type));
    ARROW_ASSIGN_OR_RAISE(range.max, max->CastTo(type));
    return range;
    END_PARQUET_CATCH_EXCEPTIONS
  };
  auto found = find();  // what cannot be told narrows nothing
  return found.ok() ? *std::move(found) : std::nullopt;
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> RunFile::CommitsOf(int group) const {
  const auto find = [&]() -> arrow::Result<std::optional<std::pair<std::uint64_t, std::uint64_t>>> {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    const auto chunk = metadata_->RowGroup(group)->ColumnChunk(leaves_of(commit_field()).front());
    const auto known = std::dynamic_pointer_cast<parquet::Int64Statistics>(chunk->statistics());
    if (known == nullptr || !known->HasMinMax()) return std::nullopt;
    return std::pair(static_cast<std::uint64_t>(known->min()),
                     static_cast<std::uint64_t>(known->max()));
    END_PARQUET_CATCH_EXCEPTIONS
  };
  const auto found = find();
  return found.ok() ? *found : std::nullopt;
}

Result<std::shared_ptr<arrow::RecordBatch>> RunFile::ReadRows(
    int group, std::int64_t first_row, std::int64_t rows, const std::vector<int>& fields,
    const std::shared_ptr<arrow::Schema>& schema) const {
  std::unique_ptr<RowRangeReader> reader;
  {
    std::lock_guard lock(readers_mutex_);
    if (!idle_readers_.empty()) {
      reader = std::move(idle_readers_.back());
      idle_readers_.pop_back();
    }
  }
  if (reader == nullptr) {
    VARVE_ASSIGN(reader, RowRangeReader::Open(*this));
  }
  VARVE_ASSIGN(auto batch, reader->Read(group, first_row, rows, fields, schema));
  std::lock_guard lock(readers_mutex_);
  if (idle_readers_.size() < kIdleReadersMax) idle_readers_.push_back(std::move(reader));
  idle_bytes_.store(idle_readers_.size() * IdleReaderBytes(), std::memory_order_relaxed);
  booking_.Set(memory_bytes());
  return batch;
}

CachedPiecePtr RunFile::FindPiece(int piece, ReadCache::Part part) const {
  return life_->Find(piece, part);
}

Result<CachedPiecePtr> RunFile::ReadPiece(int piece, ReadCache::Part part) const {
  VARVE_ASSIGN(auto decoded, DecodePiece(pieces_[static_cast<std::size_t>(piece)], part));
  decoded.booking = life_->Book(MemoryHolder::kPieces, decoded.bytes);
  const auto shared = std::make_shared<const CachedPiece>(std::move(decoded));
  life_->Keep(piece, part, shared);
  return shared;
}

Result<CachedPiece> RunFile::DecodePiece(const Piece& piece, ReadCache::Part part) const {
  CachedPiece decoded;
  if (part == ReadCache::Part::kRows) {
    std::vector<int> fields(static_cast<std::size_t>(columns_->num_fields()));
    std::iota(fields.begin(), fields.end(), 0);
    VARVE_ASSIGN(decoded.rows,
                 ReadRows(piece.group, piece.first_row, piece.rows, fields, columns_));
    decoded.bytes = HeldBytes(*decoded.rows);
    return decoded;
  }
  std::vector<int> fields = key_fields_;
  std::vector<int> key_columns(fields.size());
  std::iota(key_columns.begin(), key_columns.end(), 0);
  fields.push_back(commit_field());
  VARVE_ASSIGN(const auto batch, ReadRows(piece.group, piece.first_row, piece.rows, fields,
                                          WithCommitColumn(*schema_->key_schema())));
  VARVE_ASSIGN(decoded.keys, schema_->key_codec().Encode(*batch, key_columns, 0, piece.rows));
  const auto& commits = static_cast<const arrow::Int64Array&>(*batch->columns().back());
  decoded.commits.assign(commits.raw_values(), commits.raw_values() + piece.rows);
  decoded.bytes = decoded.keys.memory_bytes() + decoded.commits.capacity() * 8;
  return decoded;
}

}  // namespace varve
