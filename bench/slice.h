// SPDX-License-Identifier: Apache-2.0
// What the benchmarks share: a slice is one stretch of one thing done over and over, timed.
// Every slice becomes one line of JSON on standard output; bench/judge.py draws conclusions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "varve/error.h"

namespace varve::bench {

std::int64_t Nanos();  // steady

[[noreturn]] void Die(const std::string& message);

template <typename T>
T Must(Result<T> result) {
  if (!result) Die(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// Counts the processor time that others use while it lives. On a kernel that does not preempt, a
// thread that is woken waits for the others' time slice to end: what is measured beside a compiler
// says nothing about a log.
class Bystanders {
 public:
  Bystanders();
  double Share() const;  // of all processors, 0 to 1

 private:
  const std::int64_t start_nanos_;
  const double start_seconds_;
};

struct Slice {
  std::int64_t operations = 0;
  double seconds = 0;
  std::vector<std::uint32_t> nanos;  // of each operation, when they were timed one by one
  std::map<std::string, double> counts;
};

// `threads` writers, each calling operation(thread) again as soon as it returned, until `seconds`
// have passed. The time is that from the common start to the end of the last operation.
Slice ClosedLoop(int threads, double seconds, const std::function<void(int)>& operation);

// `threads` threads, each calling work(thread) once, from a common start.
double SecondsOf(int threads, const std::function<void(int)>& work);

// One line: {"round": ..., "case": ..., "operations": ..., "seconds": ..., "p50_us": ..., ...}.
void Print(int round, std::string_view name, Slice slice);

// Until others used less than a quarter of the processors for 0.2 s, or there is no patience left:
// the seconds waited are taken from it.
void WaitForCalm(double* patience_seconds);

// A line for something that is not there: {"missing": name, "why": ...}.
void PrintMissing(std::string_view name, std::string_view why);

}  // namespace varve::bench
