// SPDX-License-Identifier: Apache-2.0
// RunFile: one open Parquet object of a run. Its footer is read and checked once; row groups are
// read through RowGroupReaders, of which each cursor has its own (Parquet's reader keeps state).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "columns/table_schema.h"
#include "files/object_store.h"
#include "run/checked_file.h"
#include "run/file_life.h"
#include "run/open_run.h"
#include "run/read_cache.h"
#include "run/run_footer.h"
#include "run/run_meta.h"
#include "varve/error.h"

namespace arrow {
class MemoryPool;
class Table;
}  // namespace arrow
namespace parquet {
class FileMetaData;
}  // namespace parquet
namespace parquet::arrow {
class FileReader;
}  // namespace parquet::arrow

namespace varve {

class FileCipher;
class RowRangeReader;
class RunFile;

// Reads row groups of one file. Not thread-safe; keeps the file.
class RowGroupReader {
 public:
  // The top-level fields at `fields` (the commit column is the last field) of a row group, in this
  // order, as `schema` has them.
  Result<std::shared_ptr<arrow::RecordBatch>> Read(int group, const std::vector<int>& fields,
                                                   const std::shared_ptr<arrow::Schema>& schema);
  RowGroupReader(std::shared_ptr<const RunFile> file,
                 std::unique_ptr<parquet::arrow::FileReader> reader, arrow::MemoryPool* pool);
  ~RowGroupReader();

 private:
  const std::shared_ptr<const RunFile> file_;
  const std::unique_ptr<parquet::arrow::FileReader> reader_;
  arrow::MemoryPool* const pool_;
};

class RunFile : public std::enable_shared_from_this<RunFile> {
 public:
  // `columns` are the object's columns without the commit column. Corruption
  // when the object is missing, or its size, tail or footer is not what `object` says.
  static Result<std::shared_ptr<const RunFile>> Open(ObjectStore* store, const RunObject& object,
                                                     std::shared_ptr<const TableSchema> schema,
                                                     std::shared_ptr<arrow::Schema> columns,
                                                     std::shared_ptr<FileLife> life);
  ~RunFile();

  // What it takes: its tail, what Parquet makes of it, our lists, and readers that wait for the
  // next lookup.
  std::uint64_t memory_bytes() const {
    return open_bytes_ + idle_bytes_.load(std::memory_order_relaxed);
  }

  const RunObject& object() const { return object_; }
  const std::string& where() const { return where_; }
  const std::shared_ptr<const TableSchema>& schema() const { return schema_; }
  const std::shared_ptr<arrow::Schema>& columns() const { return columns_; }
  int commit_field() const { return static_cast<int>(leaves_.size()) - 1; }
  // Fields of the key columns, in key order.
  const std::vector<int>& key_fields() const { return key_fields_; }

  int row_groups() const { return static_cast<int>(first_keys_.size()); }
  const std::vector<std::string>& first_keys() const { return first_keys_; }
  std::int64_t rows_of(int group) const;
  // More than one block: of less, a hand-over to other threads would take longer than the reading.
  bool IsLarge() const;
  std::uint64_t bytes_of(int group, const std::vector<int>& fields) const;  // compressed
  std::uint64_t offset_of(int group) const;

  // As OpenRun::ValuesOf.
  std::optional<OpenRun::ValueRange> ValuesOf(int group, int field) const;

  // The first and last commit of a row group, by the file's statistics; nothing when they do not
  // say.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> CommitsOf(int group) const;

  // The first row group that can hold `key` or a greater one, when `distinct` says that no key has
  // two versions. Versions of one key may begin at the end of the group before.
  int FirstGroup(std::string_view key, bool distinct) const;
  // The first row group that cannot hold a key below `key`.
  int EndGroup(std::string_view key) const;

  // What it decodes is booked with `holder`.
  Result<std::unique_ptr<RowGroupReader>> NewReader(
      MemoryHolder holder = MemoryHolder::kReads) const;
  // Of memory, about, that these rows take when they are decoded: exact for columns of one width,
  // for others what their pages hold, which is less than it where values repeat.
  std::uint64_t DecodedBytes(int group, const std::vector<int>& fields) const;

