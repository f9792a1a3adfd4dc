// SPDX-License-Identifier: Apache-2.0
// SQLite with synchronous=FULL in WAL mode, alone with its file (so that the index of the WAL needs
// no shared memory), a prepared statement, one row a transaction. No checkpoint falls into a slice,
// and the WAL is overwritten from its start, not extended: both are done between slices.
#include <sqlite3.h>

#include <mutex>

#include "bench/peer.h"

namespace varve::bench {
namespace {

constexpr int kFillBytes = 1 << 20;

class SqliteCommitter final : public Committer {
 public:
  SqliteCommitter(const std::string& dir, std::uint64_t bytes_ahead) : value_(kCommitBytes, 's') {
    Check(sqlite3_open((dir + ".db").c_str(), &db_));
    Run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA wal_autocheckpoint=0;"
        "CREATE TABLE entries(id INTEGER PRIMARY KEY, value BLOB)");
    Check(sqlite3_prepare_v2(db_, "INSERT INTO entries(value) VALUES(?)", -1, &insert_, nullptr));
    FillLog(bytes_ahead);
  }

  ~SqliteCommitter() override {
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }

  void Before() override { Run("PRAGMA wal_checkpoint(RESTART)"); }

  void Commit(int) override {
    std::lock_guard lock(mutex_);  // a connection is for one thread at a time
    Insert(value_.data(), static_cast<int>(value_.size()));
  }

 private:
  void FillLog(std::uint64_t bytes) {
    const std::string filler(kFillBytes, 'f');
    Run("BEGIN");
    for (std::uint64_t done = 0; done < bytes; done += filler.size()) {
      Insert(filler.data(), kFillBytes);
    }
    Run("COMMIT; DELETE FROM entries; PRAGMA wal_checkpoint(RESTART)");
  }

  void Insert(const char* value, int bytes) {
    sqlite3_bind_blob(insert_, 1, value, bytes, SQLITE_STATIC);
    if (sqlite3_step(insert_) != SQLITE_DONE) Check(sqlite3_errcode(db_));
    Check(sqlite3_reset(insert_));
  }

  void Run(const char* statements) {
    Check(sqlite3_exec(db_, statements, nullptr, nullptr, nullptr));
  }

  void Check(int code) {
    if (code != SQLITE_OK) Die(std::string("SQLite: ") + sqlite3_errmsg(db_));
  }

  const std::string value_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  std::mutex mutex_;
};

}  // namespace

CommitterPtr OpenSqlite(const std::string& dir, std::uint64_t bytes_ahead) {
  return std::make_unique<SqliteCommitter>(dir, bytes_ahead);
}

}  // namespace varve::bench
