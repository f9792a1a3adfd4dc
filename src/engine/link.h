// SPDX-License-Identifier: Apache-2.0
// What timers' tasks and change cursors hold of a database, which they may outlive.
#pragma once

#include <mutex>

#include "engine/engine.h"

namespace varve {

struct Database::Impl::Link {
  std::mutex mutex;
  Impl* database = nullptr;  // null once it has ended; guarded by mutex
};

}  // namespace varve
