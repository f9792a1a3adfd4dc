// SPDX-License-Identifier: Apache-2.0
#include "upkeep/compact.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <arrow/type.h>
#include <fmt/format.h>

#include "base/ahead.h"
#include "base/check.h"
#include "base/out_of_memory.h"
#include "base/result.h"
#include "run/late_cursor.h"
#include "run/merge.h"
#include "run/run_writer.h"
#include "upkeep/flush.h"
#include "upkeep/key_parts.h"
#include "upkeep/run_chain.h"

namespace varve {
namespace {

using Metas = std::vector<std::shared_ptr<const RunMeta>>;

constexpr std::uint32_t kKeysPerLook = 4096;

// The error, after removing these.
Error Remove(ObjectStore* store, const Metas& runs, const Error& error) {
  std::string message = error.message();
  for (const auto& run : runs) {
    for (const std::string& name : {run->data.name, run->deletes.name}) {
      if (name.empty()) continue;
      if (const auto removed = store->Delete(name); !removed) {
        message += "; besides, " + store->Describe(name) +
                   " could not be removed and belongs to no run: " + removed.error().message();
      }
    }
  }
  return Error(error.kind(), std::move(message), error.reason());
}

Status CheckStop(const Compaction& compaction) {
  if (!compaction.stop.stop_requested()) return {};
  return Fail(ErrorKind::kInvalid, "the compaction was cancelled", ErrorReason::kClosed);
}

// The outputs of a part, one after the other.
class Outputs {
 public:
  // `batches_max` as RunTarget.
  Outputs(ObjectStore* store, const Compaction& compaction, std::size_t batches_max,
          const std::function<std::uint64_t()>& next_run_id)
      : store_(store),
        compaction_(compaction),
        batches_max_(batches_max),
        next_run_id_(next_run_id) {}

  // Each key once, ascending.
  Status Add(const VersionCursor& newest) {
    if (one_ != nullptr && one_->writer.bytes() >= compaction_.run_bytes_max) VARVE_TRY(EndOne());
    if (one_ == nullptr) {
      VARVE_TRY(CheckStop(compaction_));
      one_ = std::make_unique<One>(store_, *compaction_.schema, Target());
    }
    return one_->writer.Add(newest);
  }

  Result<Metas> Finish() {
    if (one_ != nullptr) VARVE_TRY(EndOne());
    return std::move(done_);
  }

