// SPDX-License-Identifier: Apache-2.0
// RocksDB for point reads and for transactions: everything in the block cache, bloom filters, an
// index by hash in each data block, one level.
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/optimistic_transaction_db.h>
#include <rocksdb/utilities/transaction.h>
#include <rocksdb/write_batch.h>

#include "bench/versions/rivals.h"
#include "bench/versions/rocksdb_open.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::size_t kCacheBytes = 4ull << 30;
constexpr std::uint64_t kBudgetBytes = 64u << 20;
constexpr double kBloomBits = 10;

rocksdb::Options CachedOptions() {
  auto options = RocksOptions(kBudgetBytes, false);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kCacheBytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBits));
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.max_open_files = -1;
  return options;
}

void LoadRows(rocksdb::DB* db, std::int64_t rows) {
  RowMaker maker(std::min(rows, kLoadRows), 1);
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  for (std::int64_t first = 0; first < rows; first += maker.rows()) {
    rocksdb::WriteBatch batch;
    PutRows(*maker.Ascending(first), &batch);
    MustRocks(db->Write(unlogged, &batch));
  }
  MustRocks(db->CompactRange({}, nullptr, nullptr));
  std::unique_ptr<rocksdb::Iterator> at(db->NewIterator({}));
  for (at->SeekToFirst(); at->Valid(); at->Next()) continue;  // into the cache
  MustRocks(at->status());
}

std::uint64_t BytesOf(const std::vector<rocksdb::PinnableSlice>& values,
                      const std::vector<rocksdb::Status>& states) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    MustRocks(states[i]);
    bytes += values[i].size();
  }
  return bytes;
}

struct EncodedKeys {
  explicit EncodedKeys(const Keys& keys) : bytes(keys.begin(), keys.end()) {
    for (const auto& key : bytes) slices.push_back(SliceOf(key));
  }
  std::vector<KeyBytes> bytes;
  std::vector<rocksdb::Slice> slices;
};

class RocksDbKeyValue final : public KeyValue {
 public:
  RocksDbKeyValue(const std::string& dir, std::int64_t rows) {
    rocksdb::DB* db = nullptr;
    MustRocks(rocksdb::DB::Open(CachedOptions(), dir, &db));
    db_.reset(db);
    LoadRows(db, rows);
  }
  std::string Settings() const override {
    return rocksdb::GetRocksVersionAsString() +
           ": compacted to one level, block cache 4 GiB that holds everything, every key read once "
           "before; bloom filter of 10 bits, hash index in data blocks, no compression; Get into a "
           "PinnableSlice, MultiGet; values are not taken apart";
  }
  std::uint64_t Get(std::int64_t key) override {
    rocksdb::PinnableSlice value;
    MustRocks(db_->Get({}, db_->DefaultColumnFamily(), SliceOf(KeyBytes(key)), &value));
    return value.size();
  }
  std::uint64_t GetMany(const Keys& keys) override {
    const EncodedKeys encoded(keys);
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> states(keys.size());
    db_->MultiGet({}, db_->DefaultColumnFamily(), keys.size(), encoded.slices.data(), values.data(),
                  states.data());
    return BytesOf(values, states);
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

class RocksDbTransactor final : public Transactor {
 public:
  RocksDbTransactor(const std::string& dir, std::int64_t rows) : maker_(10, 2), one_(1, 3) {
    rocksdb::OptimisticTransactionDB* db = nullptr;
    MustRocks(rocksdb::OptimisticTransactionDB::Open(CachedOptions(), dir, &db));
    db_.reset(db);
    for (int file = 0; file < kLogFilesFilled; ++file) FillLogFile(db);
    LoadRows(db, rows);
  }
  std::string Settings() const override {
    return rocksdb::GetRocksVersionAsString() +
           ": OptimisticTransactionDB, set_snapshot, reads as of that snapshot (MultiGet, or Get "
           "one by one), WriteOptions.sync, recycled log files; tables as for get";
  }
  bool Transact(const Keys& keys, bool one_by_one) override {
    rocksdb::OptimisticTransactionOptions options;
    options.set_snapshot = true;
    std::unique_ptr<rocksdb::Transaction> transaction(
        db_->BeginTransaction(SyncedWrites(), options));
    rocksdb::ReadOptions reads;
    reads.snapshot = transaction->GetSnapshot();
    if (one_by_one) {
      for (const auto key : keys) ReadAndWrite(reads, key, transaction.get());
    } else {
      ReadAll(reads, keys, transaction.get());
      PutRows(*maker_.WithKeys(keys), transaction.get());
    }
    const auto committed = transaction->Commit();
    if (committed.IsBusy()) return false;
    MustRocks(committed);
    return true;
  }

 private:
  void ReadAndWrite(const rocksdb::ReadOptions& reads, std::int64_t key,
                    rocksdb::Transaction* transaction) {
    std::string value;
    MustRocks(transaction->Get(reads, SliceOf(KeyBytes(key)), &value));
    PutRows(*one_.WithKeys({key}), transaction);
  }
  void ReadAll(const rocksdb::ReadOptions& reads, const Keys& keys,
               rocksdb::Transaction* transaction) {
    const EncodedKeys encoded(keys);
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> states(keys.size());
    transaction->MultiGet(reads, db_->DefaultColumnFamily(), keys.size(), encoded.slices.data(),
                          values.data(), states.data());
    BytesOf(values, states);
  }

  std::unique_ptr<rocksdb::OptimisticTransactionDB> db_;
  RowMaker maker_, one_;
};

}  // namespace

KeyValuePtr OpenRocksDbKeyValue(const std::string& dir, std::int64_t rows) {
  return std::make_unique<RocksDbKeyValue>(dir, rows);
}
TransactorPtr OpenRocksDbTransactor(const std::string& dir, std::int64_t rows) {
  return std::make_unique<RocksDbTransactor>(dir, rows);
}

}  // namespace varve::bench
