// SPDX-License-Identifier: Apache-2.0
// Lines of a stream, in batches of whole units: a unit is a fixed number of lines, the last one of
// the stream may have fewer. A line is what stands before a newline, any bytes; what stands behind
// the last newline is a line too, unless it is nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "failure.h"
#include "varve/log.h"

namespace varve::cli {

struct LineBatch {
  std::vector<LogRecord> lines;  // lend from `bytes`
  std::uint64_t first_line = 0;  // number of lines[0] in the stream, from 1
  std::uint64_t bytes_read = 0;  // of the stream, up to the end of this batch
  std::unique_ptr<char[]> bytes;
};

class LineBatches {
 public:
  // Reads up to `bytes` bytes to `to`; gives how many, 0 at the end of the stream.
  using Read = std::function<Outcome<std::size_t>(char* to, std::size_t bytes)>;

  // Requires lines_per_unit > 0.
  LineBatches(Read read, std::uint64_t lines_per_unit, std::uint64_t line_bytes_max)
      : read_(std::move(read)), per_unit_(lines_per_unit), line_bytes_max_(line_bytes_max) {}

  // The units that were read whole: waits for one, not for more. No lines: the stream ended.
  // Errors: those of Read; bad data when a line is too long (says which), after every whole unit
  // before it was given. Memory: the unit, and twice the line that is being read.
  Outcome<LineBatch> Next();

 private:
  struct Line {
    std::size_t begin;
    std::size_t bytes;
  };

  Done Scan();
  Done CheckLength(std::size_t bytes) const;
  Done Fill();
  void Grow();
  LineBatch Cut(std::size_t lines);

  const Read read_;
  const std::uint64_t per_unit_;
  const std::uint64_t line_bytes_max_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;        // bytes in buffer_
  std::size_t scanned_ = 0;     // no newline behind line_begin_ and before this
  std::size_t line_begin_ = 0;  // of the line that is not whole yet
  std::vector<Line> lines_;     // whole ones in buffer_
  std::uint64_t lines_given_ = 0;
  std::uint64_t bytes_given_ = 0;
  bool ended_ = false;
};

}  // namespace varve::cli
