// SPDX-License-Identifier: Apache-2.0
#include "files/file_errors.h"

#include <cerrno>
#include <system_error>

namespace varve {

Error SystemError(std::string_view operation, std::string_view path, int code) {
  std::string message(operation);
  message.append(" ").append(path).append(": ");
  message += std::generic_category().message(code);
  switch (code) {
    case ENOENT: return Error(ErrorKind::kNotFound, std::move(message));
    case EEXIST:
      return Error(ErrorKind::kConflict, std::move(message), ErrorReason::kAlreadyExists);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Error(ErrorKind::kUnavailable, std::move(message), ErrorReason::kNoSpace);
    case EACCES:
    case EPERM:
    case EROFS:
      return Error(ErrorKind::kUnavailable, std::move(message), ErrorReason::kPermission);
    default: return Error(ErrorKind::kUnavailable, std::move(message), ErrorReason::kIo);
  }
}

std::string TwoPaths(std::string_view from, std::string_view to) {
  std::string text(from);
  return text.append(" to ").append(to);
}

}  // namespace varve
