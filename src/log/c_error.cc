// SPDX-License-Identifier: Apache-2.0
#include "log/c_error.h"

namespace varve {
namespace {

constexpr std::size_t kStructBytesMost = 4096;  // a larger `size` was never set

static_assert(VARVE_LOG_INTERNAL == static_cast<int>(ErrorKind::kInternal) + 1 &&
              VARVE_LOG_WRONG_KEY == static_cast<int>(ErrorReason::kWrongKey));

// Short: its text is inside it.
varve_log_error no_memory{VARVE_LOG_UNAVAILABLE, "no memory"};

}  // namespace

varve_log_error* NoMemoryError() { return &no_memory; }

int CodeOf(const Error& error) {
  return (static_cast<int>(error.kind()) + 1) | static_cast<int>(error.reason()) << 8;
}

Error FromCode(int code, const std::string& message) {
  const int kind = VARVE_LOG_KIND(code);
  const int reason = VARVE_LOG_REASON(code);
  if (kind < VARVE_LOG_INVALID || kind > VARVE_LOG_INTERNAL || reason < 0 ||
      reason > VARVE_LOG_WRONG_KEY) {
    return Error(ErrorKind::kInvalid, message);
  }
  return Error(static_cast<ErrorKind>(kind - 1), message, static_cast<ErrorReason>(reason));
}

int Give(varve_log_error** to, const Error& error) noexcept {
  const int code = CodeOf(error);
  if (to == nullptr) return code;
  *to = new (std::nothrow) varve_log_error{code, {}};
  if (*to == nullptr) {
    *to = &no_memory;
    return code;
  }
  try {
    (*to)->message = error.message();
  } catch (const std::exception&) {
    (*to)->message = no_memory.message;
  }
  return code;
}

int GiveNoMemory(varve_log_error** to, int code) noexcept {
  if (to != nullptr) *to = &no_memory;
  return code;
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
