// SPDX-License-Identifier: Apache-2.0
// Scripted lives of a log: one process after another works with one log on one simulated disk, and
// an oracle holds the log to what it said.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "test/log_crash/oracle.h"
#include "varve/log.h"

namespace varve::testing {

inline constexpr char kLifeDir[] = "wal";

// The verbs of a script. Each does nothing once one has failed; then the life is over.
// Deterministic: the same script on the same disk makes the same events.
class Life {
 public:
  // `files` is `disk`, or wraps it.
  Life(SimulatedDisk* disk, Files* files, const LogOptions& options, Oracle oracle,
       std::uint64_t seed)
      : disk_(disk), files_(files), options_(options), oracle_(std::move(oracle)), random_(seed) {}
  Life(SimulatedDisk* disk, const LogOptions& options, Oracle oracle, std::uint64_t seed)
      : Life(disk, disk, options, std::move(oracle), seed) {}

  // Calls may fail though the disk has power: that ends the script and is no bug.
  void ExpectErrors() { errors_expected_ = true; }

  void Open(const RecoveryOptions& recovery = {});
  // One call of Log::Append. A unit of several records, by their sizes.
  void Append(std::size_t bytes, AckLevel level = AckLevel::kDurable) { Append({{bytes}}, level); }
  void Append(const std::vector<std::size_t>& sizes, AckLevel level = AckLevel::kDurable);
  // No room: refused without a trace, and the log goes on.
  void AppendIsRefused(std::size_t bytes);
  void Enqueue(std::size_t bytes, AckLevel to_come = AckLevel::kBuffered);
  void EnqueueMany(int count, std::size_t bytes);
  // For what was enqueued and not yet waited for, the first first.
  void WaitForAll(AckLevel level = AckLevel::kDurable);
  void WaitForLast(AckLevel level = AckLevel::kDurable);
  void Sync();
  // A unit put together over time.
  std::size_t Begin();
  void AppendTo(std::size_t transaction, std::size_t bytes);
  void Commit(std::size_t transaction, AckLevel level = AckLevel::kDurable);
  void Abort(std::size_t transaction);
  // A unit of its own, with everything durable before it.
  void Checkpoint();
  void Rotate();
  // Keeps the last `units` at least; those must be durable or nothing happens.
  void TruncateAllBut(std::size_t units);
  // Whatever is durable may go.
  void TruncateAllThatIsDurable();
  // What the log gave to its executor runs now: all, or the first.
  void Background();
  void OneTask();
  void Close();
  void Abandon();  // the Log is destroyed, not closed
  void Kill();     // the process is gone from one moment to the next
  void PowerCut(Survival survival);
  void LeaveRoomFor(std::uint64_t bytes);  // on the disk; UINT64_MAX: no limit

  // After a failure: one more try, with the log as it is or opened again. Whatever it is told then
  // counts.
  void TryAgain();

  // VerifyLog finds no damage. Not while the log is open.
  void Verify();

  bool failed() const { return failed_; }
  const Oracle& oracle() const { return oracle_; }
  // What broke a promise; empty: nothing.
  const std::string& wrong() const { return wrong_; }
  // The error that ended the script.
  const std::string& error() const { return error_; }

 private:
  void Note(std::string wrong);
  // Whether to go on.
  bool Did(const char* step, const Status& status);
  void NotePositions();
  void Truncate(Lsn fence);
  void NoteAck(const Result<LogAck>& ack, Records records, AckLevel level);
  void AppendFailed(const Error& error, Records records);
  Records NewRecords(const std::vector<std::size_t>& sizes);
  void EndProcess();
  LogComponents World() { return {files_, &clock_, &random_, &executor_, nullptr}; }

  SimulatedDisk* const disk_;
  Files* const files_;
  const LogOptions options_;
  Oracle oracle_;
  ManualClock clock_;
  SeededRandom random_;
  ManualExecutor executor_;
  std::unique_ptr<Log> log_;
  std::vector<LogTicket> waiting_;
  std::vector<std::pair<LogTransaction, Records>> transactions_;  // all that were begun
  bool errors_expected_ = false;
  bool failed_ = false;
  std::string wrong_;
  std::string error_;
};

}  // namespace varve::testing
