// SPDX-License-Identifier: Apache-2.0
#include "run/group_ahead.h"

#include <arrow/record_batch.h>

#include <utility>

#include "base/result.h"

namespace varve {

GroupAhead::GroupAhead(std::shared_ptr<const RunFile> file, std::vector<int> fields,
                       std::shared_ptr<arrow::Schema> schema, Executor* executor)
    : file_(std::move(file)),
      fields_(std::move(fields)),
      schema_(std::move(schema)),
      ahead_(executor) {}

Result<GroupAhead::Batch> GroupAhead::Read(int group) {
  if (reader_ == nullptr) {
    VARVE_ASSIGN(reader_, file_->NewReader());
  }
  file_->CountRowGroupRead();
  return reader_->Read(group, fields_, schema_);
}

void GroupAhead::Ask(int group) {
  if (ahead_.Ask([this, group] { return Read(group); })) asked_ = group;
}

std::optional<Result<GroupAhead::Batch>> GroupAhead::Take(int group) {
  auto read = ahead_.Take();
  if (asked_ != group) return {};
  return read;
}

}  // namespace varve
