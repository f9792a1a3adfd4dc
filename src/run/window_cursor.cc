// SPDX-License-Identifier: Apache-2.0
#include "run/window_cursor.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "columns/gather.h"
#include "run/run_file_writer.h"

namespace varve {
namespace {

// From this part of a row group on, all of it is read: its columns are then decoded in parallel.
constexpr std::int64_t kWholeGroupPart = 4;

Result<std::shared_ptr<arrow::RecordBatch>> ReadCommits(const RunFile& file, RowGroupReader* reader,
                                                        int group) {
  return reader->Read(group, {file.commit_field()},
                      WithCommitColumn(*arrow::schema(arrow::FieldVector())));
}

std::uint64_t CommitAt(const arrow::RecordBatch& commits, std::int64_t row) {
  return static_cast<std::uint64_t>(
      static_cast<const arrow::Int64Array&>(*commits.column(0)).Value(row));
}

std::shared_ptr<arrow::RecordBatch> FirstColumns(const arrow::RecordBatch& batch,
                                                 std::size_t count) {
  const auto& fields = batch.schema()->fields();
  const auto columns = batch.columns();
  const auto end = static_cast<std::ptrdiff_t>(count);
  return arrow::RecordBatch::Make(
      arrow::schema(arrow::FieldVector(fields.begin(), fields.begin() + end)), batch.num_rows(),
      arrow::ArrayVector(columns.begin(), columns.begin() + end));
}

// The first of the keys, which ascend, that is not below `bound`.
std::int64_t FirstAtLeast(const EncodedKeys& keys, std::string_view bound) {
  const auto rows = std::views::iota(std::int64_t{0}, keys.size());
  return *std::ranges::partition_point(rows, [&](std::int64_t row) { return keys[row] < bound; });
}

}  // namespace

bool MayHold(const RunFile& file, int group, const CommitWindow& window) {
  const auto commits = file.CommitsOf(group);
  return !commits || window.Overlaps(commits->first, commits->second);
}

Status CountCommits(const RunFile& file, const CommitWindow& window, const CountCommit& count) {
  std::unique_ptr<RowGroupReader> reader;
  for (int group = 0; group < file.row_groups(); ++group) {
    if (!MayHold(file, group, window)) continue;
    if (reader == nullptr) {
      VARVE_ASSIGN(reader, file.NewReader());
    }
    VARVE_ASSIGN(const auto commits, ReadCommits(file, reader.get(), group));
    for (std::int64_t row = 0; row < commits->num_rows(); ++row) {
      const std::uint64_t commit = CommitAt(*commits, row);
      if (window.Contains(commit)) count(commit, 1);
    }
  }
  return {};
}

WindowCursor::WindowCursor(std::shared_ptr<const RunFile> file, RowKind kind,
                           std::vector<int> columns, KeyBounds bounds, CommitWindow window)
    : file_(std::move(file)),
      kind_(kind),
      columns_(std::move(columns)),
      bounds_(std::move(bounds)),
      window_(window),
      fields_(columns_) {
  for (const int field : file_->key_fields()) {
    const auto at = std::ranges::find(fields_, field);
    key_places_.push_back(static_cast<int>(at - fields_.begin()));
    if (at == fields_.end()) fields_.push_back(field);
  }
  arrow::FieldVector fields;
  for (const int field : fields_) fields.push_back(file_->columns()->field(field));
  fields_schema_ = arrow::schema(std::move(fields));
}

Status WindowCursor::Next() {
  if (reader_ == nullptr) {
    VARVE_ASSIGN(reader_, file_->NewReader());
    // Nothing is known of keys that repeat, so the group before may hold some of the first.
    next_group_ = file_->FirstGroup(bounds_.lower, false);
    end_group_ = bounds_.upper ? file_->EndGroup(*bounds_.upper) : file_->row_groups();
    return Enter();
  }
  if (!valid() || ++row_ < end_row_) return {};
  return Enter();
}

// Versions of a window are few, and whoever looks for a key in them reads most of them anyway.
Status WindowCursor::Seek(std::string_view target) {
  if (reader_ == nullptr) VARVE_TRY(Next());
  while (valid() && key() < target) VARVE_TRY(Next());
  return {};
}

Status WindowCursor::Skip(std::int64_t count) {
  VARVE_CHECK(count == 0);  // never more than PlainRows
  return {};
}

Status WindowCursor::Enter() {
  for (Leave(); next_group_ < end_group_;) {
    const int group = next_group_++;
    if (!MayHold(*file_, group, window_)) continue;
    if (auto status = Load(group); !status) {
      Leave();
      next_group_ = end_group_;
      return status;
    }
    if (valid()) return {};
  }
  Leave();
  return {};
}

void WindowCursor::Leave() {
  row_ = end_row_ = 0;
  keys_ = EncodedKeys();
  commits_.clear();
  values_.reset();
}

Status WindowCursor::Load(int group) {
  Leave();
  file_->life()->CountRowGroupRead();
  VARVE_ASSIGN(const auto commits, ReadCommits(*file_, reader_.get(), group));
  std::vector<std::int64_t> found;
  for (std::int64_t row = 0; row < commits->num_rows(); ++row) {
    const std::uint64_t commit = CommitAt(*commits, row);
    if (!window_.Contains(commit)) continue;
    found.push_back(row);
    commits_.push_back(commit);
  }
  if (found.empty()) return {};
  VARVE_ASSIGN(const auto rows, ReadFound(group, found));
  VARVE_ASSIGN(keys_, file_->schema()->key_codec().Encode(*rows, key_places_, 0, rows->num_rows()));
  row_ = FirstAtLeast(keys_, bounds_.lower);
  end_row_ = bounds_.upper ? FirstAtLeast(keys_, *bounds_.upper) : keys_.size();
  end_row_ = std::max(row_, end_row_);
  if (kind_ == RowKind::kUpsert) values_ = FirstColumns(*rows, columns_.size());
  return {};
}

// These rows of the group, in memory of their own when they are not all of what was read.
Result<std::shared_ptr<arrow::RecordBatch>> WindowCursor::ReadFound(
    int group, const std::vector<std::int64_t>& found) {
  const std::int64_t span = found.back() - found.front() + 1;
  const bool whole = span * kWholeGroupPart >= file_->rows_of(group);
  const std::int64_t first = whole ? 0 : found.front();
  std::shared_ptr<arrow::RecordBatch> read;
  if (whole) {
    VARVE_ASSIGN(read, reader_->Read(group, fields_, fields_schema_));
  } else {
    VARVE_ASSIGN(read, file_->ReadRows(group, first, span, fields_, fields_schema_));
  }
  if (read->num_rows() == std::ssize(found)) return read;
  std::vector<RowSlice> slices;
  for (const std::int64_t row : found) AddRow(read, row - first, &slices);
  return CopyRows(fields_schema_, slices);
}

}  // namespace varve
