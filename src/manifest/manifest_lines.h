// SPDX-License-Identifier: Apache-2.0
// The lines of a manifest object: text, and a checksum that binds it to its place.
//
//   line  = text " crc32c=" 8*lower-case-hex LF
//   crc_0 = Crc32c(object number, 8 bytes little-endian)
//   crc_i = Crc32c(text_i, seed crc_(i-1))             written at the end of line i = 1, 2, ...
//
// Each checksum covers the object's number and every text before it. So a line that was changed,
// dropped, doubled, moved, or taken from an object with another number does not validate. The text
// holds no LF. What is left is a cut at a line's end: the last text counts the lines
// (manifest_codec.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "varve/error.h"

namespace varve {

class LineWriter {
 public:
  explicit LineWriter(std::uint64_t number);
  void Add(std::string_view text);  // without LF
  std::uint64_t lines() const { return lines_; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
  std::uint32_t crc_;
  std::uint64_t lines_ = 0;
};

// Reads what a LineWriter made. After an error it stays at the bad line.
class LineReader {
 public:
  LineReader(std::string_view bytes, std::uint64_t number);
  bool done() const { return next_ == bytes_.size(); }
  // The next line's text, checked. Needs !done(). Corruption says expected and found.
  Result<std::string_view> Next();

  // Of the line that the last Next read or stopped at: number, from 1, and offset of its start.
  std::uint64_t line() const { return line_; }
  std::uint64_t offset() const { return start_; }

  // The text of the first line without any check; empty when there is none.
  static std::string_view FirstText(std::string_view bytes);

 private:
  std::string_view bytes_;
  std::uint32_t crc_;
  std::uint64_t line_ = 0;
  std::uint64_t start_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace varve
