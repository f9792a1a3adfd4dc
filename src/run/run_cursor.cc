// SPDX-License-Identifier: Apache-2.0
#include "run/run_cursor.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "run/run_file_writer.h"

namespace varve {
namespace {

constexpr std::int64_t kAheadFrom = 8;  // once one of so many parts of a group was gone through

const std::shared_ptr<arrow::RecordBatch> kNoBatch;

}  // namespace

RunCursor::RunCursor(std::shared_ptr<const RunFile> file, const RunMeta& meta, RowKind kind,
                     std::vector<int> columns, KeyBounds bounds,
                     const std::vector<bool>* left_out, Executor* executor, MemoryHolder holder)
    : file_(std::move(file)),
      kind_(kind),
      columns_(std::move(columns)),
      bounds_(std::move(bounds)),
      left_out_(left_out == nullptr ? std::vector<bool>() : *left_out),
      distinct_(meta.distinct_keys),
      min_commit_(meta.min_commit),
      max_commit_(meta.max_commit),
      max_key_(meta.max_key),
      executor_(columns_.empty() ? nullptr : executor),
      holder_(holder),
      end_group_(bounds_.upper ? file_->EndGroup(*bounds_.upper) : file_->row_groups()) {
  arrow::FieldVector fields;
  for (const int column : columns_) fields.push_back(file_->columns()->field(column));
  values_schema_ = arrow::schema(std::move(fields));
}

// --- moving ---

Status RunCursor::Next() {
  if (reader_ == nullptr) return Start(bounds_.lower);
  return valid() || late_error_ ? Move(1) : Status();
}

Status RunCursor::Skip(std::int64_t count) { return Move(count); }

Status RunCursor::Seek(std::string_view target) {
  if (reader_ == nullptr) return Start(std::max<std::string_view>(target, bounds_.lower));
  if (late_error_) return Ended(*late_error_);
  if (!valid() || key() >= target) return late_error_ ? Ended(*late_error_) : Status();
  const int piece = file_->FirstPiece(target, distinct_);
  passed_key_.clear();
  if (piece >= next_piece_) return Enter(piece, target);
  auto loaded = LoadKeys();
  if (!loaded) return Ended(loaded.error());
  const auto found = keys_.FirstAtLeast(row_, end_row_, target);
  if (!found) return Ended(found.error());
  if (*found == end_row_) return Enter(next_piece_, target);
  row_ = *found;
  return {};
}

Status RunCursor::Start(std::string_view lower) {
  auto reader = file_->NewReader(holder_);
  if (!reader) return Ended(reader.error());
  reader_ = *std::move(reader);
  return Enter(file_->FirstPiece(lower, distinct_), lower);
}

std::optional<std::string_view> RunCursor::LowerBound() const {
  if (reader_ != nullptr) return std::nullopt;
  return std::max<std::string_view>(bounds_.lower, file_->first_keys().front());
}

void RunCursor::StartAhead(std::optional<std::string_view> target) {
  if (executor_ == nullptr || reader_ != nullptr || !file_->IsLarge()) return;
  const std::string_view lower = std::max<std::string_view>(target.value_or(""), bounds_.lower);
  const int group = NextGroup(file_->FirstGroup(lower, distinct_) - 1);
  if (group < end_group_ && MayReadAhead(group)) ahead()->Ask({&group, 1});
}

bool RunCursor::MayReadAhead(int group) const {
  const RunMemory* const memory = file_->life()->memory();
  return memory == nullptr || memory->MayReadAhead(holder_, file_->DecodedBytes(group, columns_));
}

Status RunCursor::Enter(int piece, std::string_view lower) {
  Leave();
  const auto end = std::ssize(file_->pieces());
  for (piece = NotLeftOut(piece); piece < end; piece = NotLeftOut(next_piece_)) {
    if (file_->pieces()[static_cast<std::size_t>(piece)].group >= end_group_) break;
    if (auto status = Load(piece, lower); !status) return Ended(status.error());
    if (row_ < end_row_) return {};
  }
  Leave();
  return {};
}

int RunCursor::NotLeftOut(int piece) const {
  const auto& pieces = file_->pieces();
  if (piece >= std::ssize(pieces)) return piece;
  const int group = pieces[static_cast<std::size_t>(piece)].group;
  const int next = NextGroup(group - 1);
  if (next == group) return piece;
  return next < end_group_ ? file_->PieceOf(next) : static_cast<int>(std::ssize(pieces));
}

int RunCursor::NextGroup(int group) const {
  do {
    ++group;
  } while (group < end_group_ && !left_out_.empty() && left_out_[static_cast<std::size_t>(group)]);
  return group;
}

// A group of which pieces were read is read in pieces to its end.
Result<std::shared_ptr<arrow::RecordBatch>> RunCursor::ReadValues() {
  const int first = file_->PieceOf(group_);
  const bool is_new = std::exchange(counted_group_, group_) != group_;
  std::optional<Result<std::shared_ptr<arrow::RecordBatch>>> read;
  if (ahead_) read = ahead_->Take(group_);
  const RunMemory* const memory = file_->life()->memory();
  is_whole_ = read || memory == nullptr || columns_.empty() ||
              (is_new && memory->MayDecode(holder_, file_->DecodedBytes(group_, columns_)));
  if (is_whole_) {
    piece_ = first;
    next_piece_ = file_->PieceOf(group_ + 1);
  } else {
    next_piece_ = piece_ + 1;
  }
  if (read) return *std::move(read);
  if (is_new) file_->life()->CountRowGroupRead();
  return ReadSpan(columns_, values_schema_);
}

Result<std::shared_ptr<arrow::RecordBatch>> RunCursor::ReadSpan(
    const std::vector<int>& fields, const std::shared_ptr<arrow::Schema>& schema) const {
  if (is_whole_) return reader_->Read(group_, fields, schema);
  if (pieces_reader_ == nullptr) {
    auto* const pool = PoolOf(file_->life()->memory(), holder_);
    VARVE_ASSIGN(pieces_reader_, RowRangeReader::Open(*file_, pool));
  }
  const RunFile::Piece& piece = file_->pieces()[static_cast<std::size_t>(piece_)];
  return pieces_reader_->Read(group_, piece.first_row, piece.rows, fields, schema);
}

Status RunCursor::Load(int piece, std::string_view lower) {
  Leave();
  piece_ = piece;
  group_ = file_->pieces()[static_cast<std::size_t>(piece)].group;
  VARVE_ASSIGN(values_, ReadValues());
  row_ = 0;
  end_row_ = values_->num_rows();
  if (lower > first_key()) {
    VARVE_TRY(LoadKeys());
    VARVE_ASSIGN(row_, keys_.FirstAtLeast(0, end_row_, lower));
  }
  if (bounds_.upper && !SpanIsBelow(*bounds_.upper)) {
    VARVE_TRY(LoadKeys());
    VARVE_ASSIGN(end_row_, keys_.FirstAtLeast(row_, end_row_, *bounds_.upper));
  }
  return {};
}

Status RunCursor::Move(std::int64_t count) {
  if (late_error_) return Ended(*late_error_);
  VARVE_CHECK(count <= end_row_ - row_);
  row_ += count;
  if (row_ < end_row_) {
    AskAhead();
    return {};
  }
  if (!distinct_ && NotLeftOut(next_piece_) < std::ssize(file_->pieces())) {
    if (auto loaded = LoadKeys(); !loaded) return Ended(loaded.error());
    const auto last = keys_.At(row_ - 1);
    if (!last) return Ended(last.error());
    passed_key_ = *last;
  }
  return Enter(next_piece_, std::string_view());
}

void RunCursor::AskAhead() {
  if (executor_ == nullptr || asked_in_ == group_ || row_ < end_row_ / kAheadFrom) return;
  // Whoever came here from another group will want more than the next one.
  const std::size_t most = asked_in_ < 0 ? 1 : GroupAhead::kGroupsMax;
  asked_in_ = group_;
  std::array<int, GroupAhead::kGroupsMax> groups{};
  std::size_t count = 0;
  for (int next = NextGroup(group_); count < most && next < end_group_; next = NextGroup(next)) {
    if (!MayReadAhead(next)) break;
    groups[count++] = next;
  }
  if (count > 0) ahead()->Ask({groups.data(), count});
}

GroupAhead* RunCursor::ahead() {
  if (!ahead_) ahead_.emplace(file_, columns_, values_schema_, executor_, holder_);
  return &*ahead_;
}

void RunCursor::Leave() {
  values_.reset();
  keys_ = GroupKeys();
  commits_.reset();
  key_row_ = -1;
}

Status RunCursor::Ended(Error error) {
  Leave();
  late_error_ = error;
  return std::unexpected(std::move(error));
}

// --- late reads ---

Status RunCursor::LoadKeys() const {
  if (keys_.loaded()) return {};
  std::vector<int> places;
  for (const int field : file_->key_fields()) {
    const auto at = std::ranges::find(columns_, field);
    if (at == columns_.end()) break;
    places.push_back(static_cast<int>(at - columns_.begin()));
  }
  if (places.size() == file_->key_fields().size()) {
    keys_ = GroupKeys(file_->schema(), values_, std::move(places));
    return {};
  }
  VARVE_ASSIGN(auto batch, ReadSpan(file_->key_fields(), file_->schema()->key_schema()));
  places.resize(file_->key_fields().size());
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int>(i);
  keys_ = GroupKeys(file_->schema(), std::move(batch), std::move(places));
  return {};
}

Status RunCursor::LoadCommits() const {
  if (commits_ != nullptr) return {};
  const auto schema = WithCommitColumn(*arrow::schema(arrow::FieldVector()));
  VARVE_ASSIGN(const auto batch, ReadSpan({file_->commit_field()}, schema));
  commits_ = std::static_pointer_cast<arrow::Int64Array>(batch->column(0));
  return {};
}

std::uint64_t RunCursor::CommitAt(std::int64_t row) const {
  return static_cast<std::uint64_t>(commits_->Value(row));
}

Status RunCursor::Remember(Status status) const {
  if (!status && !late_error_) late_error_ = status.error();
  return status;
}

std::string_view RunCursor::key() const {
  if (keys_.encoded()) return keys_.Encoded(row_);
  if (key_row_ == row_) return key_;
  const std::string& first = first_key();
  if (row_ == 0) return first;
  if (!Remember(LoadKeys())) return first;
  const auto found = keys_.At(row_);
  if (!found) {
    (void)Remember(std::unexpected(found.error()));
    return first;
  }
  if (keys_.encoded()) return *found;
  key_ = *found;
  key_row_ = row_;
  return key_;
}

std::uint64_t RunCursor::commit() const {
  if (min_commit_ == max_commit_) return min_commit_;
  if (!Remember(LoadCommits())) return std::numeric_limits<std::uint64_t>::max();
  return CommitAt(row_);
}

const std::shared_ptr<arrow::RecordBatch>& RunCursor::batch() const {
  return kind_ == RowKind::kDelete ? kNoBatch : values_;
}

// --- plain rows ---

std::int64_t RunCursor::PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) {
  if (kind_ == RowKind::kDelete || late_error_) return 0;
  const auto count = CountPlain(limit, as_of);
  if (count) return *count;
  (void)Remember(std::unexpected(count.error()));
  return 0;
}

