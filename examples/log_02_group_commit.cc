// SPDX-License-Identifier: Apache-2.0
// 2. Group commit: while one flush is on its way, later units gather and share the next one. Eight
// threads that wait for each unit, then one thread that keeps 64 tickets open: both need far fewer
// syncs than units.
//
//   usage: log_02_group_commit FOLDER
#include <varve/log.h>

#include <cinttypes>
#include <deque>
#include <future>
#include <string>
#include <vector>

#include "expect.h"
#include "new_folder.h"

namespace {

constexpr int kThreads = 8;
constexpr int kUnitsEach = 50;
constexpr int kTickets = 500;
constexpr std::size_t kOutstanding = 64;

// Each unit waits for its own durability.
int AppendMany(varve::Log* log, int thread) {
  for (int i = 0; i < kUnitsEach; ++i) {
    const auto record = "thread " + std::to_string(thread) + " unit " + std::to_string(i);
    OrDie(log->Append({record}), "append");
  }
  return kUnitsEach;
}

void AppendByTickets(varve::Log* log) {
  std::deque<varve::LogTicket> open;
  for (int i = 0; i < kTickets; ++i) {
    // Enqueue fixes the place in the order and returns at once.
    const auto record = "ticket " + std::to_string(i);
    open.push_back(OrDie(log->Enqueue({{varve::LogRecord(record)}}, varve::AckLevel::kDurable),
                         "enqueue"));
    if (open.size() < kOutstanding) continue;
    OrDie(log->Wait(open.front()), "wait");
    open.pop_front();
  }
  // Order is fixed: when the last one is durable, all before it are.
  OrDie(log->Wait(open.back()), "wait");
  Expect(log->positions().durable >= open.back().end, "the last ticket is durable");
}

void Tell(const char* what, const varve::LogStats& before, const varve::LogStats& after) {
  std::printf("%s: %" PRIu64 " units by %" PRIu64 " syncs\n", what, after.units - before.units,
              after.syncs - before.syncs);
  Expect(after.syncs - before.syncs < after.units - before.units, "fewer syncs than units");
}

}  // namespace

int main(int argc, char** argv) {
  const auto log = OrDie(varve::Log::Open(NewFolder(argc, argv), {}, {}), "open");
  const auto start = log->stats();
  std::vector<std::future<int>> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.push_back(std::async(std::launch::async, AppendMany, log.get(), i));
  }
  int units = 0;
  for (auto& thread : threads) units += thread.get();
  const auto middle = log->stats();
  Expect(middle.units - start.units == static_cast<std::uint64_t>(units), "all units counted");
  Tell("8 threads that wait", start, middle);
  AppendByTickets(log.get());
  Tell("1 thread, 64 tickets", middle, log->stats());
  OrDie(log->Close(), "close");
  return 0;
}
