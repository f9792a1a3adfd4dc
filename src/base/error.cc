// SPDX-License-Identifier: Apache-2.0
#include "varve/error.h"

namespace varve {

std::string_view ToString(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid: return "Invalid";
    case ErrorKind::kNotFound: return "NotFound";
    case ErrorKind::kConflict: return "Conflict";
    case ErrorKind::kUnavailable: return "Unavailable";
    case ErrorKind::kCorruption: return "Corruption";
    case ErrorKind::kInternal: return "Internal";
  }
  return "Internal";
}

std::string_view ToString(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::kNone: return "None";
    case ErrorReason::kLocked: return "Locked";
    case ErrorReason::kNoSpace: return "NoSpace";
    case ErrorReason::kPermission: return "Permission";
    case ErrorReason::kIo: return "Io";
    case ErrorReason::kUnknownOutcome: return "UnknownOutcome";
    case ErrorReason::kClosed: return "Closed";
    case ErrorReason::kReadOnly: return "ReadOnly";
    case ErrorReason::kUnsupportedFormat: return "UnsupportedFormat";
    case ErrorReason::kAlreadyExists: return "AlreadyExists";
    case ErrorReason::kTimedOut: return "TimedOut";
    case ErrorReason::kStaleSequence: return "StaleSequence";
    case ErrorReason::kMissingKey: return "MissingKey";
    case ErrorReason::kWrongKey: return "WrongKey";
    case ErrorReason::kExpiredKey: return "ExpiredKey";
    case ErrorReason::kNotEncrypted: return "NotEncrypted";
  }
  return "None";
}

}  // namespace varve
