// SPDX-License-Identifier: Apache-2.0
#include "run/open_run.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "run/column_map.h"
#include "run/merge.h"
#include "run/run_cursor.h"
#include "run/run_file.h"
#include "run/window_cursor.h"

namespace varve {

// What `make` gives of the run's own columns, with the columns asked for.
template <typename Make>
std::unique_ptr<VersionCursor> OpenRun::Shown(const std::vector<int>& columns,
                                              const Make& make) const {
  if (map() == nullptr) return make(columns);
  auto selection = map()->Select(columns);
  auto own = make(selection.read);
  return ShowUnder(std::move(own), run_->map_, std::move(selection));
}

std::unique_ptr<VersionCursor> OpenRun::NewCursor(const std::vector<int>& columns,
                                                  const KeyBounds& bounds,
                                                  const std::vector<bool>* left_out,
                                                  Executor* executor, MemoryHolder holder) const {
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  if (tails_->data != nullptr) {
    cursors.push_back(Shown(columns, [&](const std::vector<int>& own) {
      return std::make_unique<RunCursor>(tails_->data, meta(), RowKind::kUpsert, own, bounds,
                                         left_out, executor, holder);
    }));
  }
  if (tails_->deletes != nullptr) {
    cursors.push_back(std::make_unique<RunCursor>(tails_->deletes, meta(), RowKind::kDelete,
                                                  std::vector<int>(), bounds, nullptr, nullptr,
                                                  holder));
  }
  return MergeVersions(std::move(cursors));
}

std::unique_ptr<VersionCursor> OpenRun::NewCursor(const std::vector<int>& columns,
                                                  const KeyBounds& bounds,
                                                  const CommitWindow& window) const {
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  if (tails_->data != nullptr) {
    cursors.push_back(Shown(columns, [&](const std::vector<int>& own) {
      return std::make_unique<WindowCursor>(tails_->data, RowKind::kUpsert, own, bounds, window);
    }));
  }
  if (tails_->deletes != nullptr) {
    cursors.push_back(std::make_unique<WindowCursor>(tails_->deletes, RowKind::kDelete,
                                                     std::vector<int>(), bounds, window));
  }
  return MergeVersions(std::move(cursors));
}

Status OpenRun::CountCommits(const CommitWindow& window, const CountCommit& count) const {
  for (const auto& file : {tails_->data, tails_->deletes}) {
    if (file != nullptr) VARVE_TRY(varve::CountCommits(*file, window, count));
  }
  return {};
}

namespace {

void AddToPlan(const RunFile& file, const RunMeta& meta, std::vector<int> fields,
               const KeyBounds& bounds, const std::vector<bool>* left_out, OpenRun::Plan* plan) {
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

OpenRun::Plan OpenRun::Explain(const std::vector<int>& columns, const KeyBounds& bounds,
                       const std::vector<bool>* left_out) const {
  Plan plan;
  if (tails_->data != nullptr) {
    const auto own = map() == nullptr ? columns : map()->Select(columns).read;
    AddToPlan(*tails_->data, meta(), own, bounds, left_out, &plan);
  }
  if (tails_->deletes != nullptr) AddToPlan(*tails_->deletes, meta(), {}, bounds, nullptr, &plan);
  return plan;
}

OpenRun::Groups OpenRun::CountGroups(const KeyBounds& bounds,
                                     const std::vector<bool>* left_out) const {
  Groups groups;
  const auto add = [&](const RunFile& file, const std::vector<bool>* out) {
    const int begin = file.FirstGroup(bounds.lower, meta().distinct_keys);
    const int end =
        std::max(begin, bounds.upper ? file.EndGroup(*bounds.upper) : file.row_groups());
    groups.all += static_cast<std::uint64_t>(file.row_groups());
    groups.within += static_cast<std::uint64_t>(end - begin);
    if (out != nullptr) {
      groups.left_out +=
          static_cast<std::uint64_t>(std::count(out->begin() + begin, out->begin() + end, true));
    }
  };
  if (tails_->data != nullptr) add(*tails_->data, left_out);
  if (tails_->deletes != nullptr) add(*tails_->deletes, nullptr);
  return groups;
}

namespace {

// Of rows that lack the column: all show its default.
std::optional<OpenRun::ValueRange> RangeOfDefault(const ColumnMap& map, int column) {
  const auto& value = map.DefaultOf(column);
  if (value == nullptr) {
    return OpenRun::ValueRange{.min = nullptr, .max = nullptr, .has_nulls = true};
  }
  const auto scalar = value->GetScalar(0);
  if (!scalar.ok()) return std::nullopt;
  return OpenRun::ValueRange{.min = *scalar, .max = *scalar, .has_nulls = false};
}

// A wider type keeps the order.
std::optional<OpenRun::ValueRange> Widen(const OpenRun::ValueRange& range,
                                     const std::shared_ptr<arrow::DataType>& type) {
  if (range.min == nullptr) return range;
  const auto min = range.min->CastTo(type), max = range.max->CastTo(type);
  if (!min.ok() || !max.ok()) return std::nullopt;
  return OpenRun::ValueRange{.min = *min, .max = *max, .has_nulls = range.has_nulls};
}

}  // namespace

std::optional<OpenRun::ValueRange> OpenRun::ValuesOf(int group, int column) const {
  if (tails_->data == nullptr) return std::nullopt;
  if (map() == nullptr) return tails_->data->ValuesOf(group, column);
  if (map()->SourceOf(column) < 0) return RangeOfDefault(*map(), column);
  const auto own = tails_->data->ValuesOf(group, map()->SourceOf(column));
  return own ? Widen(*own, map()->TypeOf(column)) : std::nullopt;
}

const std::vector<std::string>& OpenRun::row_group_keys() const {
  static const std::vector<std::string> kNone;
  return tails_->data == nullptr ? kNone : tails_->data->first_keys();
}

}  // namespace varve
