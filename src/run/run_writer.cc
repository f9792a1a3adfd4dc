// SPDX-License-Identifier: Apache-2.0
#include "run/run_writer.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "columns/gather.h"
#include "columns/row_bytes.h"
#include "run/key_filters.h"
#include "run/run_file_writer.h"

namespace varve {
namespace {

// A hand-over to other threads costs what encoding some thousand values does.
constexpr std::int64_t kLargeRows = 4096;

}  // namespace

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
    const std::uint64_t bytes = BytesOf(batch, cursor.row());
    const bool full = std::ssize(commits_) == target_.row_group_rows ||
                      group_bytes_ + bytes > target_.row_group_bytes_max;
    if (full && !commits_.empty()) VARVE_TRY(EndRowGroup());
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
    return bytes;
  }

  // No object when there was no row.
  Result<RunObject> Finish() {
    if (!commits_.empty()) VARVE_TRY(EndRowGroup());
    return file_ == nullptr ? RunObject() : file_->Finish();
  }

 private:
  std::uint64_t BytesOf(const std::shared_ptr<arrow::RecordBatch>& batch, std::int64_t row) {
    return row_bytes_.try_emplace(batch.get(), batch).first->second(row, row + 1);
  }

  Status EndRowGroup() {
    if (file_ == nullptr) {
      VARVE_ASSIGN(file_, RunFileWriter::Open(&store_, target_.data_name, schema_.schema(),
                                              schema_, target_,
                                              std::ssize(commits_) >= kLargeRows));
    }
    VARVE_ASSIGN(auto rows, Gather(schema_.schema(), slices_));
    VARVE_TRY(file_->WriteRowGroup(std::move(rows), commits_, std::move(first_key_),
                                   key_hashes_));
    slices_.clear();
    commits_.clear();
    key_hashes_.clear();
    row_bytes_.clear();
    group_bytes_ = 0;
    return {};
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
  std::uint64_t group_bytes_ = 0;
  std::unordered_map<const arrow::RecordBatch*, RowBytes> row_bytes_;
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
                                              schema_, target_, /*large=*/false));
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
