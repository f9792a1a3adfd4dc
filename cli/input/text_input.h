// SPDX-License-Identifier: Apache-2.0
// A window on a stream of text that grows at its end and is consumed at its start, and knows the
// number of the line it starts in.
#pragma once

#include <arrow/io/interfaces.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "failure.h"
#include "input/input_file.h"

namespace varve::cli {

class TextInput {
 public:
  // The window may not grow over this many bytes: one batch of rows must fit.
  static constexpr std::size_t kWindowBytesMax = std::size_t{2} << 30;

  explicit TextInput(InputFile file) : file_(std::move(file)) {}

  const std::string& name() const { return file_.name; }
  InputFormat format() const { return file_.format; }
  // What is read and not consumed. Valid until Fill or Consume.
  std::string_view window() const { return {buffer_.data() + begin_, end_ - begin_}; }
  bool at_end() const { return at_end_; }

  // Reads more text to the end of the window, or finds the end of the input. Once it failed it
  // fails for ever: what follows a hole is not to be read.
  Done Fill();
  void Consume(std::size_t bytes);

  // Number, from 1, of the line that holds the byte at `offset` in the window.
  std::uint64_t LineAt(std::size_t offset) const;
  // Bytes of the file as stored that were read so far.
  std::uint64_t stored_bytes() const;

 private:
  Done Read();

  InputFile file_;
  Done state_;             // the first failure of Fill
  std::string buffer_;     // its size is the room; [begin_, end_) is the window
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t line_ = 1;  // of begin_
  bool at_end_ = false;
};

}  // namespace varve::cli
