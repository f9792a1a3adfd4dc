// SPDX-License-Identifier: Apache-2.0
#include "columns/arrow_pool.h"

#include <arrow/memory_pool.h>
#include <arrow/status.h>
#include <sys/mman.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <iterator>
#include <mutex>
#include <string>

#include "base/bytes.h"
#include "base/out_of_memory.h"

namespace varve {
namespace {

constexpr std::int64_t kMappedFrom = 64 << 10;
constexpr std::uint64_t kPage = 4096;
#ifdef __GLIBC__
constexpr int kArenasMax = 2;  // each keeps what it has freed
#endif

// Pieces that were freed, the latest last.
class KeptPieces {
 public:
  void* Take(std::size_t length) {
    std::lock_guard lock(mutex_);
    for (auto at = pieces_.rbegin(); at != pieces_.rend(); ++at) {
      if (at->length != length) continue;
      void* const piece = at->piece;
      bytes_ -= length;
      pieces_.erase(std::next(at).base());
      return piece;
    }
    return nullptr;
  }
  void Give(void* piece, std::size_t length) noexcept {
    std::unique_lock lock(mutex_);
    if (bytes_max_ < length || !HadMemory([&] { pieces_.push_back({piece, length}); })) {
      lock.unlock();
      ::munmap(piece, length);
      return;
    }
    bytes_ += length;
    while (bytes_ > bytes_max_) {
      const Piece oldest = pieces_.front();
      pieces_.pop_front();
      bytes_ -= oldest.length;
      lock.unlock();
      ::munmap(oldest.piece, oldest.length);
      lock.lock();
    }
  }
  void SetMax(std::uint64_t bytes) {
    std::lock_guard lock(mutex_);
    bytes_max_ = std::min(bytes_max_, bytes);
  }

 private:
  struct Piece {
    void* piece;
    std::size_t length;
  };
  std::mutex mutex_;
  std::deque<Piece> pieces_;              // guarded by mutex_
  std::uint64_t bytes_ = 0;               // guarded by mutex_
  std::uint64_t bytes_max_ = UINT64_MAX;  // guarded by mutex_
};

// Large pieces are mapped; small ones are malloc's.
class MappedPool final : public arrow::MemoryPool {
 public:
  using arrow::MemoryPool::Allocate;
  using arrow::MemoryPool::Free;
  using arrow::MemoryPool::Reallocate;

  arrow::Status Allocate(std::int64_t size, std::int64_t alignment, std::uint8_t** out) override {
    if (!IsMapped(size)) return small_->Allocate(size, alignment, out);
    void* mapped = kept_.Take(Length(size));
    if (mapped == nullptr) {
      mapped = ::mmap(nullptr, Length(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    }
    if (mapped == MAP_FAILED) return OutOf(size);
    *out = static_cast<std::uint8_t*>(mapped);
    Note(size);
    return arrow::Status::OK();
  }
  arrow::Status Reallocate(std::int64_t old_size, std::int64_t new_size, std::int64_t alignment,
                           std::uint8_t** ptr) override {
    if (!IsMapped(old_size) && !IsMapped(new_size)) {
      return small_->Reallocate(old_size, new_size, alignment, ptr);
    }
    if (IsMapped(old_size) && IsMapped(new_size)) {
      void* const moved = ::mremap(*ptr, Length(old_size), Length(new_size), MREMAP_MAYMOVE);
      if (moved == MAP_FAILED) return OutOf(new_size);
      *ptr = static_cast<std::uint8_t*>(moved);
      Note(new_size - old_size);
      return arrow::Status::OK();
    }
    std::uint8_t* copy = nullptr;
    ARROW_RETURN_NOT_OK(Allocate(new_size, alignment, &copy));
    std::memcpy(copy, *ptr, static_cast<std::size_t>(std::min(old_size, new_size)));
    Free(*ptr, old_size, alignment);
    *ptr = copy;
    return arrow::Status::OK();
  }
  void Free(std::uint8_t* buffer, std::int64_t size, std::int64_t alignment) override {
    if (!IsMapped(size)) return small_->Free(buffer, size, alignment);
    kept_.Give(buffer, Length(size));
    Note(-size);
  }

  std::int64_t bytes_allocated() const override {
    return mapped_.load(std::memory_order_relaxed) + small_->bytes_allocated();
  }
  std::int64_t total_bytes_allocated() const override {
    return total_.load(std::memory_order_relaxed) + small_->total_bytes_allocated();
  }
  std::int64_t num_allocations() const override {
    return count_.load(std::memory_order_relaxed) + small_->num_allocations();
  }
  std::string backend_name() const override { return "mapped"; }
  void KeepAtMost(std::uint64_t bytes) { kept_.SetMax(bytes); }

 private:
  static bool IsMapped(std::int64_t size) { return size >= kMappedFrom; }
  // Eight sizes from each power of two to the next, so that what is kept fits the next to come.
  static std::size_t Length(std::int64_t size) {
    const auto bytes = static_cast<std::uint64_t>(size);
    return RoundUp(bytes, std::max(kPage, std::bit_floor(bytes) / 8));
  }
  static arrow::Status OutOf(std::int64_t size) {
    return arrow::Status::OutOfMemory("map of ", size, " bytes failed");
  }
  void Note(std::int64_t more) {
    mapped_.fetch_add(more, std::memory_order_relaxed);
    if (more <= 0) return;
    total_.fetch_add(more, std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
  }

  KeptPieces kept_;
  arrow::MemoryPool* const small_ = arrow::system_memory_pool();
  std::atomic<std::int64_t> mapped_ = 0;
  std::atomic<std::int64_t> total_ = 0;
  std::atomic<std::int64_t> count_ = 0;
};

std::atomic<arrow::MemoryPool*>& Chosen() {
  static std::atomic<arrow::MemoryPool*> pool = arrow::default_memory_pool();
  return pool;
}

}  // namespace

arrow::MemoryPool* ArrowPool() { return Chosen().load(std::memory_order_acquire); }

// Never destroyed: rows that a program keeps may be freed by its last statics.
void GiveMemoryBack(std::uint64_t kept_max) {
  static MappedPool* const mapped = new MappedPool();
  mapped->KeepAtMost(kept_max);
#ifdef __GLIBC__
  if (kept_max == 0) {
    // Set, the first two stay as they are: by itself glibc raises both up to 32 MiB and more.
    ::mallopt(M_MMAP_THRESHOLD, static_cast<int>(kMappedFrom));
    ::mallopt(M_TRIM_THRESHOLD, static_cast<int>(2 * kMappedFrom));
    ::mallopt(M_ARENA_MAX, kArenasMax);
  }
#endif
  Chosen().store(mapped, std::memory_order_release);
}

void GiveBackFreed() {
#ifdef __GLIBC__
  if (ArrowPool() != arrow::default_memory_pool()) ::malloc_trim(0);
#endif
}

}  // namespace varve
