// SPDX-License-Identifier: Apache-2.0
#include "columns/booked_pool.h"

#include <arrow/memory_pool.h>
#include <arrow/status.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "columns/arrow_pool.h"

namespace varve {
namespace {

// Lives until it was let go of and each allocation was freed: buffers know their pool by a plain
// pointer.
class BookedPool final : public arrow::MemoryPool {
 public:
  BookedPool(std::shared_ptr<MemoryBudget> budget, MemoryHolder holder)
      : budget_(std::move(budget)), holder_(holder) {}

  using arrow::MemoryPool::Allocate;
  using arrow::MemoryPool::Free;
  using arrow::MemoryPool::Reallocate;

  arrow::Status Allocate(std::int64_t size, std::int64_t alignment, std::uint8_t** out) override {
    ARROW_RETURN_NOT_OK(under_->Allocate(size, alignment, out));
    users_.fetch_add(1, std::memory_order_relaxed);
    Note(size);
    return arrow::Status::OK();
  }
  arrow::Status Reallocate(std::int64_t old_size, std::int64_t new_size, std::int64_t alignment,
                           std::uint8_t** ptr) override {
    ARROW_RETURN_NOT_OK(under_->Reallocate(old_size, new_size, alignment, ptr));
    Note(new_size - old_size);
    return arrow::Status::OK();
  }
  void Free(std::uint8_t* buffer, std::int64_t size, std::int64_t alignment) override {
    under_->Free(buffer, size, alignment);
    Note(-size);
    LetGo();
  }
  void ReleaseUnused() override { under_->ReleaseUnused(); }

  std::int64_t bytes_allocated() const override { return bytes_.load(std::memory_order_relaxed); }
  std::int64_t total_bytes_allocated() const override {
    return total_.load(std::memory_order_relaxed);
  }
  std::int64_t num_allocations() const override {
    return allocations_.load(std::memory_order_relaxed);
  }
  std::string backend_name() const override { return under_->backend_name(); }

  void LetGo() {
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  ~BookedPool() override = default;

  void Note(std::int64_t more) {
    bytes_.fetch_add(more, std::memory_order_relaxed);
    if (more > 0) {
      total_.fetch_add(more, std::memory_order_relaxed);
      allocations_.fetch_add(1, std::memory_order_relaxed);
    }
    budget_->Book(holder_, more);
  }

  arrow::MemoryPool* const under_ = ArrowPool();
  const std::shared_ptr<MemoryBudget> budget_;
  const MemoryHolder holder_;
  std::atomic<std::int64_t> users_ = 1;  // who made it, and each allocation
  std::atomic<std::int64_t> bytes_ = 0;
  std::atomic<std::int64_t> total_ = 0;
  std::atomic<std::int64_t> allocations_ = 0;
};

}  // namespace

std::shared_ptr<arrow::MemoryPool> NewBookedPool(std::shared_ptr<MemoryBudget> budget,
                                                 MemoryHolder holder) {
  return {new BookedPool(std::move(budget), holder), [](BookedPool* pool) { pool->LetGo(); }};
}

}  // namespace varve
