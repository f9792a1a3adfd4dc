// SPDX-License-Identifier: Apache-2.0
// Bytes whose first one stands at a multiple of 4096, as direct I/O wants them: a small
// vector<char> that does not fill what it grows by.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace varve {

// Not thread-safe. Pointers and views hold until the next call that may grow, or a move.
class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 4096;

  AlignedBuffer() = default;
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)),
        bytes_(std::move(other.bytes_)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    bytes_ = std::move(other.bytes_);
    return *this;
  }

  char* data() { return bytes_.get(); }  // null before the first growth
  const char* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }  // a multiple of kAlignment
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {bytes_.get(), size_}; }

  // Keeps the storage, for the next use.
  void Clear() { size_ = 0; }

  // Makes room for `capacity` bytes in all. Never shrinks.
  void Reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    VARVE_CHECK(capacity <= kSizeMax);
    capacity = (std::max(capacity, 2 * capacity_) + kAlignment - 1) / kAlignment * kAlignment;
    Bytes grown(static_cast<char*>(::operator new(capacity, std::align_val_t{kAlignment})));
    if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
    bytes_ = std::move(grown);
    capacity_ = capacity;
  }

  // What lies above the old size is whatever was there.
  void Resize(std::size_t size) {
    Reserve(size);
    size_ = size;
  }

  // Makes the buffer longer by `count` bytes and gives the first of them, for the caller to fill.
  char* Extend(std::size_t count) {
    VARVE_CHECK(count <= kSizeMax - size_);
    Resize(size_ + count);
    return bytes_.get() + (size_ - count);
  }

  // `bytes` may not lie in this buffer.
  void Append(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(Extend(bytes.size()), bytes.data(), bytes.size());
  }

  void AppendZeros(std::size_t count) {
    if (count > 0) std::memset(Extend(count), 0, count);
  }

 private:
  static constexpr std::size_t kSizeMax = static_cast<std::size_t>(-1) / 4;

  struct Free {
    void operator()(char* bytes) const {
      ::operator delete(bytes, std::align_val_t{kAlignment});
    }
  };
  using Bytes = std::unique_ptr<char, Free>;

  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  Bytes bytes_;
};

}  // namespace varve
