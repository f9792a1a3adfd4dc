// SPDX-License-Identifier: Apache-2.0
// Life: a scripted database life on a simulated disk, and what must be true after its disk crashed.
//
// The script is deterministic: the same clock, random numbers and single thread each time. So the
// n-th disk event is the same in every run, and a sweep can cut power at each of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"

namespace varve::testing {

// Everything a database needs from outside, made anew for each life.
struct World {
  explicit World(std::uint64_t seed) : random(seed) {}
  Components components(SimulatedDisk* disk) {
    return {.files = disk, .clock = &clock, .random = &random, .executor = &executor};
  }
  ManualClock clock;
  SeededRandom random;
  ManualExecutor executor;
};

// What was promised so far: the state after each commit that was tried, and what was acknowledged.
struct Promises {
  bool created = false;                     // the creation of the table there is was acknowledged
  std::uint64_t acknowledged = 0;       // highest commit acknowledged as durable
  std::vector<Rows> after = {Rows{}};   // after[c]: the table's rows as of commit c
  std::vector<std::string> called = {"t"};  // called[c]: its name; empty: it was dropped just then
  std::vector<std::string> values = {"v"};  // values[c]: the name of the column of its values
  std::map<std::uint64_t, std::uint64_t> sequences;  // by commit: that of the producer "p"
  std::map<std::uint64_t, WallTime> times;           // by commit, of those that returned
  // By name: what it may name now, nothing being one of it. Two after a step that was cut short.
  std::map<std::string, std::set<std::optional<std::uint64_t>>> tags;
};

class Life {
 public:
  Life(SimulatedDisk* disk, OpenOptions options) : world_(42), disk_(disk), options_(options) {}

  // The disk may fail a call without losing power; the script ends at the first step that fails.
  void ExpectErrors() { errors_expected_ = true; }

  // The steps. Each does nothing once a step has failed: power is gone.
  void Open();
  void Create();
  void Rename(const std::string& to);
  void Drop();  // then Create
  void RenameValues(const std::string& to);  // the column of the values
  void Put(const Rows& rows, AckLevel ack = AckLevel::kDurable);
  // As the producer "p", whose next sequence this is.
  void PutOnce(const Rows& rows, AckLevel ack = AckLevel::kDurable);
  void PutMissing(const Rows& rows);        // of which at least one is missing
  void EraseRange(std::int64_t from, std::int64_t to);  // in which at least one is
  void Erase(const std::vector<std::int64_t>& ids);
  void Flush();
  void Tag(const std::string& name, std::uint64_t commit);  // which may be there already
  void Untag(const std::string& name);
  void MoveClock(std::int64_t micros);
  void RunTasks();
  void Close();
  void Kill();  // the process ends without Close

  bool failed() const { return failed_; }
  const Promises& promises() const { return promises_; }

 private:
  void Keep(const Status& status);
  // A commit is tried that leads to this.
  void Promise(Rows next, const std::string& name, const std::string& values);
  const std::string& name() const { return promises_.called.back(); }
  const std::string& values() const { return promises_.values.back(); }
  // `rows` with the columns that the table has.
  std::shared_ptr<arrow::RecordBatch> Batch(const Rows& rows) const;
  void Changed(const Result<CommitNumber>& commit);
  // Writes what leads to `next`.
  void Write(Rows next, const WriteRequest& request, const CommitOptions& options = {});
  World world_;
  SimulatedDisk* const disk_;
  OpenOptions options_;
  std::unique_ptr<Database> db_;
  bool failed_ = false;
  bool errors_expected_ = false;
  Promises promises_;
};

using Script = std::function<void(Life&)>;

// Opens what the crash left and checks every promise; then goes on: a commit, a flush, a reopening,
// a verification. Failures are reported to GoogleTest.
void CheckSurvivor(SimulatedDisk* disk, const OpenOptions& options, const Promises& promises);

// Runs the script to its end and gives the number of disk events.
std::uint64_t CountEvents(const Script& script, const OpenOptions& options);

}  // namespace varve::testing
