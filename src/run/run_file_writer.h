// SPDX-License-Identifier: Apache-2.0
// RunFileWriter: one Parquet object of a run, row group by row group.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "columns/table_schema.h"
#include "files/object_store.h"
#include "run/run_footer.h"
#include "run/run_meta.h"
#include "varve/error.h"

namespace varve {

class FileCipher;
class GroupEncoder;
class ObjectSink;

struct RunTarget;

class RunFileWriter {
 public:
  // `columns` are the object's, without the commit column; the table's key columns among them.
  // `schema` outlives the writer. `group_rows`: of the first row group; others are about as large.
  static Result<std::unique_ptr<RunFileWriter>> Open(
      ObjectStore* store, const std::string& name, const std::shared_ptr<arrow::Schema>& columns,
      const TableSchema& schema, const RunTarget& target, std::int64_t group_rows);
  ~RunFileWriter();

  // `rows` in order, as many as there are commits. `key_hashes`: KeyHash of each row's key, when
  // the target is encrypted.
  Status WriteRowGroup(std::shared_ptr<arrow::RecordBatch> rows,
                       const std::vector<std::uint64_t>& commits, std::string first_key,
                       const std::vector<std::uint64_t>& key_hashes);
  // Publishes the object. Without it nothing is left.
  Result<RunObject> Finish();

 private:
  RunFileWriter() = default;
  Status NotePieces(const arrow::RecordBatch& rows);
  Status WriteFilters();

  const TableSchema* schema_ = nullptr;
  std::vector<int> key_fields_;
  std::int64_t piece_rows_max_ = 0;
  std::uint64_t piece_bytes_ = 0;
  std::string name_;
  std::shared_ptr<arrow::Schema> file_schema_;  // as Parquet has it, commit column included
  std::shared_ptr<ObjectSink> sink_;            // outlives the writer, which closes it
  std::unique_ptr<GroupEncoder> encoder_;
  std::string file_key_;                      // empty: not encrypted, and then the next are too
  std::shared_ptr<const FileCipher> cipher_;
  std::vector<std::string> key_filters_;      // of each row group
  RunFooter footer_;
  std::uint64_t rows_ = 0;
};

// The columns of an object as its Parquet file has them: with the commit column at the end.
std::shared_ptr<arrow::Schema> WithCommitColumn(const arrow::Schema& columns);

}  // namespace varve
