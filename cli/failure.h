// SPDX-License-Identifier: Apache-2.0
// How a verb fails: a varve::Error and the exit code that goes with it (README.md has the table).
//
//   CLI_TRY(writer->Write(*batch));
//   CLI_ASSIGN(auto reader, OpenInput(path, options));
//   CLI_ARROW(auto array, builder->Finish());
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <expected>
#include <string>
#include <utility>

#include "varve/error.h"
#include "varve/snapshot.h"

namespace varve::cli {

enum ExitCode : int {
  kExitDone = 0,
  kExitOther = 1,
  kExitUsage = 2,
  kExitNotFound = 3,
  kExitLocked = 4,
  kExitConflict = 5,
  kExitDamage = 6,
  kExitUnavailable = 7,
  kExitPermission = 8,
  kExitUnsupported = 9,
  kExitInterrupted = 130,
};

// The exit code of an error that varve returned for a call the user spelled out: Invalid is then a
// wrong argument; where the data of a file is at fault, use BadData. A key that is missing, or is
// another one, or is for nothing, is a matter of credentials.
ExitCode ExitCodeOf(const Error& error);

struct Failure {
  Failure(Error e) : error(std::move(e)), exit(ExitCodeOf(error)) {}  // NOLINT: converts on purpose
  Failure(Error e, ExitCode code) : error(std::move(e)), exit(code) {}

  Error error;
  ExitCode exit;
};

template <typename T>
using Outcome = std::expected<T, Failure>;
using Done = Outcome<void>;

// The command line is wrong: exit 2.
std::unexpected<Failure> WrongUsage(std::string message);
// What was read is wrong, not how it was asked for: exit 1.
std::unexpected<Failure> BadData(std::string message);
std::unexpected<Failure> NotFound(std::string message);
// A failed call of the operating system: `doing`, then strerror; the exit code follows errno.
std::unexpected<Failure> SystemFailure(std::string_view doing, int error_number);

inline std::unexpected<Failure> FailWith(const arrow::Status& status) {
  return std::unexpected(Failure(ErrorFromArrow(status)));
}

}  // namespace varve::cli

#define CLI_CONCAT_INNER(a, b) a##b
#define CLI_CONCAT(a, b) CLI_CONCAT_INNER(a, b)

#define CLI_TRY(expression)                                    \
  do {                                                         \
    if (auto cli_status = (expression); !cli_status) {         \
      return std::unexpected(std::move(cli_status).error());   \
    }                                                          \
  } while (false)

#define CLI_ASSIGN(declaration, expression) \
  CLI_ASSIGN_INNER(CLI_CONCAT(cli_result_, __COUNTER__), declaration, expression)
#define CLI_ASSIGN_INNER(name, declaration, expression)     \
  auto name = (expression);                                 \
  if (!name) return std::unexpected(std::move(name).error()); \
  declaration = *std::move(name)

#define CLI_ARROW_TRY(expression)                                            \
  do {                                                                       \
    if (::arrow::Status cli_arrow = (expression); !cli_arrow.ok()) {         \
      return ::varve::cli::FailWith(cli_arrow);                              \
    }                                                                        \
  } while (false)

#define CLI_ARROW(declaration, expression) \
  CLI_ARROW_INNER(CLI_CONCAT(cli_arrow_, __COUNTER__), declaration, expression)
#define CLI_ARROW_INNER(name, declaration, expression)          \
  auto name = (expression);                                     \
  if (!name.ok()) return ::varve::cli::FailWith(name.status()); \
  declaration = std::move(name).ValueUnsafe()
