// SPDX-License-Identifier: Apache-2.0
// SQLite with synchronous=FULL in WAL mode and no checkpoint since the table was made, so that the
// WAL alone has the rows. Its frames always carry checksums, each one going on from the one before.
// What was read is trusted only after PRAGMA integrity_check. (The page checksums of the cksumvfs
// extension are not part of the library; they guard pages, not the end of the WAL.)
#include <sqlite3.h>

#include "bench/log_damage/system.h"
#include "bench/slice.h"

namespace varve::bench {
namespace {

using Connection = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;
using Statement = std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)>;

std::unexpected<Error> Failure(sqlite3* db) {
  return std::unexpected(Error(ErrorKind::kCorruption, sqlite3_errmsg(db)));
}

Result<State> ReadRows(sqlite3* db) {
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(db, "SELECT key, value FROM entries", -1, &prepared, nullptr)) {
    return Failure(db);
  }
  const Statement rows(prepared, sqlite3_finalize);
  State state;
  int code;
  while ((code = sqlite3_step(prepared)) == SQLITE_ROW) {
    const auto text = [&](int column) {
      const auto* bytes = static_cast<const char*>(sqlite3_column_blob(prepared, column));
      return bytes ? std::string(bytes, static_cast<std::size_t>(
                                            sqlite3_column_bytes(prepared, column)))
                   : std::string();
    };
    const auto key = text(0);
    state[key] = text(1);
  }
  if (code != SQLITE_DONE) return Failure(db);
  return state;
}

Status CheckIntegrity(sqlite3* db) {
  const auto look = [](void* wrong, int, char** values, char**) {
    if (std::string(values[0]) != "ok") *static_cast<std::string*>(wrong) = values[0];
    return 0;
  };
  std::string wrong;
  if (sqlite3_exec(db, "PRAGMA integrity_check", look, &wrong, nullptr) != SQLITE_OK) {
    return Failure(db);
  }
  if (wrong.empty()) return {};
  return std::unexpected(Error(ErrorKind::kCorruption, wrong));
}

class Sqlite final : public System {
 public:
  explicit Sqlite(bool reuses) : reuses_(reuses) {}
  std::string name() const override { return reuses_ ? "SQLite, used again" : "SQLite"; }
  std::string settings() const override {
    return reuses_ ? "the same, in a WAL that held an earlier life and was checkpointed"
                   : "journal_mode=WAL, synchronous=FULL, integrity_check after opening";
  }
  bool IsLog(const std::string& path) const override { return path == "kept.db-wal"; }

  void Create(const std::string& dir, const std::vector<Commit>& earlier,
              std::uint64_t seed) override {
    sqlite3_initialize();
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(seed % 1'000'000 + 1),
                         nullptr);
    Check(sqlite3_open((dir + "/kept.db").c_str(), &db_));
    Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
        "CREATE TABLE entries(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;"
        "PRAGMA wal_checkpoint(TRUNCATE)");
    if (!reuses_) return;
    for (const auto& commit : earlier) Apply(commit);
    Run("PRAGMA wal_checkpoint(RESTART)");
  }

  void Apply(const Commit& commit) override {
    Run("BEGIN");
    for (const auto& [key, value] : commit.puts) {
      Run("REPLACE INTO entries VALUES(?, ?)", {key, value});
    }
    for (const auto& key : commit.deletes) Run("DELETE FROM entries WHERE key = ?", {key});
    Run("COMMIT");
  }

  void NextFile() override {}  // there is one WAL

  Result<State> Read(const std::string& dir) override {
    sqlite3* opened = nullptr;
    const auto path = dir + "/kept.db";
    const auto code = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
    const Connection db(opened, sqlite3_close);
    if (code != SQLITE_OK) return Failure(opened);
    sqlite3_db_config(opened, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    auto state = ReadRows(opened);
    if (!state) return state;
    if (const auto sound = CheckIntegrity(opened); !sound) return std::unexpected(sound.error());
    return state;
  }

 private:
  void Run(const std::string& statement, const std::vector<std::string>& values) {
    sqlite3_stmt* prepared = nullptr;
    Check(sqlite3_prepare_v2(db_, statement.c_str(), -1, &prepared, nullptr));
    const Statement owner(prepared, sqlite3_finalize);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto size = static_cast<int>(values[i].size());
      const auto place = static_cast<int>(i + 1);
      Check(i == 0 ? sqlite3_bind_text(prepared, place, values[i].data(), size, SQLITE_STATIC)
                   : sqlite3_bind_blob(prepared, place, values[i].data(), size, SQLITE_STATIC));
    }
    if (sqlite3_step(prepared) != SQLITE_DONE) Die(std::string("SQLite: ") + sqlite3_errmsg(db_));
  }

  void Run(const char* statements) {
    Check(sqlite3_exec(db_, statements, nullptr, nullptr, nullptr));
  }
  void Check(int code) {
    if (code != SQLITE_OK) Die(std::string("SQLite: ") + sqlite3_errmsg(db_));
  }

  const bool reuses_;
  sqlite3* db_ = nullptr;  // never closed: the process is killed
};

}  // namespace

void AddSqlite(Systems* systems) {
  for (const bool reuses : {false, true}) systems->push_back(std::make_unique<Sqlite>(reuses));
}

}  // namespace varve::bench
