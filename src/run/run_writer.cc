// SPDX-License-Identifier: Apache-2.0
#include "run/run_writer.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "columns/copy_column.h"
#include "columns/gather.h"
#include "columns/row_bytes.h"
#include "run/key_filters.h"
#include "run/run_file_writer.h"

namespace varve {
// The upserts: slices of batches, gathered into a row group when there are enough. The whole group
// at once and not piece by piece: rows in key order come from everywhere in their batches, and
// Gather passes over all of these batches each time.
class RunWriter::DataPart {
 public:
  DataPart(ObjectStore* store, const TableSchema& schema, const RunTarget& target)
      : store_(*store), schema_(schema), target_(target) {}

  // Gives its bytes in memory.
  Result<std::uint64_t> Add(const VersionCursor& cursor) {
    const auto& batch = cursor.batch();
    std::uint64_t bytes = BytesOf(batch, cursor.row());
    const bool full = std::ssize(commits_) == target_.row_group_rows ||
                      group_bytes_ + bytes > target_.row_group_bytes_max;
    if (full && !commits_.empty()) {
      VARVE_TRY(EndRowGroup());
      bytes = BytesOf(batch, cursor.row());  // the first batch of the next group
    }
    group_bytes_ += bytes;
    if (commits_.empty()) first_key_ = cursor.key();
    commits_.push_back(cursor.commit());
    if (target_.encrypted) key_hashes_.push_back(KeyHash(cursor.key()));
    if (!slices_.empty() && slices_.back().batch == batch &&
        slices_.back().start + slices_.back().length == cursor.row()) {
      ++slices_.back().length;
    } else {
      slices_.push_back({batch, cursor.row(), 1});
    }
    if (target_.batches_max > 0 && batches_.size() > target_.batches_max) VARVE_TRY(CopyOut());
    return bytes;
  }

  // No object when there was no row.
  Result<RunObject> Finish() {
    if (!commits_.empty()) VARVE_TRY(EndRowGroup());
    return file_ == nullptr ? RunObject() : file_->Finish();
  }

 private:
  // Once all rows of the group's batches could be too much for it, those of the row. Before, what a
  // row of its batch takes on average: to ask each row waits for memory in each of its columns.
  std::uint64_t BytesOf(const std::shared_ptr<arrow::RecordBatch>& batch, std::int64_t row) {
    const std::size_t number = sources_.NumberOf(batch.get());
    if (number == batches_.size()) {
      const RowBytes size_of(batch);
      const std::uint64_t bytes = size_of(0, batch->num_rows());
      batches_.push_back({size_of, bytes / static_cast<std::uint64_t>(batch->num_rows())});
      batches_bytes_ += bytes;
      if (!exact_ && batches_bytes_ > target_.row_group_bytes_max) CountExactly();
    }
    const Batch& known = batches_[number];
    return exact_ ? known.size_of(row, row + 1) : known.row_bytes;
  }

  void CountExactly() {
    exact_ = true;
    group_bytes_ = 0;
    for (const RowSlice& slice : slices_) {
      const Batch& known = batches_[sources_.NumberOf(slice.batch.get())];
      group_bytes_ += known.size_of(slice.start, slice.start + slice.length);
    }
  }

  Status CopyOut() {
    VARVE_ASSIGN(auto rows, CopyRows(schema_.schema(), slices_));
    const std::int64_t count = rows->num_rows();
    slices_ = {{rows, 0, count}};
    ForgetBatches();
    (void)BytesOf(rows, 0);
    group_bytes_ = batches_bytes_;
    return {};
  }

  Status EndRowGroup() {
    if (file_ == nullptr) {
      VARVE_ASSIGN(file_, RunFileWriter::Open(&store_, target_.data_name, schema_.schema(),
                                              schema_, target_,
                                              std::ssize(commits_)));
    }
    const Booking booked = BookGathered();
    VARVE_ASSIGN(auto rows, Gather(schema_.schema(), slices_));
    VARVE_TRY(file_->WriteRowGroup(std::move(rows), commits_, std::move(first_key_),
                                   key_hashes_));
    slices_.clear();
    commits_.clear();
    key_hashes_.clear();
    ForgetBatches();
    group_bytes_ = 0;
    return {};
  }

  void ForgetBatches() {
    sources_ = {};
    batches_.clear();
    batches_bytes_ = 0;
    exact_ = false;
  }

  // The rows gathered, and what they are gathered by. Caches make room for these and their encoded
  // pages.
  Booking BookGathered() const {
    if (target_.memory == nullptr) return {};
    const std::uint64_t bytes = group_bytes_ + slices_.capacity() * sizeof(RowSlice) +
                                commits_.capacity() * sizeof(std::uint64_t);
    target_.memory->MakeRoom(bytes + group_bytes_);
    return {target_.memory->budget(), target_.holder, bytes};
  }

  ObjectStore& store_;
  const TableSchema& schema_;
  const RunTarget& target_;
  std::unique_ptr<RunFileWriter> file_;
  // Of the row group being filled.
  std::vector<RowSlice> slices_;
  std::vector<std::uint64_t> commits_;
  std::vector<std::uint64_t> key_hashes_;  // when the target is encrypted
  std::string first_key_;
  std::uint64_t group_bytes_ = 0;  // about, until it is counted exactly
  struct Batch {
    RowBytes size_of;
    std::uint64_t row_bytes;  // on average
  };
  SliceSources sources_;
  std::vector<Batch> batches_;        // of its slices, which keep them, by their numbers
  std::uint64_t batches_bytes_ = 0;   // of all of their rows
  bool exact_ = false;
};

// The deletes: their keys, decoded into the key columns.
class RunWriter::DeletesPart {
 public:
  DeletesPart(ObjectStore* store, const TableSchema& schema, const RunTarget& target)
      : store_(*store), schema_(schema), target_(target) {}

