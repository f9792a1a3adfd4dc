// SPDX-License-Identifier: Apache-2.0
// What appends that are not durable would cost if a log did nothing but the least: threads that
// take a number from one word for each record, which gives them one order, copy and checksum it
// into buffers of their own, and a thread that writes what is full. How much more of that several
// threads do than one says how much more any log could do here.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

#include "bench/raw_file.h"

namespace varve::bench {

class BareAppends {
 public:
  explicit BareAppends(PreparedFile* file);
  ~BareAppends();
  BareAppends(const BareAppends&) = delete;
  BareAppends& operator=(const BareAppends&) = delete;

  // Records of `record_bytes`, `bytes` in all, by `threads`; until the last is written.
  Slice Run(std::uint64_t record_bytes, int threads, std::uint64_t bytes);

 private:
  struct Buffer {
    std::string bytes;
    bool full = false;  // guarded by mutex_
  };
  using Pair = std::array<Buffer, 2>;  // one fills while the other is written
  void Append(std::uint64_t record_bytes, std::uint64_t records, Pair* buffers);
  void HandOver(Buffer* buffer);
  void AwaitWritten(const Buffer& buffer);
  void WriteUntilStopped();

  const std::uint64_t file_bytes_;
  const int descriptor_;
  alignas(64) std::atomic<std::uint64_t> next_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Buffer*> full_;  // guarded by mutex_
  bool stopped_ = false;      // guarded by mutex_
};

}  // namespace varve::bench
