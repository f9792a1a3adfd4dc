// SPDX-License-Identifier: Apache-2.0
// A disk in memory that can lose power.
//
// Running programs see the page-cache view: every write at once. Beside it the disk keeps what is
// durable and, in order, what is pending: writes in sectors of 512 bytes, sizes, and directory
// entries. Crash(policy, random) ends every open handle and lock and leaves an image that some real
// file system could leave after a power cut at that moment.
//
// Every operation that changes something, and every sync, is an event, numbered from 1; a call that
// is refused (NotFound, Conflict) is none. CrashAtEvent(n) makes event n fail half way (its effect
// is pending, as if power went during it) and every later call fail with Unavailable/kIo, until
// Crash brings the disk back; handles and locks of before stay dead. So a sweep is:
// run the life once to count events; for n = 1..count: run until event n, then for each policy
// Clone, Crash the clone, reopen, check.
//
// What may part in a crash: one file's data from another's, a sector from its neighbours, a size
// from the sectors in it, a name from the data behind it, one name from another. What may not: the
// two halves of a rename; the bytes of one sector, which are as they were at some one moment; and a
// name from the earlier changes of that same name.
//
// WriteDurably is one event. A crash in it may keep any part of the write. After it, the file is as
// after Sync when its method syncs whole files; otherwise the sectors of this write are durable,
// with the size that reaches them and the truncations before, and every other write is as pending
// as it was. Between the old end of the file and such a write are zeros.
//
// Faults short of a crash: FailEvent(n, error) lets the n-th event return that error once, with
// nothing done or, for a write, a part done (the event's number decides how much). When the event
// is the sync of a file, some of its pending writes will never become durable, though programs go
// on reading them and later syncs succeed: what Linux does after a failed fsync. A WriteDurably
// fails as a write or as a sync, as the event's number decides. FailReads makes the reads of one
// file fail. SetCapacity limits the bytes of all files together: further growth is kNoSpace, after
// a write has filled what was left.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/files.h"

namespace varve {

class Random;

// Which of the pending changes survive the power cut.
enum class Survival : std::uint8_t {
  kAllLost,           // nothing that was not synced
  kAllKept,           // everything
  kRandomPrefix,      // per file a prefix of its writes, the last torn; a prefix of the entries
  kRandomSectors,     // any subset of sectors, sizes and entries, each by itself
  kMetadataFirst,     // sizes and entries, none of the data (zeros)
  kDataFirst,         // data that fits the old size, none of the sizes and entries
  kRenameBeforeData,  // entries, none of the data or sizes
  kGarbage,           // as kRandomSectors, and lost extents inside the new size hold garbage:
                      // random bytes, or what another file held
};
inline constexpr Survival kAllSurvivals[] = {
    Survival::kAllLost,          Survival::kAllKept,       Survival::kRandomPrefix,
    Survival::kRandomSectors,    Survival::kMetadataFirst, Survival::kDataFirst,
    Survival::kRenameBeforeData, Survival::kGarbage};
std::string_view ToString(Survival survival);

// One event, for traces and for choosing where to crash.
struct DiskEvent {
  // "create", "write", "write-durably", "truncate", "sync", "mkdir", "rename", "link", "remove",
  // "syncdir"
  std::string operation;
  std::string path;         // as given; of a rename or link: "<from> to <to>"
  std::uint64_t bytes = 0;  // of a write; the new size of a truncate
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
  // For trying every subset of what is pending: the number of parts that a power cut now keeps or
  // loses each by itself. Parts are operations on names, changes of size, and writes, cut at
  // multiples of `grain` (a multiple of 512) where they change something.
  std::size_t PendingParts(std::uint64_t grain) const;
  // A Crash that keeps part i when kept[i], and with it the earlier ones of the same name or
  // sector. kept.size() must be PendingParts(grain).
  void CrashKeeping(std::uint64_t grain, const std::vector<bool>& kept);
  // A crash of the process alone: handles and locks end, the page cache stays.
  void KillProcess();

  void FailEvent(std::uint64_t event, Error error);
  // Reads of the file that `path` names now fail with `error` from now on; nullopt: no more.
  void FailReads(const std::string& path, std::optional<Error> error);
  void SetCapacity(std::uint64_t bytes);  // UINT64_MAX: no limit

  // For damage tests: the bytes as they are, past every rule. Poke makes them durable, and makes
  // the file if it is missing (its folder must be there). Neither is an event.
  Result<std::string> Peek(const std::string& path) const;
  void Poke(const std::string& path, std::string bytes);

  // Equal for equal trees of names and bytes as programs see them; for telling states apart.
  std::uint64_t Fingerprint() const;

  // A copy of the present state (page cache and pending both), without the open handles and locks,
  // for trying many crashes from one run. Cheap: the copies share their bytes.
  std::unique_ptr<SimulatedDisk> Clone() const;

 private:
  struct State;
  class Handle;
  class HeldLock;
  explicit SimulatedDisk(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // with the open handles, which may outlive the disk
};

// A tree of files in memory, with no crash and no record of what is pending.
std::unique_ptr<Files> NewMemoryFiles();

}  // namespace varve