  Status Add(const VersionCursor& cursor) {
    keys_.emplace_back(cursor.key());
    commits_.push_back(cursor.commit());
    if (target_.encrypted) key_hashes_.push_back(KeyHash(cursor.key()));
    return std::ssize(commits_) >= target_.row_group_rows ? EndRowGroup() : Status();
  }

  Result<RunObject> Finish() {
    if (!commits_.empty()) VARVE_TRY(EndRowGroup());
    return file_ == nullptr ? RunObject() : file_->Finish();
  }

 private:
  Status EndRowGroup() {
    if (file_ == nullptr) {
      VARVE_ASSIGN(file_, RunFileWriter::Open(&store_, target_.deletes_name, schema_.key_schema(),
                                              schema_, target_, std::ssize(commits_)));
    }
    VARVE_ASSIGN(auto batch, schema_.key_codec().Decode({keys_.begin(), keys_.end()}));
    VARVE_TRY(file_->WriteRowGroup(std::move(batch), commits_, std::move(keys_.front()),
                                   key_hashes_));
    keys_.clear();
    commits_.clear();
    key_hashes_.clear();
    return {};
  }

  ObjectStore& store_;
  const TableSchema& schema_;
  const RunTarget& target_;
  std::unique_ptr<RunFileWriter> file_;
  std::vector<std::string> keys_;
  std::vector<std::uint64_t> commits_;
  std::vector<std::uint64_t> key_hashes_;  // when the target is encrypted
};

namespace {

// Gives the error, after removing what is or may be there under `names`. A name that was taken is
// somebody else's and stays.
std::unexpected<Error> Undo(ObjectStore* store, const std::vector<std::string>& names,
                            const Error& error) {
  std::string message = error.message();
  for (const auto& name : names) {
    const Status removed = store->Delete(name);
    if (removed) continue;
    message += "; besides, " + store->Describe(name) +
               " could not be removed and belongs to no run: " + removed.error().message();
  }
  return Fail(error.kind(), std::move(message), error.reason());
}

}  // namespace

RunWriter::RunWriter(ObjectStore* store, const TableSchema& schema, const RunTarget& target)
    : store_(store),
      target_(target),
      data_(std::make_unique<DataPart>(store, schema, target)),
      deletes_(std::make_unique<DeletesPart>(store, schema, target)),
      meta_{.id = target.id,
            .table_id = target.table_id,
            .schema_id = target.schema_id,
            .level = target.level} {
  VARVE_CHECK(target.row_group_rows > 0);
}

RunWriter::~RunWriter() = default;

Status RunWriter::Add(const VersionCursor& version) {
  Note(version);
  if (version.kind() == RowKind::kDelete) {
    bytes_ += version.key().size();
    return deletes_->Add(version);
  }
  VARVE_ASSIGN(const std::uint64_t bytes, data_->Add(version));
  bytes_ += bytes;
  return {};
}

// Bounds of keys and commits, and whether keys are distinct. Checks the order of its source: a run
// out of order would answer lookups wrongly for ever.
void RunWriter::Note(const VersionCursor& version) {
  const std::string_view key = version.key();
  const std::uint64_t commit = version.commit();
  if (std::exchange(empty_, false)) {
    meta_.min_key = key;
    meta_.min_commit = commit;
    meta_.distinct_keys = true;
  } else if (key == meta_.max_key) {
    meta_.distinct_keys = false;
  } else {
    VARVE_CHECK(key > meta_.max_key);
  }
  meta_.max_key = key;
  meta_.min_commit = std::min(meta_.min_commit, commit);
  meta_.max_commit = std::max(meta_.max_commit, commit);
}

// Publishes the objects: both or none.
Result<RunMeta> RunWriter::Finish() {
  VARVE_CHECK(!empty_);
  std::vector<std::string> there;
  const auto undo = [&](const std::string& name, const Error& error) {
    // After Unavailable the object may be there all the same.
    if (error.kind() == ErrorKind::kUnavailable) there.push_back(name);
    return Undo(store_, there, error);
  };
  auto data = data_->Finish();
  if (!data) return undo(target_.data_name, data.error());
  if (!data->name.empty()) there.push_back(data->name);
  auto deletes = deletes_->Finish();
  if (!deletes) return undo(target_.deletes_name, deletes.error());
  meta_.data = *std::move(data);
  meta_.deletes = *std::move(deletes);
  return meta_;
}

Result<RunMeta> WriteRun(ObjectStore* store, const TableSchema& schema, VersionCursor* source,
                         const RunTarget& target) {
  RunWriter writer(store, schema, target);
  VARVE_TRY(source->Next());
  while (source->valid()) {
    VARVE_TRY(writer.Add(*source));
    VARVE_TRY(source->Next());
  }
  if (writer.empty()) {
    return Fail(ErrorKind::kInvalid, "a run needs at least one version; its source has none");
  }
  return writer.Finish();
}

}  // namespace varve
