// SPDX-License-Identifier: Apache-2.0
// SQLite: WAL, synchronous=FULL, alone with its file (so that the index of the WAL needs no shared
// memory), a cache as large as varve's memtables, one prepared statement, one transaction a commit.
// The WAL is overwritten from its start, not extended, and checkpointed when 64 MiB are in it.
#include <arrow/array.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "bench/slice.h"
#include "bench/versions/store.h"

namespace varve::bench {
namespace {

constexpr int kPageBytes = 4096;
constexpr int kFillBytes = 1 << 20;

class SqliteStore final : public Store {
 public:
  SqliteStore(const std::string& dir, std::uint64_t budget_bytes) {
    Check(sqlite3_open((dir + ".db").c_str(), &db_));
    Run(
        fmt::format("PRAGMA page_size={}; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                    "PRAGMA synchronous=FULL; PRAGMA cache_size=-131072;"
                    "PRAGMA wal_autocheckpoint={};",
                    kPageBytes, budget_bytes / kPageBytes));
    FillLog(budget_bytes);
    Run("CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, quantity INTEGER,"
        "price REAL, discount REAL, product TEXT, city TEXT, note TEXT, ordered INTEGER,"
        "shipped INTEGER)");
    Prepare("INSERT OR REPLACE INTO orders VALUES(?,?,?,?,?,?,?,?,?,?)", &insert_);
    Prepare("BEGIN", &begin_);
    Prepare("COMMIT", &commit_);
  }

  ~SqliteStore() override {
    for (auto* statement : {insert_, begin_, commit_}) sqlite3_finalize(statement);
    sqlite3_close(db_);
  }

  std::string Settings() const override {
    return fmt::format(
        "{}: journal_mode=WAL, synchronous=FULL, locking_mode=EXCLUSIVE, cache 128 MiB, page_size "
        "{}, wal_autocheckpoint at 64 MiB, a WAL that is overwritten and not extended, prepared "
        "INSERT OR REPLACE, one transaction a commit",
        sqlite3_libversion(), kPageBytes);
  }
  void Settle() override { Run("PRAGMA wal_checkpoint(RESTART)"); }

  void Commit(const BatchPtr& rows) override {
    const Columns columns(*rows);
    Step(begin_);
    for (std::int64_t row = 0; row < columns.rows; ++row) Insert(columns, row);
    Step(commit_);
  }

  std::int64_t CountRows() override {
    sqlite3_stmt* count = nullptr;
    Prepare("SELECT count(*) FROM orders", &count);
    if (sqlite3_step(count) != SQLITE_ROW) Check(sqlite3_errcode(db_));
    const auto rows = sqlite3_column_int64(count, 0);
    sqlite3_finalize(count);
    return rows;
  }

 private:
  void Insert(const Columns& columns, std::int64_t row) {
    int at = 0;
    for (const auto number :
         {columns.id[row], std::int64_t{columns.customer[row]}, columns.quantity[row]}) {
      sqlite3_bind_int64(insert_, ++at, number);
    }
    sqlite3_bind_double(insert_, ++at, columns.price[row]);
    sqlite3_bind_double(insert_, ++at, static_cast<double>(columns.discount[row]));
    for (const auto* text : {columns.product, columns.city, columns.note}) {
      const auto value = text->GetView(row);
      sqlite3_bind_text(insert_, ++at, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
    }
    sqlite3_bind_int64(insert_, ++at, columns.ordered[row]);
    sqlite3_bind_int64(insert_, ++at, columns.shipped[row]);
    Step(insert_);
  }

  void FillLog(std::uint64_t bytes) {
    Run("CREATE TABLE filler(value BLOB)");
    for (std::uint64_t done = 0; done < bytes; done += kFillBytes) {
      Run(fmt::format("INSERT INTO filler VALUES(zeroblob({}))", kFillBytes));
    }
    Run("DROP TABLE filler; PRAGMA wal_checkpoint(RESTART)");
  }

  void Prepare(const char* text, sqlite3_stmt** statement) {
    Check(sqlite3_prepare_v2(db_, text, -1, statement, nullptr));
  }
  void Step(sqlite3_stmt* statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) Check(sqlite3_errcode(db_));
    Check(sqlite3_reset(statement));
  }
  void Run(const std::string& statements) {
    Check(sqlite3_exec(db_, statements.c_str(), nullptr, nullptr, nullptr));
  }
  void Check(int code) {
    if (code != SQLITE_OK) Die(std::string("SQLite: ") + sqlite3_errmsg(db_));
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt *insert_ = nullptr, *begin_ = nullptr, *commit_ = nullptr;
};

}  // namespace

StorePtr OpenSqliteStore(const std::string& dir, std::uint64_t budget_bytes) {
  return std::make_unique<SqliteStore>(dir, budget_bytes);
}

}  // namespace varve::bench
