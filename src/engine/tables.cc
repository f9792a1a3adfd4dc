// SPDX-License-Identifier: Apache-2.0
// Making, changing and dropping tables (docs/design/0010).
//
// A change is a commit that the manifest alone records. What the log still needs when the change
// becomes official are later commits only, so no commit in the log is older than the columns that
// it is replayed into; and as of a commit before it every row is in a run.
#include <fmt/format.h>

#include <ranges>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "columns/alter_schema.h"
#include "columns/schema_difference.h"
#include "engine/alone.h"
#include "engine/compactor.h"
#include "engine/engine.h"

namespace varve {

namespace {

Result<std::shared_ptr<const TableSchema>> SchemaOfTable(
    const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
    const std::vector<std::string>& key, const std::optional<TimeToLive>& time_to_live) {
  VARVE_TRY(CheckTableName(name));
  VARVE_ASSIGN(auto made, TableSchema::Make(schema, key));
  return time_to_live ? made->WithTimeToLive(time_to_live) : made;
}

}  // namespace

Status Database::CheckTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                            const std::vector<std::string>& key,
                            const std::optional<TimeToLive>& time_to_live) {
  VARVE_TRY(SchemaOfTable(name, schema, key, time_to_live));
  return {};
}

Status Database::Impl::CreateTable(const std::string& name,
                                   const std::shared_ptr<arrow::Schema>& schema,
                                   const std::vector<std::string>& key,
                                   const CreateTableOptions& options) {
  VARVE_TRY(CheckWritable());
  VARVE_ASSIGN(auto checked, SchemaOfTable(name, schema, key, options.time_to_live));
  std::lock_guard flush_lock(flush_mutex_);
  VARVE_TRY(CheckOpen());
  const auto state = manifest_->state();
  if (const auto at = state->tables.find(name); at != state->tables.end()) {
    const auto exists = fmt::format("table '{}' exists already in '{}'", name, path_);
    if (!options.if_not_exists) {
      return Fail(ErrorKind::kConflict, exists, ErrorReason::kAlreadyExists);
    }
    const auto difference = DescribeDifference(*at->second->schema, *checked);
    if (difference.empty()) return {};
    return Fail(ErrorKind::kConflict, exists + " and is another one: " + difference,
                ErrorReason::kAlreadyExists);
  }
  const std::uint32_t id = state->next_table_id;
  VARVE_ASSIGN(auto published,
               manifest_->Commit(
                   {CreateTableEdit{.id = id, .name = name, .schema_id = 1, .schema = checked}},
                   environment_.clock()->Now()));
  std::lock_guard lock(commit_mutex_);
  official_ = std::move(published);
  active_->memtables[id] = 
      std::make_shared<Memtable>(checked, environment_.executor(), memory());
  InstallView();
  return {};
}

std::vector<TableInfo> Database::Impl::Tables() const {
  std::shared_ptr<const Superversion> view;
  {
    std::lock_guard lock(view_mutex_);
    view = view_;
  }
  std::vector<TableInfo> tables;
  for (const auto& [name, table] : view->tables) {
    tables.push_back({name, table->id, table->schema->schema(), table->schema->key_names(),
                      table->schema->time_to_live()});
  }
  return tables;
}

Result<CommitNumber> Database::Impl::DropTable(std::string_view name) {
  return ChangeTable(name, [](const TableState& table, CommitNumber commit) -> Result<Edit> {
    return DropTableEdit{.table_id = table.id, .commit = commit};
  });
}

Result<CommitNumber> Database::Impl::RenameTable(std::string_view from, const std::string& to) {
  VARVE_TRY(CheckTableName(to));
  return ChangeTable(from, [&](const TableState& table, CommitNumber commit) -> Result<Edit> {
    if (manifest_->state()->tables.contains(to)) {
      return Fail(ErrorKind::kConflict, fmt::format("table '{}' exists already in '{}'", to, path_),
                  ErrorReason::kAlreadyExists);
    }
    return RenameTableEdit{.table_id = table.id, .commit = commit, .name = to};
  });
}

Result<CommitNumber> Database::Impl::AlterTable(std::string_view name,
                                                const std::vector<ColumnChange>& changes) {
  return ChangeTable(name, [&](const TableState& table, CommitNumber commit) -> Result<Edit> {
    auto schema = AlterSchema(*table.schema, changes);
    if (!schema) {
      return std::unexpected(schema.error().Within(fmt::format("table '{}'", table.name)));
    }
    return AlterTableEdit{.table_id = table.id,
                          .commit = commit,
                          .schema_id = table.schema_id + 1,
                          .schema = *std::move(schema)};
  });
}

Result<const TableState*> Database::Impl::FindOfficial(const ManifestState& state,
                                                       std::string_view name) const {
  const auto at = state.tables.find(name);
  if (at != state.tables.end()) return at->second.get();
  const auto known = std::views::keys(state.tables);
  return NoTable(name, {known.begin(), known.end()});
}

namespace {

Status FlushBefore(std::string_view table, const Status& flushed) {
  if (flushed) return {};
  return NotBegun(fmt::format("table '{}' was not changed, for what is in memory could not be "
                              "flushed before",
                              table),
                  flushed.error());
}

// After a tag, a new table or a flush of unknown outcome no change of a table is tried, so none is
// of unknown outcome itself; commits, which need the log alone, go on.
Status CheckChangeable(Manifest* manifest, std::string_view table) {
  const Status commits = manifest->CheckCommits();
  if (commits) return {};
  return NotBegun(fmt::format("table '{}' was not changed, for nothing can become official since "
                              "an outcome is unknown",
                              table),
                  commits.error());
}

}  // namespace

