// SPDX-License-Identifier: Apache-2.0
// How a file operation says that it failed: one wording and one mapping for the real disk and for
// those in memory, so that no caller can tell them apart.
//
//   ENOENT                  NotFound
//   EEXIST                  Conflict/kAlreadyExists
//   ENOSPC EDQUOT EFBIG     Unavailable/kNoSpace
//   EACCES EPERM EROFS      Unavailable/kPermission
//   all others              Unavailable/kIo
#pragma once

#include <string>
#include <string_view>

#include "varve/error.h"

namespace varve {

// `code` is an errno value; the message is "<operation> <path>: <the system's words>".
Error SystemError(std::string_view operation, std::string_view path, int code);

inline std::unexpected<Error> FailWith(std::string_view operation, std::string_view path,
                                       int code) {
  return std::unexpected(SystemError(operation, path, code));
}

// "<from> to <to>": the path of an operation that has two.
std::string TwoPaths(std::string_view from, std::string_view to);

}  // namespace varve
