// SPDX-License-Identifier: Apache-2.0
// Transaction: reads and writes over several tables that become one commit, or nothing.
//
//   auto order = db->Begin();
//   auto stock = (*order)->Get("stock", item);   // as of the begin, with what it wrote itself
//   (*order)->Upsert("stock", one_less);
//   (*order)->Upsert("orders", row);
//   auto info = (*order)->Commit();              // Conflict: begin again
//
// A transaction reads from one snapshot, taken at its begin, and sees its own writes on top.
// Nothing of it is in the log or seen by anybody before Commit, which is one commit: all tables,
// one number. Of two that write one key the first to commit wins; plain Upserts and Deletes count
// as well. The Commit of the other is a Conflict that names table, key and commit, and keeps
// nothing.
//
// kSnapshot (the default) allows write skew: two transactions that read what the other writes, and
// write different keys. Under kSerializable a commit is also refused when a key that it read, or
// any key of a range that it scanned, was written since its begin; of a filter only what it says
// about the key narrows the range.
//
// Thread safety: one thread at a time. A transaction holds what its snapshot needs in memory and on
// disk, and the database open, until it ends; so end it.
//
// Memory: what it wrote, and under kSerializable what it has to remember of its reads, takes at
// most TransactionOptions::bytes_max; what would pass that is refused. Its commit needs as much
// again, and what it wrote then is in the database's memory whole, however large
// memtable_bytes_max is, until it is flushed.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "varve/options.h"
#include "varve/types.h"

namespace arrow {
class RecordBatch;
class RecordBatchReader;
}  // namespace arrow

namespace varve {

using CommitCallback = std::function<void(const Result<CommitInfo>&)>;

// What a transaction holds. All but bytes_max is zero once it has ended.
struct TransactionStats {
  std::uint64_t rows = 0;       // that were written or deleted so far, each time that they were
  std::uint64_t bytes = 0;      // of memory that counts towards bytes_max
  std::uint64_t bytes_max = 0;  // that of its options
};

class Transaction {
 public:
  ~Transaction();  // aborts what was not committed
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // What it reads is as of this commit.
  CommitNumber snapshot() const;
  TransactionStats stats() const;

  // As the calls of the same name of Database, but kept until Commit. Also Invalid when the
  // transaction would hold more than TransactionOptions::bytes_max; it goes on without this write.
  // Every call after the end is Invalid/kClosed.
  Status Upsert(std::string_view table, const std::shared_ptr<arrow::RecordBatch>& rows);
  Status Delete(std::string_view table, const std::shared_ptr<arrow::RecordBatch>& keys);
  // Modes that look at what is there see what Scan and Get see; what they looked at counts as read.
  // `rows_passed`, when given, gets the number of rows that the mode left out.
  Status Write(std::string_view table, const WriteRequest& request,
               std::uint64_t* rows_passed = nullptr);

  // As those of Snapshot, with what was written so far. A reader shows what was written when it was
  // made, and may be read on after the transaction ended. Under kSerializable also Invalid when the
  // transaction would hold more than bytes_max; it goes on, and has not made this read.
  Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(std::string_view table,
                                                         const ScanOptions& options = {});
  Result<std::shared_ptr<arrow::RecordBatch>> Get(std::string_view table,
                                                  const std::shared_ptr<arrow::RecordBatch>& keys,
                                                  std::vector<bool>* found = nullptr);

  // A point to go back to. RollbackTo forgets everything written after it, and later savepoints;
  // what was read stays read. Invalid when there is no such savepoint (any more).
  Result<std::uint64_t> Savepoint();
  Status RollbackTo(std::uint64_t savepoint);

  // Ends the transaction. Without writes: no commit and no I/O, and under kSerializable no conflict
  // either (it is serialized at its snapshot); `commit` is then that of the snapshot.
  // Errors: Conflict (see above); as Database::Upsert.
  Result<CommitInfo> Commit(const CommitOptions& options = {});
  // Commit without waiting for the device, as Database::WriteThen and WriteAsync are: the check for
  // conflicts is done on return, and the transaction has ended.
  void CommitThen(const CommitOptions& options, CommitCallback done);
  std::future<Result<CommitInfo>> CommitAsync(const CommitOptions& options = {});
  // Ends it; frees everything at once. Nothing happens when it has ended.
  void Abort();

 private:
  class Impl;
  friend class Database;
  explicit Transaction(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