const std::string& RunCursor::first_key() const {
  return file_->piece_keys()[static_cast<std::size_t>(piece_)];
}

const std::string* RunCursor::next_first_key() const {
  const auto next = static_cast<std::size_t>(next_piece_);
  return next < file_->piece_keys().size() ? &file_->piece_keys()[next] : nullptr;
}

// Whether all keys of the span are below `limit`, judged without reading it.
bool RunCursor::SpanIsBelow(std::string_view limit) const {
  const std::string* const next = next_first_key();
  if (next == nullptr) return max_key_ < limit;
  return distinct_ ? *next <= limit : *next < limit;
}

Result<std::int64_t> RunCursor::CountPlain(std::optional<std::string_view> limit,
                                           std::uint64_t as_of) {
  std::int64_t end = end_row_;
  if (limit && !SpanIsBelow(*limit)) {
    VARVE_TRY(LoadKeys());
    VARVE_ASSIGN(end, keys_.FirstAtLeast(row_, end_row_, *limit));
  }
  if (as_of < max_commit_ && end > row_) {
    VARVE_TRY(LoadCommits());
    std::int64_t at = row_;
    while (at < end && CommitAt(at) <= as_of) ++at;
    end = at;
  }
  return distinct_ ? end - row_ : CountSingles(end);
}

// How many rows of the span from row_ on, below `end`, are the only version of their key.
Result<std::int64_t> RunCursor::CountSingles(std::int64_t end) {
  VARVE_TRY(LoadKeys());
  VARVE_ASSIGN(const EncodedKeys* keys, keys_.All());
  const std::string* const next_first = next_first_key();
  const auto repeats = [&](std::int64_t row) {  // the version after it has the same key
    if (row + 1 < keys->size()) return (*keys)[row] == (*keys)[row + 1];
    return next_first != nullptr && (*keys)[row] == *next_first;
  };
  const bool repeated = row_ > 0 ? repeats(row_ - 1) : (*keys)[0] == passed_key_;
  if (repeated) return 0;
  std::int64_t at = row_;
  while (at < end && !repeats(at)) ++at;
  return at - row_;
}

}  // namespace varve
