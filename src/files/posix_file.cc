// SPDX-License-Identifier: Apache-2.0
// Reads, writes and the four ways to make a write durable. Every call is retried when a signal
// interrupts it, and a short read or write goes on where it stopped.
//
// Why direct writes and the page cache agree (Linux, mm/filemap.c): before a direct write the
// kernel writes out the cached pages of its range and drops them, and drops once more afterwards
// what a reader has brought back meanwhile. So whoever reads after the write returned, through any
// descriptor, finds no page and asks the disk; and no dirty page of the range is left that could
// later be written out over the new bytes. That fails only when a buffered write makes a page of
// the range dirty while the direct one is under way: hence the rule of File::WriteDurably that two
// such writes do not meet in one block. (Where pages are larger than a block, keep them from
// meeting in one page; a log does, because one thread at a time writes to it.) A direct write that
// comes after a buffered one to the same range wins, and one that comes before it loses, as the
// order of the calls says.
//
// Direct writes need a descriptor of their own: O_DIRECT belongs to an open file, not to a call.
// It is opened through /proc/self/fd and not by name: a log renames its segments while they are
// open, and a name may have come to mean another file.
#include "files/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/result.h"
#include "files/file_errors.h"
#include "files/posix_call.h"
#include "files/posix_owner.h"

namespace varve {
namespace {

constexpr mode_t kFileMode = 0600;
static_assert(AlignedBuffer::kAlignment == kDirectBlock);

bool IsWholeBlocks(std::uint64_t offset, std::string_view bytes) {
  return offset % kDirectBlock == 0 && bytes.size() % kDirectBlock == 0 &&
         reinterpret_cast<std::uintptr_t>(bytes.data()) % kDirectBlock == 0;
}

// A method that cannot be had is no missing file, whatever the reason.
std::unexpected<Error> Refuse(SyncMethod method, const std::string& path, int code) {
  const auto operation = "use " + std::string(ToString(method)) + " for";
  return Fail(ErrorKind::kUnavailable, SystemError(operation, path, code).message(),
              ErrorReason::kIo);
}

// 0, or the errno of a read with RWF_DSYNC, which means nothing for a read: a kernel that does not
// know the flag, and a direct descriptor that wants larger blocks, refuse it as they would a write.
int ErrorOfTrial(int descriptor) {
  AlignedBuffer block;
  const iovec piece{block.Extend(kDirectBlock), kDirectBlock};
  const auto got = Retry([&] { return ::preadv2(descriptor, &piece, 1, 0, RWF_DSYNC); });
  return got < 0 ? errno : 0;
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    std::uint64_t done = 0;
    while (done < size) {
      const auto got = Retry([&] {
        return ::pread(descriptor_.get(), into + done, size - done,
                       static_cast<off_t>(offset + done));
      });
      if (got < 0) return FailWith("read", path_, errno);
      if (got == 0) break;
      done += static_cast<std::uint64_t>(got);
    }
    return done;
  }

  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto put = Retry([&] {
        return ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      });
      VARVE_TRY(Advance(put, &offset, &bytes));
    }
    return {};
  }

  Status WriteDurably(std::uint64_t offset, std::string_view bytes) override {
    if (SyncsWholeFile(method_)) return WriteAndSync(offset, bytes);
    const bool direct = method_ == SyncMethod::kDirectDsync;
    const int descriptor = direct ? direct_.get() : descriptor_.get();
    while (!bytes.empty()) {
      if (direct && !IsWholeBlocks(offset, bytes)) return WriteAndSync(offset, bytes);
      const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
      const auto put = Retry([&] {
        return ::pwritev2(descriptor, &piece, 1, static_cast<off_t>(offset), RWF_DSYNC);
      });
      // Nothing was done: of this range the disk wants something else than whole blocks.
      if (direct && put < 0 && errno == EINVAL) return WriteAndSync(offset, bytes);
      VARVE_TRY(Advance(put, &offset, &bytes));
    }
    return {};
  }

  Status UseSyncMethod(SyncMethod method) override {
    Descriptor direct;
    if (method == SyncMethod::kDirectDsync) {
      direct = OpenDirect();
      if (!direct) return Refuse(method, path_, errno);
    }
    if (!SyncsWholeFile(method)) {
      const int error = ErrorOfTrial(direct ? direct.get() : descriptor_.get());
      if (error != 0) return Refuse(method, path_, error);
    }
    direct_ = std::move(direct);
    method_ = method;
    return {};
  }

  Status Sync() override {
    const auto sync = method_ == SyncMethod::kFsync ? ::fsync : ::fdatasync;
    if (Retry([&] { return sync(descriptor_.get()); }) != 0) return FailWith("sync", path_, errno);
    return {};
  }

  Result<std::uint64_t> Size() override {
    struct stat facts;
    if (::fstat(descriptor_.get(), &facts) != 0) return FailWith("size of", path_, errno);
    return static_cast<std::uint64_t>(facts.st_size);
  }

  Status Truncate(std::uint64_t size) override {
    if (Retry([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); }) != 0) {
      return FailWith("truncate", path_, errno);
    }
    return {};
  }

  const std::string& path() const override { return path_; }

 private:
  Status WriteAndSync(std::uint64_t offset, std::string_view bytes) {
    VARVE_TRY(WriteAt(offset, bytes));
    return Sync();
  }

  // What a write that gave `put` has left to do.
  Status Advance(ssize_t put, std::uint64_t* offset, std::string_view* bytes) const {
    if (put < 0) return FailWith("write", path_, errno);
    if (put == 0) return FailWith("write", path_, EIO);
    *offset += static_cast<std::uint64_t>(put);
    bytes->remove_prefix(static_cast<std::size_t>(put));
    return {};
  }

  // Nothing, and errno, when it cannot be had. As readable and writable as the file is.
  Descriptor OpenDirect() const {
    const int mode = ::fcntl(descriptor_.get(), F_GETFL);
    if (mode < 0) return {};
    const auto name = "/proc/self/fd/" + std::to_string(descriptor_.get());
    const int flags = (mode & O_ACCMODE) | O_DIRECT | O_CLOEXEC;
    return Descriptor(Retry([&] { return ::open(name.c_str(), flags); }));
  }

  const Descriptor descriptor_;
  const std::string path_;
  // Set before the file is shared.
  SyncMethod method_ = SyncMethod::kFdatasync;
  Descriptor direct_;  // under kDirectDsync
};

}  // namespace

// Makes sure that it is no folder: read(2) would only say so later.
Result<std::unique_ptr<File>> OpenPosixFile(const std::string& path, OpenMode mode) {
  int flags = O_CLOEXEC | (mode == OpenMode::kRead ? O_RDONLY : O_RDWR);
  if (mode == OpenMode::kCreate) flags |= O_CREAT | O_EXCL;
  const std::string_view operation = mode == OpenMode::kCreate ? "create" : "open";
  Descriptor descriptor(Retry([&] { return ::open(path.c_str(), flags, kFileMode); }));
  if (!descriptor) return FailWith(operation, path, errno);
  if (mode == OpenMode::kCreate && ::fchmod(descriptor.get(), kFileMode) != 0) {
    return FailWith("set the mode of", path, errno);
  }
  if (mode == OpenMode::kCreate) GiveToOwnerOfFolder(descriptor.get(), path);
  struct stat facts;
  if (::fstat(descriptor.get(), &facts) != 0) return FailWith(operation, path, errno);
  if (S_ISDIR(facts.st_mode)) return FailWith(operation, path, EISDIR);
  return std::make_unique<PosixFile>(std::move(descriptor), path);
}

}  // namespace varve
