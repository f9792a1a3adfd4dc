// SPDX-License-Identifier: Apache-2.0
#include "engine/commits_to_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "manifest/state_editor.h"
#include "upkeep/flush.h"

namespace varve {

CommitsToRuns::CommitsToRuns(ObjectStore* to, std::shared_ptr<const ManifestState> base,
                             const Settings& settings)
    : to_(to),
      settings_(settings),
      state_(std::move(base)),
      next_run_id_(std::max(settings.first_run_id, state_->next_run_id)),
      last_{state_->commit, state_->commit_time} {}

Result<std::vector<std::pair<std::uint32_t, WriteBatch>>> CommitsToRuns::Decode(
    const DecodedCommit& commit) const {
  std::vector<std::pair<std::uint32_t, WriteBatch>> batches;
  for (const DecodedPart& part : commit.parts) {
    const TableState* const table = state_->FindTable(part.table_id);
    if (table == nullptr || table->schema_id != part.schema_id) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("commit {} writes table {} with schema {}, which the manifest does "
                              "not have",
                              commit.header.commit.value, part.table_id, part.schema_id));
    }
    VARVE_ASSIGN(auto batch, DecodePart(part, *table->schema));
    batches.emplace_back(part.table_id, std::move(batch));
  }
  return batches;
}

Status CommitsToRuns::Add(const LogUnit& unit) {
  VARVE_ASSIGN(const DecodedCommit commit, DecodeCommit(unit.records));
  const CommitNumber number = commit.header.commit;
  if (number <= state_->commit) return {};
  if (number == last_.commit && commit.parts.empty()) return {};  // a new segment's first (Rekey)
  if (number.value != last_.commit.value + 1) {
    return Fail(ErrorKind::kCorruption, fmt::format("LSN {}: commit {} follows commit {}",
                                                    unit.lsn.value, number.value,
                                                    last_.commit.value));
  }
  auto batches = Decode(commit);
  if (!batches) {
    return std::unexpected(batches.error().Within(fmt::format("LSN {}", unit.lsn.value)));
  }
  std::uint64_t bytes = 0;
  for (auto& [table_id, batch] : *batches) {
    auto& memtable = memtables_[table_id];
    if (memtable == nullptr) {
      memtable = std::make_shared<Memtable>(state_->FindTable(table_id)->schema);
    }
    memtable->Insert(std::move(batch), number.value);
  }
  times_.push_back(commit.header.time);
  last_ = {number, commit.header.time};
  ++taken_;
  if (commit.producer) producers_.Note(commit.producer->id, {commit.producer->sequence, number});
  for (const auto& [id, memtable] : memtables_) bytes += memtable->bytes();
  return bytes + times_.size() * sizeof(WallTime) < settings_.bytes_max ? Status() : FlushAll();
}

Result<TimesObject> CommitsToRuns::KeepTimes() {
  const CommitTimes times(CommitNumber{state_->commit.value + 1}, times_);
  if (settings_.times_there != nullptr) {
    const auto at = settings_.times_there->find(TimesName(last_.commit));
    if (at != settings_.times_there->end()) {
      VARVE_ASSIGN(const auto there, ReadTimes(to_, last_.commit, at->second));
      if (there->Covers(times)) {
        TimesObject known = at->second;
        known.first = times.first();
        return known;
      }
      // Never replaced: a manifest names it.
      return Fail(ErrorKind::kInvalid,
                  fmt::format("{}: the backup has other commits up to {} than the database: their "
                              "histories differ; give a new folder",
                              to_->Describe(TimesName(last_.commit)), last_.commit.value));
    }
  }
  return WriteTimes(to_, times, settings_.encrypted);
}

// What the engine's flush publishes as one edit, applied to the state in memory.
Status CommitsToRuns::FlushAll() {
  if (times_.empty()) return {};
  StateEditor editor(*state_);
  for (const auto& [table_id, memtable] : memtables_) {
    if (memtable->rows() == 0) continue;
    const TableState* const table = state_->FindTable(table_id);
    VARVE_ASSIGN(const auto runs,
                 FlushMemtable(to_, *memtable, table->name, table_id, table->schema_id,
                               &next_run_id_, settings_.encrypted));
    for (const auto& run : runs) VARVE_TRY(editor.Apply(AddRunEdit{run}));
  }
  VARVE_TRY(editor.Apply(AdvanceEdit{.commit = last_.commit,
                                     .commit_time = last_.time,
                                     .floor = state_->log_floor,
                                     .durable = state_->log_durable}));
  VARVE_ASSIGN(const TimesObject times, KeepTimes());
  VARVE_TRY(editor.Apply(AddTimesEdit{.commit = last_.commit, .times = times}));
  for (const auto& [commit, id] : producers_.by_commit()) {
    VARVE_TRY(editor.Apply(NoteProducerEdit{id, producers_.by_id().at(id)}));
  }
  state_ = std::make_shared<const ManifestState>(editor.Finish(state_->number + 1));
  memtables_.clear();
  times_.clear();
  producers_ = {};
  return {};
}

Result<std::shared_ptr<const ManifestState>> CommitsToRuns::Finish() {
  VARVE_TRY(FlushAll());
  return state_;
}

}  // namespace varve
