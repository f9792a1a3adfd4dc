// SPDX-License-Identifier: Apache-2.0
// Rows of a scan that does not care for their order: the key range is cut into parts, each with a
// merge of its own, which tasks of the executor read ahead while the caller consumes.
//
// A part holds at most kBatchesAhead batches that nobody took; its task ends then, and is asked for
// again when there is room, so a slow consumer keeps no thread. Who finds nothing to take reads a
// part that no task has at the moment: without an executor, or when its threads are busy, the scan
// goes on in the caller's thread alone.
#pragma once

#include <cstdint>
#include <memory>

#include "view/scan_plan.h"
#include "view/scan_source.h"

namespace varve {

class Executor;

class ParallelRows final : public ScanSourceRows {
 public:
  // `table` must outlive it; a null executor: no other threads.
  static Result<std::unique_ptr<ParallelRows>> Open(const TableView& table,
                                                    const ScanRecipe& recipe, std::uint64_t as_of,
                                                    std::int64_t batch_rows_max,
                                                    Executor* executor);
  // Waits for tasks that read at this moment; those that have not begun find nothing to do.
  ~ParallelRows() override;
  Result<std::shared_ptr<arrow::RecordBatch>> Next(std::int64_t rows_wanted) override;

 private:
  struct Part;
  struct State;
  explicit ParallelRows(std::shared_ptr<State> state) : state_(std::move(state)) {}
  const std::shared_ptr<State> state_;
};

}  // namespace varve
