// SPDX-License-Identifier: Apache-2.0
#include "run/run.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "run/merge.h"
#include "run/run_cursor.h"
#include "run/run_opened.h"
#include "run/window_cursor.h"

namespace varve {

Run::~Run() = default;

Result<std::shared_ptr<const Run>> Run::Open(ObjectStore* store,
                                             std::shared_ptr<const TableSchema> schema,
                                             RunMeta meta, std::shared_ptr<ReadCache> cache) {
  std::shared_ptr<Run> run(new Run());
  run->schema_ = std::move(schema);
  run->meta_ = std::move(meta);
  run->opened_ = std::make_unique<Opened>();
  run->opened_->store = store;
  const RunMeta& known = run->meta_;
  if (!known.data.name.empty()) {
    VARVE_ASSIGN(run->opened_->data,
                 RunFile::Open(store, known.data, run->schema_, run->schema_->schema(), cache));
  }
  if (!known.deletes.name.empty()) {
    VARVE_ASSIGN(run->opened_->deletes,
                 RunFile::Open(store, known.deletes, run->schema_, run->schema_->key_schema(),
                               cache));
  }
  return run;
}

std::unique_ptr<VersionCursor> Run::NewCursor(const std::vector<int>& columns,
                                              const KeyBounds& bounds,
                                              const std::vector<bool>* left_out) const {
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  if (opened_->data != nullptr) {
    cursors.push_back(std::make_unique<RunCursor>(opened_->data, meta_, RowKind::kUpsert, columns,
                                                  bounds, left_out));
  }
  if (opened_->deletes != nullptr) {
    cursors.push_back(std::make_unique<RunCursor>(opened_->deletes, meta_, RowKind::kDelete,
                                                  std::vector<int>(), bounds));
  }
  return MergeVersions(std::move(cursors));
}

std::unique_ptr<VersionCursor> Run::NewCursor(const std::vector<int>& columns,
                                              const KeyBounds& bounds,
                                              const CommitWindow& window) const {
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  if (opened_->data != nullptr) {
    cursors.push_back(
        std::make_unique<WindowCursor>(opened_->data, RowKind::kUpsert, columns, bounds, window));
  }
  if (opened_->deletes != nullptr) {
    cursors.push_back(std::make_unique<WindowCursor>(opened_->deletes, RowKind::kDelete,
                                                     std::vector<int>(), bounds, window));
  }
  return MergeVersions(std::move(cursors));
}

Status Run::CountCommits(const CommitWindow& window, const CountCommit& count) const {
  for (const auto& file : {opened_->data, opened_->deletes}) {
    if (file != nullptr) VARVE_TRY(varve::CountCommits(*file, window, count));
  }
  return {};
}

namespace {

void AddToPlan(const RunFile& file, const RunMeta& meta, std::vector<int> fields,
               const KeyBounds& bounds, const std::vector<bool>* left_out, Run::Plan* plan) {
  const int begin = file.FirstGroup(bounds.lower, meta.distinct_keys);
  const int end = bounds.upper ? file.EndGroup(*bounds.upper) : file.row_groups();
  plan->row_groups += static_cast<std::uint32_t>(file.row_groups());
  if (!meta.distinct_keys) fields.push_back(file.commit_field());
  for (const int field : file.key_fields()) {
    if (std::ranges::find(fields, field) == fields.end()) fields.push_back(field);
  }
  for (int group = begin; group < end; ++group) {
    if (left_out != nullptr && (*left_out)[static_cast<std::size_t>(group)]) {
      ++plan->row_groups_left_out;
      continue;
    }
    ++plan->row_groups_read;
    plan->bytes_read += file.bytes_of(group, fields);
  }
}

}  // namespace

Run::Plan Run::Explain(const std::vector<int>& columns, const KeyBounds& bounds,
                       const std::vector<bool>* left_out) const {
  Plan plan;
  if (opened_->data != nullptr) AddToPlan(*opened_->data, meta_, columns, bounds, left_out, &plan);
  if (opened_->deletes != nullptr) AddToPlan(*opened_->deletes, meta_, {}, bounds, nullptr, &plan);
  return plan;
}

std::optional<Run::ValueRange> Run::ValuesOf(int group, int column) const {
  return opened_->data == nullptr ? std::nullopt : opened_->data->ValuesOf(group, column);
}

const std::vector<std::string>& Run::row_group_keys() const {
  static const std::vector<std::string> kNone;
  return opened_->data == nullptr ? kNone : opened_->data->first_keys();
}

std::uint64_t Run::row_groups_read() const {
  std::uint64_t count = 0;
  if (opened_->data != nullptr) count += opened_->data->row_groups_read();
  if (opened_->deletes != nullptr) count += opened_->deletes->row_groups_read();
  return count;
}

std::uint64_t Run::bloom_rejections() const {
  return opened_->bloom_rejections.load(std::memory_order_relaxed);
}

}  // namespace varve
