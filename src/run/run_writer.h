// SPDX-License-Identifier: Apache-2.0
// RunWriter: makes a run out of sorted versions.
//
// Data and deletes stream into one Parquet object each: zstd, row groups of kRowGroupRows, page
// checksums, page index, a bloom filter on each key column that can have one, sorting columns where
// Parquet's order agrees, the table's Arrow schema, and in the footer the encoded first keys of row
// groups and their pieces and the block checksums. Most pages end where a piece does. Memory is
// bounded by a row group, which has at most kRowGroupRows rows, and at most kRowGroupBytesMax bytes
// or one row.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "columns/table_schema.h"
#include "columns/version_cursor.h"
#include "files/object_store.h"
#include "run/run_memory.h"
#include "run/run_meta.h"
#include "varve/error.h"

namespace varve {

inline constexpr std::int64_t kRowGroupRows = 65536;
inline constexpr std::uint64_t kRowGroupBytesMax = 64ull << 20;  // in memory

// A piece of a row group, which is what lookups read and keep: at most so many rows, which are a
// page of most columns, or as many as take about so much memory.
inline constexpr std::int64_t kPieceRowsMax = 4096;
inline constexpr std::uint64_t kPieceBytes = 1ull << 20;

struct RunTarget {
  std::uint64_t id = 0;
  std::uint32_t table_id = 0;
  std::uint32_t schema_id = 0;
  std::uint32_t level = 0;
  std::string data_name;     // object names
  std::string deletes_name;
  bool encrypted = false;    // each object under a new data key of its own (RunObject::file_key)
  std::int64_t row_group_rows = kRowGroupRows;            // smaller in tests
  std::uint64_t row_group_bytes_max = kRowGroupBytesMax;  // smaller in tests
  std::int64_t piece_rows_max = kPieceRowsMax;            // smaller in tests
  // Rows that come from more batches than so many are copied, and the batches let go of: else each
  // is held until its row group is written, however few rows it gave. 0: as many as there are.
  std::size_t batches_max = 0;
  std::uint64_t piece_bytes = kPieceBytes;
  std::shared_ptr<const RunMemory> memory = nullptr;      // null: nobody counts
  MemoryHolder holder = MemoryHolder::kFlush;             // who writes it
};

// Not thread-safe. Without Finish nothing is left under the names.
class RunWriter {
 public:
  // All three must outlive it.
  RunWriter(ObjectStore* store, const TableSchema& schema, const RunTarget& target);
  ~RunWriter();

  // The cursor's version, with all of the table's columns; key ascending, commit descending. An
  // error is final.
  Status Add(const VersionCursor& version);
  bool empty() const { return empty_; }
  // About what the rows, and the keys of the deletes, that were added take in memory.
  std::uint64_t bytes() const { return bytes_; }
  // Needs a version. The objects are durable on return. Nothing is left under the names after an
  // error; if even that fails, the message says what is left.
  Result<RunMeta> Finish();

 private:
  class DataPart;
  class DeletesPart;
  void Note(const VersionCursor& version);

  ObjectStore* const store_;
  const RunTarget& target_;
  std::unique_ptr<DataPart> data_;
  std::unique_ptr<DeletesPart> deletes_;
  RunMeta meta_;
  bool empty_ = true;
  std::uint64_t bytes_ = 0;
};

// Writes every version of `source`, a fresh cursor. One without versions is an error (Invalid).
Result<RunMeta> WriteRun(ObjectStore* store, const TableSchema& schema, VersionCursor* source,
                         const RunTarget& target);

}  // namespace varve
