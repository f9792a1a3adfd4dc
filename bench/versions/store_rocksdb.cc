// SPDX-License-Identifier: Apache-2.0
// RocksDB: one value a row, one synced WriteBatch a commit (rocksdb_open.h).
#include <rocksdb/write_batch.h>

#include "bench/versions/rocksdb_open.h"

namespace varve::bench {
namespace {

class RocksDbStore final : public Store {
 public:
  RocksDbStore(const std::string& dir, std::uint64_t budget_bytes, bool pipelined)
      : pipelined_(pipelined) {
    auto options = RocksOptions(budget_bytes, pipelined);
    // What was flushed is compacted later: varve does not do it either in these slices.
    options.disable_auto_compactions = true;
    options.level0_slowdown_writes_trigger = options.level0_stop_writes_trigger = 1 << 30;
    rocksdb::DB* db = nullptr;
    MustRocks(rocksdb::DB::Open(options, dir, &db));
    db_.reset(db);
    if (db_->GetDBOptions().recycle_log_file_num == 0) Die("RocksDB does not recycle log files");
    for (int file = 0; file < kLogFilesFilled; ++file) FillLogFile(db_.get());
  }

  std::string Settings() const override {
    return fmt::format(
        "{}, {}: two memtables of 64 MiB, no compression, recycled log files that are "
        "full size (recovery mode SkipAnyCorruptedRecords, which recycling needs), no compaction, "
        "2 background threads; WriteOptions.sync, one WriteBatch a commit, a row a value",
        rocksdb::GetRocksVersionAsString(), pipelined_ ? "pipelined" : "not pipelined");
  }
  void Settle() override { FillLogFile(db_.get()); }
  void Commit(const BatchPtr& rows) override {
    rocksdb::WriteBatch batch;
    PutRows(*rows, &batch);
    MustRocks(db_->Write(SyncedWrites(), &batch));
  }
  std::int64_t CountRows() override {
    std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}));
    std::int64_t rows = -1;  // the filler
    for (at->SeekToFirst(); at->Valid(); at->Next()) ++rows;
    return rows;
  }

 private:
  const bool pipelined_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

StorePtr OpenRocksDbStore(const std::string& dir, std::uint64_t budget_bytes, bool pipelined) {
  return std::make_unique<RocksDbStore>(dir, budget_bytes, pipelined);
}

}  // namespace varve::bench
