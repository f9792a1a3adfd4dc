// SPDX-License-Identifier: Apache-2.0
#include "log/segment_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::uint64_t kReadBytes = 1u << 20;
constexpr std::uint64_t kReadBytesAtEnd = 4 * kLogBlock;

std::uint64_t CountNonzero(std::string_view bytes) {
  static const std::string kZeros(kLogBlock, '\0');
  if (bytes == std::string_view(kZeros).substr(0, bytes.size())) return 0;
  return bytes.size() - static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\0'));
}

Status CheckChain(const FrameHeader& header, std::optional<std::uint32_t> chain) {
  if (!chain || header.chain == *chain) return {};
  return Fail(ErrorKind::kCorruption,
              fmt::format("frame chain: expected {:08x}, found {:08x}; the frame before is not "
                          "the one that this frame follows",
                          *chain, header.chain));
}

}  // namespace

SegmentReader::SegmentReader(File* file, const SegmentHeader& header, std::uint64_t file_bytes,
                             std::uint64_t offset)
    : file_(file),
      header_(header),
      limit_(std::min(header.capacity, file_bytes)),
      offset_(offset),
      read_bytes_(kReadBytes) {}

Error SegmentReader::Located(const Error& error) const {
  if (error.kind() == ErrorKind::kUnavailable) return error;  // it names the file itself
  return error.Within(fmt::format("{}, offset {}", file_->path(), offset_));
}

// Makes the buffer begin at `offset`, with what it has of the bytes from there on: so many.
std::uint64_t SegmentReader::KeepFrom(std::uint64_t offset) {
  const auto buffer_end = buffer_offset_ + buffer_.size();
  const auto keep = offset < buffer_offset_ || offset >= buffer_end ? 0 : buffer_end - offset;
  std::memmove(buffer_.data(), buffer_.data() + (buffer_.size() - keep), keep);
  buffer_offset_ = offset;
  return keep;
}

Result<std::string_view> SegmentReader::Fetch(std::uint64_t offset, std::uint64_t size) {
  const auto end = std::min(offset + size, limit_);
  if (offset >= end) return std::string_view();
  if (offset < buffer_offset_ || end > buffer_offset_ + buffer_.size()) {
    const auto want = std::min(std::max(read_bytes_, end - offset), limit_ - offset);
    read_bytes_ = std::min(2 * read_bytes_, kReadBytes);
    const auto have = KeepFrom(offset);
    buffer_.resize(want);
    auto read = file_->ReadAt(offset + have, want - have, buffer_.data() + have);
    if (!read) {
      buffer_.clear();
      return std::unexpected(std::move(read).error());
    }
    buffer_.resize(have + *read);
    bytes_read_ += *read;
  }
  return std::string_view(buffer_).substr(offset - buffer_offset_, end - offset);
}

Result<LogFrame> SegmentReader::Decode(std::optional<std::uint32_t> chain) {
  VARVE_ASSIGN(auto bytes, Fetch(offset_, kLogBlock));
  if (bytes.empty()) {
    return Fail(ErrorKind::kCorruption, "expected a frame, found the end of the file");
  }
  VARVE_ASSIGN(const auto header, DecodeFrameHeader(header_, lsn(), bytes));
  VARVE_ASSIGN(bytes, Fetch(offset_, header.FrameBytes()));
  if (bytes.size() < header.FrameBytes()) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("expected a frame of {} bytes, found the end of the file after {}",
                            header.FrameBytes(), bytes.size()));
  }
  const auto content = bytes.substr(kFrameHeaderBytes);
  VARVE_TRY(CheckPayload(header_, header, content));
  VARVE_TRY(CheckChain(header, chain));
  return LogFrame{header, offset_, content.substr(0, header.payload_bytes), bytes, {}};
}

Result<FrameHeader> SegmentReader::DecodeHeader(std::optional<std::uint32_t> chain) {
  char bytes[kFrameHeaderBytes];
  const auto want = std::min<std::uint64_t>(sizeof bytes, limit_ - std::min(limit_, offset_));
  VARVE_ASSIGN(const auto read, file_->ReadAt(offset_, want, bytes));
  bytes_read_ += read;
  if (read == 0) return Fail(ErrorKind::kCorruption, "expected a frame, found the end of the file");
  VARVE_ASSIGN(const auto header, DecodeFrameHeader(header_, lsn(), {bytes, read}));
  VARVE_TRY(CheckChain(header, chain));
  return header;
}

template <typename T>
Result<std::optional<T>> SegmentReader::NoteDefect(Result<T> frame) {
  if (frame) return std::optional<T>(*std::move(frame));
  if (frame.error().kind() != ErrorKind::kCorruption) {
    return std::unexpected(Located(frame.error()));
  }
  defect_ = frame.error().message();
  return std::optional<T>();
}

Result<std::optional<LogFrame>> SegmentReader::Next(std::optional<std::uint32_t> chain) {
  auto frame = NoteDefect(Decode(chain));
  if (frame && *frame) offset_ += (*frame)->header.FrameBytes();
  return frame;
}

Result<std::optional<FrameHeader>> SegmentReader::Skip(std::optional<std::uint32_t> chain) {
  auto header = NoteDefect(DecodeHeader(chain));
  if (header && *header) offset_ += (*header)->FrameBytes();
  return header;
}

void SegmentReader::Pass(const FrameHeader& header) {
  offset_ += header.FrameBytes();
  bytes_read_ += header.FrameBytes();
}

void SegmentReader::LookAgain(std::uint64_t offset) {
  offset_ = offset;
  buffer_.clear();
  read_bytes_ = kReadBytesAtEnd;
}

Result<bool> SegmentReader::SkipToFrame() {
  for (offset_ += kLogBlock; offset_ < limit_; offset_ += kLogBlock) {
    auto frame = Decode({});
    if (frame) return true;
    if (frame.error().kind() != ErrorKind::kCorruption) {
      return std::unexpected(Located(frame.error()));
    }
  }
  return false;
}

Result<LogBeyond> SegmentReader::LookBeyond() {
  LogBeyond beyond;
  for (auto at = offset_; at < limit_; at += kLogBlock) {
    VARVE_ASSIGN(const auto block, Fetch(at, kLogBlock));
    const auto nonzero = CountNonzero(block);
    if (nonzero == 0) continue;
    const auto header = DecodeFrameHeader(header_, header_.LsnAt(at), block);
    // In a file that was used before, the rest is what it held then.
    if (header || (header_.flags & kRecycledFile) == 0) beyond.nonzero_bytes += nonzero;
    if (header && beyond.frame_offset == 0) beyond.frame_offset = at;
    if (header && header->durable > beyond.durable) {
      beyond.durable = header->durable;
      beyond.durable_offset = at;
    }
    if (!header && header.error().kind() != ErrorKind::kCorruption) {
      return std::unexpected(Located(header.error()));
    }
  }
  return beyond;
}

}  // namespace varve
