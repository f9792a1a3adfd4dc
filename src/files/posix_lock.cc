// SPDX-License-Identifier: Apache-2.0
#include "files/posix_lock.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <compare>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "files/file_errors.h"
#include "files/posix_call.h"
#include "files/posix_owner.h"

namespace varve {
namespace {

// Anybody whom the folder lets in may ask whether it is held; all it says is by whom.
constexpr mode_t kLockMode = 0644;

struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const FileIdentity&) const = default;
};

struct Holders {
  int shared = 0;
  bool exclusive = false;
};

// What this process holds.
class LockTable {
 public:
  // Never destroyed: locks may be released while the process ends.
  static LockTable& Get() {
    static LockTable* const table = new LockTable;
    return *table;
  }

  std::mutex mutex;
  std::map<FileIdentity, Holders> held;  // guarded by mutex
  std::set<int> descriptors;             // guarded by mutex; the locked files
  // Guarded by mutex. One more in each child, so that a lock knows whose copy it is.
  std::uint64_t forks = 0;

 private:
  LockTable() {
    ::pthread_atfork([] { Get().mutex.lock(); }, [] { Get().mutex.unlock(); },
                     [] { Get().BecomeChild(); });
  }

  // Closing, without LOCK_UN, leaves the lock with the parent.
  void BecomeChild() {
    for (const int descriptor : descriptors) ::close(descriptor);
    descriptors.clear();
    held.clear();
    ++forks;
    mutex.unlock();
  }
};

class PosixLock final : public FileLock {
 public:
  // Called with the table's mutex held. What throws leaves the descriptor to be closed.
  PosixLock(LockTable* table, FileIdentity identity, LockMode mode, Descriptor descriptor)
      : table_(table),
        identity_(identity),
        mode_(mode),
        descriptor_(descriptor.get()),
        forks_(table->forks) {
    std::set<int> own{descriptor_};
    auto& holders = table_->held[identity_];
    table_->descriptors.merge(own);  // needs no memory
    (void)descriptor.Release();
    if (mode_ == LockMode::kExclusive) {
      holders.exclusive = true;
    } else {
      ++holders.shared;
    }
  }

  ~PosixLock() override {
    const std::lock_guard guard(table_->mutex);
    if (table_->forks != forks_) return;  // the parent's
    const auto holders = table_->held.find(identity_);
    VARVE_CHECK(holders != table_->held.end());
    if (mode_ == LockMode::kExclusive) {
      holders->second.exclusive = false;
      // Nobody reads a name that is no longer true. When it cannot be cut, readers see that the
      // process is not the holder.
      [[maybe_unused]] const int cut = ::ftruncate(descriptor_, 0);
    } else {
      --holders->second.shared;
    }
    if (!holders->second.exclusive && holders->second.shared == 0) table_->held.erase(holders);
    table_->descriptors.erase(descriptor_);
    ::flock(descriptor_, LOCK_UN);
    ::close(descriptor_);
  }

 private:
  LockTable* const table_;
  const FileIdentity identity_;
  const LockMode mode_;
  const int descriptor_;
  const std::uint64_t forks_;
};

// The lock of a file that is not there, for a reader: nobody can hold it exclusively.
class EmptyLock final : public FileLock {};

