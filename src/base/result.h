// SPDX-License-Identifier: Apache-2.0
// The two macros of the project: pass an error on, or unwrap a value.
//
//   VARVE_TRY(file->Sync());
//   VARVE_ASSIGN(auto size, file->Size());
#pragma once

#include <utility>

#include "varve/error.h"

#define VARVE_CONCAT_INNER(a, b) a##b
#define VARVE_CONCAT(a, b) VARVE_CONCAT_INNER(a, b)

#define VARVE_TRY(expression)                                                     \
  do {                                                                            \
    if (auto varve_status = (expression); !varve_status) {                        \
      return std::unexpected(std::move(varve_status).error());                    \
    }                                                                             \
  } while (false)

#define VARVE_ASSIGN(declaration, expression) \
  VARVE_ASSIGN_INNER(VARVE_CONCAT(varve_result_, __COUNTER__), declaration, expression)
#define VARVE_ASSIGN_INNER(name, declaration, expression)         \
  auto name = (expression);                                       \
  if (!name) return std::unexpected(std::move(name).error());     \
  declaration = *std::move(name)

namespace varve {

inline std::unexpected<Error> Fail(ErrorKind kind, std::string message,
                                   ErrorReason reason = ErrorReason::kNone) {
  return std::unexpected(Error(kind, std::move(message), reason));
}

}  // namespace varve
