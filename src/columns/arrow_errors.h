// SPDX-License-Identifier: Apache-2.0
// Between arrow::Status and varve::Error, without loss: an Error becomes a Status whose detail
// carries it, and comes out again unchanged (varve::ErrorFromArrow, varve/snapshot.h).
#pragma once

#include <utility>

#include <arrow/result.h>
#include <arrow/status.h>

#include "base/result.h"
#include "varve/error.h"
#include "varve/snapshot.h"

namespace varve {

arrow::Status ToArrow(const Error& error);

// True when an Error was made a Status by ToArrow, whatever Arrow has put around it since.
bool CarriesError(const arrow::Status& status);

template <typename T>
Result<T> FromArrow(arrow::Result<T> result) {
  if (!result.ok()) return std::unexpected(ErrorFromArrow(result.status()));
  return std::move(result).ValueUnsafe();
}
inline Status FromArrow(const arrow::Status& status) {
  if (!status.ok()) return std::unexpected(ErrorFromArrow(status));
  return {};
}

}  // namespace varve
