// SPDX-License-Identifier: Apache-2.0
#include "run/run.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "run/column_map.h"
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
  const auto opened = std::make_shared<Opened>();
  run->opened_ = opened;
  opened->store = store;
  opened->schema = run->schema_;
  const RunMeta& known = run->meta_;
  if (!known.data.name.empty()) {
    VARVE_ASSIGN(opened->data,
                 RunFile::Open(store, known.data, run->schema_, run->schema_->schema(), cache));
  }
  if (!known.deletes.name.empty()) {
    VARVE_ASSIGN(opened->deletes,
                 RunFile::Open(store, known.deletes, run->schema_, run->schema_->key_schema(),
                               cache));
  }
  return run;
}

std::shared_ptr<const Run> Run::Under(const std::shared_ptr<const Run>& run,
                                      const std::shared_ptr<const TableSchema>& schema) {
  if (run->schema_ == schema) return run;
  std::shared_ptr<Run> shown(new Run());
  shown->schema_ = schema;
  shown->meta_ = run->meta_;
  shown->opened_ = run->opened_;
  if (run->opened_->schema != schema) {
    shown->map_ = std::make_shared<const ColumnMap>(*run->opened_->schema, schema);
  }
  return shown;
}

std::shared_ptr<const Run> Run::With(const std::shared_ptr<const Run>& run, const RunMeta& meta) {
  VARVE_CHECK(meta.id == run->meta_.id);
  std::shared_ptr<Run> changed(new Run());
  changed->schema_ = run->schema_;
  changed->meta_ = meta;
  changed->opened_ = run->opened_;
  changed->map_ = run->map_;
  return changed;
}

// What `make` gives of the run's own columns, with the columns asked for.
template <typename Make>
std::unique_ptr<VersionCursor> Run::Shown(const std::vector<int>& columns, const Make& make) const {
  if (map_ == nullptr) return make(columns);
  auto selection = map_->Select(columns);
  auto own = make(selection.read);
  return ShowUnder(std::move(own), map_, std::move(selection));
}

std::unique_ptr<VersionCursor> Run::NewCursor(const std::vector<int>& columns,
                                              const KeyBounds& bounds,
                                              const std::vector<bool>* left_out,
                                              Executor* executor) const {
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  if (opened_->data != nullptr) {
    cursors.push_back(Shown(columns, [&](const std::vector<int>& own) {
      return std::make_unique<RunCursor>(opened_->data, meta_, RowKind::kUpsert, own, bounds,
                                         left_out, executor);
    }));
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
    cursors.push_back(Shown(columns, [&](const std::vector<int>& own) {
      return std::make_unique<WindowCursor>(opened_->data, RowKind::kUpsert, own, bounds, window);
    }));
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
  if (opened_->data != nullptr) {
    const auto own = map_ == nullptr ? columns : map_->Select(columns).read;
    AddToPlan(*opened_->data, meta_, own, bounds, left_out, &plan);
  }
  if (opened_->deletes != nullptr) AddToPlan(*opened_->deletes, meta_, {}, bounds, nullptr, &plan);
  return plan;
}

Run::Groups Run::CountGroups(const KeyBounds& bounds, const std::vector<bool>* left_out) const {
  Groups groups;
  const auto add = [&](const RunFile& file, const std::vector<bool>* out) {
    const int begin = file.FirstGroup(bounds.lower, meta_.distinct_keys);
    const int end =
        std::max(begin, bounds.upper ? file.EndGroup(*bounds.upper) : file.row_groups());
    groups.all += static_cast<std::uint64_t>(file.row_groups());
    groups.within += static_cast<std::uint64_t>(end - begin);
    if (out != nullptr) {
      groups.left_out +=
          static_cast<std::uint64_t>(std::count(out->begin() + begin, out->begin() + end, true));
    }
  };
  if (opened_->data != nullptr) add(*opened_->data, left_out);
  if (opened_->deletes != nullptr) add(*opened_->deletes, nullptr);
  return groups;
}

namespace {

// Of rows that lack the column: all show its default.
std::optional<Run::ValueRange> RangeOfDefault(const ColumnMap& map, int column) {
  const auto& value = map.DefaultOf(column);
  if (value == nullptr) return Run::ValueRange{.min = nullptr, .max = nullptr, .has_nulls = true};
  const auto scalar = value->GetScalar(0);
  if (!scalar.ok()) return std::nullopt;
  return Run::ValueRange{.min = *scalar, .max = *scalar, .has_nulls = false};
}

// A wider type keeps the order.
std::optional<Run::ValueRange> Widen(const Run::ValueRange& range,
                                     const std::shared_ptr<arrow::DataType>& type) {
  if (range.min == nullptr) return range;
  const auto min = range.min->CastTo(type), max = range.max->CastTo(type);
  if (!min.ok() || !max.ok()) return std::nullopt;
  return Run::ValueRange{.min = *min, .max = *max, .has_nulls = range.has_nulls};
}

}  // namespace

std::optional<Run::ValueRange> Run::ValuesOf(int group, int column) const {
  if (opened_->data == nullptr) return std::nullopt;
  if (map_ == nullptr) return opened_->data->ValuesOf(group, column);
  if (map_->SourceOf(column) < 0) return RangeOfDefault(*map_, column);
  const auto own = opened_->data->ValuesOf(group, map_->SourceOf(column));
  return own ? Widen(*own, map_->TypeOf(column)) : std::nullopt;
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
