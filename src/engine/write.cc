// SPDX-License-Identifier: Apache-2.0
// Database::Write. A write that looks first is a transaction of its own: it reads one snapshot, and
// its commit is refused when another touched what it looked at; then it looks again. After a few
// times it goes alone: commits wait for their numbers until it has its own, so nothing can come
// between, however busy the others are.
#include <fmt/format.h>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "engine/alone.h"
#include "engine/compactor.h"
#include "engine/engine.h"
#include "engine/write_request.h"

namespace varve {
namespace {

constexpr int kTriesBesideOthers = 4;

}  // namespace

// Memory is refused before the commit has its number, or not at all.
Result<Submitted> Database::Impl::Write(std::string_view table, const WriteRequest& request,
                                        const CommitOptions& options) {
  return OrNothingKept([&] { return WriteOnce(table, request, options); });
}

Result<Submitted> Database::Impl::WriteOnce(std::string_view table, const WriteRequest& request,
                                            const CommitOptions& options) {
  VARVE_TRY(CheckWritable());
  WriteWatch watch(environment_.clock(), options.profile);
  VARVE_ASSIGN(const auto repeat, Repeat(options, watch));  // its own rows would be in its way
  if (repeat) return *repeat;
  if (!LooksFirst(request)) return WriteBlind(table, request, options, &watch);
  const Look look = [&](const TableViewPtr& view, const BegunTransaction& begun) {
    return PrepareWrite(begun.view, *view, begun.commit, request);
  };
  return WriteLooking(table, look, options, &watch);
}

Result<Submitted> Database::Impl::WriteLooking(std::string_view table, const Look& look,
                                               const CommitOptions& options, WriteWatch* watch) {
  for (int tries = 1;; ++tries) {
    CommitNumber winner;
    CommitGuard guard{.winner = &winner, .alone = tries > kTriesBesideOthers};
    std::optional<Alone> alone;
    if (guard.alone) {
      VARVE_TRY(AwaitRoom());  // a flush may need somebody who waits for us
      watch->Lap(&WriteProfile::stall_micros);
      VARVE_TRY(AwaitCalm(0, watch));
      alone.emplace(this);
      VARVE_TRY(AwaitLast());
      watch->Lap(&WriteProfile::queue_micros);
    }
    auto submitted = LookAndWrite(table, look, options, guard, watch);
    if (submitted) return submitted;
    // That was faster, or is further by now.
    VARVE_ASSIGN(const auto twin, Repeat(options, *watch));
    if (twin) return *twin;
    if (winner == CommitNumber{}) return submitted;
    environment_.telemetry()->metrics.Add("commit_conflict_tries_total");
    alone.reset();
    watch->Lap(&WriteProfile::encode_micros);
    VARVE_TRY(AwaitLast());
    watch->Lap(&WriteProfile::queue_micros);
  }
}

// Prepared again when the table was dropped or got other columns meanwhile.
Result<Submitted> Database::Impl::WriteBlind(std::string_view table, const WriteRequest& request,
                                             const CommitOptions& options, WriteWatch* watch) {
  while (true) {
    VARVE_ASSIGN(const auto view, FindTable(table));
    VARVE_ASSIGN(auto write, PrepareWrite(nullptr, *view, {}, request));
    VARVE_ASSIGN(auto parts, MakeParts(*view, std::move(write.batches)));
    CommitNumber winner;
    auto submitted = Submit(std::move(parts), options, {.winner = &winner}, watch);
    if (submitted || winner == CommitNumber{}) return submitted;
    watch->Lap(&WriteProfile::queue_micros);  // behind the change of its table
  }
}

Result<Submitted> Database::Impl::LookAndWrite(std::string_view table, const Look& look,
                                               const CommitOptions& options, CommitGuard guard,
                                               WriteWatch* watch) {
  VARVE_ASSIGN(const auto begun, BeginTransaction());
  struct End {
    Impl* database;
    CommitNumber snapshot;
    ~End() { database->EndTransaction(snapshot); }
  } const end{this, begun.commit};
  VARVE_ASSIGN(const auto view, FindTableIn(*begun.view, table));
  VARVE_ASSIGN(auto write, look(view, begun));
  Footprint footprint;
  footprint.tables[view->id] = std::move(write.looked_at);
  guard.footprint = &footprint;
  guard.snapshot = begun.commit;
  if (write.refusal || (write.batches.empty() && !options.producer)) {
    // Nothing to commit is an answer too, and must hold beside commits that nobody sees yet.
    VARVE_TRY(CheckConflicts(&guard));
    if (write.refusal) return std::unexpected(*std::move(write.refusal));
    watch->Lap(&WriteProfile::encode_micros);
    return Submitted{.info = {.commit = begun.commit, .rows_passed = write.rows_passed},
                     .ticket = {},
                     .ack = options.ack,
                     .watch = *watch};
  }
  VARVE_ASSIGN(auto parts, MakeParts(*view, std::move(write.batches)));
  auto submitted = Submit(std::move(parts), options, guard, watch);
  if (submitted && !submitted->info.repeat) submitted->info.rows_passed = write.rows_passed;
  return submitted;
}

// Until every commit so far is visible, so that a new snapshot shows it. Those that asked for less
// than durable have to be synced for that.
Status Database::Impl::AwaitLast() {
  CommitNumber last;
  {
    const std::lock_guard lock(commit_mutex_);
    last = last_commit_;
  }
  VARVE_TRY(log_->Sync());
  return AwaitVisible(last);
}

}  // namespace varve
