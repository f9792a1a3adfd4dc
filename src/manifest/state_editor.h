// SPDX-License-Identifier: Apache-2.0
// StateEditor: the one place where edits change a manifest's state, for the writer that publishes
// them and for the reader that replays them; so the two cannot disagree.
//
// Invariants of a state, kept by Apply and therefore true of every state:
//   each table's id and name are its own; 1 <= id < next_table_id
//   each run's id is its own in the database; 1 <= id < next_run_id; its table exists, and has or
//   had its schema
//   a table's schemas have growing ids, and each follows the one before (columns/alter_schema.h)
//   a table's runs are ordered by (level, id)
//   commit, log_floor and log_durable never go back
//   producers' commits are not after commit
//   a table's former shapes have growing commits; these, and that of a drop, are versions' commits
//   oldest is not after commit and never goes back
//   versions have growing commits and numbers; their times, where there are, cover the commits
//   after the version before, so every commit from the first version with times on
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "manifest/manifest.h"
#include "varve/error.h"

namespace varve {

// Bounds that leave room to count on from anything that was read.
inline constexpr std::uint64_t kManifestNumberMax = UINT64_MAX / 2;
inline constexpr std::uint64_t kRunIdMax = UINT64_MAX / 2;
inline constexpr std::uint32_t kTableIdMax = UINT32_MAX / 2;

// Gives the newest version its times. Invalid when they are not of its commits.
Status SetTimes(const AddTimesEdit& edit, std::vector<VersionPoint>* versions);

// Not thread-safe. `base` need not outlive it.
class StateEditor {
 public:
  explicit StateEditor(const ManifestState& base) : state_(base) {}

  // Invalid says which edit cannot be applied and why; Conflict/kAlreadyExists for the name of a
  // table that is there. After an error the editor is of no use.
  Status Apply(const Edit& edit);

  // For the tables of a checkpoint: one that was dropped by a commit, or is there (zero), and then,
  // the oldest first, what it was before. Runs are added to either by Apply. Errors as Apply.
  Status Restore(const CreateTableEdit& table, CommitNumber dropped);
  Status Restore(std::uint32_t table_id, std::uint32_t schema_id,
                 std::shared_ptr<const TableSchema> former);
  Status Restore(std::uint32_t table_id, const FormerShape& shape);

  // The result, as manifest `number`. Version points added by the edits get their totals here, so
  // that they do not depend on the order of the edits. The editor is empty afterwards.
  ManifestState Finish(std::uint64_t number);

 private:
  Status CheckIsFree(const std::string& name) const;
  Status Create(const CreateTableEdit& edit);
  Status Add(const AddRunEdit& edit);
  Status Hide(const HideRunEdit& edit);
  Status Move(const MoveRunEdit& edit);
  Status Remove(const RemoveRunEdit& edit);
  Status Advance(const AdvanceEdit& edit);
  Status Note(const NoteProducerEdit& edit);
  Status Drop(const DropTableEdit& edit);
  Status Rename(const RenameTableEdit& edit);
  Status Alter(const AlterTableEdit& edit);
  // The table that an edit changes, as of its commit.
  Result<TableState*> Change(std::uint32_t table_id, CommitNumber commit);
  // Remembers the shape that it had before `commit`.
  static void KeepShape(TableState* table, CommitNumber commit);
  Status CheckIsNew(const CreateTableEdit& table) const;
  void Own(const CreateTableEdit& table, CommitNumber dropped);
  Status Tag(const TagEdit& edit);
  Status Untag(const UntagEdit& edit);
  Status Retire(const RetireEdit& edit);
  Status Set(const SetHistoryEdit& edit);
  // Whether a tag names a commit before this one.
  bool HasTagBefore(CommitNumber commit) const;
  // What nobody can ask for any more: once `oldest` is set.
  void ForgetShapes(TableState* table) const;
  TableState* Mutable(std::uint32_t table_id);
  TableState* MutableDropped(std::uint32_t table_id);
  struct FoundRun {
    TableState* table;
    RunMetaList::const_iterator at;
  };
  // Of a table that is there or was dropped. `what` is done to it, for the error.
  Result<FoundRun> FindRun(std::uint32_t table_id, std::uint64_t run_id, std::string_view what);
  bool HasRun(std::uint64_t run_id) const;
  static void Insert(TableState* table, std::shared_ptr<const RunMeta> run);
  static void Erase(const FoundRun& found);

  ManifestState state_;
  std::map<std::uint32_t, TableState*> own_;  // tables that this editor copied or made
  std::map<std::uint32_t, TableState*> own_dropped_;  // those that were dropped before it
  std::size_t new_versions_ = 0;
};

}  // namespace varve
