// SPDX-License-Identifier: Apache-2.0
// RocksDB with sync writes and paranoid checks. Its memtables are not flushed: background work is
// paused, so a flush that was asked for switches to the next log file and waits, as when a database
// dies while flushes are under way. The recovery mode decides what a bad record means; the track of
// its log files in the MANIFEST is what finds whole files that are missing or short.
//
// Log files are recycled only in kSkipAnyCorruptedRecords, and 7.8 reads such a file for ever when
// records of its earlier life follow the last one (facebook/rocksdb#11968): that configuration is
// then shown as one whose undamaged log does not come back. A package that is built with assertions
// (Debian's) ends the process where another build would go on: those cases count as crashed.
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include "bench/log_damage/system.h"
#include "bench/slice.h"

namespace varve::bench {
namespace {

using rocksdb::WALRecoveryMode;
constexpr std::uint64_t kCasesMax = 12'000;  // opening takes milliseconds
constexpr int kRecycledFiles = 4;

struct Variant {
  const char* name;
  const char* settings;
  WALRecoveryMode mode;
  bool tracks = false;
  bool recycles = false;
};

void Must(const rocksdb::Status& status) {
  if (!status.ok()) Die("RocksDB: " + status.ToString());
}

class RocksDb final : public System {
 public:
  explicit RocksDb(const Variant& variant) : variant_(variant) {}
  std::string name() const override { return variant_.name; }
  std::string settings() const override { return variant_.settings; }
  bool IsLog(const std::string& path) const override { return path.ends_with(".log"); }
  std::uint64_t cases_max() const override { return kCasesMax; }

  void Create(const std::string& dir, const std::vector<Commit>& earlier, std::uint64_t) override {
    auto options = OptionsFor();
    options.create_if_missing = true;
    Must(rocksdb::DB::Open(options, dir, &db_));
    if (variant_.recycles) Recycle(earlier);
    Must(db_->PauseBackgroundWork());
  }

  void Apply(const Commit& commit) override {
    rocksdb::WriteBatch batch;
    for (const auto& [key, value] : commit.puts) Must(batch.Put(key, value));
    for (const auto& key : commit.deletes) Must(batch.Delete(key));
    rocksdb::WriteOptions durable;
    durable.sync = true;
    Must(db_->Write(durable, &batch));
  }

  void NextFile() override {
    rocksdb::FlushOptions only_begin;
    only_begin.wait = false;
    only_begin.allow_write_stall = true;
    Must(db_->Flush(only_begin));
  }

  Result<State> Read(const std::string& dir) override {
    rocksdb::DB* opened = nullptr;
    const auto status = rocksdb::DB::Open(OptionsFor(), dir, &opened);
    if (!status.ok()) return std::unexpected(Error(ErrorKind::kCorruption, status.ToString()));
    const std::unique_ptr<rocksdb::DB> db(opened);
    const std::unique_ptr<rocksdb::Iterator> rows(db->NewIterator({}));
    State state;
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
      state[rows->key().ToString()] = rows->value().ToString();
    }
    if (rows->status().ok()) return state;
    return std::unexpected(Error(ErrorKind::kCorruption, rows->status().ToString()));
  }

 private:
  rocksdb::Options OptionsFor() const {
    rocksdb::Options options;
    options.paranoid_checks = true;  // the default
    options.wal_recovery_mode = variant_.mode;
    options.track_and_verify_wals_in_manifest = variant_.tracks;
    options.recycle_log_file_num = variant_.recycles ? kRecycledFiles : 0;
    options.max_write_buffer_number = 8;  // none waits for a flush
    options.allow_fallocate = false;  // only costs time in a file system in memory
    // No threads for what is not asked for here.
    options.stats_dump_period_sec = options.stats_persist_period_sec = 0;
    options.info_log_level = rocksdb::FATAL_LEVEL;
    return options;
  }

  // Log files of an earlier life, as large as those to come.
  void Recycle(const std::vector<Commit>& earlier) {
    for (int file = 0; file < kRecycledFiles + 2; ++file) {
      for (const auto& commit : earlier) Apply(commit);
      Must(db_->Flush({}));
    }
  }

  const Variant variant_;
  rocksdb::DB* db_ = nullptr;  // never closed: the process is killed
};

}  // namespace

void AddRocksDb(Systems* systems) {
  static constexpr Variant kVariants[] = {
      {"RocksDB, defaults", "sync, paranoid_checks, kPointInTimeRecovery (default)",
       WALRecoveryMode::kPointInTimeRecovery},
      {"RocksDB, tracked", "the same, track_and_verify_wals_in_manifest",
       WALRecoveryMode::kPointInTimeRecovery, true},
      {"RocksDB, tolerate tail", "sync, paranoid_checks, kTolerateCorruptedTailRecords, tracked",
       WALRecoveryMode::kTolerateCorruptedTailRecords, true},
      {"RocksDB, absolute", "sync, paranoid_checks, kAbsoluteConsistency, tracked",
       WALRecoveryMode::kAbsoluteConsistency, true},
      {"RocksDB, recycled", "sync, paranoid_checks, kSkipAnyCorruptedRecords, recycled log files",
       WALRecoveryMode::kSkipAnyCorruptedRecords, false, true},
  };
  for (const auto& variant : kVariants) systems->push_back(std::make_unique<RocksDb>(variant));
}

}  // namespace varve::bench
