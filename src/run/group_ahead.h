// SPDX-License-Identifier: Apache-2.0
// The next row group of an object, read by a task while a cursor goes through the one before.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/ahead.h"
#include "run/run_file.h"
#include "varve/error.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

class GroupAhead {
 public:
  using Batch = std::shared_ptr<arrow::RecordBatch>;

  // `fields` and `schema` as for RowGroupReader::Read.
  GroupAhead(std::shared_ptr<const RunFile> file, std::vector<int> fields,
             std::shared_ptr<arrow::Schema> schema, Executor* executor);

  // Asks for a row group; nothing happens while one is asked for that nobody took.
  void Ask(int group);
  // What the task read of it, waiting for one that reads at this moment. Nothing when no task has
  // begun to, or another group was asked for: then the caller reads, and the next Ask asks anew.
  std::optional<Result<Batch>> Take(int group);

 private:
  Result<Batch> Read(int group);

  const std::shared_ptr<const RunFile> file_;
  const std::vector<int> fields_;
  const std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<RowGroupReader> reader_;  // of the task; null before the first
  int asked_ = -1;
  Ahead<Batch> ahead_;  // the last member: its task uses the others
};

}  // namespace varve
