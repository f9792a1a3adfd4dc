// SPDX-License-Identifier: Apache-2.0
// The C API's callbacks for keys as a KeyProvider.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "log/c_error.h"
#include "varve/log_options.h"
#include "varve_log.h"

namespace varve {

class CallbackKeys final : public KeyProvider {
 public:
  CallbackKeys(varve_log_current_key current, varve_log_key key, void* context)
      : current_(current), key_(key), context_(context) {}

  Result<std::string> CurrentKeyId() override {
    char name[64] = {};
    std::size_t size = 0;
    if (const int code = current_(context_, name, &size); code != VARVE_LOG_OK) {
      return std::unexpected(
          FromCode(code, fmt::format("the callback current_key failed with code {}", code)));
    }
    if (size >= 1 && size <= sizeof name) return std::string(name, size);
    return Fail(ErrorKind::kInvalid, fmt::format("the callback current_key gave a name of {} "
                                                 "bytes; it must have 1 to 64", size));
  }
  Result<std::string> Key(std::string_view name) override {
    unsigned char key[32] = {};
    const int code = key_(context_, name.data(), name.size(), key);
    if (code == VARVE_LOG_OK) return std::string(reinterpret_cast<const char*>(key), sizeof key);
    return std::unexpected(FromCode(
        code, fmt::format("the callback key failed with code {} for the key '{}'", code, name)));
  }

 private:
  const varve_log_current_key current_;
  const varve_log_key key_;
  void* const context_;
};

}  // namespace varve
