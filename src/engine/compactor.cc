// SPDX-License-Identifier: Apache-2.0
#include "engine/compactor.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "columns/arrow_pool.h"
#include "engine/expirer.h"
#include "engine/memory.h"
#include "engine/retirer.h"
#include "run/open_run.h"
#include "upkeep/tiered.h"

namespace varve {
namespace {

// Of what is flushed, runs and levels are multiples; of any setting.
constexpr std::uint64_t kUnitBytesMin = 4096;
constexpr std::uint64_t kUnitBytesMax = 1ull << 40;

struct Shown {
  std::uint64_t runs = 0, bytes = 0;
};

Shown ShownNow(const ManifestState& state, const std::set<std::uint32_t>& tables) {
  Shown shown;
  for (const auto& [name, table] : state.tables) {
    if (!tables.contains(table->id)) continue;
    for (const auto& run : table->runs) {
      if (run->hidden_from != 0) continue;
      ++shown.runs;
      shown.bytes += run->data.bytes + run->deletes.bytes;
    }
  }
  return shown;
}

class Working {
 public:
  Working(std::atomic<int>* count, Pressure* pressure) : count_(count), pressure_(pressure) {
    ++*count_;
  }
  ~Working() {
    --*count_;
    pressure_->NoteEnded();
  }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  std::atomic<int>* const count_;
  Pressure* const pressure_;
};

bool StillStands(const TableState* table, std::uint64_t run_id) {
  if (table == nullptr) return false;
  const auto at = table->FindRun(run_id);
  return at != table->runs.end() && (*at)->hidden_from == 0;
}

// A level 1 as large as level 0 when it is due, so that merging the two costs as little as it can.
std::unique_ptr<const CompactionPlanner> NewPlanner(CompactionStrategy strategy,
                                                    std::uint64_t unit_bytes) {
  if (strategy == CompactionStrategy::kTiered) {
    // Of a memtable's bytes about half are flushed, and less are in the file.
    return std::make_unique<TieredPlanner>(TieredPlanner::Targets{.unit_bytes = unit_bytes / 4});
  }
  return std::make_unique<LeveledPlanner>(LeveledPlanner::Targets{
      .level1_bytes = 2 * unit_bytes, .moved_bytes_min = unit_bytes / 8});
}

// One task compacts, and of tiers it may be a large merge for long: more has to wait meanwhile.
PressureLimits LimitsFor(CompactionStrategy strategy, std::uint64_t unit_bytes) {
  if (strategy == CompactionStrategy::kTiered) {
    return {.slow = {24, 16 * unit_bytes}, .stop = {48, 64 * unit_bytes}};
  }
  return {.slow = {12, 16 * unit_bytes}, .stop = {24, 64 * unit_bytes}};
}

}  // namespace

Database::Impl::Compactor::Compactor(Impl* database)
    : Compactor(database, std::clamp(*database->options_.memtable_bytes_max, kUnitBytesMin,
                                     kUnitBytesMax)) {}

Database::Impl::Compactor::Compactor(Impl* database, std::uint64_t unit_bytes)
    : database_(*database),
      unit_bytes_(unit_bytes),
      planner_(NewPlanner(database->options_.compaction, unit_bytes)),
      expirer_(std::make_unique<Expirer>(database, this)),
      pressure_(database->environment_.clock(),
                LimitsFor(database->options_.compaction, unit_bytes)),
      io_(database->environment_.clock(), database->environment_.store(),
          database->options_.background_bytes_per_second, [this] { return IsWaitedFor(); }) {}

Database::Impl::Compactor::~Compactor() = default;

Result<CompactInfo> Database::Impl::Compactor::CompactAll(std::string_view name) {
  VARVE_TRY(database_.Flush());
  const auto before = database_.manifest_->state();
  std::set<std::uint32_t> tables;
  if (!name.empty()) {
    VARVE_ASSIGN(const auto* table, database_.FindOfficial(*before, name));
    tables.insert(table->id);
  } else {
    for (const auto& [unused, table] : before->tables) tables.insert(table->id);
  }
  for (const std::uint32_t id : tables) {
    VARVE_TRY(CompactOne([this, id](const TableState& table) {
      return table.id == id ? planner_->All(table.runs) : std::nullopt;
    }));
    VARVE_TRY(CompactExpired(id));
  }
  const Shown from = ShownNow(*before, tables);
  const Shown to = ShownNow(*database_.manifest_->state(), tables);
  return CompactInfo{from.runs, to.runs, from.bytes, to.bytes};
}

// What expired before this began, and no more: rows may expire as fast as we look.
Status Database::Impl::Compactor::CompactExpired(std::uint32_t table) {
  const auto state = database_.manifest_->state();
  const auto* const found = state->FindTable(table);
  const auto by = expirer_->Now(*state);
  if (found == nullptr || !found->schema->lifetime() || !by) return {};
  while (true) {
    do expirer_->Learn(); while (expirer_->Lacks());
    const auto choose = [&](const TableState& at) -> std::optional<CompactionPlan> {
      if (at.id != table) return std::nullopt;
      if (auto plan = expirer_->Next(*database_.official_, at)) return plan;
      return expirer_->NextPartly(*database_.official_, at, *by);
    };
    VARVE_ASSIGN(const bool more, CompactOne(choose));
    if (!more) return {};
  }
}

Result<CompactInfo> Database::Impl::Compact(std::string_view table) {
  VARVE_TRY(CheckWritable());
  return compactor_->CompactAll(table);
}

// Whether commits wait for what flushes or compactions do: then no limit may hold these up.
bool Database::Impl::Compactor::IsWaitedFor() const {
  if (pressure_.force() == Pressure::Force::kStop || database_.room_.pace.slows()) return true;
  std::lock_guard lock(database_.commit_mutex_);
  return database_.room_.waiting > 0;
}

void Database::Impl::Compactor::Stop() {
  stop_.request_stop();
  io_.End();
  pressure_.End();
}

void Database::Impl::Compactor::AfterFlush(std::uint64_t bytes) noexcept {
  (void)HadMemory([&] {
    if (bytes > 0) pressure_.NoteFlush(bytes);
    Look();
    if (IsDue() || expirer_->Lacks()) Schedule();
  });
}

// What there was to move when the database was opened, less what of it was moved since, stops
// nobody: it may be all there is, where the memory or the strategy was another one before.
CompactionDebt Database::Impl::Compactor::WithoutOld(std::uint32_t table, CompactionDebt debt) {
  std::lock_guard lock(failed_mutex_);
  std::uint64_t& old = old_bytes_.try_emplace(table, looked_ ? 0 : debt.bytes).first->second;
  old = std::min(old, debt.bytes);
  debt.bytes -= old;
  return debt;
}

// The worst of all tables.
void Database::Impl::Compactor::Look() {
  const auto state = database_.manifest_->state();
  std::string worst;
  CompactionDebt most;
  for (const auto& [name, table] : state->tables) {
    if (LastTimeOf(table->id) == LastTime::kDamaged) continue;
    const CompactionDebt debt = WithoutOld(table->id, planner_->DebtOf(table->runs));
    if (worst.empty() || debt.level0_runs > most.level0_runs) worst = name;
    most.level0_runs = std::max(most.level0_runs, debt.level0_runs);
    most.bytes = std::max(most.bytes, debt.bytes);
  }
  {
    std::lock_guard lock(failed_mutex_);
    looked_ = true;
  }
  pressure_.Look(worst, most);
}

Status Database::Impl::Compactor::AwaitCalm(std::uint64_t bytes) {
  pressure_.Slow(bytes);
  if (pressure_.force() != Pressure::Force::kStop) return {};
  Clock* const clock = database_.environment_.clock();
  const std::int64_t start = clock->SteadyMicros();
  Trace(database_.environment_.trace(), "commit.stop", pressure_.stats().reason);
  const Status calm = OrOutOfMemory([this] { return AwaitWhileStopped(); });
  pressure_.NoteStopped(clock->SteadyMicros() - start);
  if (calm) return {};
  return NotBegun("nothing of this commit was kept: compaction is behind, and failed",
                  calm.error());
}

bool Database::Impl::Compactor::IsUnderWay() const {
  std::lock_guard lock(database_.tasks_.mutex);
  return database_.tasks_.compaction || working_ > 0;
}

// Whoever waits does the work if nobody else does, and is told what hinders it.
Status Database::Impl::Compactor::AwaitWhileStopped() {
  while (pressure_.force() == Pressure::Force::kStop) {
    const std::uint32_t seen = pressure_.seen();
    if (!IsUnderWay()) {
      const auto more = CompactNext();
      const bool damaged = !more && more.error().kind() == ErrorKind::kCorruption;
      if (!more && !damaged) return std::unexpected(more.error());
      if (damaged || !*more) Look();  // of a damaged table nobody waits for the rest
    } else if (!database_.environment_.executor()->RunOne()) {
      pressure_.AwaitChange(seen);
    }
  }
  return {};
}

Result<bool> Database::Impl::Compactor::CompactNext() {
  expirer_->Learn();
  VARVE_ASSIGN(const bool did, CompactOne([this](const TableState& table) {
                 return NextOf(*database_.official_, table);
               }));
  if (!did) expirer_->RetireIfTime();
  return did || expirer_->Lacks();
}

// What nobody sees any more need not be merged first.
std::optional<CompactionPlan> Database::Impl::Compactor::NextOf(const ManifestState& state,
                                                                const TableState& table) const {
  if (auto expired = expirer_->Next(state, table)) return expired;
  return planner_->Next(table.runs);
}

bool Database::Impl::Compactor::IsDue() const {
  const auto state = database_.manifest_->state();
  return std::ranges::any_of(state->tables, [&](const auto& table) {
    return NextOf(*state, *table.second).has_value();
  });
}

void Database::Impl::Compactor::Schedule() {
  Tasks& tasks = database_.tasks_;
  {
    std::lock_guard lock(tasks.mutex);
    // A second one would wait for the first, with a thread that flushes need.
    if (std::exchange(tasks.compaction, true)) {
      tasks.compaction_again = true;
      return;
    }
    ++tasks.count;
  }
  const auto ended = [this, &tasks] {
    std::unique_lock lock(tasks.mutex);
    tasks.compaction = false;
    const bool again = std::exchange(tasks.compaction_again, false);
    lock.unlock();
    pressure_.NoteEnded();
    return again;
  };
  const bool submitted = HadMemory([&] {
    database_.environment_.executor()->Submit([this, ended] {
      const auto more = OrOutOfMemory([this] { return CompactNext(); });
      if (!more) Trace(database_.environment_.trace(), "compact.failed", more.error().message());
      const bool again = ended();
      // The executor's other tasks have their turn first.
      if (again || (more && *more)) Schedule();
      database_.EndTask();
    });
  });
  if (submitted) return SayThatThereIsATask();
  (void)ended();
  database_.EndTask();
}

// Who waits for tasks may have looked for one between its count and its place in the queue.
void Database::Impl::Compactor::SayThatThereIsATask() {
  pressure_.NoteEnded();
  database_.SayThatThereIsATask();
}

// A task of the database, though a caller's thread runs it: Close waits for it.
class Database::Impl::Compactor::Task {
 public:
  explicit Task(Impl* database) : database_(database) {
    database_->BeginTask();
  }
  ~Task() { database_->EndTask(); }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