std::string FirstLineOf(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string CommandOf(pid_t process) {
  return FirstLineOf("/proc/" + std::to_string(process) + "/comm");
}

// The process that the kernel's table names; 0 when it names none. Some file systems number their
// devices otherwise there, and a holder outside this container has no number here.
pid_t HolderByKernel(FileIdentity identity) {
  std::ifstream table("/proc/locks");
  for (std::string line; std::getline(table, line);) {
    int process = 0;
    unsigned major_number = 0, minor_number = 0;
    unsigned long inode = 0;
    const int fields = std::sscanf(line.c_str(), "%*d: FLOCK %*s %*s %d %x:%x:%lu", &process,
                                   &major_number, &minor_number, &inode);
    if (fields != 4 || inode != identity.inode) continue;
    if (::makedev(major_number, minor_number) == identity.device && process > 0) return process;
  }
  return 0;
}

// The process that the file names, if it is alive; 0 otherwise.
pid_t HolderByText(const std::string& path) {
  int process = 0;
  if (std::sscanf(FirstLineOf(path).c_str(), "%d", &process) != 1 || process <= 0) return 0;
  return ::kill(process, 0) == 0 || errno == EPERM ? process : 0;
}

std::unexpected<Error> HeldElsewhere(const std::string& path, FileIdentity identity) {
  auto process = HolderByKernel(identity);
  if (process == 0) process = HolderByText(path);
  std::string holder = "another process";
  if (process != 0) {
    holder = "process " + std::to_string(process);
    if (const auto command = CommandOf(process); !command.empty()) holder += " (" + command + ")";
  }
  return Fail(ErrorKind::kUnavailable,
              path + " is held by " + holder + "; close it there, or wait until it ends",
              ErrorReason::kLocked);
}

std::unexpected<Error> HeldHere(const std::string& path) {
  return Fail(ErrorKind::kUnavailable,
              path + " is held by this process, " + std::to_string(::getpid()) + " (" +
                  CommandOf(::getpid()) + "), already; use what is open, or close it",
              ErrorReason::kLocked);
}

// Opens the file for an exclusive lock, and makes it when it is missing. Not by a symbolic link:
// who holds the lock is written into the file, whatever that was.
Result<Descriptor> OpenOrCreate(const std::string& path) {
  for (;;) {
    Descriptor found(Retry([&] { return ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW); }));
    if (found) return found;
    if (errno != ENOENT) return FailWith("open", path, errno);
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    Descriptor made(Retry([&] { return ::open(path.c_str(), flags, kLockMode); }));
    if (!made && errno == EEXIST) continue;
    if (!made) return FailWith("create", path, errno);
    if (::fchmod(made.get(), kLockMode) != 0) return FailWith("set the mode of", path, errno);
    GiveToOwnerOfFolder(made.get(), path);
    return made;
  }
}

// For people, and for systems without /proc/locks: so a disk too full for it does not keep the
// database shut.
void WriteHolder(int descriptor) {
  const auto text = std::to_string(::getpid()) + " " + CommandOf(::getpid()) + "\n";
  if (::ftruncate(descriptor, 0) != 0) return;
  [[maybe_unused]] const auto put = ::pwrite(descriptor, text.data(), text.size(), 0);
}

}  // namespace

Result<std::unique_ptr<FileLock>> TakePosixLock(const std::string& path, LockMode mode) {
  auto& table = LockTable::Get();
  const bool exclusive = mode == LockMode::kExclusive;
  const std::lock_guard guard(table.mutex);
  Descriptor descriptor;
  if (exclusive) {
    VARVE_ASSIGN(descriptor, OpenOrCreate(path));
  } else {
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
    descriptor = Descriptor(Retry([&] { return ::open(path.c_str(), flags); }));
    if (!descriptor && errno == ENOENT) return std::make_unique<EmptyLock>();
    if (!descriptor) return FailWith("open", path, errno);
  }
  struct stat facts;
  if (::fstat(descriptor.get(), &facts) != 0) return FailWith("look at", path, errno);
  const FileIdentity identity{facts.st_dev, facts.st_ino};
  const auto here = table.held.find(identity);
  if (here != table.held.end() && (exclusive || here->second.exclusive)) return HeldHere(path);
  const int operation = (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  if (Retry([&] { return ::flock(descriptor.get(), operation); }) != 0) {
    if (errno == EWOULDBLOCK) return HeldElsewhere(path, identity);
    return FailWith("lock", path, errno);
  }
  if (exclusive) WriteHolder(descriptor.get());
  return std::make_unique<PosixLock>(&table, identity, mode, std::move(descriptor));
}

}  // namespace varve
