// SPDX-License-Identifier: Apache-2.0
// OpenRun::Verify. First the bytes of each object against the checksums of the manifest and the
// footer, and, where they are encrypted, their tags; then, if asked for and where the bytes are
// good, what they say: every row is decoded, and order, bounds, counts, commits and null keys are
// checked.
#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/crc32c.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "run/decoded_rows.h"
#include "run/file_cipher.h"
#include "run/object_sink.h"
#include "run/open_run.h"
#include "run/run_file_writer.h"
#include "run/run_source.h"

namespace varve {
namespace {

// Reports damage; what is no damage (the store cannot be read) ends the check.
class Findings {
 public:
  Findings(void* context, OpenRun::DamageSink sink) : context_(context), sink_(sink) {}

  void Add(const RunFile& file, std::uint64_t offset, const std::string& message) {
    ++count_;
    sink_(context_, file.object().name, offset, message);
  }
  Status Take(const RunFile& file, std::uint64_t offset, const Status& status) {
    if (status || status.error().kind() != ErrorKind::kCorruption) return status;
    Add(file, offset, status.error().message());
    return {};
  }
  std::uint64_t count() const { return count_; }

 private:
  void* const context_;
  const OpenRun::DamageSink sink_;
  std::uint64_t count_ = 0;
};

// The tail again, from the store: the copy in memory says nothing about the disk.
Status CheckTail(ObjectStore* store, const RunFile& file, Findings* findings) {
  const RunObject& object = file.object();
  const auto tail =
      store->GetRange(object.name, object.data_bytes, object.bytes - object.data_bytes);
  if (!tail) {
    const ErrorKind kind = tail.error().kind();
    if (kind != ErrorKind::kCorruption && kind != ErrorKind::kNotFound) {
      return std::unexpected(tail.error());
    }
    findings->Add(file, object.data_bytes, tail.error().message());
    return {};
  }
  const std::uint32_t found = Crc32c(*tail);
  if (found != object.tail_crc32c) {
    findings->Add(file, object.data_bytes,
                  fmt::format("the footer's CRC-32C is {:08x}, expected {:08x}", found,
                              object.tail_crc32c));
  }
  return {};
}

Status CheckBytes(ObjectStore* store, const RunFile& file, Findings* findings) {
  VARVE_TRY(CheckTail(store, file, findings));
  for (std::uint64_t block = 0; block < file.file()->blocks(); ++block) {
    VARVE_TRY(findings->Take(file, block * kChecksumBlockBytes, file.file()->CheckBlock(block)));
  }
  return {};
}

Status CheckChunk(const RunFile& file, const parquet::ColumnChunkMetaData& chunk,
                  FileCipher::Place place) {
  const auto decrypt = [&](std::int64_t begin, std::int64_t end) -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(const auto bytes, file.file()->ReadAt(begin, end - begin));
    return file.cipher()->DecryptPages(std::string_view(*bytes), place).status();
  };
  const auto check = [&]() -> arrow::Status {
    const std::int64_t pages = chunk.data_page_offset();
    if (!chunk.has_dictionary_page()) return decrypt(pages, pages + chunk.total_compressed_size());
    const std::int64_t begin = chunk.dictionary_page_offset();
    place.dictionary = true;
    ARROW_RETURN_NOT_OK(decrypt(begin, pages));
    place.dictionary = false;
    return decrypt(pages, begin + chunk.total_compressed_size());
  };
  const arrow::Status checked = check();
  if (checked.ok()) return {};
  return std::unexpected(DecodeError(file, place.group, checked));
}

// Decrypts each page and filter, one column of a row group at a time: checksums are anybody's to
// make, tags are not. The bytes are read once more.
Status CheckTags(const RunFile& file, Findings* findings) {
  if (file.cipher() == nullptr) return {};
  for (int group = 0; group < file.row_groups(); ++group) {
    const auto row_group = file.metadata()->RowGroup(group);
    for (int leaf = 0; leaf < row_group->num_columns(); ++leaf) {
      const auto chunk = row_group->ColumnChunk(leaf);
      const auto offset = static_cast<std::uint64_t>(
          chunk->has_dictionary_page() ? chunk->dictionary_page_offset()
                                       : chunk->data_page_offset());
      VARVE_TRY(findings->Take(file, offset,
                               CheckChunk(file, *chunk, {.group = group, .leaf = leaf})));
    }
    const auto may = file.MayContain(group, file.first_keys()[static_cast<std::size_t>(group)]);
    const Status filter = may ? Status() : std::unexpected(may.error());
    VARVE_TRY(findings->Take(file, file.object().data_bytes, filter));
  }
  return {};
}

// Decodes an object row group by row group and compares it with what the run's meta says.
class RowCheck {
 public:
  RowCheck(const RunFile& file, const RunMeta& meta, Findings* findings)
      : file_(file), meta_(meta), findings_(*findings) {}

