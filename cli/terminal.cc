// SPDX-License-Identifier: Apache-2.0
#include "terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "process.h"

namespace varve::cli {
namespace {

// The other screen, without a cursor; and back (xterm's control sequences, which all know).
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kClearLine = "\x1b[K";
constexpr std::string_view kClearBelow = "\x1b[J";

int TerminalRows() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0) return size.ws_row;
  return 24;
}

// The first `columns` columns of a line. Control sequences take none, nor do the later bytes of a
// character.
std::string_view Cut(std::string_view line, int columns) {
  int taken = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      i = std::min(line.find('m', i), line.size());
      continue;
    }
    const bool later_byte = (static_cast<unsigned char>(line[i]) & 0xC0) == 0x80;
    if (!later_byte && taken++ == columns) return line.substr(0, i);
  }
  return line;
}

}  // namespace

Screen::Screen() {
  (void)Print(kEnter);
  termios now{};
  if (!IsTerminal(STDIN_FILENO) || ::tcgetattr(STDIN_FILENO, &now) != 0) return;
  before_ = now;
  now.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
  (void)::tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

Screen::~Screen() {
  if (before_) (void)::tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
  (void)Print(kLeave);
  (void)FlushStdout();
}

Done Screen::Draw(std::string_view lines) {
  const int columns = TerminalColumns();
  int rows = TerminalRows();
  std::string out(kHome);
  while (!lines.empty() && rows-- > 0) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    out.append(Cut(lines.substr(0, end), columns)).append("\x1b[m").append(kClearLine);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (!lines.empty() && rows > 0) out += "\r\n";
  }
  CLI_TRY(Print(out.append(kClearBelow)));
  return FlushStdout();
}

std::optional<char> AwaitKey(double seconds) {
  const double end = SteadySeconds() + seconds;
  const bool keys = IsTerminal(STDIN_FILENO);
  while (!Interrupted()) {
    constexpr double kLookAgain = 0.1;  // for an interrupt that came before the wait
    const double left = end - SteadySeconds();
    if (left <= 0) return std::nullopt;
    pollfd wanted{keys ? STDIN_FILENO : -1, POLLIN, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::min(left, kLookAgain) * 1e3) + 1);
    if (ready <= 0) continue;
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) == 1) return key;
    return 'q';  // the terminal went away
  }
  return std::nullopt;
}

}  // namespace varve::cli
