// SPDX-License-Identifier: Apache-2.0
// Run::Source: where a run's tails come from, and what outlives them. It lives as long as anybody
// holds a Run made of it. Private to the room.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "run/file_life.h"
#include "run/run.h"
#include "run/run_file.h"
#include "run/tail_cache.h"

namespace varve {

struct Run::Source {
  ~Source() {
    if (tails != nullptr) tails->Drop(&slot);
  }

  ObjectStore* store = nullptr;
  std::shared_ptr<const TableSchema> schema;  // that the files were written with
  std::shared_ptr<TailCache> tails;           // null: they are read each time
  std::shared_ptr<FileLife> data_life;        // null: no such object
  std::shared_ptr<FileLife> deletes_life;     // null: no such object
  mutable TailCache::Slot slot;
  mutable std::atomic<std::uint64_t> bloom_rejections = 0;
};

}  // namespace varve
