// SPDX-License-Identifier: Apache-2.0
#include "upkeep/compact.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <arrow/type.h>
#include <fmt/format.h>

#include "base/check.h"
#include "base/result.h"
#include "run/merge.h"
#include "run/run_writer.h"
#include "upkeep/flush.h"

namespace varve {
namespace {

using Metas = std::vector<std::shared_ptr<const RunMeta>>;

constexpr std::uint32_t kKeysPerLook = 4096;

// The outputs, one after the other.
class Outputs {
 public:
  Outputs(ObjectStore* store, const Compaction& compaction,
          const std::function<std::uint64_t()>& next_run_id)
      : store_(store), compaction_(compaction), next_run_id_(next_run_id) {}

  // Each key once, ascending.
  Status Add(const VersionCursor& newest) {
    if (one_ != nullptr && one_->writer.bytes() >= compaction_.run_bytes_max) VARVE_TRY(EndOne());
    if (one_ == nullptr) one_ = std::make_unique<One>(store_, *compaction_.schema, Target());
    return one_->writer.Add(newest);
  }

  Result<Metas> Finish() {
    if (one_ != nullptr) VARVE_TRY(EndOne());
    return std::move(done_);
  }

  Error Undo(const Error& error) {
    one_.reset();
    std::string message = error.message();
    for (const auto& run : done_) {
      for (const std::string& name : {run->data.name, run->deletes.name}) {
        if (name.empty()) continue;
        if (const auto removed = store_->Delete(name); !removed) {
          message += "; besides, " + store_->Describe(name) +
                     " could not be removed and belongs to no run: " + removed.error().message();
        }
      }
    }
    return Error(error.kind(), std::move(message), error.reason());
  }

 private:
  struct One {
    One(ObjectStore* store, const TableSchema& schema, RunTarget made)
        : target(std::move(made)), writer(store, schema, target) {}
    const RunTarget target;
    RunWriter writer;
  };

  RunTarget Target() const {
    const std::uint64_t id = next_run_id_();
    const bool encrypted = compaction_.inputs.front()->meta().IsEncrypted();
    const auto folder = RunFolder(compaction_.table_name, compaction_.table_id, encrypted);
    return {.id = id,
            .table_id = compaction_.table_id,
            .schema_id = compaction_.schema_id,
            .level = compaction_.level,
            .data_name = RunDataName(folder, id),
            .deletes_name = RunDeletesName(folder, id),
            .encrypted = encrypted,
            .row_group_rows = CutsOfFlushes().row_group_rows,
            .piece_rows_max = CutsOfFlushes().piece_rows_max};
  }

  Status EndOne() {
    VARVE_ASSIGN(RunMeta meta, one_->writer.Finish());
    one_.reset();
    meta.shown_from = compaction_.shown_from();
    done_.push_back(std::make_shared<const RunMeta>(std::move(meta)));
    return {};
  }

  ObjectStore* const store_;
  const Compaction& compaction_;
  const std::function<std::uint64_t()>& next_run_id_;
  std::unique_ptr<One> one_;
  Metas done_;
};

// Asked of ascending keys.
class OlderRuns {
 public:
  explicit OlderRuns(const Metas& runs) : runs_(runs) {
    std::ranges::sort(runs_, {}, [](const auto& run) { return std::string_view(run->min_key); });
  }

  bool MayHave(std::string_view key) {
    for (; next_ < runs_.size() && runs_[next_]->min_key <= key; ++next_) {
      if (!reach_ || *reach_ < runs_[next_]->max_key) reach_ = runs_[next_]->max_key;
    }
    return reach_ && key <= *reach_;
  }

 private:
  Metas runs_;
  std::size_t next_ = 0;                   // the first that begins after the last key
  std::optional<std::string_view> reach_;  // the last key of those that begin before
};

Status Merge(const Compaction& compaction, Outputs* outputs) {
  const auto fields = compaction.schema->schema()->num_fields();
  std::vector<int> columns(static_cast<std::size_t>(fields));
  std::iota(columns.begin(), columns.end(), 0);
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  for (const auto& run : compaction.inputs) cursors.push_back(run->NewCursor(columns, {}));
  const auto versions = MergeVersions(std::move(cursors), compaction.stop);
  OlderRuns older(compaction.older);
  std::string key;
  bool first = true;
  VARVE_TRY(versions->Next());
  for (std::uint32_t passed = 0; versions->valid(); ++passed) {
    if (passed % kKeysPerLook == 0 && compaction.stop.stop_requested()) {
      return Fail(ErrorKind::kInvalid, "the compaction was cancelled", ErrorReason::kClosed);
    }
    if (first || versions->key() != key) {  // the newest of its key
      first = false;
      key.assign(versions->key());
      const bool drop = versions->kind() == RowKind::kDelete && !older.MayHave(key);
      if (!drop) VARVE_TRY(outputs->Add(*versions));
    }
    VARVE_TRY(versions->Next());
  }
  return {};
}

}  // namespace

std::uint64_t Compaction::shown_from() const {
  std::uint64_t from = altered;
  for (const auto& run : inputs) {
    from = std::max({from, run->meta().max_commit, run->meta().shown_from});
  }
  return from;
}

// A run that is hidden counts as long as the outputs are shown beside it.
Metas FindOlder(const Metas& runs, const Compaction& compaction) {
  std::set<std::uint64_t> inputs;
  std::uint64_t newest = 0;
  for (const auto& run : compaction.inputs) {
    inputs.insert(run->meta().id);
    newest = std::max(newest, run->meta().max_commit);
  }
  const std::uint64_t from = compaction.shown_from();
  Metas older;
  std::ranges::copy_if(runs, std::back_inserter(older), [&](const auto& run) {
    const bool is_beside = run->hidden_from == 0 || run->hidden_from > from;
    return is_beside && run->min_commit < newest && !inputs.contains(run->id);
  });
  return older;
}

Result<Metas> CompactRuns(ObjectStore* store, const Compaction& compaction,
                          const std::function<std::uint64_t()>& next_run_id) {
  VARVE_CHECK(!compaction.inputs.empty());
  Outputs outputs(store, compaction, next_run_id);
  auto merged = Merge(compaction, &outputs);
  auto finished = merged ? outputs.Finish() : Result<Metas>(std::unexpected(merged.error()));
  if (finished) return finished;
  return std::unexpected(
      outputs.Undo(finished.error())
          .Within(fmt::format("compaction of {} runs of table {}", compaction.inputs.size(),
                              compaction.table_name)));
}

}  // namespace varve
