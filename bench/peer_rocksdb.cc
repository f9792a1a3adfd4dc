// SPDX-License-Identifier: Apache-2.0
// RocksDB as its experts would run it when only the log counts: sync writes, a vector memtable so
// large that nothing is flushed during a slice, no compaction, no compression, and recycled log
// files. A recycled file is overwritten, which is what makes a sync cheap; so before each slice the
// database starts a log file, and this one looks whether it is a recycled one that is large enough.
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/options.h>

#include <atomic>
#include <filesystem>

#include "bench/peer.h"

namespace varve::bench {
namespace {

constexpr std::size_t kKeyBytes = 16;
// Small pieces: what was written in large ones lies in large pages of the page cache, and then each
// small write behind it would dirty, and its sync write, up to a megabyte.
constexpr std::size_t kFillerBytes = 4000;
constexpr int kRecycledFiles = 4;
constexpr std::uint64_t kMemtableBytes = 1u << 30;

void Must(const rocksdb::Status& status) {
  if (!status.ok()) Die("RocksDB: " + status.ToString());
}

rocksdb::Options OptionsFor(bool pipelined) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.enable_pipelined_write = pipelined;
  options.memtable_factory = std::make_shared<rocksdb::VectorRepFactory>();
  options.allow_concurrent_memtable_write = false;  // a vector cannot
  options.write_buffer_size = kMemtableBytes;
  options.disable_auto_compactions = true;
  options.level0_slowdown_writes_trigger = options.level0_stop_writes_trigger = 1 << 30;
  options.compression = rocksdb::kNoCompression;
  options.recycle_log_file_num = kRecycledFiles;
  // In every other recovery mode 7.8 silently does not recycle. Nobody should run a database in
  // this one; it is to RocksDB's favour here, and costs nothing while writing.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  options.stats_dump_period_sec = options.stats_persist_period_sec = 0;
  options.avoid_flush_during_shutdown = true;
  return options;
}

class RocksDbCommitter final : public Committer {
 public:
  RocksDbCommitter(const std::string& dir, bool pipelined, std::uint64_t bytes_ahead)
      : dir_(dir), bytes_ahead_(bytes_ahead) {
    rocksdb::DB* db = nullptr;
    Must(rocksdb::DB::Open(OptionsFor(pipelined), dir, &db));
    db_.reset(db);
    if (db_->GetDBOptions().recycle_log_file_num != kRecycledFiles) {
      Die("RocksDB does not recycle log files as configured");
    }
    for (int file = 0; file < kRecycledFiles + 2; ++file) FillLogFile();
  }

  void Before() override {
    if (LogFileBytes() < bytes_ahead_) Die("RocksDB's log file is no recycled one");
  }

  void Commit(int) override {
    const auto number = next_.fetch_add(1, std::memory_order_relaxed);
    char key[kKeyBytes + 1];
    *fmt::format_to(key, "{:016x}", number) = '\0';
    rocksdb::WriteOptions durable;
    durable.sync = true;
    Must(db_->Put(durable, {key, kKeyBytes}, {value_, sizeof value_}));
  }

  // A file that is closed is cut to what was written to it, so the rest is written too: the files
  // to come shall be as large.
  void After(Slice*) override { FillLogFile(); }

 private:
  void FillLogFile() {
    const std::string filler(kFillerBytes, 'f');
    for (std::uint64_t done = 0; done <= bytes_ahead_; done += filler.size()) {
      Must(db_->Put({}, "filler", filler));
    }
    Must(db_->Flush({}));  // goes on in the next log file
  }

  // Of the file that is written to. A new one has no byte until it is written to, a recycled one
  // has those of its former life.
  std::uint64_t LogFileBytes() const {
    std::filesystem::path newest;
    for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
      if (entry.path().extension() == ".log") newest = std::max(newest, entry.path());
    }
    return newest.empty() ? 0 : std::filesystem::file_size(newest);
  }

  const std::string dir_;
  const std::uint64_t bytes_ahead_;
  const char value_[kCommitBytes - kKeyBytes] = {};
  std::unique_ptr<rocksdb::DB> db_;
  std::atomic<std::uint64_t> next_ = 0;
};

}  // namespace

CommitterPtr OpenRocksDb(const std::string& dir, bool pipelined, std::uint64_t bytes_ahead) {
  return std::make_unique<RocksDbCommitter>(dir, pipelined, bytes_ahead);
}

}  // namespace varve::bench
