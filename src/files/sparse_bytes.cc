// SPDX-License-Identifier: Apache-2.0
#include "files/sparse_bytes.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>

#include "base/check.h"

namespace varve {
namespace {

// True when nobody else can see what `pointer` points to, and what others did with it before they
// let go is visible here.
template <typename T>
bool IsSole(const std::shared_ptr<T>& pointer) {
  if (pointer.use_count() != 1) return false;
  std::atomic_thread_fence(std::memory_order_acquire);
  return true;
}

}  // namespace

bool IsAllZeros(std::string_view bytes) {
  // A string is all zeros when its first byte is and it equals itself moved by one.
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

std::uint64_t SparseBytes::ReadAt(std::uint64_t offset, std::uint64_t size, char* into) const {
  if (offset >= size_) return 0;
  size = std::min(size, size_ - offset);
  for (std::uint64_t done = 0; done < size;) {
    const auto at = offset + done;
    const auto inside = at % kChunkBytes;
    const auto part = std::min(size - done, kChunkBytes - inside);
    const auto index = at / kChunkBytes;
    const Chunk* const chunk =
        chunks_ && index < chunks_->size() ? (*chunks_)[index].get() : nullptr;
    if (chunk != nullptr) {
      std::memcpy(into + done, chunk->data() + inside, part);
    } else {
      std::memset(into + done, 0, part);
    }
    done += part;
  }
  return size;
}

std::string SparseBytes::ToString() const {
  std::string bytes(size_, '\0');
  ReadAt(0, size_, bytes.data());
  return bytes;
}

std::uint64_t SparseBytes::Fingerprint() const {
  auto sum = MixedHash(0, size_);
  const std::size_t count = chunks_ ? chunks_->size() : 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!(*chunks_)[i]) continue;
    const std::string_view bytes((*chunks_)[i]->data(), kChunkBytes);
    if (IsAllZeros(bytes)) continue;  // as a missing one
    sum = MixedHash(MixedHash(sum, i + 1), std::hash<std::string_view>()(bytes));
  }
  return sum;
}

void SparseBytes::WriteAt(std::uint64_t offset, std::string_view bytes) {
  VARVE_CHECK(offset <= kSizeMax && bytes.size() <= kSizeMax - offset);
  if (bytes.empty()) return;
  size_ = std::max(size_, offset + bytes.size());
  while (!bytes.empty()) {
    const auto inside = offset % kChunkBytes;
    const auto part = std::min<std::uint64_t>(bytes.size(), kChunkBytes - inside);
    if (const auto piece = bytes.substr(0, part); IsAllZeros(piece)) {
      Zero(offset, part);
    } else {
      std::memcpy(OwnChunk(offset / kChunkBytes) + inside, piece.data(), part);
    }
    offset += part;
    bytes.remove_prefix(part);
  }
}

void SparseBytes::WriteZeros(std::uint64_t offset, std::uint64_t size) {
  VARVE_CHECK(offset <= kSizeMax && size <= kSizeMax - offset);
  if (size == 0) return;
  size_ = std::max(size_, offset + size);
  Zero(offset, size);
}

void SparseBytes::Resize(std::uint64_t size) {
  VARVE_CHECK(size <= kSizeMax);
  if (size < size_) Zero(size, size_ - size);
  size_ = size;
  const auto needed = (size + kChunkBytes - 1) / kChunkBytes;
  if (chunks_ && chunks_->size() > needed) OwnChunks()->resize(needed);
}

SparseBytes::Chunks* SparseBytes::OwnChunks() {
  if (!chunks_) {
    chunks_ = std::make_shared<Chunks>();
  } else if (!IsSole(chunks_)) {
    chunks_ = std::make_shared<Chunks>(*chunks_);
  }
  return chunks_.get();
}

char* SparseBytes::OwnChunk(std::uint64_t index) {
  auto& chunks = *OwnChunks();
  if (index >= chunks.size()) chunks.resize(index + 1);
  auto& chunk = chunks[index];
  if (!chunk) {
    chunk = std::make_shared<Chunk>();  // zeros
  } else if (!IsSole(chunk)) {
    chunk = std::make_shared<Chunk>(*chunk);
  }
  return chunk->data();
}

// Chunks that are missing stay so, and whole ones are let go.
void SparseBytes::Zero(std::uint64_t offset, std::uint64_t size) {
  const auto end = offset + size;
  while (offset < end && chunks_ && offset / kChunkBytes < chunks_->size()) {
    const auto index = offset / kChunkBytes;
    const auto inside = offset % kChunkBytes;
    const auto part = std::min(end - offset, kChunkBytes - inside);
    if ((*chunks_)[index] && part == kChunkBytes) {
      (*OwnChunks())[index].reset();
    } else if ((*chunks_)[index]) {
      std::memset(OwnChunk(index) + inside, 0, part);
    }
    offset += part;
  }
}

}  // namespace varve
