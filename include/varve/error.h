// SPDX-License-Identifier: Apache-2.0
// Results and errors of every varve call.
//
// No varve function throws, but for std::bad_alloc: a commit tells as an error that memory was
// refused; which other calls do not says docs/known-defects.md. A function that can fail returns
// Result<T>, a std::expected<T, Error>; one with nothing to return gives Status. The kind
// of an error says what the caller should do next, the reason says which well-known situation it is
// (a program may branch on it), and the message is for a person: what happened, where, what was
// expected, what was found, and the next step. Results and errors are values: each belongs to who
// has it, in any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace varve {

// What the caller does next.
enum class ErrorKind : std::uint8_t {
  kInvalid,      // the call is wrong: fix the arguments
  kNotFound,     // the database, table, key or version is not there
  kConflict,     // somebody else was first: reread and retry
  kUnavailable,  // storage refused or is full, or a lock is held: wait, make room, try again
  kCorruption,   // stored bytes are not what was written: verify, repair, restore
  kInternal,     // a defect in varve: report it
};

// Which well-known situation, where a program may want to tell it from others of its kind.
enum class ErrorReason : std::uint8_t {
  kNone,
  kLocked,             // kUnavailable: open elsewhere; the message names the process
  kNoSpace,            // kUnavailable: the disk or a quota is full
  kPermission,         // kUnavailable: the operating system or store forbids it
  kIo,                 // kUnavailable: a read, write or sync failed; says nothing about the bytes
  kUnknownOutcome,     // kUnavailable: the commit may or may not be kept; reopen to learn
  kClosed,             // kInvalid: the object was closed
  kReadOnly,           // kInvalid: opened read-only
  kUnsupportedFormat,  // kInvalid: written by a newer version, or a type Parquet cannot hold
  kAlreadyExists,      // kConflict
  kTimedOut,           // kUnavailable: a deadline passed
  kMissingKey,         // kNotFound: encrypted, and nobody gave the key (or any key) it names
  kWrongKey,           // kInvalid: encrypted, and the key given under that name is another
  kStaleSequence,      // kConflict: the producer committed a later sequence already
  kExpiredKey,         // kInvalid: encrypted, and the provider does not give this key any more
  kNotEncrypted,       // kInvalid: keys were given, and what they are for is not encrypted
};

class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string message, ErrorReason reason = ErrorReason::kNone)
      : kind_(kind), reason_(reason), message_(std::move(message)) {}

  ErrorKind kind() const { return kind_; }
  ErrorReason reason() const { return reason_; }
  const std::string& message() const { return message_; }

  // The same error with "context: " before its message.
  Error Within(std::string_view context) const {
    return Error(kind_, std::string(context) + ": " + message_, reason_);
  }

 private:
  ErrorKind kind_;
  ErrorReason reason_;
  std::string message_;
};

// A std::expected that the compiler warns of where nobody looks at it. To the standard library it
// is none: and_then and or_else refuse functions that give one, and the value of a
// std::expected<bool, Error> that is made of one with () or {} is whether that has one.
template <typename T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  template <typename U>  // a bool of what has another value would be whether it has one
    requires std::is_same_v<T, bool> &&
             (!std::is_same_v<typename std::remove_cvref_t<U>::value_type, bool>)
  Result(U&&) = delete;
};
using Status = Result<void>;

// "Invalid", "NotFound", ... for traces and JSON.
std::string_view ToString(ErrorKind kind);
std::string_view ToString(ErrorReason reason);

}  // namespace varve
