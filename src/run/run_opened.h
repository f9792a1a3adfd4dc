// SPDX-License-Identifier: Apache-2.0
// Run::Opened: what an open run holds. Private to the room; run.cc, lookup.cc and verify.cc use it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "run/run.h"
#include "run/run_file.h"

namespace varve {

struct Run::Opened {
  ObjectStore* store = nullptr;
  std::shared_ptr<const TableSchema> schema;  // that the files were written with
  std::shared_ptr<const RunFile> data;     // null: no such object
  std::shared_ptr<const RunFile> deletes;  // null: no such object
  mutable std::atomic<std::uint64_t> bloom_rejections = 0;
};

}  // namespace varve
