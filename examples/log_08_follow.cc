// SPDX-License-Identifier: Apache-2.0
// 8. Reading beside a writer. One process appends, under a sync policy that need not be the default
// one; another follows it by a cursor, which takes no lock, and later goes on where it stood. In
// the writer's own process a cursor also flushes what it waits for.
//
//   usage: log_08_follow FOLDER
#include <sys/wait.h>
#include <unistd.h>
#include <varve/log.h>
#include <varve/log_reader.h>

#include <cinttypes>
#include <string>

#include "expect.h"
#include "new_folder.h"

namespace {

constexpr std::uint64_t kUnits = 300;
constexpr std::uint64_t kWaitMs = 1000;

varve::Status Ignore(const varve::LogUnit&) { return {}; }

// Acknowledged when the system has it; synced 20 ms later at most. VARVE_LOG_SYNC_POLICY and the
// like in the environment change that.
[[noreturn]] void Write(const std::string& folder) {
  varve::LogOptions options;
  options.sync_policy = varve::LogSyncPolicy::kInterval;
  options.sync_interval_ms = 20;
  options = OrDie(varve::LogOptions::FromEnvironment(options), "environment");
  const auto log = OrDie(varve::Log::Open(folder, options, Ignore), "open to write");
  for (std::uint64_t i = 0; i < kUnits; ++i) {
    OrDie(log->Append({"event " + std::to_string(i)}, varve::AckLevel::kWritten), "append");
  }
  OrDie(log->Close(), "close");
  std::exit(0);
}

// Reads `count` units, waiting for those that are not there yet; gives where it stopped.
varve::Lsn Follow(const std::string& folder, varve::Lsn from, std::uint64_t count,
                  std::uint64_t first) {
  const auto cursor =
      OrDie(varve::LogCursor::Open(folder, {.from = from, .follow = true}), "open to read");
  for (std::uint64_t i = first; i < first + count;) {
    const auto unit = OrDie(cursor->Next(), "next");
    if (!unit) {
      OrDie(cursor->WaitForMore(kWaitMs), "wait");
      continue;
    }
    Expect(unit->records[0].bytes == "event " + std::to_string(i), "each unit once, in order");
    ++i;
  }
  std::printf("read %" PRIu64 " units, up to %" PRIu64 "\n", count, cursor->position().value);
  return cursor->position();
}

void BesideAnotherProcess(const std::string& folder) {
  OrDie(OrDie(varve::Log::Open(folder, {}, Ignore), "make the log")->Close(), "close");
  const pid_t writer = ::fork();  // while no log is open: an open one does not survive fork
  if (writer == 0) Write(folder);
  const auto position = Follow(folder, {}, kUnits / 2, 0);
  Follow(folder, position, kUnits / 2, kUnits / 2);  // a later reader goes on from there
  int how = 0;
  Expect(::waitpid(writer, &how, 0) == writer && how == 0, "the writer ended well");
}

void BesideOurselves(const std::string& folder) {
  const auto log = OrDie(varve::Log::Open(folder, {}, Ignore), "open again");
  varve::LogOptions to_read;
  to_read.read_only = true;
  const auto second = varve::Log::Open(folder, to_read, Ignore);
  Expect(!second && second.error().reason() == varve::ErrorReason::kLocked,
         "Log::Open excludes a writer, also read-only");
  Expect(OrDie(varve::VerifyLog(folder), "verify").damages.empty(), "VerifyLog takes no lock");

  const auto cursor =
      OrDie(varve::OpenCursor(log.get(), folder, {.from = log->positions().appended}), "cursor");
  const varve::LogRecord record("soon");
  const auto ticket = OrDie(log->Enqueue({&record, 1}), "enqueue");  // has a place, is in no file
  Expect(OrDie(cursor->WaitForMore(kWaitMs), "wait"), "the cursor's wait flushes it");
  const auto unit = OrDie(cursor->Next(), "next");
  Expect(unit && unit->lsn == ticket.lsn && unit->records[0].bytes == "soon", "the unit");
  OrDie(log->Close(), "close");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  BesideAnotherProcess(folder);
  BesideOurselves(folder);
  return 0;
}
