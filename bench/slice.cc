// SPDX-License-Identifier: Apache-2.0
#include "bench/slice.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <mutex>
#include <thread>

namespace varve::bench {
namespace {

constexpr std::size_t kLatenciesReserved = 1u << 16;
constexpr double kOthersCalm = 0.25;

double Micros(const std::vector<std::uint32_t>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(last * share + 0.5)] / 1e3;
}

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Processor time of everybody but this process, as far as the kernel tells.
double SecondsOfOthers() {
  std::ifstream stat("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, soft_irq = 0, stolen = 0;
  stat >> name >> user >> nice >> system >> idle >> waiting >> irq >> soft_irq >> stolen;
  rusage own;
  ::getrusage(RUSAGE_SELF, &own);
  const auto ticks = user + nice + system + irq + soft_irq + stolen;
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK)) - SecondsOf(own.ru_utime) -
         SecondsOf(own.ru_stime);
}

}  // namespace

Bystanders::Bystanders() : start_nanos_(Nanos()), start_seconds_(SecondsOfOthers()) {}

double Bystanders::Share() const {
  const auto elapsed = static_cast<double>(Nanos() - start_nanos_) / 1e9;
  const auto processors = static_cast<double>(std::thread::hardware_concurrency());
  return std::max(0.0, SecondsOfOthers() - start_seconds_) / (elapsed * processors);
}

void WaitForCalm(double* patience_seconds) {
  constexpr std::chrono::duration<double> kLook(0.2);
  std::mutex mutex;
  std::condition_variable never;
  while (*patience_seconds > 0) {
    const Bystanders watch;
    std::unique_lock lock(mutex);
    never.wait_for(lock, kLook);
    if (watch.Share() < kOthersCalm) return;
    *patience_seconds -= kLook.count();
  }
}

std::int64_t Nanos() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void Die(const std::string& message) {
  fmt::print(stderr, "bench: {}\n", message);
  std::exit(1);
}

double SecondsOf(int threads, const std::function<void(int)>& work) {
  // Each thread notes its own times: this one may be woken long after the others began.
  struct Times {
    std::int64_t start, end;
  };
  std::latch ready(threads);
  std::vector<Times> times(static_cast<std::size_t>(threads));
  std::vector<std::thread> running;
  for (int thread = 0; thread < threads; ++thread) {
    running.emplace_back([&, thread] {
      auto& mine = times[static_cast<std::size_t>(thread)];
      ready.arrive_and_wait();
      mine.start = Nanos();
      work(thread);
      mine.end = Nanos();
    });
  }
  for (auto& thread : running) thread.join();
  const auto first = std::ranges::min_element(times, {}, &Times::start)->start;
  const auto last = std::ranges::max_element(times, {}, &Times::end)->end;
  return static_cast<double>(last - first) / 1e9;
}

Slice ClosedLoop(int threads, double seconds, const std::function<void(int)>& operation) {
  std::vector<std::vector<std::uint32_t>> nanos(static_cast<std::size_t>(threads));
  for (auto& of_thread : nanos) of_thread.reserve(kLatenciesReserved);
  const auto duration = static_cast<std::int64_t>(seconds * 1e9);
  Slice slice;
  const Bystanders watch;
  slice.seconds = SecondsOf(threads, [&](int thread) {
    auto& mine = nanos[static_cast<std::size_t>(thread)];
    auto now = Nanos();
    for (const auto deadline = now + duration; now < deadline;) {
      operation(thread);
      const auto end = Nanos();
      mine.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(end - now, UINT32_MAX)));
      now = end;
    }
  });
  for (const auto& of_thread : nanos) {
    slice.nanos.insert(slice.nanos.end(), of_thread.begin(), of_thread.end());
  }
  slice.operations = static_cast<std::int64_t>(slice.nanos.size());
  slice.counts["others"] = watch.Share();
  return slice;
}

void Print(int round, std::string_view name, Slice slice) {
  fmt::print("{{\"round\": {}, \"case\": \"{}\", \"operations\": {}, \"seconds\": {:.9f}", round,
             name, slice.operations, slice.seconds);
  if (!slice.nanos.empty()) {
    std::ranges::sort(slice.nanos);
    fmt::print(", \"p50_us\": {:.3f}, \"p99_us\": {:.3f}, \"max_us\": {:.3f}",
               Micros(slice.nanos, 0.5), Micros(slice.nanos, 0.99), slice.nanos.back() / 1e3);
  }
  for (const auto& [count, value] : slice.counts) fmt::print(", \"{}\": {}", count, value);
  fmt::print("}}\n");
  std::fflush(stdout);
}

void PrintMissing(std::string_view name, std::string_view why) {
  fmt::print("{{\"missing\": \"{}\", \"why\": \"{}\"}}\n", name, why);
  std::fflush(stdout);
}

}  // namespace varve::bench
