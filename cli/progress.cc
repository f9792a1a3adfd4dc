// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include "format_cell.h"
#include "process.h"

namespace varve::cli {
namespace {

constexpr double kRedrawSeconds = 0.2;

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what)), shown_(IsTerminal(STDERR_FILENO)), start_(SteadySeconds()) {}

void Progress::Update(std::uint64_t bytes, std::uint64_t bytes_total, std::uint64_t rows) {
  if (!shown_) return;
  const double now = SteadySeconds();
  if (now - drawn_ < kRedrawSeconds) return;
  drawn_ = now;
  const double seconds = now - start_;
  std::string line = what_ + "  " + FormatBytes(bytes);
  if (bytes_total > 0) line += " of " + FormatBytes(bytes_total);
  if (rows > 0 && seconds > 0) {
    const auto rate = static_cast<std::uint64_t>(static_cast<double>(rows) / seconds);
    line += fmt::format("  {} rows, {} rows/s", WithThousands(rows), WithThousands(rate));
  }
  if (bytes > 0 && bytes < bytes_total) {
    const double left = seconds * static_cast<double>(bytes_total - bytes) /
                        static_cast<double>(bytes);
    const auto whole = static_cast<std::uint64_t>(left + 0.5);
    line += fmt::format("  ETA {}:{:02}", whole / 60, whole % 60);
  }
  PrintError("\r\x1b[K" + line);
}

void Progress::Clear() {
  if (drawn_ > 0) PrintError("\r\x1b[K");
  drawn_ = 0;
}

}  // namespace varve::cli
