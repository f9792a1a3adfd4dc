// SPDX-License-Identifier: Apache-2.0
#include "log/c_options.h"

#include <type_traits>
#include <utility>

#include "base/result.h"
#include "log/c_error.h"

namespace varve {
namespace {

static_assert(VARVE_LOG_NEVER == static_cast<int>(LogSyncPolicy::kNever) &&
              VARVE_LOG_DIRECT_DSYNC == static_cast<int>(LogSyncMethod::kDirectDsync) &&
              VARVE_LOG_ZSTD == static_cast<int>(LogCompression::kZstd) &&
              VARVE_LOG_SHADOW == static_cast<int>(LogEncodeMode::kShadow) &&
              VARVE_LOG_SALVAGE == static_cast<int>(RecoveryMode::kSalvage));
static_assert(sizeof(void*) != 8 || sizeof(varve_log_options) == kFirstOptionsBytes);

constexpr LogSyncPolicy LastOf(LogSyncPolicy) { return LogSyncPolicy::kNever; }
constexpr LogSyncMethod LastOf(LogSyncMethod) { return LogSyncMethod::kDirectDsync; }
constexpr LogEncodeMode LastOf(LogEncodeMode) { return LogEncodeMode::kShadow; }
constexpr LogCompression LastOf(LogCompression) { return LogCompression::kZstd; }

// Calls `copy` for each setting with its member in C and the one in C++.
template <typename InC, typename InCpp, typename Copy>
void ForEachSetting(InC& c, InCpp& cpp, const Copy& copy) {
  copy("segment_bytes_max", c.segment_bytes_max, cpp.segment_bytes_max);
  copy("segment_age_ms_max", c.segment_age_ms_max, cpp.segment_age_ms_max);
  copy("log_bytes_max", c.log_bytes_max, cpp.log_bytes_max);
  copy("queue_bytes_max", c.queue_bytes_max, cpp.queue_bytes_max);
  copy("queue_wait_ms_max", c.queue_wait_ms_max, cpp.queue_wait_ms_max);
  copy("group_bytes_max", c.group_bytes_max, cpp.group_bytes_max);
  copy("group_units_max", c.group_units_max, cpp.group_units_max);
  copy("linger_us", c.linger_us, cpp.linger_us);
  copy("sync_interval_ms", c.sync_interval_ms, cpp.sync_interval_ms);
  copy("sync_bytes", c.sync_bytes, cpp.sync_bytes);
  copy("recycled_segments_max", c.recycled_segments_max, cpp.recycled_segments_max);
  copy("shadow_per_mille", c.shadow_per_mille, cpp.shadow_per_mille);
  copy("sync_policy", c.sync_policy, cpp.sync_policy);
  copy("sync_method", c.sync_method, cpp.sync_method);
  copy("encode_mode", c.encode_mode, cpp.encode_mode);
  copy("compression", c.compression, cpp.compression);
  copy("read_only", c.read_only, cpp.read_only);
  copy("create_if_missing", c.create_if_missing, cpp.create_if_missing);
}

}  // namespace

void ToC(const LogOptions& from, varve_log_options* to) {
  ForEachSetting(*to, from, [](const char*, auto& c, const auto& cpp) {
    c = static_cast<std::remove_reference_t<decltype(c)>>(cpp);
  });
}

Result<LogOptions> ToCpp(const varve_log_options& from) {
  LogOptions to;
  Status all;
  ForEachSetting(from, to, [&all](const char* name, const auto& c, auto& cpp) {
    using Cpp = std::remove_reference_t<decltype(cpp)>;
    if constexpr (std::is_enum_v<Cpp>) {
      const auto value = EnumOf(name, c, LastOf(Cpp{}));
      if (value) cpp = *value;
      else if (all) all = std::unexpected(value.error());
    } else {
      cpp = static_cast<Cpp>(c);
    }
  });
  VARVE_TRY(std::move(all));
  if (from.id != nullptr) to.id = from.id;
  if (to.queue_wait_ms_max > kWaitMsMost) to.queue_wait_ms_max = LogOptions{}.queue_wait_ms_max;
  return to;
}

Result<RecoveryOptions> RecoveryOf(const varve_log_options& from) {
  RecoveryOptions to;
  VARVE_ASSIGN(to.mode, EnumOf("recovery_mode", from.recovery_mode, RecoveryMode::kSalvage));
  to.replay_from = {from.replay_from};
  to.from_checkpoint = from.from_checkpoint != 0;
  to.known_durable = {from.known_durable};
  return to;
}

Result<varve_log_options> KnownOptions(const varve_log_options* given) {
  varve_log_options known{};
  known.size = sizeof known;
  ToC({}, &known);
  if (given == nullptr) return known;
  VARVE_TRY(TakeSized("options", *given, kFirstOptionsBytes, &known));
  if (known.reserved != 0) {
    return Fail(ErrorKind::kInvalid, "options: `reserved` must be 0; fill them in by "
                                     "varve_log_options_init");
  }
  if ((known.current_key == nullptr) != (known.key == nullptr)) {
    return Fail(ErrorKind::kInvalid, "options: expected both of current_key and key, or neither");
  }
  return known;
}

}  // namespace varve
