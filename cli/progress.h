// SPDX-License-Identifier: Apache-2.0
// One line on stderr that says how far a long verb has come; nothing unless stderr is a terminal.
#pragma once

#include <cstdint>
#include <string>

namespace varve::cli {

class Progress {
 public:
  explicit Progress(std::string what);
  // Bytes done and to do (0: unknown), and rows where there are any. Draws five times a second.
  void Update(std::uint64_t bytes, std::uint64_t bytes_total, std::uint64_t rows = 0);
  // Takes the line away.
  void Clear();

 private:
  const std::string what_;
  const bool shown_;
  const double start_;
  double drawn_ = 0;
};

}  // namespace varve::cli
