// SPDX-License-Identifier: Apache-2.0
// Flush and publish. A sealed generation becomes runs, and runs and new log floor become
// official in one manifest edit; only then does the log let go of its part.
#include <algorithm>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "columns/arrow_pool.h"
#include "engine/compactor.h"
#include "engine/engine.h"
#include "engine/flush_watch.h"
#include "engine/memory.h"
#include "engine/retirer.h"
#include "run/open_run.h"
#include "upkeep/flush.h"

namespace varve {

// A new superversion out of what is official, the open runs and the generations.
std::shared_ptr<const Superversion> Database::Impl::MakeView() {
  auto runs = runs_.Show(*official_);
  const auto base = [&](const TableState& table) {
    auto view = std::make_shared<TableView>();
    view->id = table.id;
    view->name = table.name;
    view->schema_id = table.schema_id;
    view->schema = table.schema;
    view->oldest = official_->oldest;
    view->memory = caches_.memory;
    view->runs = std::move(runs[table.id]);
    return view;
  };
  auto view = std::make_shared<Superversion>();
  view->executor = [this] { return environment_.executor(); };
  view->clock = environment_.clock();
  view->telemetry = environment_.telemetry();
  for (const auto& [name, table] : official_->tables) {
    const auto table_view = base(*table);
    table_view->active = active_->memtables.at(table->id);
    for (const auto& generation : sealed_) {
      const auto at = generation->memtables.find(table->id);
      if (at != generation->memtables.end()) table_view->sealed.push_back(at->second);
    }
    view->tables[name] = table_view;
    view->expires = view->expires || table->schema->lifetime();
  }
  for (const auto& [id, table] : official_->dropped) {
    view->dropped[id] = base(*table);
    view->expires = view->expires || table->schema->lifetime();
  }
  return view;
}

void Database::Impl::Show(std::shared_ptr<const Superversion> view) {
  view_ = std::move(view);
  flushed_ = official_;
  while (!recent_.empty() && recent_.front().commit <= flushed_->commit) recent_.pop_front();
}

void Database::Impl::InstallView() {
  auto view = MakeView();
  std::lock_guard lock(view_mutex_);
  Show(std::move(view));
}

Status Database::Impl::Flush() {
  VARVE_TRY(CheckWritable());
  {
    std::lock_guard lock(commit_mutex_);
    Seal();
  }
  return FlushSealed();
}

// One task at a time waits in the executor's queue; it takes every generation sealed until it runs.
void Database::Impl::ScheduleFlush() {
  {
    std::lock_guard lock(tasks_.mutex);
    if (tasks_.flush_waiting) return;
    tasks_.flush_waiting = true;
    ++tasks_.count;
  }
  const bool submitted = HadMemory([this] {
    environment_.executor()->Submit([this] {
      {
        std::lock_guard lock(tasks_.mutex);
        tasks_.flush_waiting = false;
      }
      if (const Status flushed = FlushSealed(); !flushed) {
        // The rows stay in memory and in the log; whoever needs the room tries again and is told.
        Trace(environment_.trace(), "flush.failed", flushed.error().message());
      }
      EndTask();
    });
  });
  if (submitted) return SayThatThereIsATask();
  // As after a flush that failed.
  {
    std::lock_guard lock(tasks_.mutex);
    tasks_.flush_waiting = false;
  }
  EndTask();
}

// Close may have looked for one between its count and its place in the queue.
void Database::Impl::SayThatThereIsATask() {
  { const std::lock_guard lock(tasks_.mutex); }
  tasks_.done.notify_all();
}

// Whoever waits for room sees that somebody flushes, and hears when he is through.
class Database::Impl::FlushTurn {
 public:
  explicit FlushTurn(Impl* database) : database_(database) {
    Count(1);
    database_->flush_mutex_.lock();
  }
  ~FlushTurn() {
    database_->flush_mutex_.unlock();
    Count(-1);
    database_->room_.changed.notify_all();
  }
  FlushTurn(const FlushTurn&) = delete;
  FlushTurn& operator=(const FlushTurn&) = delete;

 private:
  void Count(int more) {
    const std::lock_guard lock(database_->commit_mutex_);
    database_->room_.flushes += more;
  }