// Nearly everything is flushed while others go on; then they wait for the little that came
// meanwhile, and for the change itself.
Result<CommitNumber> Database::Impl::ChangeTable(std::string_view name, const TableChange& change) {
  VARVE_TRY(CheckWritable());
  {
    const auto state = manifest_->state();  // what cannot be done is told before any work
    VARVE_ASSIGN(const TableState* const table, FindOfficial(*state, name));
    VARVE_TRY(change(*table, {state->commit.value + 1}));
  }
  VARVE_TRY(CheckChangeable(manifest_.get(), name));
  VARVE_TRY(FlushBefore(name, Flush()));
  const Alone alone(this);
  {
    std::lock_guard lock(commit_mutex_);
    VARVE_TRY(CheckOpen());
    Seal();
  }
  VARVE_TRY(FlushBefore(name, FlushSealed()));
  return CommitChange(name, change);
}

// Requires the turn, and that the runs hold every commit.
Result<CommitNumber> Database::Impl::CommitChange(std::string_view name,
                                                  const TableChange& change) {
  std::lock_guard flush_lock(flush_mutex_);
  VARVE_TRY(CheckChangeable(manifest_.get(), name));
  const auto state = manifest_->state();
  const CommitNumber commit{state->commit.value + 1};
  const WallTime now = environment_.clock()->Now();
  VARVE_ASSIGN(const TableState* const table, FindOfficial(*state, name));
  VARVE_ASSIGN(Edit edit, change(*table, commit));
  Lsn floor;
  {
    std::lock_guard lock(commit_mutex_);
    VARVE_TRY(CheckOpen());
    VARVE_CHECK(active_->commits == 0 && sealed_.empty() && last_commit_ == state->commit);
    floor = active_->log_start;
  }
  auto committed = manifest_->Commit({AdvanceEdit{.commit = commit,
                                                  .commit_time = now,
                                                  .floor = floor,
                                                  .durable = log_->positions().durable},
                                      std::move(edit)},
                                     now);
  {
    std::lock_guard lock(commit_mutex_);
    if (!committed) {
      // The number may be taken: another commit must not have it.
      if (committed.error().reason() == ErrorReason::kUnknownOutcome) {
        stopped_ = fmt::format(
            "no commit can follow a change of table '{}' of which nobody knows "
            "whether it was kept: reopen the database ({})",
            name, committed.error().message());
      }
      return std::unexpected(std::move(committed).error());
    }
    official_ = *std::move(committed);
    last_commit_ = commit;
    RenewMemtables();
    auto view = MakeView();
    std::lock_guard view_lock(view_mutex_);
    order_.Pass(commit);
    Show(std::move(view));
    for (const auto& follower : std::exchange(followers_, {})) follower->Wake();
  }
  compactor_->AfterFlush(0);
  Trace(environment_.trace(), "table.changed", name, {{"commit", commit.value}});
  return commit;
}

// One for each table, empty, with the columns that it has now. Readers keep what they hold.
void Database::Impl::RenewMemtables() {
  VARVE_CHECK(active_->commits == 0);
  std::map<std::uint32_t, std::shared_ptr<Memtable>> memtables;
  for (const auto& [name, table] : official_->tables) {
    auto& memtable = memtables[table->id] = active_->memtables.at(table->id);
    if (memtable->schema() != table->schema) {
      memtable = std::make_shared<Memtable>(table->schema, environment_.executor(), memory());
    }
  }
  active_->memtables = std::move(memtables);
}

// Rows go only into a table that is there, with the columns that they were prepared for; and what a
// transaction used is as it was.
Status Database::Impl::CheckTables(const std::vector<TablePart>& parts,
                                   const CommitGuard& guard) const {
  for (const TablePart& part : parts) {
    const auto at = active_->memtables.find(part.record.table_id);
    if (at == active_->memtables.end() || at->second->schema() != part.schema) {
      return TableChanged(part.record.table_id, guard);
    }
  }
  if (guard.footprint == nullptr || official_->changed <= guard.snapshot) return {};
  for (const auto& [id, used] : guard.footprint->tables) {
    if (LastChange(id).commit > guard.snapshot) return TableChanged(id, guard);
  }
  return {};
}

// Of its columns, or its drop.
LastChangeOfTable Database::Impl::LastChange(std::uint32_t table_id) const {
  if (const TableState* const table = official_->FindTable(table_id)) {
    return {table, table->altered()};
  }
  const auto dropped = official_->dropped.find(table_id);
  if (dropped == official_->dropped.end()) return {nullptr, official_->commit};  // let go since
  return {dropped->second.get(), dropped->second->dropped};
}

std::unexpected<Error> Database::Impl::TableChanged(std::uint32_t table_id,
                                                    const CommitGuard& guard) const {
  const auto [table, commit] = LastChange(table_id);
  if (guard.winner != nullptr) *guard.winner = commit;
  if (table == nullptr) {
    return Fail(ErrorKind::kConflict,
                fmt::format("table {} (by its id) was dropped after this transaction began (at "
                            "commit {}), and its versions were let go; nothing was kept, begin "
                            "again",
                            table_id, guard.snapshot.value));
  }
  const bool dropped = table->dropped != CommitNumber{};
  return Fail(
      ErrorKind::kConflict,
      fmt::format("table '{}' {} by commit {}, after this transaction began (at commit {}); "
                  "nothing was kept, begin again",
                  table->name, dropped ? "was dropped" : "got other columns", commit.value,
                  guard.snapshot.value));
}

}  // namespace varve
