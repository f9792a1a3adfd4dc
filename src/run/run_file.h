// SPDX-License-Identifier: Apache-2.0
// RunFile: one open Parquet object of a run. Its footer is read and checked once; row groups are
// read through RowGroupReaders, of which each cursor has its own (Parquet's reader keeps state).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "columns/table_schema.h"
#include "files/object_store.h"
#include "run/checked_file.h"
#include "run/run_footer.h"
#include "run/run_meta.h"
#include "varve/error.h"

namespace arrow {
class Table;
}  // namespace arrow
namespace parquet {
class FileMetaData;
}  // namespace parquet
namespace parquet::arrow {
class FileReader;
}  // namespace parquet::arrow

namespace varve {

class RunFile;

// Reads row groups of one file. Not thread-safe; keeps the file.
class RowGroupReader {
 public:
  // The top-level fields at `fields` (the commit column is the last field) of a row group, in this
  // order, as `schema` has them.
  Result<std::shared_ptr<arrow::RecordBatch>> Read(int group, const std::vector<int>& fields,
                                                   const std::shared_ptr<arrow::Schema>& schema);
  RowGroupReader(std::shared_ptr<const RunFile> file,
                 std::unique_ptr<parquet::arrow::FileReader> reader);
  ~RowGroupReader();

 private:
  const std::shared_ptr<const RunFile> file_;
  const std::unique_ptr<parquet::arrow::FileReader> reader_;
};

class RunFile : public std::enable_shared_from_this<RunFile> {
 public:
  // `columns` are the object's columns without the commit column. Corruption when the object is
  // missing, or its size, tail or footer is not what `object` says.
  static Result<std::shared_ptr<const RunFile>> Open(ObjectStore* store, const RunObject& object,
                                                     std::shared_ptr<const TableSchema> schema,
                                                     std::shared_ptr<arrow::Schema> columns);
  ~RunFile();

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
  std::uint64_t bytes_of(int group, const std::vector<int>& fields) const;  // compressed
  std::uint64_t offset_of(int group) const;

  // The first row group that can hold `key` or a greater one, when `distinct` says that no key has
  // two versions. Versions of one key may begin at the end of the group before.
  int FirstGroup(std::string_view key, bool distinct) const;
  // The first row group that cannot hold a key below `key`.
  int EndGroup(std::string_view key) const;

  Result<std::unique_ptr<RowGroupReader>> NewReader() const;
  // False when a bloom filter says that no row of the group has this key: `key` as a one-row batch
  // of the key columns.
  Result<bool> MayContain(int group, const arrow::RecordBatch& key) const;

  const std::shared_ptr<CheckedFile>& file() const { return file_; }
  // Row groups that were read in whole or part, each once a cursor or lookup.
  void CountRowGroupRead() const { row_groups_read_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t row_groups_read() const {
    return row_groups_read_.load(std::memory_order_relaxed);
  }

 private:
  friend class RowGroupReader;
  RunFile() = default;
  Status ReadFooter(const arrow::Buffer& tail, RunFooter* footer);
  Status CheckFooter(const RunFooter& footer) const;
  Status CheckLayout() const;

  RunObject object_;
  std::string where_;
  std::shared_ptr<const TableSchema> schema_;
  std::shared_ptr<arrow::Schema> columns_;
  std::shared_ptr<parquet::FileMetaData> metadata_;
  std::shared_ptr<CheckedFile> file_;
  std::vector<std::vector<int>> leaves_;  // leaf columns of each top-level field
  std::vector<int> key_fields_;
  std::vector<std::string> first_keys_;
  mutable std::atomic<std::uint64_t> row_groups_read_ = 0;
};

}  // namespace varve
