// SPDX-License-Identifier: Apache-2.0
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <random>

#include "bench/slice.h"
#include "bench/versions/groups.h"
#include "bench/versions/rivals.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

constexpr std::int64_t kKeysOfTransaction = 10;
constexpr int kManyThreads = 8;

class VarveTransactor final : public Transactor {
 public:
  VarveTransactor(const std::string& dir, std::int64_t rows)
      : database_(CreateOrders(dir, {.read_cache_bytes_max = kReadCacheBytes})),
        maker_(kKeysOfTransaction, 2),
        one_(1, 3) {
    LoadOrders(database_.get(), rows);
    WarmOrders(database_.get(), rows);
  }
  ~VarveTransactor() override { Must(database_->Close()); }

  std::string Settings() const override {
    return "read cache 4 GiB, every key read once before; else defaults, snapshot isolation; one "
           "Get and one Upsert of ten keys, or ten of one key; ack durable";
  }
  bool Transact(const Keys& keys, bool one_by_one) override {
    const auto transaction = Must(database_->Begin());
    if (one_by_one) {
      for (const auto key : keys) ReadAndWrite({key}, &one_, transaction.get());
    } else {
      ReadAndWrite(keys, &maker_, transaction.get());
    }
    const auto committed = transaction->Commit();
    if (!committed && committed.error().kind() == ErrorKind::kConflict) return false;
    Must(committed);
    return true;
  }

 private:
  static void ReadAndWrite(const Keys& keys, RowMaker* maker, Transaction* transaction) {
    const auto rows = Must(transaction->Get(kTable, KeyBatch(keys)));
    if (rows->num_rows() != std::ssize(keys)) Die("varve did not find every key");
    Must(transaction->Upsert(kTable, maker->WithKeys(keys)));
  }

  std::unique_ptr<Database> database_;
  RowMaker maker_, one_;
};

class TransactionGroup {
 public:
  explicit TransactionGroup(const VersionsSettings& settings) : settings_(settings) {
    Add("varve",
        std::make_unique<VarveTransactor>(settings.dir + "/varve", settings.transaction_rows));
    TransactorPtr rocks;
    if (settings.peers) {
      rocks = OpenRocksDbTransactor(settings.dir + "/rocksdb", settings.transaction_rows);
    }
    if (rocks) {
      Add("RocksDB", std::move(rocks));
    } else {
      PrintMissing("RocksDB transactions", settings.peers ? kNoLibrary : kLeftOut);
    }
  }

  void Run() {
    for (int round = 0; round <= settings_.rounds; ++round) {
      for (const bool one_by_one : {false, true}) {
        for (const int threads : {1, kManyThreads}) {
          for (auto& [name, transactor] : transactors_) {
            RunCase(round, name, transactor.get(), threads, one_by_one);
          }
        }
      }
    }
  }

 private:
  void Add(const std::string& name, TransactorPtr transactor) {
    PrintSettings(name + " transactions", transactor->Settings());
    transactors_.emplace_back(name, std::move(transactor));
  }

  void RunCase(int round, const std::string& name, Transactor* transactor, int threads,
               bool one_by_one) {
    if (!Wanted(settings_, name)) return;
    WaitForCalm(settings_.patience_seconds);
    std::vector<std::mt19937_64> randoms;
    for (int thread = 0; thread < threads; ++thread) randoms.emplace_back(seed_++);
    std::atomic<std::int64_t> conflicts = 0;
    auto slice = ClosedLoop(threads, settings_.slice_seconds, [&](int thread) {
      const auto keys = DistinctKeys(&randoms[static_cast<std::size_t>(thread)]);
      if (!transactor->Transact(keys, one_by_one)) ++conflicts;
    });
    slice.counts["conflicts"] = static_cast<double>(conflicts);
    Print(round,
          fmt::format("transactions{}, {} threads, {}", one_by_one ? " one by one" : "", threads,
                      name),
          std::move(slice));
  }

  Keys DistinctKeys(std::mt19937_64* random) const {
    Keys keys;
    while (std::ssize(keys) < kKeysOfTransaction) {
      const auto key = static_cast<std::int64_t>(
          (*random)() % static_cast<std::uint64_t>(settings_.transaction_rows));
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
    return keys;
  }

  const VersionsSettings& settings_;
  std::vector<std::pair<std::string, TransactorPtr>> transactors_;
  std::uint64_t seed_ = 21;
};

}  // namespace

void MeasureTransactions(const VersionsSettings& settings) { TransactionGroup(settings).Run(); }

}  // namespace varve::bench
