// SPDX-License-Identifier: Apache-2.0
// WindowCursor: those versions of one object of a run whose commits lie in a window.
//
// Of a row group the commits are read first, and nothing when the file's statistics say that none
// is in the window. Keys and columns are read only where a version was found, and batches hold
// copies of the versions found, never the rest of the row group: they may be kept. One row group is
// in memory at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "columns/commit_window.h"
#include "columns/version_cursor.h"
#include "run/run_file.h"

namespace varve {

// Whether a row group can hold versions of the window's commits, by the file's statistics.
bool MayHold(const RunFile& file, int group, const CommitWindow& window);

// Calls `count` for each version of the window. Reads commits only, of the row groups that may hold
// one.
Status CountCommits(const RunFile& file, const CommitWindow& window, const CountCommit& count);

class WindowCursor final : public VersionCursor {
 public:
  // `columns` are indices into the file's columns; none for deletes.
  WindowCursor(std::shared_ptr<const RunFile> file, RowKind kind, std::vector<int> columns,
               KeyBounds bounds, CommitWindow window);

  Status Next() override;
  Status Seek(std::string_view target) override;
  bool valid() const override { return row_ < end_row_; }
  std::string_view key() const override { return keys_[row_]; }
  std::uint64_t commit() const override { return commits_[static_cast<std::size_t>(row_)]; }
  RowKind kind() const override { return kind_; }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override { return values_; }
  std::int64_t row() const override { return kind_ == RowKind::kDelete ? 0 : row_; }
  std::int64_t PlainRows(std::optional<std::string_view>, std::uint64_t) override { return 0; }
  Status Skip(std::int64_t count) override;

 private:
  Status Enter();
  Status Load(int group);
  Result<std::shared_ptr<arrow::RecordBatch>> ReadFound(int group,
                                                        const std::vector<std::int64_t>& found);
  void Leave();

  // Constant.
  const std::shared_ptr<const RunFile> file_;
  const RowKind kind_;
  const std::vector<int> columns_;
  const KeyBounds bounds_;
  const CommitWindow window_;
  std::vector<int> fields_;      // columns_, then the key columns that are not among them
  std::vector<int> key_places_;  // of the key columns, in fields_
  std::shared_ptr<arrow::Schema> fields_schema_;

  // The place.
  std::unique_ptr<RowGroupReader> reader_;  // null: not started
  int next_group_ = 0;
  int end_group_ = 0;
  std::int64_t row_ = 0;
  std::int64_t end_row_ = 0;

  // Of the versions found in the group.
  EncodedKeys keys_;
  std::vector<std::uint64_t> commits_;
  std::shared_ptr<arrow::RecordBatch> values_;  // null for deletes
};

}  // namespace varve
