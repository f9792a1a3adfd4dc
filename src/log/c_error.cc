// SPDX-License-Identifier: Apache-2.0
#include "log/c_error.h"

#include <array>
#include <functional>

namespace varve {
namespace {

constexpr std::size_t kStructBytesMost = 4096;  // a larger `size` was never set

static_assert(VARVE_LOG_INTERNAL == static_cast<int>(ErrorKind::kInternal) + 1 &&
              VARVE_LOG_NOT_ENCRYPTED == static_cast<int>(ErrorReason::kNotEncrypted));

constexpr int kKinds = VARVE_LOG_INTERNAL;
constexpr int kReasons = VARVE_LOG_NOT_ENCRYPTED + 1;
constexpr char kNoMemory[] = "no memory";  // so short that a string needs none for it
using NoMemoryErrors = std::array<varve_log_error, kKinds * kReasons>;

// One for each code, never freed.
NoMemoryErrors no_memory = [] {
  NoMemoryErrors all;
  for (int i = 0; i < kKinds * kReasons; ++i) {
    all[static_cast<std::size_t>(i)] = {(i % kKinds + 1) | (i / kKinds) << 8, kNoMemory};
  }
  return all;
}();

varve_log_error* NoMemoryError(int code) {
  const int place = VARVE_LOG_REASON(code) * kKinds + VARVE_LOG_KIND(code) - 1;
  return &no_memory.at(static_cast<std::size_t>(place));
}

}  // namespace

int CodeOf(const Error& error) {
  return (static_cast<int>(error.kind()) + 1) | static_cast<int>(error.reason()) << 8;
}

bool IsCode(int code) {
  const int kind = VARVE_LOG_KIND(code);
  const int reason = VARVE_LOG_REASON(code);
  return kind >= VARVE_LOG_INVALID && kind <= VARVE_LOG_INTERNAL && reason >= 0 &&
         reason <= VARVE_LOG_NOT_ENCRYPTED;
}

Error FromCode(int code, const std::string& message) {
  if (!IsCode(code)) return Error(ErrorKind::kInvalid, message);
  return Error(static_cast<ErrorKind>(VARVE_LOG_KIND(code) - 1), message,
               static_cast<ErrorReason>(VARVE_LOG_REASON(code)));
}

int Give(varve_log_error** to, const Error& error) noexcept {
  const int code = CodeOf(error);
  if (to == nullptr) return code;
  *to = new (std::nothrow) varve_log_error{code, {}};
  if (*to == nullptr) return GiveNoMemory(to, code);
  try {
    (*to)->message = error.message();
  } catch (const std::exception&) {
    (*to)->message = kNoMemory;
  }
  return code;
}

int GiveNoMemory(varve_log_error** to, int code) noexcept {
  if (to != nullptr) *to = NoMemoryError(code);
  return code;
}

void FreeError(varve_log_error* error) noexcept {
  const std::less<const varve_log_error*> before;
  const bool is_static = !before(error, no_memory.data()) &&
                         before(error, no_memory.data() + no_memory.size());
  if (!is_static) delete error;
}

Status Need(const void* pointer, std::string_view what) {
  if (pointer != nullptr) return {};
  return Fail(ErrorKind::kInvalid, fmt::format("{}: expected a pointer, found NULL", what));
}

Status CheckSize(std::string_view name, std::size_t size, std::size_t least) {
  if (size >= least && size <= kStructBytesMost) return {};
  return Fail(ErrorKind::kInvalid, fmt::format("{}.size: expected sizeof of it ({} to {}), found "
                                               "{}; set it before the call",
                                               name, least, kStructBytesMost, size));
}

}  // namespace varve
