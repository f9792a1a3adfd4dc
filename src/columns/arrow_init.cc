// SPDX-License-Identifier: Apache-2.0
#include "columns/arrow_init.h"

#include <arrow/compute/initialize.h>

#include <mutex>

#include "base/check.h"

namespace varve {

void InitializeArrow() {
  static std::once_flag once;
  std::call_once(once, [] { VARVE_CHECK(arrow::compute::Initialize().ok()); });
}

}  // namespace varve
