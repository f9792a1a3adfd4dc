// SPDX-License-Identifier: Apache-2.0
// A terminal that shows one screen which is drawn again and again, and gives single keys. What it
// was like before comes back when this ends, however it ends, but for a kill -9; and for as long as
// the program is stopped (Ctrl-Z). One at a time.
#pragma once

#include <optional>
#include <string_view>

#include "failure.h"

namespace varve::cli {

class Screen {
 public:
  // When stdin is no terminal, keys are not read.
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Replaces what is shown; cuts lines that the terminal has no room for.
  Done Draw(std::string_view lines);
};

// Waits for a key on a terminal, at most so long; gives none as well when stdin is no terminal,
// an interrupt came, or the program goes on after a stop and has to draw again. Keys that send
// several bytes (arrows) are none.
std::optional<char> AwaitKey(double seconds);

}  // namespace varve::cli
