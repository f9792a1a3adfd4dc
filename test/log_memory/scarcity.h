// SPDX-License-Identifier: Apache-2.0
// Memory and threads that are refused when a test says so. The program that links this has its own
// malloc and what belongs to it, under operator new too, and its own pthread_create.
#pragma once

#include <cstdint>

namespace varve::testing {

// Only what a thread asks for while it has one of these counts, and may be refused.
class Rationed {
 public:
  Rationed();
  ~Rationed();
  Rationed(const Rationed&) = delete;
  Rationed& operator=(const Rationed&) = delete;
};

// But not while it has one of these: for code that stands for the system.
class Exempt {
 public:
  Exempt();
  ~Exempt();
  Exempt(const Exempt&) = delete;
  Exempt& operator=(const Exempt&) = delete;

 private:
  const int before_;
};

// From now on the request number `first`, from 1, and `more` that follow it are refused.
void RefuseMemory(std::uint64_t first, std::uint64_t more);
// Ends that; gives the number of requests there were.
std::uint64_t GrantMemory();
// Asks for memory as any code does: std::bad_alloc when it is refused.
void AskForMemory();
// The bytes that rationed requests for 64 KiB or more were given since RefuseMemory.
std::uint64_t LargeBytesGranted();

// From now on only so many threads can be made.
void LimitThreads(int threads);
void GrantThreads();

}  // namespace varve::testing
