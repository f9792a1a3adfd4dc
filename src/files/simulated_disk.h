// SPDX-License-Identifier: Apache-2.0
// A disk in memory that can lose power.
//
// Running programs see the page-cache view: every write at once. Beside it the disk keeps what is
// durable and, in order, what is pending: writes in sectors of 512 bytes, sizes, and directory
// entries. Crash(policy, random) ends every open handle and lock and leaves an image that some real
// file system could leave after a power cut at that moment.
//
// Every operation that changes something is an event, numbered from 1. CrashAtEvent(n) makes event
// n fail half way (its effect is pending, as if power went during it) and every later call on the
// old handles fail with Unavailable/kIo, until Crash brings the disk back. So a sweep is:
// run the life once to count events; for n = 1..count: run until event n, Crash, reopen, check.
//
// Faults short of a crash: FailEvent(n, error) lets the n-th event return that error once, with
// nothing done or (for writes) a random part done; SetCapacity limits the bytes, further growth is
// kNoSpace.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "files/files.h"

namespace varve {

class Random;

// Which of the pending changes survive the power cut.
enum class Survival : std::uint8_t {
  kAllLost,          // nothing that was not synced
  kAllKept,          // everything
  kRandomPrefix,     // per file a prefix of its writes; directory entries a prefix
  kRandomSectors,    // any subset of sectors, sizes and entries, each by itself
  kMetadataFirst,    // sizes and entries, none of the data (zeros)
  kDataFirst,        // data that fits the old size, none of the sizes and entries
  kRenameBeforeData, // entries, none of the data or sizes
  kGarbage,          // as kRandomSectors, and lost extents inside the new size hold garbage
};
inline constexpr Survival kAllSurvivals[] = {
    Survival::kAllLost,       Survival::kAllKept,   Survival::kRandomPrefix,
    Survival::kRandomSectors, Survival::kMetadataFirst, Survival::kDataFirst,
    Survival::kRenameBeforeData, Survival::kGarbage};
std::string_view ToString(Survival survival);

// One event, for traces and for choosing where to crash.
struct DiskEvent {
  std::string operation;  // "write", "sync", "syncdir", "create", "rename", "link", "remove", ...
  std::string path;
  std::uint64_t bytes = 0;
};

// Thread-safe.
class SimulatedDisk final : public Files {
 public:
  SimulatedDisk();
  ~SimulatedDisk() override;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<FileInfo> Info(const std::string& path) override;
  Result<std::vector<FileInfo>> List(const std::string& directory) override;
  Status CreateDirectories(const std::string& directory) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& directory) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, LockMode mode) override;

  std::uint64_t events() const;
  std::vector<DiskEvent> trace() const;  // of all events so far
  // 0: never. The n-th event from now on is n = events() + 1.
  void CrashAtEvent(std::uint64_t event);
  bool crashed() const;  // the event was reached
  void Crash(Survival survival, Random* random);
  // A crash of the process alone: handles and locks end, the page cache stays.
  void KillProcess();

  void FailEvent(std::uint64_t event, Error error);
  void SetCapacity(std::uint64_t bytes);  // UINT64_MAX: no limit

  // For damage tests: the bytes as they are, past every rule.
  Result<std::string> Peek(const std::string& path) const;
  void Poke(const std::string& path, std::string bytes);  // makes it durable

  // A copy of the present state (page cache and pending both), for trying many crashes from one run.
  std::unique_ptr<SimulatedDisk> Clone() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A tree of files in memory, with no crash and no record of what is pending.
std::unique_ptr<Files> NewMemoryFiles();

}  // namespace varve
