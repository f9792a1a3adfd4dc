// SPDX-License-Identifier: Apache-2.0
#include "input/text_input.h"

#include <arrow/util/compression.h>

#include <algorithm>
#include <cstring>

#include "format_cell.h"
#include "process.h"

namespace varve::cli {
namespace {

// What a damaged compressed file still gives ends at most this far before the damage.
constexpr std::size_t kReadBytes = 64 << 10;

// Line ends are \n, \r\n and \r.
std::uint64_t CountLines(std::string_view text) {
  std::uint64_t lines = 0;
  for (std::size_t at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1)) ++lines;
  for (std::size_t at = text.find('\r'); at != text.npos; at = text.find('\r', at + 1)) {
    if (!text.substr(at + 1).starts_with('\n')) ++lines;
  }
  return lines;
}

}  // namespace

Done TextInput::Fill() {
  if (state_ && !at_end_) state_ = Read();
  return state_;
}

Done TextInput::Read() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ + kReadBytes > kWindowBytesMax) {
    return BadData(file_.name + ": line " + std::to_string(line_) + ": the rows of one commit " +
                   "take more than " + FormatBytes(kWindowBytesMax) +
                   " of text; is a quote left open, or --rows-per-commit too large?");
  }
  if (end_ + kReadBytes > buffer_.size()) {
    buffer_.resize(std::max(2 * buffer_.size(), end_ + kReadBytes));
  }
  auto read = file_.plain->Read(static_cast<std::int64_t>(kReadBytes), buffer_.data() + end_);
  if (!read.ok() && Interrupted()) return InterruptedFailure(file_.name + ": interrupted");
  if (!read.ok() && file_.codec != nullptr) {
    return BadData(file_.name + ": not a whole " + file_.codec->name() + " file: after " +
                   FormatBytes(stored_bytes()) + ": " + read.status().message());
  }
  if (!read.ok()) return FailWith(read.status());
  end_ += static_cast<std::size_t>(*read);
  at_end_ = *read == 0;
  return {};
}

void TextInput::Consume(std::size_t bytes) {
  line_ += CountLines(window().substr(0, bytes));
  begin_ += bytes;
}

std::uint64_t TextInput::LineAt(std::size_t offset) const {
  return line_ + CountLines(window().substr(0, offset));
}

std::uint64_t TextInput::stored_bytes() const {
  const auto position = file_.stored->Tell();
  return position.ok() ? static_cast<std::uint64_t>(*position) : 0;
}

}  // namespace varve::cli
