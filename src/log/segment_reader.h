// SPDX-License-Identifier: Apache-2.0
// Streams the frames of one segment, through one buffer that holds the largest frame. Recovery,
// verification and the dump all read through it, so they agree on what is a valid frame.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "files/files.h"
#include "log/log_format.h"
#include "log/unit_codec.h"

namespace varve {

// The units of a frame.
struct FrameUnits {
  std::span<const FoundUnit> places;
  LogRecords records;
};

struct LogFrame {
  FrameHeader header;
  std::uint64_t offset = 0;   // in the file
  std::string_view payload;   // valid until the next call of the reader
  std::string_view bytes;     // as long: header, payload and padding
  std::optional<FrameUnits> units;  // as long; when they were taken apart already
};

// What lies beyond a place where no valid frame is.
struct LogBeyond {
  std::uint64_t nonzero_bytes = 0;
  // The largest position that a valid frame header there says was durable, and where it says so.
  std::uint64_t durable = 0;
  std::uint64_t durable_offset = 0;
  std::uint64_t frame_offset = 0;  // of the first valid frame header; 0: there is none
};

// Used by one thread. `file` must outlive it.
class SegmentReader {
 public:
  // Begins at `offset`, a place where a frame may be.
  SegmentReader(File* file, const SegmentHeader& header, std::uint64_t file_bytes,
                std::uint64_t offset = kLinkOffset);

  // The frame at offset(), which then moves behind it. Nothing when no valid one is there; defect()
  // says why and offset() stays. With `chain`, the frame must have it.
  // Errors: I/O, kUnsupportedFormat; the message names file and offset.
  Result<std::optional<LogFrame>> Next(std::optional<std::uint32_t> chain);

  // The same of a frame's header alone: 64 bytes are read, the payload is not.
  Result<std::optional<FrameHeader>> Skip(std::optional<std::uint32_t> chain);

  // Moves behind the frame at offset(), which was read otherwise.
  void Pass(const FrameHeader& header);

  // From now on the frames at `offset` and after it, as they are in the file then: for a file that
  // another writes to. Reading begins with small pieces, since the end may be near.
  void LookAgain(std::uint64_t offset);

  // Moves to the next block at which a valid frame starts, chain aside; false when there is none.
  Result<bool> SkipToFrame();

  // Looks through everything from offset() to the end of the file.
  Result<LogBeyond> LookBeyond();

  std::uint64_t offset() const { return offset_; }
  Lsn lsn() const { return header_.LsnAt(offset_); }
  const std::string& defect() const { return defect_; }
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  // Up to `size` bytes at `offset`; fewer only at the end of the file.
  Result<std::string_view> Fetch(std::uint64_t offset, std::uint64_t size);
  std::uint64_t KeepFrom(std::uint64_t offset);
  Result<LogFrame> Decode(std::optional<std::uint32_t> chain);
  Result<FrameHeader> DecodeHeader(std::optional<std::uint32_t> chain);
  template <typename T>
  Result<std::optional<T>> NoteDefect(Result<T> frame);
  Error Located(const Error& error) const;

  File* const file_;
  const SegmentHeader header_;
  const std::uint64_t limit_;  // no frame lies beyond: capacity, or the end of the file
  std::uint64_t offset_;
  std::uint64_t buffer_offset_ = 0;
  std::string buffer_;
  std::uint64_t read_bytes_;  // at once, at least
  std::string defect_;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace varve
