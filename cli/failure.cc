// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <cerrno>
#include <cstring>

namespace varve::cli {
namespace {

ExitCode OfUnavailable(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::kLocked: return kExitLocked;
    case ErrorReason::kPermission: return kExitPermission;
    default: return kExitUnavailable;
  }
}

ExitCode OfInvalid(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::kUnsupportedFormat: return kExitUnsupported;
    case ErrorReason::kClosed:
    case ErrorReason::kReadOnly: return kExitOther;
    case ErrorReason::kWrongKey:
    case ErrorReason::kNotEncrypted:
    case ErrorReason::kExpiredKey: return kExitPermission;
    default: return kExitUsage;
  }
}

}  // namespace

ExitCode ExitCodeOf(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::kInvalid: return OfInvalid(error.reason());
    case ErrorKind::kNotFound:
      return error.reason() == ErrorReason::kMissingKey ? kExitPermission : kExitNotFound;
    case ErrorKind::kConflict: return kExitConflict;
    case ErrorKind::kUnavailable: return OfUnavailable(error.reason());
    case ErrorKind::kCorruption: return kExitDamage;
    case ErrorKind::kInternal: return kExitOther;
  }
  return kExitOther;
}

std::unexpected<Failure> WrongUsage(std::string message) {
  return std::unexpected(Failure(Error(ErrorKind::kInvalid, std::move(message)), kExitUsage));
}

std::unexpected<Failure> BadData(std::string message) {
  return std::unexpected(Failure(Error(ErrorKind::kInvalid, std::move(message)), kExitOther));
}

std::unexpected<Failure> NotFound(std::string message) {
  return std::unexpected(Failure(Error(ErrorKind::kNotFound, std::move(message))));
}

std::unexpected<Failure> SystemFailure(std::string_view doing, int error_number) {
  std::string message = std::string(doing) + ": " + std::strerror(error_number);
  switch (error_number) {
    case ENOENT: return NotFound(std::move(message));
    case EACCES:
    case EPERM:
    case EROFS:
      return std::unexpected(Failure(
          Error(ErrorKind::kUnavailable, std::move(message), ErrorReason::kPermission)));
    case ENOSPC:
    case EDQUOT:
      return std::unexpected(
          Failure(Error(ErrorKind::kUnavailable, std::move(message), ErrorReason::kNoSpace)));
    case EISDIR:
    case ENOTDIR: return WrongUsage(std::move(message));
    default:
      return std::unexpected(
          Failure(Error(ErrorKind::kUnavailable, std::move(message), ErrorReason::kIo)));
  }
}

}  // namespace varve::cli
