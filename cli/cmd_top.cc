// SPDX-License-Identifier: Apache-2.0
// varve top: what a database does, again and again.
#include <unistd.h>

#include <charconv>
#include <optional>
#include <utility>

#include "commands.h"
#include "process.h"
#include "terminal.h"
#include "top_frame.h"

namespace varve::cli {
namespace {

struct TopArguments {
  std::string database;
  std::string interval = "1";
  std::string count;
  bool once = false;
};

constexpr double kIntervalMin = 0.1;
constexpr double kIntervalMax = 3600;

Outcome<double> ParseInterval(const std::string& text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size() && seconds >= kIntervalMin &&
      seconds <= kIntervalMax) {
    return seconds;
  }
  return WrongUsage("--interval: expected seconds from 0.1 to 3600, found \"" + text + "\"");
}

// The frames to show; none: until somebody ends it.
Outcome<std::optional<std::uint64_t>> FramesOf(const Session& session,
                                               const TopArguments& options) {
  if (options.once && !options.count.empty()) {
    return WrongUsage("--once is --count 1; give one of them");
  }
  if (!options.count.empty()) {
    CLI_ASSIGN(const std::uint64_t count, ParseCount("--count", options.count, 1));
    return count;
  }
  // A text for a pipe or file is one frame; JSON lines go on.
  const bool one = options.once || (!session.json && !IsTerminal(STDOUT_FILENO));
  return one ? std::optional<std::uint64_t>(1) : std::nullopt;
}

// Shows a frame; without a screen it is printed.
Done Show(const Session& session, const TopArguments& options, const TopFrame& frame,
          Screen* screen) {
  if (session.json) {
    CLI_TRY(PrintJson(Document(frame, options.database)));
    return FlushStdout();
  }
  CLI_ASSIGN(const bool color, session.UseColor());
  const std::string text = Text(frame, options.database, WallNow(), color);
  if (screen != nullptr) return screen->Draw(text + "\nq quits\n");
  return Print(text);
}

Outcome<ExitCode> Run(const Session& session, const TopArguments& options) {
  CLI_ASSIGN(const double interval, ParseInterval(options.interval));
  CLI_ASSIGN(const auto frames, FramesOf(session, options));
  Observer observer(session, options.database);
  CLI_ASSIGN(auto seen, observer.Next());  // before the screen: a wrong path is told as ever
  std::optional<Screen> screen;
  const bool draws = !session.json && frames != 1 && IsTerminal(STDOUT_FILENO);
  if (draws) screen.emplace();
  std::optional<Observation> before;
  for (std::uint64_t shown = 0;;) {
    const TopFrame frame = MakeFrame(before, seen);
    CLI_TRY(Show(session, options, frame, screen ? &*screen : nullptr));
    if (++shown == frames || Stdout()->closed()) return kExitDone;
    const auto key = AwaitKey(interval);
    if (Interrupted() || key == 'q' || key == 'Q' || key == '\x1b') return kExitDone;
    CLI_ASSIGN(auto next, observer.Next());
    if (next.time > seen.time) before = std::move(seen);  // else it published nothing since
    seen = std::move(next);
  }
}

}  // namespace

void AddTop(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<TopArguments>(
      app, session, "top", "Show what a database does, while it does it",
      "varve top flights.varve\n"
      "  varve top flights.varve --json --count 10\n"
      "\n"
      "Of a database that another process writes it shows what that process publishes, which it\n"
      "does when it was opened with OpenOptions::metrics_interval_ms; `varve load` does. When it\n"
      "publishes nothing, top shows what its folder tells. q quits.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  verb.Add("--interval", &options->interval, "Seconds between two looks (1)").Type("S");
  verb.Add("--count", &options->count, "End after N frames").Type("N");
  verb.AddFlag("--once", &options->once, "Show one frame, as to a pipe");
}

}  // namespace varve::cli