  Impl* const database_;
};

// Flushes the generations that are sealed now, oldest first, or no more of them than make room. On
// an error nothing is lost: what was not published stays sealed.
Status Database::Impl::FlushSealed(FlushUntil until) {
  const FlushTurn turn(this);
  if (lock_ == nullptr) return CheckOpen();  // Close was faster: the folder may be another's
  CommitNumber last;
  {
    std::lock_guard lock(commit_mutex_);
    if (!sealed_.empty()) last = sealed_.back()->last.commit;
  }
  while (true) {
    std::shared_ptr<Generation> generation;
    Lsn floor;
    {
      std::unique_lock lock(commit_mutex_);
      if (sealed_.empty() || sealed_.front()->last.commit > last) return {};
      if (until == FlushUntil::kRoom && HasRoom()) return {};
      generation = sealed_.front();
      inserted_.wait(lock, [&] { return generation->inserting == 0; });
      floor = sealed_.size() > 1 ? sealed_[1]->log_start : active_->log_start;
    }
    {
      FlushPace::Flushing flushing(&room_.pace, generation->bytes(),
                                   *options_.memtable_bytes_max);
      VARVE_TRY(FlushOne(generation, floor));
      flushing.Done();
    }
    generation.reset();  // its memory first: whoever waits takes as much
    room_.changed.notify_all();
  }
}

Result<NewRuns> Database::Impl::WriteRuns(const Generation& generation) {
  const auto state = manifest_->state();
  next_run_id_ = std::max(next_run_id_, state->next_run_id);
  NewRuns runs;
  for (const auto& [table_id, memtable] : generation.memtables) {
    if (memtable->rows() == 0) continue;
    const TableState* table = state->FindTable(table_id);
    VARVE_CHECK(table != nullptr);
    const auto write = [&]() -> Status {
      VARVE_ASSIGN(const auto written,
                   FlushMemtable(compactor_->io().store_of_flushes(), *memtable, table->name,
                                 table_id, table->schema_id, &next_run_id_,
                                 environment_.keys() != nullptr, FlushRoomOf(options_, caches_)));
      for (const auto& meta : written) {
        runs.edits.emplace_back(std::in_place_type<AddRunEdit>, meta);
      }
      for (const auto& meta : written) {
        auto run = Run::Make(environment_.store(), table->schema, meta, caches_);
        VARVE_TRY(run->Open());  // what cannot be read back must not let the log go
        runs.opened.push_back(std::move(run));
      }
      return {};
    };
    if (const Status done = write(); !done) {
      DropRuns(runs, done.error());
      return std::unexpected(done.error());
    }
  }
  return runs;
}

// What was written and is certainly not official gives its space back, which matters on a full
// disk. What cannot be deleted now, or may be official, is left to the next open.
void Database::Impl::DropRuns(const NewRuns& runs, const Error& why) {
  if (why.reason() == ErrorReason::kUnknownOutcome) return;
  for (const Edit& edit : runs.edits) {
    std::vector<std::string> names;
    if (const auto* added = std::get_if<AddRunEdit>(&edit)) {
      names = {added->run->data.name, added->run->deletes.name};
    } else if (const auto* times = std::get_if<AddTimesEdit>(&edit)) {
      names = {TimesName(times->commit)};
    }
    for (const std::string& name : names) {
      if (name.empty()) continue;
      if (const Status deleted = environment_.store()->Delete(name); !deleted) {
        Trace(environment_.trace(), "run.orphan_left", deleted.error().message());
      }
    }
  }
}

// When its commits were made, which only the log would know otherwise. They are the oldest recent
// ones: those before were flushed before.
Result<AddTimesEdit> Database::Impl::WriteTimesOf(const Generation& generation) {
  const CommitNumber last = generation.last.commit;
  const CommitNumber first{manifest_->state()->commit.value + 1};
  std::vector<WallTime> times;
  {
    std::lock_guard lock(view_mutex_);
    VARVE_CHECK(!recent_.empty() && recent_.front().commit == first);
    for (const RecentCommit& commit : recent_) {
      if (commit.commit > last) break;
      times.push_back(commit.time);
    }
  }
  VARVE_CHECK(first.value + times.size() == last.value + 1);
  VARVE_ASSIGN(const TimesObject object,
               WriteTimes(environment_.store(), CommitTimes(first, std::move(times)),
                          environment_.keys() != nullptr));
  return AddTimesEdit{.commit = last, .times = object};
}

Status Database::Impl::FlushOne(const std::shared_ptr<Generation>& generation, Lsn floor) {
  FlushWatch watch(environment_.telemetry().get(), environment_.clock());
  VARVE_TRY(manifest_->CheckCommits());  // or its runs would be written for nothing, at each try
  // Only durable commits become official: a run must never hold what the log could still lose.
  if (log_->positions().durable < floor) VARVE_TRY(log_->Sync());
  AdvanceVisible();

  VARVE_ASSIGN(NewRuns runs, WriteRuns(*generation));
  const RecentCommit last = generation->last;
  runs.edits.push_back(AdvanceEdit{.commit = last.commit,
                                   .commit_time = last.time,
                                   .floor = floor,
                                   .durable = log_->positions().durable});
  auto times = WriteTimesOf(*generation);
  if (!times) {
    DropRuns(runs, times.error());
    return std::unexpected(std::move(times).error());
  }
  runs.edits.push_back(*times);
  for (const auto& [commit, id] : generation->producers.by_commit()) {
    runs.edits.push_back(NoteProducerEdit{id, generation->producers.by_id().at(id)});
  }
  auto committed = manifest_->Commit(runs.edits, environment_.clock()->Now());
  if (!committed) {
    DropRuns(runs, committed.error());
    return std::unexpected(std::move(committed).error());
  }
  {
    std::lock_guard lock(commit_mutex_);
    official_ = *std::move(committed);
    for (auto& run : runs.opened) runs_.Add(std::move(run));
    VARVE_CHECK(sealed_.front() == generation);
    sealed_.pop_front();
    // From here on only who reads them keeps them.
    for (const auto& [id, memtable] : generation->memtables) {
      memtable->BookAs(MemoryHolder::kSnapshots);
    }
    ++flushes_;
    InstallView();
  }
  watch.Done(last.commit, runs);
  GiveBackFreed();
  compactor_->AfterFlush(generation->bytes());
  retirer_->RetireIfDue();
  PublishSoon();
  Trace(environment_.trace(), "flush.done", path_,
        {{"commit", last.commit.value}, {"runs", runs.opened.size()}, {"floor", floor.value}});
  if (archiver_ != nullptr) archiver_->ArchiveSoon();  // until then it keeps the log as it is
  // The rows are where they belong: a log that keeps its old segments is only longer than it must.
  if (const auto truncated = log_->TruncateBefore(floor); !truncated) {
    Trace(environment_.trace(), "log.truncate_failed", truncated.error().message());
  }
  return {};
}

}  // namespace varve
