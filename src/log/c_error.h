// SPDX-License-Identifier: Apache-2.0
// The C API's errors and checks: every error or exception becomes a code and an error object, and
// what C passes is checked before it is used.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "varve/error.h"
#include "varve_log.h"

struct varve_log_error {
  int code;
  std::string message;
};

namespace varve {

int CodeOf(const Error& error);
bool IsCode(int code);  // of an error
// The error for a code that a callback gave; Invalid when it is no code.
Error FromCode(int code, const std::string& message);

// Makes the caller's error object, if it wants one, and gives its code. Where there is no memory
// for an object, it is one of those that are there for each code.
int Give(varve_log_error** to, const Error& error) noexcept;
int GiveNoMemory(varve_log_error** to, int code) noexcept;
void FreeError(varve_log_error* error) noexcept;
// What no memory means where a unit may have been appended.
inline constexpr int kUnknownOutcomeCode = VARVE_LOG_UNAVAILABLE | VARVE_LOG_UNKNOWN_OUTCOME << 8;

// Runs `call`, which gives a Status, and lets nothing but a code out.
template <typename Call>
int Guarded(varve_log_error** error, const Call& call,
            int no_memory_code = VARVE_LOG_UNAVAILABLE) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    try {
      auto done = call();
      return done ? VARVE_LOG_OK : Give(error, done.error());
    } catch (const std::bad_alloc&) {
      return GiveNoMemory(error, no_memory_code);
    } catch (const std::exception& thrown) {
      return Give(error, Error(ErrorKind::kInternal,
                               fmt::format("an exception was thrown: {}; if not by your callback, "
                                           "report it", thrown.what())));
    } catch (...) {
      return Give(error, Error(ErrorKind::kInternal, "a callback threw what is no exception"));
    }
  } catch (...) {  // by a message
    return GiveNoMemory(error, no_memory_code);
  }
}

// Invalid, naming `what`, when it is null.
Status Need(const void* pointer, std::string_view what);

template <typename Enum>
Result<Enum> EnumOf(std::string_view name, int value, Enum last) {
  if (value >= 0 && value <= static_cast<int>(last)) return static_cast<Enum>(value);
  return Fail(ErrorKind::kInvalid, fmt::format("{}: expected 0 to {}, found {}", name,
                                               static_cast<int>(last), value));
}

// Invalid unless `size`, which the caller put into its struct `name`, can be.
Status CheckSize(std::string_view name, std::size_t size, std::size_t least);

// Copies what the caller's struct `name` and ours both know; a later setting that is not 0 is
// Invalid.
template <typename T>
Status TakeSized(std::string_view name, const T& given, std::size_t least, T* known) {
  VARVE_TRY(CheckSize(name, given.size, least));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(&given);
  if (std::any_of(bytes + std::min(given.size, sizeof *known), bytes + given.size,
                  [](unsigned char byte) { return byte != 0; })) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: a setting that this library does not know is set; set what it "
                            "does not know to 0, or link a newer one",
                            name));
  }
  std::memcpy(known, &given, std::min(given.size, sizeof *known));
  return {};
}

// Fills in a struct of the caller's, whose `size` may be another than ours.
template <typename T>
Status GiveSized(std::string_view name, T* to, T value, std::size_t least) {
  VARVE_TRY(CheckSize(name, to->size, least));
  value.size = to->size;
  const auto known = std::min(value.size, sizeof value);
  std::memset(to, 0, value.size);
  std::memcpy(to, &value, known);
  return {};
}

}  // namespace varve
