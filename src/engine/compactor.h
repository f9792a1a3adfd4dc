// SPDX-License-Identifier: Apache-2.0
// Compactor: compacts runs in the background after flushes, one compaction at a time, and by hand.
// It works on runs that never change, under no lock that commits or flushes want; what it made
// becomes official if its inputs still stand (docs/design/0017).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string_view>
#include <vector>

#include "engine/background_io.h"
#include "engine/engine.h"
#include "engine/pressure.h"
#include "upkeep/compact.h"
#include "upkeep/plan.h"

namespace varve {

class Database::Impl::Compactor {
 public:
  explicit Compactor(Impl* database);
  ~Compactor();

  // Flushes, and makes one level of all runs of each table, or of one.
  Result<CompactInfo> CompactAll(std::string_view table);
  // Looks what is due, after so many bytes of rows became runs, or a table was changed: zero.
  void AfterFlush(std::uint64_t bytes) noexcept;
  // Whether commits have to wait, as compaction is behind.
  bool presses() const { return pressure_.force() != Pressure::Force::kNone; }
  // Before a commit of so many bytes: waits as far as that is so. An error is that of a compaction
  // which would have helped; nothing of the commit was kept.
  Status AwaitCalm(std::uint64_t bytes);
  Pressure::Stats pressure() const { return pressure_.stats(); }
  // By which flushes, too, keep to the budget of background I/O.
  const BackgroundIo& io() const { return io_; }
  // What runs ends early and leaves nothing; nobody waits for it any more.
  void Stop();

 private:
  Compactor(Impl* database, std::uint64_t unit_bytes);

  class Expirer;  // expirer.h
  class Task;
  using Choose = std::function<std::optional<CompactionPlan>(const TableState&)>;

  // A task that compacts what is due, and then another if more is.
  void Schedule();
  void SayThatThereIsATask();
  bool IsDue() const;
  void Look();
  CompactionDebt WithoutOld(std::uint32_t table, CompactionDebt debt);
  Status AwaitWhileStopped();
  bool IsWaitedFor() const;
  bool IsUnderWay() const;
  Result<bool> CompactNext();
  std::optional<CompactionPlan> NextOf(const ManifestState& state, const TableState& table) const;
  Status CompactExpired(std::uint32_t table);
  Result<bool> CompactOne(const Choose& choose);  // false: there was nothing to do
  std::optional<Compaction> Begin(const Choose& choose);
  Compaction CompactionOf(const TableState& table, const CompactionPlan& plan);
  Status Compact(const Compaction& compaction);
  // Of tables that one failed for, others come first; for damage nobody is to wait.
  void NoteOutcome(std::uint32_t table, const Status& outcome);
  enum class LastTime : std::uint8_t { kFine, kFailed, kDamaged };
  LastTime LastTimeOf(std::uint32_t table) const;
  Result<NewRuns> Write(const Compaction& compaction);
  // What becomes of the inputs, if each still stands.
  Result<std::vector<Edit>> EditsOfInputs(const Compaction& compaction) const;
  Status Publish(const Compaction& compaction, NewRuns* made);

  Impl& database_;
  const std::uint64_t unit_bytes_;  // a memtable's
  const std::unique_ptr<const CompactionPlanner> planner_;
  const std::unique_ptr<Expirer> expirer_;
  Pressure pressure_;
  BackgroundIo io_;
  std::atomic<int> working_ = 0;
  std::stop_source stop_;
  std::mutex one_at_a_time_;  // before flush_mutex_
  mutable std::mutex failed_mutex_;
  std::map<std::uint32_t, LastTime> failed_;  // by table id; guarded by failed_mutex_
  std::map<std::uint32_t, std::uint64_t> old_bytes_;  // so are these: to move since the open
  bool looked_ = false;                               // guarded by failed_mutex_
};

}  // namespace varve
