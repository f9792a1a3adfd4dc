// SPDX-License-Identifier: Apache-2.0
// The real disk: names and folders; posix_file.cc has what is in a file. Every call is retried when
// a signal interrupts it. Modes are set by fchmod and chmod: the umask must not open a database to
// others, nor close it to its owner.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/result.h"
#include "files/create_directories.h"
#include "files/file_errors.h"
#include "files/files.h"
#include "files/posix_call.h"
#include "files/posix_file.h"
#include "files/posix_lock.h"
#include "files/posix_owner.h"
#include "files/posix_watch.h"

namespace varve {
namespace {

constexpr mode_t kFolderMode = 0700;

WallTime ModifiedOf(const struct stat& facts) {
  return {static_cast<std::int64_t>(facts.st_mtim.tv_sec) * 1'000'000 +
          facts.st_mtim.tv_nsec / 1000};
}

FileInfo InfoOf(std::string name, const struct stat& facts) {
  return {.name = std::move(name),
          .size = S_ISDIR(facts.st_mode) ? 0 : static_cast<std::uint64_t>(facts.st_size),
          .modified = ModifiedOf(facts),
          .is_directory = S_ISDIR(facts.st_mode),
          .device = facts.st_dev};
}

Result<bool> FolderExists(const std::string& path) {
  struct stat facts;
  if (::stat(path.c_str(), &facts) == 0) {
    if (S_ISDIR(facts.st_mode)) return true;
    return FailWith("make the folder", path, ENOTDIR);
  }
  if (errno == ENOENT && ParentPath(path) != path) return false;
  return FailWith("make the folder", path, errno);
}

Status MakeFolder(const std::string& path) {
  if (::mkdir(path.c_str(), kFolderMode) != 0) {
    if (errno == EEXIST) return {};
    return FailWith("make the folder", path, errno);
  }
  if (::chmod(path.c_str(), kFolderMode) != 0) return FailWith("set the mode of", path, errno);
  // By a descriptor, for by now somebody else may have put something else there.
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const Descriptor made(Retry([&] { return ::open(path.c_str(), flags); }));
  if (made) GiveToOwnerOfFolder(made.get(), path);
  return {};
}

class FilesOfPosix final : public Files {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    return OpenPosixFile(path, mode);
  }

  Result<FileInfo> Info(const std::string& path) override {
    struct stat facts;
    if (::stat(path.c_str(), &facts) != 0) return FailWith("look at", path, errno);
    return InfoOf(path.substr(path.rfind('/') + 1), facts);
  }

  Result<std::vector<FileInfo>> List(const std::string& directory) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(directory.c_str()), ::closedir);
    if (!folder) return FailWith("list", directory, errno);
    std::vector<FileInfo> found;
    for (;;) {
      errno = 0;
      const dirent* const entry = ::readdir(folder.get());
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat facts;
      if (::fstatat(::dirfd(folder.get()), name.c_str(), &facts, 0) != 0) {
        if (errno == ENOENT) continue;  // removed meanwhile
        return FailWith("look at", JoinPath(directory, name), errno);
      }
      found.push_back(InfoOf(name, facts));
      struct stat own;
      found.back().is_link = ::fstatat(::dirfd(folder.get()), name.c_str(), &own,
                                       AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(own.st_mode);
    }
    if (errno != 0) return FailWith("list", directory, errno);
    std::ranges::sort(found, {}, &FileInfo::name);
    return found;
  }

  Status CreateDirectories(const std::string& directory) override {
    return CreateDirectoriesWith(
        directory, {.exists = FolderExists,
                    .make = MakeFolder,
                    .sync = [this](const auto& folder) { return SyncDirectory(folder); }});
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (std::rename(from.c_str(), to.c_str()) != 0) {
      return FailWith("rename", TwoPaths(from, to), errno);
    }
    return {};
  }

  Status Link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) != 0) return FailWith("link", TwoPaths(from, to), errno);
    return {};
  }

  Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return FailWith("remove", path, errno);
    return {};
  }

  Status SyncDirectory(const std::string& directory) override {
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    const Descriptor folder(Retry([&] { return ::open(directory.c_str(), flags); }));
    if (!folder) return FailWith("sync the folder", directory, errno);
    if (Retry([&] { return ::fsync(folder.get()); }) != 0) {
      return FailWith("sync the folder", directory, errno);
    }
    return {};
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, LockMode mode) override {
    return TakePosixLock(path, mode);
  }

  Result<std::unique_ptr<FolderWatch>> Watch(const std::string& directory) override {
    return WatchPosixFolder(directory);
  }
};

}  // namespace

Files* PosixFiles() {
  static FilesOfPosix files;
  return &files;
}

}  // namespace varve
