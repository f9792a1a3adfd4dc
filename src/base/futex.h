// SPDX-License-Identifier: Apache-2.0
// Waiting on a word (futex(2)), with a deadline, which std::atomic::wait has not. Of one process.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace varve {

// Returns when the word is not `seen`, when it was woken, when `micros` have passed (none: never),
// or for no reason at all: the caller looks again.
void FutexWait(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
               std::optional<std::int64_t> micros = {});
void FutexWakeOne(const std::atomic<std::uint32_t>& word);
void FutexWakeAll(const std::atomic<std::uint32_t>& word);

// So many sleepers one thread wakes in the time in which the first of them have done something.
std::uint32_t FewSleepers();

// The number of the processor that the calling thread runs on, or ran on a moment ago.
std::size_t ProcessorOfThisThread();
// How many there are; at least 1.
std::size_t Processors();

}  // namespace varve