 private:
  Impl* const database_;
};

Result<bool> Database::Impl::Compactor::CompactOne(const Choose& choose) {
  const Task task(&database_);
  std::lock_guard lock(one_at_a_time_);
  const Working working(&working_, &pressure_);
  VARVE_TRY(database_.CheckOpen());
  VARVE_TRY(database_.manifest_->CheckCommits());
  const auto compaction = Begin(choose);
  if (!compaction) return false;
  const Status done = Compact(*compaction);
  NoteOutcome(compaction->table_id, done);
  const bool was_taken_away = !done && done.error().kind() == ErrorKind::kConflict;
  if (!done && !was_taken_away) return std::unexpected(done.error());
  return true;
}

Status Database::Impl::Compactor::Compact(const Compaction& compaction) {
  NewRuns made;
  if (!compaction.only_move && !compaction.only_drop) {
    VARVE_ASSIGN(made, Write(compaction));
  }
  const Status published = Publish(compaction, &made);
  if (!published) database_.DropRuns(made, published.error());
  return published;
}

void Database::Impl::Compactor::NoteOutcome(std::uint32_t table, const Status& outcome) {
  std::lock_guard lock(failed_mutex_);
  if (outcome || outcome.error().kind() == ErrorKind::kConflict) {
    failed_.erase(table);
  } else {
    const bool damaged = outcome.error().kind() == ErrorKind::kCorruption;
    failed_[table] = damaged ? LastTime::kDamaged : LastTime::kFailed;
  }
}

Database::Impl::Compactor::LastTime Database::Impl::Compactor::LastTimeOf(
    std::uint32_t table) const {
  std::lock_guard lock(failed_mutex_);
  const auto at = failed_.find(table);
  return at == failed_.end() ? LastTime::kFine : at->second;
}

// Of the first table of which something is to be compacted, those that it failed for last.
std::optional<Compaction> Database::Impl::Compactor::Begin(const Choose& choose) {
  std::lock_guard lock(database_.commit_mutex_);
  for (const auto last_time : {LastTime::kFine, LastTime::kFailed, LastTime::kDamaged}) {
    for (const auto& [name, table] : database_.official_->tables) {
      if (LastTimeOf(table->id) != last_time) continue;
      if (const auto plan = choose(*table)) return CompactionOf(*table, *plan);
    }
  }
  return std::nullopt;
}

// Requires commit_mutex_.
Compaction Database::Impl::Compactor::CompactionOf(const TableState& table,
                                                   const CompactionPlan& plan) {
  const FlushRoom room = FlushRoomOf(database_.options_, database_.caches_);
  Compaction compaction{.table_name = table.name,
                        .table_id = table.id,
                        .schema_id = table.schema_id,
                        .schema = table.schema,
                        .inputs = {},
                        .level = plan.level,
                        .only_move = plan.only_move,
                        .only_drop = plan.only_drop,
                        .expiry = expirer_->ExpiryOf(*database_.official_, table),
                        .altered = table.altered().value,
                        .run_bytes_max = unit_bytes_,
                        .row_group_bytes_max = room.row_group_bytes_max,
                        .piece_rows_max = room.piece_rows_max,
                        .piece_bytes = room.piece_bytes,
                        .memory = room.memory,
                        .stop = stop_.get_token(),
                        .parts_max = database_.environment_.compaction_threads(),
                        .executor = database_.environment_.executor()};
  for (const auto& run : plan.inputs) {
    compaction.inputs.push_back(database_.runs_.Shown(run->id, table.schema));
  }
  compaction.older = FindOlder(table.runs, compaction);
  return compaction;
}

Result<NewRuns> Database::Impl::Compactor::Write(const Compaction& compaction) {
  const auto next_run_id = [this] {
    std::lock_guard lock(database_.flush_mutex_);
    auto& next = database_.next_run_id_;
    next = std::max(next, database_.manifest_->state()->next_run_id);
    return next++;
  };
  VARVE_ASSIGN(const auto metas, io_.Compact(compaction, next_run_id));
  NewRuns made;
  for (const auto& meta : metas) made.edits.emplace_back(std::in_place_type<AddRunEdit>, meta);
  for (const auto& meta : metas) {
    auto run = Run::Make(database_.environment_.store(), compaction.schema, meta,
                         database_.caches_);
    if (const auto read = run->Open(); !read) {  // before its inputs are let go
      database_.DropRuns(made, read.error());
      return std::unexpected(read.error());
    }
    made.opened.push_back(std::move(run));
  }
  return made;
}

Result<std::vector<Edit>> Database::Impl::Compactor::EditsOfInputs(
    const Compaction& compaction) const {
  const auto state = database_.manifest_->state();
  std::vector<Edit> edits;
  const TableState* const table = state->FindTable(compaction.table_id);
  if (compaction.expiry && table != nullptr && table->schema_id != compaction.schema_id) {
    return Fail(ErrorKind::kConflict,  // what it took for expired may live for longer by now
                fmt::format("table {} was altered meanwhile", compaction.table_name));
  }
  for (const auto& run : compaction.inputs) {
    const std::uint64_t id = run->meta().id;
    if (!StillStands(table, id)) {
      return Fail(ErrorKind::kConflict, fmt::format("run {} of table {} was taken away meanwhile",
                                                    id, compaction.table_name));
    }
    if (compaction.only_move) {
      edits.push_back(MoveRunEdit{compaction.table_id, id, compaction.level});
    } else {
      edits.push_back(HideRunEdit{compaction.table_id, id, {compaction.shown_from()}});
    }
  }
  return edits;
}

Status Database::Impl::Compactor::Publish(const Compaction& compaction, NewRuns* made) {
  Impl& database = database_;
  std::lock_guard flush_lock(database.flush_mutex_);
  if (database.lock_ == nullptr) return database.CheckOpen();
  VARVE_ASSIGN(auto edits, EditsOfInputs(compaction));
  edits.insert(edits.begin(), made->edits.begin(), made->edits.end());
  VARVE_ASSIGN(auto committed,
               database.manifest_->Commit(edits, database.environment_.clock()->Now()));
  {
    std::lock_guard lock(database.commit_mutex_);
    database.official_ = std::move(committed);
    for (auto& run : made->opened) database.runs_.Add(std::move(run));
    for (const auto& run : compaction.inputs) {
      RunMeta meta = run->meta();
      if (compaction.only_move) {
        meta.level = compaction.level;
      } else {
        meta.hidden_from = compaction.shown_from();
      }
      database.runs_.Replace(std::make_shared<const RunMeta>(std::move(meta)));
    }
    ++database.compactions_;
    database.InstallView();
  }
  GiveBackFreed();
  Trace(database.environment_.trace(), "compact.done", database.path_,
        {{"inputs", compaction.inputs.size()}, {"outputs", made->opened.size()}});
  database.retirer_->RetireIfDue();
  if (compaction.only_drop) expirer_->NoteDropped();
  Look();
  return {};
}

}  // namespace varve
