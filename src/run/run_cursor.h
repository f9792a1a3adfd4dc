// SPDX-License-Identifier: Apache-2.0
// RunCursor: the versions of one object of a run, upserts or deletes.
//
// A span of rows is in memory at a time: a row group, or one of its pieces when memory is short
// (RunMemory::MayDecode). What is read of it is decided as late as possible:
//   values   the projected columns, when the span is entered
//   keys     key columns that are not among them, when a key inside the span is asked for; the
//            first keys of row groups and pieces are in the footer
//   commits  when a commit is asked for and the run's bounds do not answer
// So a scan of one run that nothing overlaps reads what it returns and encodes no key. With an
// executor the values of the next group are read ahead once an eighth of a group was gone through
// in steps: by then the cursor is in a merge that goes on, and not at the end of a small limit.
// When memory is short nothing is read ahead.
//
// Late reads happen in key(), commit() and PlainRows, which cannot return an error: it is kept and
// returned by the next move. Until then key() gives the span's first key, which is not above the
// true one, and commit() the largest: so in a merge this cursor comes no later than it should, and
// is moved, and fails, before anything that depends on it was concluded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "columns/version_cursor.h"
#include "run/group_ahead.h"
#include "run/group_keys.h"
#include "run/run_file.h"
#include "run/row_range_reader.h"
#include "run/run_meta.h"

namespace varve {

class RunCursor final : public VersionCursor {
 public:
  // `columns` are indices into the file's columns; none for deletes. `meta` is the run's. Row
  // groups of `left_out`, which may be null, are passed over; then keys of the run are distinct.
  // `executor`: reads ahead; null: nothing does. `holder`: books what is decoded.
  RunCursor(std::shared_ptr<const RunFile> file, const RunMeta& meta, RowKind kind,
            std::vector<int> columns, KeyBounds bounds,
            const std::vector<bool>* left_out = nullptr, Executor* executor = nullptr,
            MemoryHolder holder = MemoryHolder::kReads);

  Status Next() override;
  Status Seek(std::string_view key) override;
  void StartAhead(std::optional<std::string_view> target) override;
  std::optional<std::string_view> LowerBound() const override;
  bool valid() const override { return values_ != nullptr; }
  std::string_view key() const override;
  std::uint64_t commit() const override;
  RowKind kind() const override { return kind_; }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override;
  std::int64_t row() const override { return kind_ == RowKind::kDelete ? 0 : row_; }
  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override;
  Status Skip(std::int64_t count) override;

 private:
  Status Start(std::string_view lower);
  Status Enter(int piece, std::string_view lower);  // from this one on the first that has rows
  Status Load(int piece, std::string_view lower);
  void AskAhead();
  bool MayReadAhead(int group) const;
  GroupAhead* ahead();
  int NextGroup(int group) const;  // that is not left out; end_group_ at the end
  int NotLeftOut(int piece) const;  // this, or the first of the next group that is not left out
  // Of the values of the group, or of the piece when there is no room for the group.
  Result<std::shared_ptr<arrow::RecordBatch>> ReadValues();
  Result<std::shared_ptr<arrow::RecordBatch>> ReadSpan(
      const std::vector<int>& fields, const std::shared_ptr<arrow::Schema>& schema) const;
  Status Move(std::int64_t count);
  Status Ended(Error error);  // what every later move returns
  void Leave();              // forgets the span

  Status LoadKeys() const;
  Status LoadCommits() const;
  std::uint64_t CommitAt(std::int64_t row) const;  // they are loaded
  Status Remember(Status status) const;  // a late read's error, for the next move
  Result<std::int64_t> CountPlain(std::optional<std::string_view> limit, std::uint64_t as_of);
  bool SpanIsBelow(std::string_view limit) const;
  const std::string& first_key() const;       // of the span
  const std::string* next_first_key() const;  // of the piece behind it; null: there is none
  Result<std::int64_t> CountSingles(std::int64_t end);

  // Constant.
  const std::shared_ptr<const RunFile> file_;
  const RowKind kind_;
  const std::vector<int> columns_;
  const KeyBounds bounds_;
  const std::vector<bool> left_out_;  // by row group; empty: none
  const bool distinct_;
  const std::uint64_t min_commit_;
  const std::uint64_t max_commit_;
  const std::string max_key_;
  std::shared_ptr<arrow::Schema> values_schema_;
  Executor* const executor_;
  const MemoryHolder holder_;
  const int end_group_;  // groups from here on are out of bounds

  // The place.
  std::unique_ptr<RowGroupReader> reader_;  // null: not started
  mutable std::unique_ptr<RowRangeReader> pieces_reader_;  // null: no piece was read
  std::optional<GroupAhead> ahead_;  // once it is wanted
  int asked_in_ = -1;                // the group in which it was last asked
  int group_ = 0;
  int counted_group_ = -1;    // that was counted as read last
  int piece_ = 0;             // the first of the span
  int next_piece_ = 0;        // behind it
  bool is_whole_ = false;     // the span is the group
  std::int64_t row_ = 0;      // from the span's first on
  std::int64_t end_row_ = 0;  // rows from here on are out of bounds
  // The last key of the group before, when a version of it was passed and keys may repeat.
  std::string passed_key_;

  // Of the span.
  std::shared_ptr<arrow::RecordBatch> values_;  // null: not valid
  mutable GroupKeys keys_;
  mutable std::shared_ptr<arrow::Int64Array> commits_;
  mutable std::int64_t key_row_ = -1;  // the row whose key key_ is
  mutable std::string key_;
  mutable std::optional<Error> late_error_;
};

}  // namespace varve