  Status Run() {
    VARVE_ASSIGN(auto reader, file_.NewReader());
    std::vector<int> fields(static_cast<std::size_t>(file_.commit_field()) + 1);
    std::iota(fields.begin(), fields.end(), 0);
    const auto schema = WithCommitColumn(*file_.columns());
    for (int group = 0; group < file_.row_groups(); ++group) {
      const auto batch = reader->Read(group, fields, schema);
      VARVE_TRY(findings_.Take(file_, file_.offset_of(group), CheckBatch(group, batch)));
    }
    return {};
  }

 private:
  Status CheckBatch(int group, const Result<std::shared_ptr<arrow::RecordBatch>>& read) {
    if (!read) return std::unexpected(read.error());
    const arrow::RecordBatch& batch = **read;
    if (const auto valid = batch.ValidateFull(); !valid.ok()) return Bad(valid.message());
    auto keys = file_.schema()->key_codec().Encode(batch, file_.key_fields(), 0,
                                                   batch.num_rows());
    if (!keys) return Bad(keys.error().message());  // a null key
    const auto& commits = static_cast<const arrow::Int64Array&>(*batch.columns().back());
    if (keys->size() == 0 || (*keys)[0] != file_.first_keys()[static_cast<std::size_t>(group)]) {
      return Bad("its first key is not the footer's");
    }
    for (std::int64_t row = 0; row < keys->size(); ++row) {
      VARVE_TRY(CheckRow((*keys)[row], static_cast<std::uint64_t>(commits.Value(row)), row));
    }
    return {};
  }

  Status CheckRow(std::string_view key, std::uint64_t commit, std::int64_t row) {
    if (key < meta_.min_key || key > meta_.max_key) {
      return Bad(fmt::format("the key of row {} is out of the run's bounds", row));
    }
    if (commit < meta_.min_commit || commit > meta_.max_commit) {
      return Bad(fmt::format("row {} has commit {}, the run says {} to {}", row, commit,
                             meta_.min_commit, meta_.max_commit));
    }
    const bool same = key == last_key_;
    if (key < last_key_ || (same && (meta_.distinct_keys || commit >= last_commit_))) {
      return Bad(fmt::format("row {} is out of order", row));
    }
    last_key_ = key;
    last_commit_ = commit;
    return {};
  }

  static Status Bad(const std::string& what) {
    return Fail(ErrorKind::kCorruption, "the row group is not what was written: " + what);
  }

  const RunFile& file_;
  const RunMeta& meta_;
  Findings& findings_;
  std::string last_key_;  // empty: none yet
  std::uint64_t last_commit_ = 0;
};

// The first and last version and the distinct keys of both objects together.
Status CheckTogether(const OpenRun& run, const RunFile& file, Findings* findings) {
  const RunMeta& meta = run.meta();
  const auto cursor = run.NewCursor({}, {});
  VARVE_TRY(cursor->Next());
  if (!cursor->valid() || cursor->key() != meta.min_key) {
    findings->Add(file, 0, "the first key is not the manifest's");
  }
  std::string last;
  std::uint64_t commit_min = UINT64_MAX, commit_max = 0;
  for (bool first = true; cursor->valid(); first = false) {
    if (!first && meta.distinct_keys && cursor->key() == last) {
      findings->Add(file, 0, "a key has two versions, the manifest says keys are distinct");
    }
    last = cursor->key();
    commit_min = std::min(commit_min, cursor->commit());
    commit_max = std::max(commit_max, cursor->commit());
    VARVE_TRY(cursor->Next());
  }
  if (last != meta.max_key) findings->Add(file, 0, "the last key is not the manifest's");
  if (commit_min != meta.min_commit || commit_max != meta.max_commit) {
    findings->Add(file, 0, fmt::format("commits are {} to {}, the manifest says {} to {}",
                                       commit_min, commit_max, meta.min_commit,
                                       meta.max_commit));
  }
  return {};
}

}  // namespace

Status OpenRun::Verify(bool deep, void* context, DamageSink damage) const {
  Findings findings(context, damage);
  for (const auto* file : {data(), deletes()}) {
    if (file == nullptr) continue;
    const std::uint64_t before = findings.count();
    VARVE_TRY(CheckBytes(run_->source_->store, *file, &findings));
    if (findings.count() == before) VARVE_TRY(CheckTags(*file, &findings));
    if (deep && findings.count() == before) VARVE_TRY(RowCheck(*file, meta(), &findings).Run());
  }
  if (!deep || findings.count() > 0) return {};
  const RunFile& file = data() != nullptr ? *data() : *deletes();
  return CheckTogether(*this, file, &findings);
}

}  // namespace varve
