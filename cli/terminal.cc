// SPDX-License-Identifier: Apache-2.0
#include "terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "process.h"

namespace varve::cli {
namespace {

// The other screen, without a cursor; and back (xterm's control sequences, which all know).
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kClearLine = "\x1b[K";
constexpr char kEscape = '\x1b';
constexpr std::string_view kClearBelow = "\x1b[J";

// What the handlers of signals need to know of the one screen that there is.
struct Shown {
  bool keys = false;  // stdin is a terminal, and was like `before`
  termios before{};
};
Shown shown;
volatile std::sig_atomic_t continued = 0;

// Single keys, not shown; signals stay signals.
void TakeKeys() {
  termios now = shown.before;
  now.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
  if (shown.keys) (void)::tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

void GiveKeysBack() {
  if (shown.keys) (void)::tcsetattr(STDIN_FILENO, TCSANOW, &shown.before);
}

// Only calls that a handler of signals may make.
void WriteNow(std::string_view text) {
  [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

// Ctrl-Z and Ctrl-\: the terminal is as it was before they do what they do to any program.
void OnEnding(int signal) {
  const int error = errno;
  GiveKeysBack();
  WriteNow(kLeave);
  Handle(signal, SIG_DFL);
  ::raise(signal);  // comes when this handler has ended
  errno = error;
}

// In the foreground again, also after a SIGSTOP, which nobody is told of.
void OnContinue(int) {
  const int error = errno;
  Handle(SIGTSTP, OnEnding);
  TakeKeys();
  WriteNow(kEnter);
  continued = 1;
  errno = error;
}

void HandleStops(bool handle) {
  Handle(SIGTSTP, handle ? OnEnding : SIG_DFL);
  Handle(SIGQUIT, handle ? OnEnding : SIG_DFL);
  Handle(SIGCONT, handle ? OnContinue : SIG_DFL);
}

// True when a key is there within so long.
bool HasKey(int millis) {
  pollfd wanted{STDIN_FILENO, POLLIN, 0};
  return ::poll(&wanted, 1, millis) > 0;
}

// Behind an escape: reads what follows at once, an arrow or another key that sends several bytes.
// False when nothing does: it was the key itself.
bool TakeSequence() {
  constexpr int kAtOnceMillis = 50;
  char byte = 0;
  if (!HasKey(kAtOnceMillis) || ::read(STDIN_FILENO, &byte, 1) != 1) return false;
  if (byte != '[' && byte != 'O') return true;
  do {  // parameters, up to the byte that ends them
    if (!HasKey(kAtOnceMillis) || ::read(STDIN_FILENO, &byte, 1) != 1) return true;
  } while (byte < '@' || byte > '~');
  return true;
}

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
  shown.keys = IsTerminal(STDIN_FILENO) && ::tcgetattr(STDIN_FILENO, &shown.before) == 0;
  HandleStops(true);
  (void)Print(kEnter);
  TakeKeys();
}

Screen::~Screen() {
  HandleStops(false);
  GiveKeysBack();
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
    if (left <= 0 || std::exchange(continued, 0) != 0) return std::nullopt;
    pollfd wanted{keys ? STDIN_FILENO : -1, POLLIN, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::min(left, kLookAgain) * 1e3) + 1);
    if (ready <= 0) continue;
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) != 1) return 'q';  // the terminal went away
    if (key != kEscape || !TakeSequence()) return key;
  }
  return std::nullopt;
}

}  // namespace varve::cli
