// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_appends.h"

#include <unistd.h>

#include <cstring>
#include <thread>
#include <vector>

#include "base/crc32c.h"

namespace varve::bench {
namespace {

constexpr std::size_t kBufferBytes = 256u << 10;  // as the log's frames have

}  // namespace

BareAppends::BareAppends(PreparedFile* file)
    : file_bytes_(file->bytes()), descriptor_(file->Open(LogSyncMethod::kFdatasync)) {}

BareAppends::~BareAppends() { ::close(descriptor_); }

Slice BareAppends::Run(std::uint64_t record_bytes, int threads, std::uint64_t bytes) {
  stopped_ = false;
  std::thread writer([this] { WriteUntilStopped(); });
  std::vector<Pair> buffers(static_cast<std::size_t>(threads));
  for (auto& pair : buffers) {
    for (auto& buffer : pair) buffer.bytes.resize(kBufferBytes);
  }
  const auto records = bytes / record_bytes / static_cast<std::uint64_t>(threads);
  const Bystanders watch;
  Slice slice;
  slice.seconds = SecondsOf(threads, [&](int thread) {
    Append(record_bytes, records, &buffers[static_cast<std::size_t>(thread)]);
  });
  slice.operations = static_cast<std::int64_t>(records) * threads;
  slice.counts["bytes"] = static_cast<double>(slice.operations) * static_cast<double>(record_bytes);
  slice.counts["others"] = watch.Share();
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  writer.join();
  if (::fdatasync(descriptor_) != 0) Die("cannot sync");
  return slice;
}

void BareAppends::Append(std::uint64_t record_bytes, std::uint64_t records, Pair* buffers) {
  const std::string record(record_bytes, 'a');
  std::size_t current = 0, used = 0;
  for (std::uint64_t i = 0; i < records; ++i) {
    if (used + record_bytes > kBufferBytes) {
      HandOver(&(*buffers)[current]);
      current = 1 - current;
      AwaitWritten((*buffers)[current]);
      used = 0;
    }
    char* const to = (*buffers)[current].bytes.data() + used;
    const auto number = next_.fetch_add(record_bytes, std::memory_order_relaxed);
    std::memcpy(to, record.data(), record_bytes);
    const auto crc = Crc32c({to, record_bytes}, static_cast<std::uint32_t>(number));
    std::memcpy(to, &crc, sizeof crc);
    used += record_bytes;
  }
  HandOver(&(*buffers)[current]);
  for (const auto& buffer : *buffers) AwaitWritten(buffer);
}

void BareAppends::HandOver(Buffer* buffer) {
  {
    std::lock_guard lock(mutex_);
    buffer->full = true;
    full_.push_back(buffer);
  }
  changed_.notify_all();
}

void BareAppends::AwaitWritten(const Buffer& buffer) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !buffer.full; });
}

void BareAppends::WriteUntilStopped() {
  std::uint64_t offset = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopped_ || !full_.empty(); });
    if (full_.empty()) return;
    auto* const buffer = full_.front();
    full_.pop_front();
    lock.unlock();
    if (offset + kBufferBytes > file_bytes_) offset = 0;
    if (::pwrite(descriptor_, buffer->bytes.data(), kBufferBytes,
                 static_cast<off_t>(offset)) != static_cast<ssize_t>(kBufferBytes)) {
      Die("cannot write");
    }
    offset += kBufferBytes;
    lock.lock();
    buffer->full = false;
    changed_.notify_all();
  }
}

}  // namespace varve::bench
