// SPDX-License-Identifier: Apache-2.0
// A write of a life that another thread makes.
#pragma once

#include <string>

#include "test/model/life.h"

namespace varve::testing {

inline constexpr int kWriters = 3;

struct Life::ThreadWrite {
  std::string name;
  TablePtr table;  // as it was when the write was chosen
  RowList rows;
  Result<CommitInfo> info;

  void Make(Database& db) { info = db.Upsert(name, MakeBatch(*table->shape, rows)); }
  // Whether it must be taken when the tables are these already when it begins.
  bool Fits(const Tables& tables) const {
    const auto at = tables.find(name);
    return at != tables.end() && Refitted(*table->shape, rows, *at->second->shape).has_value();
  }
};

}  // namespace varve::testing
