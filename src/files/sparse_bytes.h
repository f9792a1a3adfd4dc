// SPDX-License-Identifier: Apache-2.0
// The content of a file in memory: a copy costs one pointer, and zeros cost nothing.
//
// Bytes stand in chunks of 4 KiB; a missing chunk is zeros. Copies share their chunks and the list
// of them; the first write after a copy copies the list and the chunks that it touches.
// Invariant: bytes of a chunk past size() are zero, so growing shows zeros as on a real disk.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

// Copies may live in different threads; one object belongs to one thread at a time.
class SparseBytes {
 public:
  // Larger files are refused, as by real file systems (EFBIG).
  static constexpr std::uint64_t kSizeMax = 64ull << 30;

  std::uint64_t size() const { return size_; }
  // Gives the number of bytes read, less than `size` only at the end.
  std::uint64_t ReadAt(std::uint64_t offset, std::uint64_t size, char* into) const;
  std::string ToString() const;
  // Equal for equal bytes.
  std::uint64_t Fingerprint() const;

  // Requires offset + size <= kSizeMax. Grows as needed; what lies between becomes zeros.
  void WriteAt(std::uint64_t offset, std::string_view bytes);
  void WriteZeros(std::uint64_t offset, std::uint64_t size);
  void Resize(std::uint64_t size);

 private:
  static constexpr std::uint64_t kChunkBytes = 4096;
  using Chunk = std::array<char, kChunkBytes>;
  using Chunks = std::vector<std::shared_ptr<Chunk>>;

  Chunks* OwnChunks();
  char* OwnChunk(std::uint64_t index);
  void Zero(std::uint64_t offset, std::uint64_t size);

  std::uint64_t size_ = 0;
  std::shared_ptr<Chunks> chunks_;
};

bool IsAllZeros(std::string_view bytes);

// A hash of what `sum` stands for, and then `more`.
constexpr std::uint64_t MixedHash(std::uint64_t sum, std::uint64_t more) {
  sum = (sum ^ more) * 0x9e37'79b9'7f4a'7c15;
  return sum ^ (sum >> 29);
}

}  // namespace varve
