// SPDX-License-Identifier: Apache-2.0
// LMDB with its default, synchronous commits (the only durable ones), one record a transaction. The
// keys go round over records that are there, so that pages come from those that became free and the
// file does not grow: the state that an LMDB in use is in.
#include <fmt/format.h>
#include <lmdb.h>

#include <filesystem>
#include <mutex>

#include "bench/peer.h"

namespace varve::bench {
namespace {

constexpr std::size_t kMapBytes = std::size_t{1} << 30;
constexpr std::uint64_t kRecords = 100'000;

void Check(int code) {
  if (code != MDB_SUCCESS) Die(std::string("LMDB: ") + mdb_strerror(code));
}

class LmdbCommitter final : public Committer {
 public:
  explicit LmdbCommitter(const std::string& dir) : value_(kCommitBytes - sizeof next_, 'l') {
    std::filesystem::create_directories(dir);
    Check(mdb_env_create(&environment_));
    Check(mdb_env_set_mapsize(environment_, kMapBytes));
    Check(mdb_env_open(environment_, dir.c_str(), 0, 0600));
    auto* transaction = Begin();
    Check(mdb_dbi_open(transaction, nullptr, MDB_INTEGERKEY, &table_));
    for (std::uint64_t i = 0; i < kRecords; ++i) Put(transaction);
    Check(mdb_txn_commit(transaction));
  }

  ~LmdbCommitter() override { mdb_env_close(environment_); }

  void Commit(int) override {
    std::lock_guard lock(mutex_);  // of next_; LMDB has one writer at a time anyway
    auto* transaction = Begin();
    Put(transaction);
    Check(mdb_txn_commit(transaction));
  }

 private:
  MDB_txn* Begin() {
    MDB_txn* transaction = nullptr;
    Check(mdb_txn_begin(environment_, nullptr, 0, &transaction));
    return transaction;
  }

  void Put(MDB_txn* transaction) {
    auto number = next_++ % kRecords;
    MDB_val key{sizeof number, &number};
    MDB_val value{value_.size(), value_.data()};
    Check(mdb_put(transaction, table_, &key, &value, 0));
  }

  std::uint64_t next_ = 0;
  std::string value_;
  MDB_env* environment_ = nullptr;
  MDB_dbi table_ = 0;
  std::mutex mutex_;
};

}  // namespace

CommitterPtr OpenLmdb(const std::string& dir) { return std::make_unique<LmdbCommitter>(dir); }

}  // namespace varve::bench
