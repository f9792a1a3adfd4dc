// SPDX-License-Identifier: Apache-2.0
// The next row groups of an object, read by a task while a cursor goes through the one before.
//
// One task at a time, which reads one group after the other: reading is work of Arrow's threads,
// and a task only waits for it. Nobody waits for a task that has not begun.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "run/run_file.h"
#include "varve/error.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

class Executor;

// For one caller at a time.
class GroupAhead {
 public:
  using Batch = std::shared_ptr<arrow::RecordBatch>;
  static constexpr std::size_t kGroupsMax = 2;  // that are asked for at once

  // `fields` and `schema` as for RowGroupReader::Read.
  GroupAhead(std::shared_ptr<const RunFile> file, std::vector<int> fields,
             std::shared_ptr<arrow::Schema> schema, Executor* executor,
             MemoryHolder holder = MemoryHolder::kReads);
  GroupAhead(const GroupAhead&) = delete;
  GroupAhead& operator=(const GroupAhead&) = delete;
  ~GroupAhead();  // waits for a task that reads at this moment

  // Asks for row groups, at most kGroupsMax, in the order in which they will be taken. Those that
  // were asked for already are not asked for again, others are forgotten.
  void Ask(std::span<const int> groups);
  // What a task read of it, waiting for one that reads it at this moment. Nothing when none has
  // begun to, or it was not asked for: then the caller reads.
  std::optional<Result<Batch>> Take(int group);

 private:
  struct State;
  const std::shared_ptr<State> state_;  // with the task, which may come late
  Executor* const executor_;
};

}  // namespace varve
