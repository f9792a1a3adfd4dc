// SPDX-License-Identifier: Apache-2.0
// The device and the processor without a log: the limits that the log is measured against.
#pragma once

#include <cstdint>
#include <string>

#include "bench/slice.h"
#include "varve/log_options.h"

namespace varve::bench {

// Ends the program unless `dir` lies on a real disk: on tmpfs a sync costs nothing.
void RefuseMemoryFileSystem(const std::string& dir);

std::string NameOf(LogSyncMethod method);

// A file full of zeros that were synced: as the log prepares its segments.
class PreparedFile {
 public:
  PreparedFile(std::string path, std::uint64_t bytes);
  ~PreparedFile();  // removes it
  PreparedFile(const PreparedFile&) = delete;
  PreparedFile& operator=(const PreparedFile&) = delete;

  std::uint64_t bytes() const { return bytes_; }

  // F: writes of 4 KiB, each made durable before the next; from block to block, round and round.
  Slice Flushes(double seconds, LogSyncMethod method);
  Slice FlushesCounted(std::int64_t flushes, LogSyncMethod method);
  // W: writes of 1 MiB into the page cache, `bytes` in all; synced afterwards, untimed.
  Slice Overwrites(std::uint64_t bytes);

  // One F at a time, of a descriptor that Open gave for the same method; the caller closes it.
  int Open(LogSyncMethod method) const;
  void Flush(int descriptor, LogSyncMethod method);
  // The same of more: whole blocks of 4 KiB, from memory that is aligned to them.
  void Flush(int descriptor, LogSyncMethod method, const char* blocks, std::uint64_t size);

 private:
  const std::string path_;
  const std::uint64_t bytes_;
  std::uint64_t offset_ = 0;
  char* block_;  // aligned, as O_DIRECT wants it
};

// M: copies of `record_bytes`, `bytes` in all, behind each other into 256 KiB that stay in cache.
Slice Copies(std::uint64_t record_bytes, std::uint64_t bytes);
// C: CRC-32C of 64 KiB that are in cache, `bytes` in all.
Slice Checksums(std::uint64_t bytes);
// A: AES-256-GCM over 64 KiB that are in cache, `bytes` in all, as OpenSSL does it.
Slice Encryptions(std::uint64_t bytes);
// Reads every file of a folder from begin to end, 1 MiB at a time, and checksums what it read.
Slice ReadAndChecksum(const std::string& dir);

}  // namespace varve::bench
