// SPDX-License-Identifier: Apache-2.0
// Alone: the writers' turn, taken.
#pragma once

#include <mutex>

#include "engine/engine.h"

namespace varve {

// While it lives only its owner's commit gets a number. Taken before any lock; a flush is done
// under it only by who made sure of room before.
class Database::Impl::Alone {
 public:
  explicit Alone(Impl* database) : database_(database) {
    std::unique_lock lock(database_->commit_mutex_);
    database_->turn_.wait(lock, [&] { return !database_->taken_; });
    database_->taken_ = true;
  }
  ~Alone() {
    const std::lock_guard lock(database_->commit_mutex_);
    database_->taken_ = false;
    database_->turn_.notify_all();
  }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  Impl* const database_;
};

}  // namespace varve
