// SPDX-License-Identifier: Apache-2.0
#include "line_batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace varve::cli {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;  // what a pipe holds

}  // namespace

Outcome<LineBatch> LineBatches::Next() {
  while (true) {
    const Done scanned = Scan();
    const bool rest = ended_ && scanned;  // the last unit may be short
    const auto whole = rest ? lines_.size() : lines_.size() / per_unit_ * per_unit_;
    if (whole > 0) return Cut(whole);
    if (!scanned) return std::unexpected(scanned.error());
    if (ended_) return LineBatch();
    CLI_TRY(Fill());
  }
}

// Finds the lines in what was read since.
Done LineBatches::Scan() {
  while (scanned_ < size_) {
    const auto* const from = buffer_.get() + scanned_;
    const auto* const newline =
        static_cast<const char*>(std::memchr(from, '\n', size_ - scanned_));
    const auto end = newline == nullptr ? size_ : static_cast<std::size_t>(newline - buffer_.get());
    CLI_TRY(CheckLength(end - line_begin_));
    scanned_ = end;
    if (newline == nullptr) break;
    lines_.push_back({line_begin_, end - line_begin_});
    scanned_ = line_begin_ = end + 1;
  }
  if (!ended_ || line_begin_ == size_) return {};
  lines_.push_back({line_begin_, size_ - line_begin_});
  line_begin_ = size_;
  return {};
}

Done LineBatches::CheckLength(std::size_t bytes) const {
  if (bytes <= line_bytes_max_) return {};
  return BadData(fmt::format("stdin: line {}: longer than {} bytes, the most a record may have",
                             lines_given_ + lines_.size() + 1, line_bytes_max_));
}

Done LineBatches::Fill() {
  if (capacity_ - size_ < kReadBytes) Grow();
  CLI_ASSIGN(const std::size_t read, read_(buffer_.get() + size_, capacity_ - size_));
  size_ += read;
  ended_ = read == 0;
  return {};
}

void LineBatches::Grow() {
  capacity_ = std::max(size_ + kReadBytes, 2 * capacity_);
  auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
  if (size_ > 0) std::memcpy(larger.get(), buffer_.get(), size_);
  buffer_ = std::move(larger);
}

// Gives the first `lines` lines with the buffer, and goes on with a copy of what stands behind.
LineBatch LineBatches::Cut(std::size_t lines) {
  const auto rest = lines < lines_.size() ? lines_[lines].begin : line_begin_;
  LineBatch batch;
  batch.bytes = std::move(buffer_);
  batch.first_line = lines_given_ + 1;
  batch.lines.reserve(lines);
  for (std::size_t i = 0; i < lines; ++i) {
    batch.lines.emplace_back(std::string_view(batch.bytes.get() + lines_[i].begin,
                                              lines_[i].bytes));
  }
  lines_.erase(lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(lines));
  for (Line& line : lines_) line.begin -= rest;
  lines_given_ += lines;
  bytes_given_ += rest;
  batch.bytes_read = bytes_given_;
  size_ -= rest;
  scanned_ -= rest;
  line_begin_ -= rest;
  capacity_ = size_ + kReadBytes;
  buffer_ = std::make_unique_for_overwrite<char[]>(capacity_);
  if (size_ > 0) std::memcpy(buffer_.get(), batch.bytes.get() + rest, size_);
  return batch;
}

}  // namespace varve::cli
