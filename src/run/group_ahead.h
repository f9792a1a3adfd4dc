// SPDX-License-Identifier: Apache-2.0
// The next row group of an object, read by a task while a cursor goes through the one before.
//
// Nobody waits for a task that has not begun: whoever wants its row group takes it back and reads
// it. So a busy executor, or one that runs nothing, costs no time.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "run/run_file.h"
#include "varve/error.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

class Executor;

class GroupAhead {
 public:
  using Batch = std::shared_ptr<arrow::RecordBatch>;

  // `fields` and `schema` as for RowGroupReader::Read.
  GroupAhead(std::shared_ptr<const RunFile> file, std::vector<int> fields,
             std::shared_ptr<arrow::Schema> schema, Executor* executor);
  // Waits for a task that reads at this moment; one that has not begun finds nothing to do.
  ~GroupAhead();

  // Asks for a row group; nothing happens while one is asked for that nobody took.
  void Ask(int group);
  // What the task read of it, waiting for one that reads at this moment. Nothing when no task has
  // begun to, or another group was asked for: then the caller reads, and the next Ask asks anew.
  std::optional<Result<Batch>> Take(int group);

 private:
  struct State;
  Executor* const executor_;
  const std::shared_ptr<State> state_;  // shared with the task, which may come later
};

}  // namespace varve
