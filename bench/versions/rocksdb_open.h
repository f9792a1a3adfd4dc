// SPDX-License-Identifier: Apache-2.0
// RocksDB for the benchmark: what its stores have in common.
#pragma once

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include "bench/slice.h"
#include "bench/versions/store.h"

namespace varve::bench {

inline void MustRocks(const rocksdb::Status& status) {
  if (!status.ok()) Die("RocksDB: " + status.ToString());
}

inline rocksdb::Slice SliceOf(const KeyBytes& key) { return {key.bytes, sizeof key.bytes}; }

// One value a row, into `batch` (a WriteBatch or a transaction).
template <typename Batch>
void PutRows(const arrow::RecordBatch& rows, Batch* batch) {
  const Columns columns(rows);
  std::string value;
  for (std::int64_t row = 0; row < columns.rows; ++row) {
    value.clear();
    AppendRow(columns, row, &value);
    MustRocks(batch->Put(SliceOf(KeyBytes(columns.id[row])), value));
  }
}

// Two memtables of `budget_bytes`, no compression. Log files are recycled: one that is overwritten
// is cheaper to sync than one that grows. In every other recovery mode 7.8 silently does not
// recycle; nobody should run a database in this one, it is to RocksDB's favour here.
inline rocksdb::Options RocksOptions(std::uint64_t budget_bytes, bool pipelined) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.IncreaseParallelism(2);
  options.enable_pipelined_write = pipelined;
  options.write_buffer_size = budget_bytes;
  options.max_write_buffer_number = 2;
  options.compression = rocksdb::kNoCompression;
  options.recycle_log_file_num = 4;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  options.stats_dump_period_sec = options.stats_persist_period_sec = 0;
  return options;
}

// Fills the log file that is written to and goes on in the next: those to come are as large. In
// small pieces: what was written in large ones lies in large pages of the page cache, and then each
// small write behind it would dirty, and its sync write, up to a megabyte.
inline void FillLogFile(rocksdb::DB* db) {
  const auto bytes = db->GetOptions().write_buffer_size;
  const std::string filler(4000, 'f');
  for (std::uint64_t done = 0; done < bytes; done += filler.size()) {
    MustRocks(db->Put({}, "filler", filler));
  }
  MustRocks(db->Flush({}));
}

inline rocksdb::WriteOptions SyncedWrites() {
  rocksdb::WriteOptions options;
  options.sync = true;
  return options;
}

inline constexpr int kLogFilesFilled = 6;  // those recycled, the one in use, and one to come

}  // namespace varve::bench