  Error Undo(const Error& error) {
    one_.reset();
    return Remove(store_, done_, error);
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
            .row_group_bytes_max = compaction_.row_group_bytes_max,
            .piece_rows_max = std::min(CutsOfFlushes().piece_rows_max,
                                       compaction_.piece_rows_max),
            .batches_max = batches_max_,
            .piece_bytes = compaction_.piece_bytes,
            .memory = compaction_.memory,
            .holder = MemoryHolder::kCompaction};
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
  const std::size_t batches_max_;
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

// The keys within `bounds`.
Status Merge(const Compaction& compaction, const KeyBounds& bounds, Outputs* outputs) {
  const auto fields = compaction.schema->schema()->num_fields();
  std::vector<int> columns(static_cast<std::size_t>(fields));
  std::iota(columns.begin(), columns.end(), 0);
  std::vector<std::unique_ptr<VersionCursor>> cursors;
  for (RunsApart& runs : ChainsOf(compaction.inputs, bounds)) {
    cursors.push_back(NewChainCursor(std::move(runs), columns, bounds));
  }
  auto versions = MergeVersions(std::move(cursors), compaction.stop);
  if (const auto& expiry = compaction.expiry) {
    versions = ExpireVersions(std::move(versions), *expiry, expiry->column());
  }
  OlderRuns older(compaction.older);
  std::string key;
  bool first = true;
  VARVE_TRY(versions->Next());
  for (std::uint32_t passed = 0; versions->valid(); ++passed) {
    if (passed % kKeysPerLook == 0) VARVE_TRY(CheckStop(compaction));
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

// All parts of a compaction, each merged by whoever comes to it first: a task or the caller.
class Parts {
 public:
  Parts(ObjectStore* store, const Compaction& compaction,
        const std::function<std::uint64_t()>& next_run_id, std::vector<KeyBounds> ranges)
      : store_(store),
        compaction_(compaction),
        next_run_id_(next_run_id),
        ranges_(std::move(ranges)),
        made_(ranges_.size()),
        on_stop_(compaction.stop, [this] { ended_.request_stop(); }) {}

  Result<Metas> Run() {
    {
      std::vector<std::unique_ptr<Ahead<Metas>>> tasks(ranges_.size());
      for (std::size_t i = 1; i < ranges_.size() && compaction_.executor != nullptr; ++i) {
        tasks[i] = std::make_unique<Ahead<Metas>>(compaction_.executor);
        tasks[i]->Ask([this, i] { return MergePart(i); });
      }
      made_[0] = MergePart(0);
      for (std::size_t i = ranges_.size() - 1; i > 0; --i) {  // tasks begin at the other end
        auto done = tasks[i] == nullptr ? std::nullopt : tasks[i]->Take();
        made_[i] = done ? *std::move(done) : MergePart(i);
      }
    }
    Metas all;
    for (auto& made : made_) {
      if (!made) {
        if (!failed_) failed_ = made.error();  // there was no memory even for noting it
        continue;
      }
      VARVE_CHECK(all.empty() || made->empty() || all.back()->max_key < made->front()->min_key);
      all.insert(all.end(), made->begin(), made->end());
    }
    if (failed_) return std::unexpected(Remove(store_, all, *failed_));
    return all;
  }

 private:
  // After an error nothing of it is left.
  Result<Metas> MergePart(std::size_t part) {
    return OrOutOfMemory([&]() -> Result<Metas> {
      Compaction compaction = compaction_;
      compaction.stop = ended_.get_token();
      const std::size_t batches = 2 * ChainsOf(compaction.inputs, ranges_[part]).size();
      Outputs outputs(store_, compaction, batches, next_run_id_);
      auto made = OrOutOfMemory([&]() -> Result<Metas> {
        VARVE_TRY(Merge(compaction, ranges_[part], &outputs));
        return outputs.Finish();
      });
      if (made) return made;
      const std::lock_guard lock(mutex_);
      if (!failed_) {  // else it is one that was ended by that
        const Status stopped = CheckStop(compaction_);
        failed_ = stopped ? made.error() : stopped.error();
      }
      ended_.request_stop();
      failed_ = outputs.Undo(*failed_);
      return made;
    });
  }

  ObjectStore* const store_;
  const Compaction& compaction_;
  const std::function<std::uint64_t()>& next_run_id_;
  const std::vector<KeyBounds> ranges_;
  std::vector<Result<Metas>> made_;
  std::mutex mutex_;
  std::optional<Error> failed_;  // the first error; guarded by mutex_ while tasks work
  std::stop_source ended_;       // of all parts
  const std::stop_callback<std::function<void()>> on_stop_;
};

// One merge; before it others, of as many of the smallest as it takes that few enough are left.
class Passes {
 public:
  Passes(ObjectStore* store, const Compaction& compaction,
         const std::function<std::uint64_t()>& next_run_id)
      : store_(store), left_(compaction), next_run_id_(next_run_id) {
    left_.altered = compaction.shown_from();  // also when no run that says so is left
  }

  Result<Metas> Run() {
    const Status few = MergeDown();
    auto made = few ? MergeAtOnce(left_) : Result<Metas>(std::unexpected(few.error()));
    if (!made) return std::unexpected(Remove(store_, between_, made.error()));
    Forget(left_.inputs);
    return made;
  }

 private:
  using Chains = std::vector<RunsApart>;

  static std::size_t OpenMax() {
    return std::max<std::size_t>(2, CutsOfCompactions().runs_open_max);
  }

  Status MergeDown() {
    for (Chains chains = ChainsOf(left_.inputs); chains.size() > OpenMax();
         chains = ChainsOf(left_.inputs)) {
      std::ranges::stable_sort(chains, {}, [](const auto& runs) { return BytesOf(runs); });
      const std::size_t some = std::min(OpenMax(), chains.size() - OpenMax() + 1);
      VARVE_TRY(MergeFirst(some, chains));
    }
    return {};
  }

  // The first chains become one. Deletes stay as long as a run that is left may need them.
  Status MergeFirst(std::size_t some, const Chains& chains) {
    Compaction pass = left_;
    pass.inputs.clear();
    RunsApart rest;
    for (std::size_t i = 0; i < chains.size(); ++i) {
      auto& to = i < some ? pass.inputs : rest;
      to.insert(to.end(), chains[i].begin(), chains[i].end());
    }
    for (const auto& run : rest) {
      pass.older.push_back(std::make_shared<const RunMeta>(run->meta()));
    }
    VARVE_ASSIGN(const Metas made, MergeAtOnce(pass));
    between_.insert(between_.end(), made.begin(), made.end());
    left_.inputs = std::move(rest);
    for (const auto& meta : made) {
      left_.inputs.push_back(varve::Run::Make(store_, left_.schema, meta));
    }
    Forget(pass.inputs);
    return {};
  }

  Result<Metas> MergeAtOnce(const Compaction& compaction) {
    const std::size_t overlapping = std::max<std::size_t>(1, ChainsOf(compaction.inputs).size());
    const std::size_t parts_max = std::max<std::size_t>(1, compaction.parts_max);
    const std::size_t parts = std::clamp<std::size_t>(OpenMax() / overlapping, 1, parts_max);
    VARVE_ASSIGN(auto ranges, CutIntoParts(compaction.inputs, parts,
                                           CutsOfCompactions().part_bytes_min));
    return Parts(store_, compaction, next_run_id_, std::move(ranges)).Run();
  }

  // Those of them that were made in between. One that cannot be removed belongs to no run: the
  // next open removes it.
  void Forget(const RunsApart& runs) {
    for (const auto& run : runs) {
      const auto at = std::ranges::find(between_, run->meta().id, [](const auto& meta) {
        return meta->id;
      });
      if (at == between_.end()) continue;
      (void)Remove(store_, {*at}, Error(ErrorKind::kInternal, "of no use any more"));
      between_.erase(at);
    }
  }

  ObjectStore* const store_;
  Compaction left_;  // what is still to be merged
  const std::function<std::uint64_t()>& next_run_id_;
  Metas between_;  // what passes made and nobody but the next pass will read
};

}  // namespace

std::uint64_t Compaction::shown_from() const {
  std::uint64_t from = altered;
  for (const auto& run : inputs) {
    from = std::max({from, run->meta().max_commit, run->meta().shown_from});
  }
  return from;
}

// A run that is hidden counts as long as the outputs are shown beside it.
Metas FindOlder(const RunMetaList& runs, const Compaction& compaction) {
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

CompactionCuts& CutsOfCompactions() {
  static CompactionCuts cuts;
  return cuts;
}

Result<Metas> CompactRuns(ObjectStore* store, const Compaction& compaction,
                          const std::function<std::uint64_t()>& next_run_id) {
  VARVE_CHECK(!compaction.inputs.empty());
  Passes passes(store, compaction, next_run_id);
  auto made = OrOutOfMemory([&] { return passes.Run(); });
  if (made) return made;
  return std::unexpected(made.error().Within(fmt::format(
      "compaction of {} runs of table {}", compaction.inputs.size(), compaction.table_name)));
}

}  // namespace varve
