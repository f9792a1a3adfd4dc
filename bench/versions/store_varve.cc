// SPDX-License-Identifier: Apache-2.0
// varve with its defaults.
#include <arrow/record_batch.h>

#include "bench/slice.h"
#include "bench/versions/store.h"
#include "bench/versions/varve_table.h"

namespace varve::bench {
namespace {

class VarveStore final : public Store {
 public:
  VarveStore(const std::string& dir, std::uint64_t budget_bytes)
      : database_(CreateOrders(dir, {.memtable_bytes_max = 2 * budget_bytes})) {}
  ~VarveStore() override { Must(database_->Close()); }

  std::string Settings() const override {
    return "defaults: 128 MiB for memtables, flushed at half of it, 64 MiB; ack durable";
  }
  void Settle() override { Must(database_->Flush()); }
  void Commit(const BatchPtr& rows) override { Must(database_->Upsert(kTable, rows)); }
  std::int64_t CountRows() override {
    return DrainRows(Must(database_->Scan(kTable, {.columns = {{}}})).get());
  }
  // Those of a method that syncs with the write itself.
  std::uint64_t HiddenSyncs() override {
    const auto log = database_->Stats().log;
    const bool with_write =
        log.sync_method == LogSyncMethod::kDsync || log.sync_method == LogSyncMethod::kDirectDsync;
    return with_write ? log.syncs : 0;
  }

 private:
  std::unique_ptr<Database> database_;
};

}  // namespace

StorePtr OpenVarveStore(const std::string& dir, std::uint64_t budget_bytes) {
  return std::make_unique<VarveStore>(dir, budget_bytes);
}

}  // namespace varve::bench
