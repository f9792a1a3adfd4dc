// SPDX-License-Identifier: Apache-2.0
// 4. A state machine that survives kill -9. Its state is a counter; each step is in the log before
// it counts. Now and then the state is kept in a checkpoint's note, so that replay is short, and
// the log before it is truncated.
//
//   usage: log_04_checkpoint_and_truncate FOLDER
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <varve/log.h>

#include <cinttypes>
#include <memory>
#include <string>
#include <vector>

#include "expect.h"
#include "new_folder.h"

namespace {

constexpr std::uint64_t kStepsOfALife = 1000;
constexpr std::uint64_t kStepsPerCheckpoint = 300;

struct Counter {
  std::uint64_t steps = 0;
  std::unique_ptr<varve::Log> log;
};

// The newest checkpoint's note is the state at its `replay_from`; the units from there on are
// applied. Replay may have begun earlier: the process died before the checkpoint was noted.
Counter Recover(const std::string& folder) {
  Counter counter;
  std::vector<varve::Lsn> steps;
  const auto note = [&steps](const varve::LogUnit& unit) {
    if (unit.records[0].kind == varve::LogKind::kData) steps.push_back(unit.lsn);
    return varve::Status();
  };
  varve::LogOptions options;
  options.segment_bytes_max = 1u << 20;
  counter.log = OrDie(varve::Log::Open(folder, options, note, {.from_checkpoint = true}), "open");
  const auto& newest = counter.log->recovery().checkpoint;
  if (newest) counter.steps = std::stoull(newest->note);
  for (const auto lsn : steps) counter.steps += !newest || lsn >= newest->replay_from ? 1 : 0;
  std::printf("recovered step %" PRIu64 ": %zu replayed, log from LSN %" PRIu64 "\n",
              counter.steps, steps.size(), counter.log->stats().first.value);
  return counter;
}

void Step(Counter* counter) {
  const auto ack = OrDie(counter->log->Append({std::string(500, 's')}), "append");
  if (++counter->steps % kStepsPerCheckpoint != 0) return;
  // Replay may start after this step: the note holds what came of everything before.
  OrDie(counter->log->Checkpoint(ack.end, std::to_string(counter->steps)), "checkpoint");
  OrDie(counter->log->TruncateBefore(ack.end), "truncate");
}

[[noreturn]] void Live(const std::string& folder) {
  auto counter = Recover(folder);
  for (std::uint64_t i = 0; i < kStepsOfALife; ++i) Step(&counter);
  std::fflush(stdout);
  ::kill(::getpid(), SIGKILL);
  std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  for (int life = 0; life < 2; ++life) {
    const pid_t child = ::fork();  // before a log is open: an open log does not survive fork
    if (child == 0) Live(folder);
    int how = 0;
    Expect(::waitpid(child, &how, 0) == child && WIFSIGNALED(how), "the child was killed");
  }
  const auto counter = Recover(folder);
  Expect(counter.steps == 2 * kStepsOfALife, "every step of both lives");
  Expect(counter.log->stats().first.value > 4096, "a log that was truncated");
  OrDie(counter.log->Close(), "close");
  return 0;
}
