// SPDX-License-Identifier: Apache-2.0
#include "test/memory/resident.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace varve::testing {

Resident ResidentNow() {
  Resident resident;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == "VmHWM:" && status >> kibibytes) resident.highest = kibibytes << 10;
    if (word == "RssAnon:" && status >> kibibytes) resident.anonymous = kibibytes << 10;
  }
  return resident;
}

void ForgetHighest() { std::ofstream("/proc/self/clear_refs") << "5"; }

Numbers InAnotherProcess(const std::function<Numbers()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    const Numbers numbers = work();
    const auto bytes = numbers.size() * sizeof(numbers[0]);
    const bool told = ::write(ends[1], numbers.data(), bytes) == static_cast<ssize_t>(bytes);
    std::fflush(nullptr);
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  Numbers numbers;
  for (std::uint64_t number = 0; ::read(ends[0], &number, sizeof(number)) == sizeof(number);) {
    numbers.push_back(number);
  }
  ::close(ends[0]);
  int status = 0;
  const bool ended = child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
  return ended ? numbers : Numbers();
}

}  // namespace varve::testing
