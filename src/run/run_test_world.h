// SPDX-License-Identifier: Apache-2.0
// For the tests of this room: a store in memory, and runs written from memtables.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "files/files.h"
#include "files/object_store.h"
#include "files/simulated_disk.h"
#include "memtable/memtable.h"
#include "run/open_run.h"
#include "run/read_cache.h"
#include "run/run.h"
#include "run/run_writer.h"
#include "test/support/seed.h"
#include "test/support/version_model.h"

namespace varve {

class RunWorld {
 public:
  std::shared_ptr<ReadCache> cache;         // of the runs that are opened from now on
  std::shared_ptr<const RunMemory> memory;  // the same
  bool encrypted = false;            // the runs that are written from now on

  ObjectStore* store() { return store_.get(); }

  std::string Bytes(const std::string& name) {
    auto bytes = store_->Get(name);
    EXPECT_TRUE(bytes) << bytes.error().message();
    return *std::move(bytes);
  }

  Result<RunMeta> Write(const Memtable& memtable, std::int64_t row_group_rows,
                        std::uint64_t row_group_bytes_max = kRowGroupBytesMax,
                        std::int64_t piece_rows_max = 0) {  // 0: a third of a row group
    const std::string id = std::to_string(++runs_);
    std::vector<int> all;
    for (int i = 0; i < memtable.schema()->schema()->num_fields(); ++i) all.push_back(i);
    const auto cursor = memtable.NewCursor(all, {});
    return WriteRun(store_.get(), *memtable.schema(), cursor.get(),
                    {.id = runs_,
                     .data_name = "data/t/" + id + ".parquet",
                     .deletes_name = "data/t/deletes/" + id + ".parquet",
                     .encrypted = encrypted,
                     .row_group_rows = row_group_rows,
                     .row_group_bytes_max = row_group_bytes_max,
                     .piece_rows_max = piece_rows_max == 0 ? row_group_rows / 3 + 1
                                                           : piece_rows_max});
  }
  Result<std::shared_ptr<const OpenRun>> Open(const std::shared_ptr<const TableSchema>& schema,
                                              RunMeta meta) {
    const auto run = Run::Make(store_.get(), schema, std::make_shared<RunMeta>(std::move(meta)),
                               {.pieces = cache, .tails = nullptr, .memory = memory});
    VARVE_ASSIGN(auto open, run->Open());
    return std::make_shared<const OpenRun>(std::move(open));
  }
  std::shared_ptr<const OpenRun> Open(const Memtable& memtable, RunMeta meta) {
    auto run = Open(memtable.schema(), std::move(meta));
    EXPECT_TRUE(run) << run.error().message();
    return *run;
  }
  // The memtable as a run, open.
  std::shared_ptr<const OpenRun> Flush(const Memtable& memtable, std::int64_t row_group_rows) {
    auto meta = Write(memtable, row_group_rows);
    EXPECT_TRUE(meta) << meta.error().message();
    return Open(memtable, *std::move(meta));
  }

 private:
  std::unique_ptr<Files> files_ = NewMemoryFiles();
  SeededRandom random_{1};
  std::unique_ptr<ObjectStore> store_ = NewFolderStore(files_.get(), "root", &random_);
  std::uint64_t runs_ = 0;
};

inline testing::VersionModel::Sink Into(Memtable* memtable) {
  return [memtable](WriteBatch batch, std::uint64_t commit) {
    memtable->Insert(std::move(batch), commit);
  };
}

// All findings of a verification, as "object@offset: message".
inline std::vector<std::string> Findings(const OpenRun& run, bool deep) {
  std::vector<std::string> found;
  const auto status = run.Verify(
      deep, &found,
      [](void* context, const std::string& object, std::uint64_t offset,
         const std::string& message) {
        static_cast<std::vector<std::string>*>(context)->push_back(
            object + "@" + std::to_string(offset) + ": " + message);
      });
  EXPECT_TRUE(status) << status.error().message();
  return found;
}

}  // namespace varve
