// SPDX-License-Identifier: Apache-2.0
// The names of the sync methods, and what a File does that knows of none but Sync.
#include <string>

#include "base/result.h"
#include "files/files.h"

namespace varve {

std::string_view ToString(SyncMethod method) {
  switch (method) {
    case SyncMethod::kFdatasync: return "fdatasync";
    case SyncMethod::kFsync: return "fsync";
    case SyncMethod::kDsync: return "dsync";
    case SyncMethod::kDirectDsync: return "direct-dsync";
  }
  return "unknown";
}

Status File::WriteDurably(std::uint64_t offset, std::string_view bytes) {
  VARVE_TRY(WriteAt(offset, bytes));
  return Sync();
}

Status File::UseSyncMethod(SyncMethod method) {
  if (method == SyncMethod::kFdatasync) return {};
  return Fail(ErrorKind::kUnavailable,
              "use " + std::string(ToString(method)) + " for " + path() + ": not offered",
              ErrorReason::kIo);
}

}  // namespace varve
