// SPDX-License-Identifier: Apache-2.0
// Seal, flush, publish. A sealed generation becomes runs, and runs and new log floor become official
// in one manifest edit; only then does the log let go of its part.
#include <fmt/format.h>

#include "base/result.h"
#include "engine/engine.h"
#include "upkeep/flush.h"

namespace varve {

// From here on commits go to a new generation. No commit is half placed: we hold commit_mutex_.
void Database::Impl::Seal() {
  if (active_->commits.empty()) return;
  auto next = std::make_shared<Generation>();
  next->log_start = log_->positions().appended;
  for (const auto& [id, memtable] : active_->memtables) {
    next->memtables[id] = std::make_shared<Memtable>(memtable->schema());
  }
  sealed_.push_back(std::move(active_));
  active_ = std::move(next);
  InstallView();
}

// A new superversion out of what is official, the open runs and the generations.
void Database::Impl::InstallView() {
  auto view = std::make_shared<Superversion>();
  for (const auto& [name, table] : official_->tables) {
    auto table_view = std::make_shared<TableView>();
    table_view->id = table->id;
    table_view->name = name;
    table_view->schema_id = table->schema_id;
    table_view->schema = table->schema;
    table_view->active = active_->memtables.at(table->id);
    for (const auto& generation : sealed_) {
      const auto at = generation->memtables.find(table->id);
      if (at != generation->memtables.end()) table_view->sealed.push_back(at->second);
    }
    for (const auto& meta : table->runs) table_view->runs.push_back(runs_.at(meta->id));
    view->tables[name] = std::move(table_view);
  }
  std::lock_guard lock(view_mutex_);
  view_ = std::move(view);
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
    std::lock_guard lock(task_mutex_);
    if (flush_waiting_) return;
    flush_waiting_ = true;
    ++tasks_;
  }
  environment_.executor()->Submit([this] {
    {
      std::lock_guard lock(task_mutex_);
      flush_waiting_ = false;
    }
    if (const Status flushed = FlushSealed(); !flushed) {
      // The rows stay in memory and in the log; whoever needs the room tries again and is told.
      Trace(environment_.trace(), "flush.failed", flushed.error().message());
    }
    std::lock_guard lock(task_mutex_);
    --tasks_;
    task_done_.notify_all();
  });
}

// Flushes the sealed generations, oldest first. On an error nothing is lost: what was not published
// stays sealed.
Status Database::Impl::FlushSealed() {
  std::lock_guard flush_lock(flush_mutex_);
  while (true) {
    std::shared_ptr<Generation> generation;
    Lsn floor;
    {
      std::unique_lock lock(commit_mutex_);
      if (sealed_.empty()) return {};
      generation = sealed_.front();
      inserted_.wait(lock, [&] { return generation->inserting == 0; });
      floor = sealed_.size() > 1 ? sealed_[1]->log_start : active_->log_start;
    }
    VARVE_TRY(FlushOne(generation, floor));
  }
}

Status Database::Impl::FlushOne(const std::shared_ptr<Generation>& generation, Lsn floor) {
  // Only durable commits become official: a run must never hold what the log could still lose.
  if (log_->positions().durable < floor) VARVE_TRY(log_->Sync());
  AdvanceVisible();

  const auto state = manifest_->state();
  std::vector<Edit> edits;
  std::vector<std::shared_ptr<const Run>> opened;
  std::uint64_t run_id = state->next_run_id;
  for (const auto& [table_id, memtable] : generation->memtables) {
    if (memtable->rows() == 0) continue;
    const TableState* table = state->FindTable(table_id);
    VARVE_CHECK(table != nullptr);
    VARVE_ASSIGN(const auto meta,
                 FlushMemtable(environment_.store(), *memtable, table->name, table_id,
                               table->schema_id, run_id++));
    VARVE_ASSIGN(auto run, Run::Open(environment_.store(), table->schema, *meta));
    opened.push_back(std::move(run));
    edits.push_back(AddRunEdit{meta});
  }
  const RecentCommit last = generation->commits.back();
  edits.push_back(AdvanceEdit{.commit = last.commit,
                              .commit_time = last.time,
                              .floor = floor,
                              .durable = log_->positions().durable});
  VARVE_ASSIGN(auto published, manifest_->Commit(edits, environment_.clock()->Now()));
  {
    std::lock_guard lock(commit_mutex_);
    official_ = std::move(published);
    for (auto& run : opened) runs_[run->meta().id] = run;
    VARVE_CHECK(sealed_.front() == generation);
    sealed_.pop_front();
    ++flushes_;
    InstallView();
  }
  Trace(environment_.trace(), "flush.done", path_,
        {{"commit", last.commit.value}, {"runs", opened.size()}, {"floor", floor.value}});
  return log_->TruncateBefore(floor);
}

}  // namespace varve
