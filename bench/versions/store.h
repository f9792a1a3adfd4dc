// SPDX-License-Identifier: Apache-2.0
// Whoever takes rows in durably: varve and its rivals behind one face, each configured as its own
// experts advise for this very load. Their settings are printed with the results.
//
// All have the same budget, `budget_bytes`: 64 MiB of new rows may wait in memory and log before
// they go to data files, and that work is part of a slice when it comes due inside of it. Between
// slices each does what is left of it, untimed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bench/versions/rows.h"
#include "varve/log_options.h"

namespace varve::bench {

class Store {
 public:
  virtual ~Store() = default;
  virtual std::string Settings() const = 0;
  // Untimed, before each slice: brings to rest what earlier slices left.
  virtual void Settle() = 0;
  // All rows as one commit, durable when it returns.
  virtual void Commit(const BatchPtr& rows) = 0;
  virtual std::int64_t CountRows() = 0;
  // Syncs that the counting functions of device_use.h do not see, since the store was opened.
  virtual std::uint64_t HiddenSyncs() { return 0; }
};
using StorePtr = std::unique_ptr<Store>;

// Commits of up to 1 MiB by one thread, as little as they can cost (store_bare.cc).
StorePtr OpenBareStore(const std::string& path, LogSyncMethod method);
StorePtr OpenVarveStore(const std::string& dir, std::uint64_t budget_bytes);
// Each is null when its library is not there.
StorePtr OpenRocksDbStore(const std::string& dir, std::uint64_t budget_bytes, bool pipelined);
StorePtr OpenSqliteStore(const std::string& dir, std::uint64_t budget_bytes);
// With a primary key DuckDB replaces rows by key, as the others do; without it only appends.
StorePtr OpenDuckDbStore(const std::string& dir, std::uint64_t budget_bytes, bool primary_key);

}  // namespace varve::bench
