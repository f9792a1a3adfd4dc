// SPDX-License-Identifier: Apache-2.0
// Run: what the manifest says of a run, and where its files are. Making one reads nothing: its
// tails (footers, filters, first keys) are read and checked by the first reader, who asks Open for
// them, and kept in a cache with a budget. So a database of many runs opens without reading one.
//
// Thread safety: a Run is immutable; use it from any thread.
//
// A run holds no file open: each read finds its objects by name. So whoever removes the objects of
// a run waits until nobody holds its Lifetime (files/object_store.h).
#pragma once

#include <cstdint>
#include <memory>

#include "base/shared_list.h"
#include "columns/table_schema.h"
#include "files/object_store.h"
#include "run/run_meta.h"
#include "varve/error.h"

namespace varve {

class ColumnMap;
class OpenRun;    // run/open_run.h
class ReadCache;  // run/read_cache.h
class RunMemory;  // run/run_memory.h
class TailCache;  // run/tail_cache.h
struct Tails;

// What the runs of a database share. Each may be null: nothing is kept.
struct RunCaches {
  std::shared_ptr<ReadCache> pieces;  // of rows that lookups decoded
  std::shared_ptr<TailCache> tails;
  std::shared_ptr<const RunMemory> memory = nullptr;  // null: nobody counts
};

class Run : public std::enable_shared_from_this<Run> {
 public:
  static std::shared_ptr<const Run> Make(ObjectStore* store,
                                         std::shared_ptr<const TableSchema> schema,
                                         std::shared_ptr<const RunMeta> meta,
                                         const RunCaches& caches = {});
  // The same run, its rows shown under a later schema of the table than the one they were written
  // with: indices of columns are that schema's. `run` itself when that is the one.
  static std::shared_ptr<const Run> Under(const std::shared_ptr<const Run>& run,
                                          const std::shared_ptr<const TableSchema>& schema);
  // The same run, of which the manifest now says something else: its level, or who takes it.
  static std::shared_ptr<const Run> With(const std::shared_ptr<const Run>& run,
                                         std::shared_ptr<const RunMeta> meta);
  // The same run, read through another store, which outlives it, and no cache: for one reader that
  // holds `run` meanwhile, since Lifetime is another one's.
  static std::shared_ptr<const Run> Through(const std::shared_ptr<const Run>& run,
                                            ObjectStore* store);
  ~Run();

  const RunMeta& meta() const { return *meta_; }
  // Expires once neither it nor any run made of it is held. Tails come and go without it.
  std::weak_ptr<const void> Lifetime() const;

  // To read it; what follows finds the tails there. From the cache, or from the store: then
  // Corruption when an object's size, footer or checksum is not what the manifest says, or it is
  // missing. It names the file. Two threads that open it at once may both read the tails.
  Result<OpenRun> Open() const;

  // Counts since Make, for tests and metrics.
  std::uint64_t row_groups_read() const;
  std::uint64_t bloom_rejections() const;

 private:
  friend class OpenRun;
  struct Source;
  Run() = default;
  Result<std::shared_ptr<const Tails>> ReadTails() const;

  std::shared_ptr<const TableSchema> schema_;
  std::shared_ptr<const RunMeta> meta_;
  std::shared_ptr<const Source> source_;
  std::shared_ptr<const ColumnMap> map_;  // null: schema_ is the file's
};

using RunList = SharedList<std::shared_ptr<const Run>>;

}  // namespace varve
