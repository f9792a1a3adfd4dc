// SPDX-License-Identifier: Apache-2.0
#include "bench/raw_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <openssl/evp.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/crc32c.h"

namespace varve::bench {
namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kPiece = 1u << 20;
constexpr std::uint64_t kInCache = 256u << 10;
constexpr std::uint64_t kChecksummed = 64u << 10;
constexpr std::uint64_t kEncrypted = 64u << 10;
constexpr int kNonceBytes = 12;

void Check(bool good, std::string_view what, const std::string& path) {
  if (!good) Die(fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

// So that no compiler drops a copy or a checksum that nobody looks at.
void Keep(const void* result) { asm volatile("" : : "g"(result) : "memory"); }

void WritePieces(int descriptor, const std::string& path, std::uint64_t bytes, char fill) {
  const std::string piece(kPiece, fill);
  for (std::uint64_t at = 0; at < bytes; at += kPiece) {
    const auto put = ::pwrite(descriptor, piece.data(), kPiece, static_cast<off_t>(at));
    Check(put == static_cast<ssize_t>(kPiece), "write", path);
  }
}

}  // namespace

void RefuseMemoryFileSystem(const std::string& dir) {
  struct statfs facts;
  Check(::statfs(dir.c_str(), &facts) == 0, "look at", dir);
  if (facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC) {
    Die(fmt::format("{} is on a file system in memory (tmpfs), where a sync costs nothing and "
                    "every figure would be wrong: name a folder on a disk with --dir",
                    dir));
  }
}

std::string NameOf(LogSyncMethod method) {
  switch (method) {
    case LogSyncMethod::kFdatasync: return "fdatasync";
    case LogSyncMethod::kFsync: return "fsync";
    case LogSyncMethod::kDsync: return "RWF_DSYNC";
    case LogSyncMethod::kDirectDsync: return "O_DIRECT + RWF_DSYNC";
    case LogSyncMethod::kAuto: break;
  }
  return "";
}

PreparedFile::PreparedFile(std::string path, std::uint64_t bytes)
    : path_(std::move(path)),
      bytes_(bytes / kPiece * kPiece),
      block_(static_cast<char*>(std::aligned_alloc(kBlock, kBlock))) {
  std::memset(block_, 'b', kBlock);
  const int descriptor = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  Check(descriptor >= 0, "make", path_);
  WritePieces(descriptor, path_, bytes_, '\0');
  Check(::fsync(descriptor) == 0, "sync", path_);
  ::close(descriptor);
}

PreparedFile::~PreparedFile() {
  std::free(block_);
  ::unlink(path_.c_str());
}

int PreparedFile::Open(LogSyncMethod method) const {
  int flags = O_RDWR | O_CLOEXEC;
  if (method == LogSyncMethod::kDirectDsync) flags |= O_DIRECT;
  const int descriptor = ::open(path_.c_str(), flags);
  Check(descriptor >= 0, "open", path_);
  return descriptor;
}

void PreparedFile::Flush(int descriptor, LogSyncMethod method) {
  Flush(descriptor, method, block_, kBlock);
}

void PreparedFile::Flush(int descriptor, LogSyncMethod method, const char* blocks,
                         std::uint64_t size) {
  if (offset_ + size > bytes_) offset_ = 0;
  const iovec piece{const_cast<char*>(blocks), size};
  const bool syncs =
      method == LogSyncMethod::kDsync || method == LogSyncMethod::kDirectDsync;
  const int flags = syncs ? RWF_DSYNC : 0;
  const auto put = ::pwritev2(descriptor, &piece, 1, static_cast<off_t>(offset_), flags);
  Check(put == static_cast<ssize_t>(size), "write", path_);
  if (method == LogSyncMethod::kFdatasync) Check(::fdatasync(descriptor) == 0, "sync", path_);
  if (method == LogSyncMethod::kFsync) Check(::fsync(descriptor) == 0, "sync", path_);
  offset_ += size;
}

Slice PreparedFile::Flushes(double seconds, LogSyncMethod method) {
  const int descriptor = Open(method);
  auto slice = ClosedLoop(1, seconds, [&](int) { Flush(descriptor, method); });
  ::close(descriptor);
  return slice;
}

Slice PreparedFile::FlushesCounted(std::int64_t flushes, LogSyncMethod method) {
  const int descriptor = Open(method);
  Slice slice;
  const Bystanders watch;
  const auto start = Nanos();
  for (auto now = start; slice.operations < flushes; ++slice.operations) {
    Flush(descriptor, method);
    const auto end = Nanos();
    slice.nanos.push_back(static_cast<std::uint32_t>(end - now));
    now = end;
  }
  slice.seconds = static_cast<double>(Nanos() - start) / 1e9;
  slice.counts["others"] = watch.Share();
  ::close(descriptor);
  return slice;
}

Slice PreparedFile::Overwrites(std::uint64_t bytes) {
  const int descriptor = Open(LogSyncMethod::kFdatasync);
  Slice slice;
  const Bystanders watch;
  const auto size = std::min(bytes, bytes_) / kPiece * kPiece;
  slice.seconds = SecondsOf(1, [&](int) { WritePieces(descriptor, path_, size, 'w'); });
  slice.operations = static_cast<std::int64_t>(size / kPiece);
  slice.counts["bytes"] = static_cast<double>(size);
  slice.counts["others"] = watch.Share();
  Check(::fdatasync(descriptor) == 0, "sync", path_);
  ::close(descriptor);
  return slice;
}

Slice Copies(std::uint64_t record_bytes, std::uint64_t bytes) {
  const std::string record(record_bytes, 'm');
  const auto buffer = std::make_unique<char[]>(kInCache);
  Slice slice;
  const auto start = Nanos();
  for (std::uint64_t at = 0; slice.operations * record_bytes < bytes; ++slice.operations) {
    if (at + record_bytes > kInCache) at = 0;
    std::memcpy(buffer.get() + at, record.data(), record_bytes);
    Keep(buffer.get());
    at += record_bytes;
  }
  slice.seconds = static_cast<double>(Nanos() - start) / 1e9;
  slice.counts["bytes"] = static_cast<double>(slice.operations * record_bytes);
  return slice;
}

Slice Checksums(std::uint64_t bytes) {
  const std::string buffer(kChecksummed, 'c');
  Slice slice;
  std::uint32_t crc = 0;
  const auto start = Nanos();
  for (std::uint64_t done = 0; done < bytes; done += kChecksummed) {
    crc = Crc32c(buffer, crc);
    ++slice.operations;
  }
  slice.seconds = static_cast<double>(Nanos() - start) / 1e9;
  Keep(&crc);
  slice.counts["bytes"] = static_cast<double>(slice.operations * kChecksummed);
  return slice;
}

Slice Encryptions(std::uint64_t bytes) {
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                           EVP_CIPHER_CTX_free);
  const unsigned char key[32] = {1};
  unsigned char nonce[kNonceBytes] = {2};
  std::vector<unsigned char> buffer(kEncrypted, 'e');
  bool good = EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key, nonce) == 1;
  Slice slice;
  const auto start = Nanos();
  for (std::uint64_t done = 0; done < bytes; done += kEncrypted) {
    ++nonce[0];
    int size = 0;
    good &= EVP_EncryptInit_ex(context.get(), nullptr, nullptr, nullptr, nonce) == 1 &&
            EVP_EncryptUpdate(context.get(), buffer.data(), &size, buffer.data(), kEncrypted) == 1;
    ++slice.operations;
  }
  slice.seconds = static_cast<double>(Nanos() - start) / 1e9;
  if (!good) Die("OpenSSL does not encrypt");
  slice.counts["bytes"] = static_cast<double>(slice.operations * kEncrypted);
  return slice;
}

Slice ReadAndChecksum(const std::string& dir) {
  const auto buffer = std::make_unique<char[]>(kPiece);
  Slice slice;
  std::uint32_t crc = 0;
  double bytes = 0;
  const Bystanders watch;
  const auto start = Nanos();
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    const int descriptor = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    Check(descriptor >= 0, "open", entry.path());
    for (ssize_t got = 1; got > 0; bytes += static_cast<double>(got)) {
      got = ::read(descriptor, buffer.get(), kPiece);
      Check(got >= 0, "read", entry.path());
      crc = Crc32c({buffer.get(), static_cast<std::size_t>(got)}, crc);
    }
    ::close(descriptor);
  }
  slice.seconds = static_cast<double>(Nanos() - start) / 1e9;
  Keep(&crc);
  slice.operations = 1;
  slice.counts["bytes"] = bytes;
  slice.counts["others"] = watch.Share();
  return slice;
}

}  // namespace varve::bench
