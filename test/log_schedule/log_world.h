// SPDX-License-Identifier: Apache-2.0
// A log in a schedule: the verbs of the scenarios, and what is checked after each.
//
// Whatever a thread was told goes into the ledger. At some of these moments the disk is copied, and
// after the schedule the copies lose power, or only their process, and are read back: what was
// promised at that moment must be there. At the end the log is closed, dropped or killed, by
// chance, and read back in the same way.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/log_schedule/ledger.h"
#include "test/log_schedule/scheduler.h"
#include "varve/log.h"
#include "varve/log_reader.h"

namespace varve::testing {

class PiecewiseFiles;     // scheduled_components.h
class ScheduledClock;
class ScheduledExecutor;

class LogWorld {
 public:
  LogWorld(std::uint64_t seed, std::string replay);
  ~LogWorld();

  // Runs one schedule of `scenario`, ends the log, and checks what is left. Gives what is wrong.
  std::vector<std::string> Run(const std::function<void(LogWorld&)>& scenario);

  // Chance and threads.
  std::uint64_t Pick(std::uint64_t least, std::uint64_t most);
  bool OneIn(std::uint64_t times) { return scheduler_.chooser().OneIn(times); }
  AckLevel PickLevel() { return static_cast<AckLevel>(Pick(0, 2)); }
  void Start(std::string name, Scheduler::Body body);
  void JoinAll();
  Scheduler& scheduler() { return scheduler_; }

  // A log of small segments, frames and groups, of any mode.
  LogOptions SmallLog();
  void Open(const LogOptions& options);
  Log& log() { return *log_; }
  LogComponents components();
  SimulatedDisk& disk() { return disk_; }

  // Each notes what it was told, and what that promises. False: it failed.
  bool Append(int producer, std::uint64_t bytes, AckLevel level);
  // `then` runs in the callback.
  void AppendThen(int producer, std::uint64_t bytes, AckLevel level,
                  const std::function<void()>& then = {});
  // A few producers, each of which appends a few units of up to so many bytes.
  void StartProducers(std::uint64_t bytes_max);
  struct Ticket {
    std::size_t unit;
    LogTicket ticket;
  };
  std::optional<Ticket> Enqueue(int producer, std::uint64_t bytes,
                                AckLevel to_come = AckLevel::kBuffered);
  bool Wait(const Ticket& ticket, AckLevel level);
  void Commit(int producer, std::uint64_t bytes, AckLevel level);
  bool WaitUntil(Lsn position, AckLevel level, std::optional<std::uint64_t> timeout_ms = {});
  void Sync();
  void Rotate();
  void TruncateBefore(Lsn fence);
  // From now on what is left must open from its newest checkpoint too.
  void Checkpoint(Lsn replay_from);
  void Close();
  void Drop();     // without a close; nobody else may be using it but by callbacks
  void Observe();  // the positions: in order, never going back, and true
  // A thread that reads the log while it grows, by OpenCursor or from outside.
  void StartFollower(bool inside, AckLevel level);
  // Makes everything durable; each follower must then come to the end, with each unit once.
  void JoinFollowers();

  // From now on failures are no surprise; without, each is wrong.
  void ExpectFailures() { failures_expected_ = true; }
  void ExpectTimeouts() { timeouts_expected_ = true; }
  void Expect(bool holds, std::string_view what);
  void AwaitCallbacks();
  void LetPass(std::int64_t micros);
  Ledger& ledger() { return ledger_; }

 private:
  struct Moment {
    std::unique_ptr<SimulatedDisk> disk;
    Ledger::Promise promised;
    bool power;  // is cut; otherwise the process alone ends
    std::string_view after;
  };
  void Note(std::string_view after);
  void Failed(std::size_t unit, const Error& error);
  void Follow(bool inside, AckLevel level);
  Result<std::unique_ptr<LogCursor>> OpenFollower(bool inside, AckLevel level);
  void Surprised(std::string_view by, const Error& error);
  void End();
  void Check(Moment* moment);
  void CheckReplay(const Moment& moment, std::string_view where);

  Scheduler scheduler_;
  SimulatedDisk disk_;
  const std::unique_ptr<PiecewiseFiles> files_;
  const std::unique_ptr<ScheduledClock> clock_;
  SeededRandom random_;
  SeededRandom crash_random_;
  std::unique_ptr<ScheduledExecutor> executor_;
  std::unique_ptr<Log> log_;
  Ledger ledger_;
  std::vector<Moment> moments_;
  std::uint64_t noted_ = 0;
  std::vector<int> threads_;
  std::vector<int> followers_;
  std::optional<Lsn> follow_to_;
  LogPositions observed_;
  std::size_t callbacks_left_ = 0;
  bool failures_expected_ = false;
  bool timeouts_expected_ = false;
  bool checkpointed_ = false;
  bool closing_ = false;  // somebody closes the log: calls may find it closed
};

}  // namespace varve::testing
