// SPDX-License-Identifier: Apache-2.0
// From callbacks to futures.
#pragma once

#include <future>
#include <memory>

#include "base/out_of_memory.h"
#include "varve/transaction.h"

namespace varve {

// What `start` will call back with.
template <typename Start>
std::future<Result<CommitInfo>> Promised(const Start& start) {
  const auto promise = std::make_shared<std::promise<Result<CommitInfo>>>();
  auto future = promise->get_future();
  start([promise](const Result<CommitInfo>& info) {
    promise->set_value(info ? info : std::unexpected(CopyOf(info.error())));
  });
  return future;
}

}  // namespace varve
