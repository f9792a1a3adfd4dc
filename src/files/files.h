// SPDX-License-Identifier: Apache-2.0
// The file interface: the one seam through which the log, and the local object store, reach a disk.
//
// Three implementations: PosixFiles (the real disk), MemoryFiles (a tree in memory), SimulatedDisk
// (memory that remembers what was synced, and whose Crash keeps any subset of the rest).
//
// Durability rules, the same for all three (docs/assumptions.md): a file's bytes and size survive a
// power cut after Sync returned; what WriteDurably wrote, after that returned; a name (create,
// rename, link, remove) after SyncDirectory of the folder that holds it returned. Nothing else is
// promised.
//
// Errors: an I/O failure is Unavailable with kIo, kNoSpace or kPermission; the message names the
// path and the system's reason. A missing path is NotFound. Damage is never reported here.
// Thread safety: Files may be used from any thread; one File too, as pread and pwrite may.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "varve/types.h"

namespace varve {

// How a file makes its writes durable. What is fastest depends on the device and the file system;
// what is promised depends on the method alone, and is the same for all three implementations.
enum class SyncMethod : std::uint8_t {
  kFdatasync,    // pwrite, fdatasync: the whole file, bytes and size
  kFsync,        // pwrite, fsync: the same, and times; Sync is fsync too
  kDsync,        // pwritev2 with RWF_DSYNC: this write, and the size that reaches it
  kDirectDsync,  // the same past the page cache (O_DIRECT), in blocks of kDirectBlock
};
inline constexpr SyncMethod kAllSyncMethods[] = {SyncMethod::kFdatasync, SyncMethod::kFsync,
                                                 SyncMethod::kDsync, SyncMethod::kDirectDsync};
std::string_view ToString(SyncMethod method);  // "fdatasync", "fsync", "dsync", "direct-dsync"

// Whether WriteDurably makes the earlier writes of its file durable too.
inline constexpr bool SyncsWholeFile(SyncMethod method) {
  return method == SyncMethod::kFdatasync || method == SyncMethod::kFsync;
}

// Offset, size and address of a write that goes past the page cache are multiples of this.
inline constexpr std::uint64_t kDirectBlock = 4096;

class File {
 public:
  virtual ~File() = default;
  // Reads up to `size` bytes at `offset` into `into`; gives the number read, less only at the end.
  virtual Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) = 0;
  // Writes all of `bytes` or fails; after a failure any part may have been written.
  virtual Status WriteAt(std::uint64_t offset, std::string_view bytes) = 0;
  // Makes bytes and size durable (fdatasync). After a failure nothing may be assumed of any write
  // since the last success, and calling it again proves nothing: the caller must poison itself.
  virtual Status Sync() = 0;
  // WriteAt, and `bytes`, with the size that reaches them, are durable when it returns. Under
  // kFdatasync and kFsync so is everything written before, as by Sync. Under kDsync and
  // kDirectDsync nothing else is, but for earlier truncations: what WriteAt wrote before waits for
  // a Sync. After a failure all is as after a failed WriteAt and a failed Sync.
  // Under kDirectDsync a write that is not of whole blocks is allowed, and slower; and no two
  // writes may touch one block at the same time.
  virtual Status WriteDurably(std::uint64_t offset, std::string_view bytes);
  // From now on writes become durable by `method`; a file starts with kFdatasync. Call it before
  // other threads have the file. Unavailable/kIo when the system or this file does not offer the
  // method, or no other descriptor is to be had: then the method stays as it was. It tries the
  // method on the file's first block, so that the first write does not have to find out.
  virtual Status UseSyncMethod(SyncMethod method);
  virtual Result<std::uint64_t> Size() = 0;
  virtual Status Truncate(std::uint64_t size) = 0;
  virtual const std::string& path() const = 0;
};

struct FileInfo {
  std::string name;  // without folder
  std::uint64_t size = 0;
  WallTime modified;
  bool is_directory = false;
  bool is_link = false;  // a symbolic one, to what the rest tells of; only List tells
  std::uint64_t device = 0;  // of the file system (st_dev), for this boot; 0: of memory
};

// Held while it lives.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Tells that something in a folder changed: a name, or the bytes of a file. Used by one thread.
class FolderWatch {
 public:
  virtual ~FolderWatch() = default;
  // Waits for a change since the watch was made, or since the last call that gave true; `micros` of
  // real time at most. False: there was none. A change may be told more than once.
  virtual Result<bool> Wait(std::int64_t micros) = 0;
};

enum class OpenMode : std::uint8_t {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // must not exist (Conflict/kAlreadyExists); read and write; mode 0600
};
enum class LockMode : std::uint8_t { kShared, kExclusive };

class Files {
 public:
  virtual ~Files() = default;
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  virtual Result<FileInfo> Info(const std::string& path) = 0;
  // Entries of a folder, sorted by name, without "." and "..".
  virtual Result<std::vector<FileInfo>> List(const std::string& directory) = 0;
  // Makes the folder and its missing parents (mode 0700), syncing each parent; fine if it exists.
  virtual Status CreateDirectories(const std::string& directory) = 0;
  // Atomically replaces `to` if it exists. Same folder or not; same file system.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // Second name for a file; Conflict/kAlreadyExists if `to` exists. The put-if-absent of folders.
  virtual Status Link(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;  // a file
  virtual Status SyncDirectory(const std::string& directory) = 0;
  // Takes the advisory lock of a file, made if missing (shared: opened read-only, and when the file
  // is missing or the folder is read-only an empty lock is given). An exclusive holder writes its
  // process id into it. Taken by this process or another: Unavailable/kLocked, naming the process.
  // A child made by fork does not hold it.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path, LockMode mode) = 0;
  // A watch on the folder, from now on. Null where nobody tells of changes, so that the caller must
  // look for them: these files are not of a real disk, or the system has no more watches to give.
  virtual Result<std::unique_ptr<FolderWatch>> Watch(const std::string& directory);
};

// The real disk; one for the process.
Files* PosixFiles();

// `directory + "/" + name`.
std::string JoinPath(std::string_view directory, std::string_view name);
// The part before the last '/', "." when there is none.
std::string ParentPath(std::string_view path);

// Reads the whole file.
Result<std::string> ReadWholeFile(Files* files, const std::string& path);

}  // namespace varve
