// SPDX-License-Identifier: Apache-2.0
// LevelDB with sync writes. It has two log files at most, and the second one only while the
// memtable of the first is written to a table; so its background work is held, as when it dies
// during that.
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/write_batch.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "bench/log_damage/system.h"
#include "bench/slice.h"

namespace varve::bench {
namespace {

void Must(const leveldb::Status& status) {
  if (!status.ok()) Die("LevelDB: " + status.ToString());
}

// Never runs what is scheduled.
class HoldingEnv final : public leveldb::EnvWrapper {
 public:
  HoldingEnv() : EnvWrapper(leveldb::Env::Default()) {}
  void Schedule(void (*)(void*), void*) override {
    const std::lock_guard guard(mutex_);
    was_asked_ = true;
    asked_.notify_all();
  }
  void WaitUntilAsked() {
    std::unique_lock lock(mutex_);
    asked_.wait(lock, [this] { return was_asked_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable asked_;
  bool was_asked_ = false;  // guarded by mutex_
};

class LevelDb final : public System {
 public:
  explicit LevelDb(bool paranoid) : paranoid_(paranoid) {}
  std::string name() const override { return paranoid_ ? "LevelDB, paranoid" : "LevelDB"; }
  std::string settings() const override {
    return paranoid_ ? "sync, verify_checksums, paranoid_checks" : "sync, verify_checksums";
  }
  bool IsLog(const std::string& path) const override { return path.ends_with(".log"); }

  void Create(const std::string& dir, const std::vector<Commit>&, std::uint64_t) override {
    env_ = std::make_unique<HoldingEnv>();
    leveldb::Options options;
    options.create_if_missing = true;
    options.paranoid_checks = paranoid_;
    options.env = env_.get();
    Must(leveldb::DB::Open(options, dir, &db_));
  }

  void Apply(const Commit& commit) override {
    leveldb::WriteBatch batch;
    for (const auto& [key, value] : commit.puts) batch.Put(key, value);
    for (const auto& key : commit.deletes) batch.Delete(key);
    leveldb::WriteOptions durable;
    durable.sync = true;
    Must(db_->Write(durable, &batch));
  }

  // The compaction begins another log file, then waits for ever.
  void NextFile() override {
    if (asked_) return;
    asked_ = true;
    std::thread([db = db_] { db->CompactRange(nullptr, nullptr); }).detach();
    env_->WaitUntilAsked();
  }

  Result<State> Read(const std::string& dir) override {
    leveldb::Options options;
    options.paranoid_checks = paranoid_;
    leveldb::DB* opened = nullptr;
    const auto status = leveldb::DB::Open(options, dir, &opened);
    if (!status.ok()) return std::unexpected(Error(ErrorKind::kCorruption, status.ToString()));
    const std::unique_ptr<leveldb::DB> db(opened);
    leveldb::ReadOptions checked;
    checked.verify_checksums = true;
    const std::unique_ptr<leveldb::Iterator> rows(db->NewIterator(checked));
    State state;
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
      state[rows->key().ToString()] = rows->value().ToString();
    }
    if (rows->status().ok()) return state;
    return std::unexpected(Error(ErrorKind::kCorruption, rows->status().ToString()));
  }

 private:
  const bool paranoid_;
  bool asked_ = false;
  std::unique_ptr<HoldingEnv> env_;
  leveldb::DB* db_ = nullptr;  // never closed: the process is killed
};

}  // namespace

void AddLevelDb(Systems* systems) {
  for (const bool paranoid : {false, true}) systems->push_back(std::make_unique<LevelDb>(paranoid));
}

}  // namespace varve::bench