  // Rows that lookups read, and keep in the cache, together: a part of a row group.
  struct Piece {
    int group = 0;
    std::int64_t first_row = 0;
    std::int64_t rows = 0;
  };
  const std::vector<Piece>& pieces() const { return pieces_; }
  // The first key of each piece.
  const std::vector<std::string>& piece_keys() const { return piece_keys_; }
  // As FirstGroup.
  int FirstPiece(std::string_view key, bool distinct) const;
  int PieceOf(int group) const;  // its first
  // Null when it is not in the cache.
  CachedPiecePtr FindPiece(int piece, ReadCache::Part part) const;
  // Reads it, and puts it into the cache. Its rows have all of columns().
  Result<CachedPiecePtr> ReadPiece(int piece, ReadCache::Part part) const;
  // Some rows of a row group: reads only the pages that hold them. `fields` and `schema` as in
  // RowGroupReader::Read.
  Result<std::shared_ptr<arrow::RecordBatch>> ReadRows(
      int group, std::int64_t first_row, std::int64_t rows, const std::vector<int>& fields,
      const std::shared_ptr<arrow::Schema>& schema) const;

  // False when a bloom filter says that no row of the group has this key. Of bytes that are no key
  // of this table it may say anything.
  Result<bool> MayContain(int group, std::string_view key) const;

  const std::shared_ptr<CheckedFile>& file() const { return file_; }
  const std::shared_ptr<parquet::FileMetaData>& metadata() const { return metadata_; }
  const FileCipher* cipher() const { return cipher_.get(); }  // null: not encrypted
  // Leaf columns of fields, those first that take the longest to decode: Arrow decodes columns at
  // once, in this order, and what is begun last should be short.
  std::vector<int> LeavesByWork(int group, const std::vector<int>& fields) const;
  const std::vector<int>& leaves_of(int field) const {
    return leaves_[static_cast<std::size_t>(field)];
  }
  FileLife* life() const { return life_.get(); }

 private:
  friend class RowGroupReader;
  RunFile() = default;
  Status ReadFooter(const std::shared_ptr<arrow::Buffer>& tail, RunFooter* footer);
  Status NoteFilters(const RunFooter& footer);
  Status CheckFooter(const RunFooter& footer) const;
  Status CheckLayout() const;
  arrow::Status CheckGroups() const;
  Status CutIntoPieces(RunFooter* footer);
  std::uint64_t CountMemory(std::uint64_t tail_bytes, const RunFooter& footer) const;
  std::uint64_t IdleReaderBytes() const;
  Result<CachedPiece> DecodePiece(const Piece& piece, ReadCache::Part part) const;
  arrow::Result<bool> MayHaveValues(int group, const arrow::RecordBatch& key) const;

  RunObject object_;
  std::string where_;
  std::shared_ptr<const TableSchema> schema_;
  std::shared_ptr<arrow::Schema> columns_;
  std::shared_ptr<parquet::FileMetaData> metadata_;
  std::shared_ptr<const FileCipher> cipher_;  // null: not encrypted
  std::vector<std::pair<std::int64_t, std::int64_t>> key_filters_;  // by row group: where, bytes
  std::shared_ptr<CheckedFile> file_;
  std::vector<std::vector<int>> leaves_;  // leaf columns of each top-level field
  std::vector<int> key_fields_;
  std::vector<std::string> first_keys_;
  std::vector<Piece> pieces_;
  std::vector<std::string> piece_keys_;
  std::shared_ptr<FileLife> life_;
  std::uint64_t open_bytes_ = 0;
  mutable std::atomic<std::uint64_t> idle_bytes_ = 0;  // of idle_readers_
  mutable std::mutex readers_mutex_;
  mutable Booking booking_;  // of memory_bytes; guarded by readers_mutex_
  mutable std::vector<std::unique_ptr<RowRangeReader>> idle_readers_;  // guarded by readers_mutex_
};

}  // namespace varve
