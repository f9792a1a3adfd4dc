// SPDX-License-Identifier: Apache-2.0
// From std::bad_alloc to results. What is made here needs no memory: its message is so short that
// std::string keeps it inside itself.
#pragma once

#include <new>
#include <string>
#include <utility>

#include "varve/error.h"

namespace varve {

inline Error OutOfMemory(ErrorReason reason = ErrorReason::kNone) {
  return Error(ErrorKind::kUnavailable, "out of memory", reason);
}

// The same, and that nothing of a write was kept, if there is memory to say so.
inline Error NothingKept() {
  try {
    return Error(ErrorKind::kUnavailable,
                 "out of memory: nothing of this was kept; make room, then try again");
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
}

// What `call`, which gives a Result, gives; Unavailable when it was refused memory.
template <typename Call>
auto OrOutOfMemory(const Call& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return std::unexpected(OutOfMemory());
  }
}

// The same for a call that then has changed nothing, which is what the message says.
template <typename Call>
auto OrNothingKept(const Call& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return std::unexpected(NothingKept());
  }
}

// False when `call` was refused memory.
template <typename Call>
bool HadMemory(const Call& call) {
  try {
    call();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// A copy; without memory one of the same kind and reason.
inline Error CopyOf(const Error& error) {
  try {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(error.kind(), "out of memory", error.reason());
  }
}

// Unavailable/kUnknownOutcome, with `context` and the cause if there is memory for them.
inline Error UnknownOutcome(const char* context, const Error& cause) {
  try {
    return Error(ErrorKind::kUnavailable, std::string(context) + cause.message(),
                 ErrorReason::kUnknownOutcome);
  } catch (const std::bad_alloc&) {
    return OutOfMemory(ErrorReason::kUnknownOutcome);
  }
}

}  // namespace varve
