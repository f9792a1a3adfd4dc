// SPDX-License-Identifier: Apache-2.0
#include "test/commit_memory/life.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <new>
#include <utility>

#include "base/result.h"
#include "test/log_memory/scarcity.h"

namespace varve::testing {
namespace {

constexpr char kPath[] = "/db";
constexpr std::int64_t kNextKey = 1'000'000'000;
const std::vector<std::string> kTables = {"t", "u"};

const char* NameOf(Fate fate) {
  if (fate == Fate::kUnknown) return "unknown";
  return fate == Fate::kKept ? "kept" : "not kept";
}

std::size_t CountHeld(const Rows& rows, const Rows& in) {
  std::size_t count = 0;
  for (const auto& row : rows) {
    const auto at = in.find(row.first);
    count += at != in.end() && *at == row;
  }
  return count;
}

// How many of the rows that the change touches are as after it, and how many there are.
std::pair<std::size_t, std::size_t> CountDone(const Change& change,
                                              std::map<std::string, Rows>& all) {
  std::size_t done = 0;
  std::size_t rows = 0;
  for (const auto& [table, upserts] : change.upserts) {
    done += CountHeld(upserts, all[table]);
    rows += upserts.size();
  }
  for (const auto& [table, deletes] : change.deletes) {
    done += deletes.size() - CountHeld(deletes, all[table]);
    rows += deletes.size();
  }
  return {done, rows};
}

}  // namespace

WallTime RationingClock::Now() {
  if (std::exchange(begin_, false)) rationed_ = std::make_unique<Rationed>();
  return clock_.Now();
}

void RationingClock::End() {
  begin_ = false;
  rationed_.reset();
}

Life::Life(const OpenOptions& options) : options_(options) { Open(); }
Life::~Life() {
  db_.reset();
  executor_.RunAll();
}

void Life::Open() {
  auto db = Database::Open(kPath, options_,
                           {.files = &files_,
                            .clock = &clock_,
                            .random = &random_,
                            .executor = &executor_});
  ASSERT_TRUE(db) << db.error().message();
  db_ = *std::move(db);
  for (const auto& table : kTables) {
    const auto made = db_->CreateTable(table, RowsSchema(), {"id"},
                                       {.if_not_exists = true});
    ASSERT_TRUE(made) << made.error().message();
  }
}

void Life::Keep(const Change& change) {
  Prepare(change);
  told_.emplace_back(change, Fate::kKept);
}

void Life::Prepare(const Change& change) {
  std::string table;
  const auto request = RequestOf(change, &table);
  const auto kept = db_->Write(table, request);
  ASSERT_TRUE(kept) << kept.error().message();
}

WriteRequest Life::RequestOf(const Change& change, std::string* table) const {
  const bool upsert = !change.upserts.empty();
  const auto& [name, rows] = upsert ? *change.upserts.begin() : *change.deletes.begin();
  *table = name;
  if (upsert) return {.mode = WriteMode::kUpsert, .rows = RowsBatch(rows)};
  return {.mode = WriteMode::kDelete, .rows = *RowsBatch(rows)->SelectColumns({0})};
}

void Life::Write(const Change& change, const CommitOptions& options) {
  std::string table;
  const auto request = RequestOf(change, &table);
  Try(change, [&] {
    if (change.deletes.empty()) {
      const Rationed rationed;
      return db_->Write(table, request, options);
    }
    clock_.Begin();
    auto written = db_->Write(table, request, options);
    clock_.End();
    return written;
  });
}

void Life::WriteUnrationed(const Change& change) {
  std::string table;
  const auto request = RequestOf(change, &table);
  Try(change, [&] { return db_->Write(table, request); });
}

void Life::WriteThen(const Change& change) {
  std::string table;
  const auto request = RequestOf(change, &table);
  CommitCallback done = [this, change](const Result<CommitInfo>& info) {
    const Exempt test;
    ++told_later;
    Note(change, info);
  };
  const Rationed rationed;
  db_->WriteThen(table, request, {}, std::move(done));
}

void Life::Transact(const Change& change) {
  std::map<std::string, std::shared_ptr<arrow::RecordBatch>> upserts;
  std::map<std::string, std::shared_ptr<arrow::RecordBatch>> deletes;
  for (const auto& [table, rows] : change.upserts) upserts[table] = RowsBatch(rows);
  for (const auto& [table, rows] : change.deletes) {
    deletes[table] = *RowsBatch(rows)->SelectColumns({0});
  }
  Try(change, [&]() -> Result<CommitInfo> {
    auto transaction = db_->Begin();
    if (!transaction) return std::unexpected(std::move(transaction).error());
    for (const auto& [table, rows] : upserts) VARVE_TRY((*transaction)->Upsert(table, rows));
    for (const auto& [table, keys] : deletes) VARVE_TRY((*transaction)->Delete(table, keys));
    clock_.Begin();
    auto committed = (*transaction)->Commit();
    clock_.End();
    return committed;
  });
}

void Life::Try(const Change& change, const Call& call) {
  {
    const std::lock_guard lock(mutex_);
    if (unknown_) return;
  }
  try {
    Note(change, call());
  } catch (const std::bad_alloc&) {
    ADD_FAILURE() << "a call that threw";
  }
}

void Life::Note(const Change& change, const Result<CommitInfo>& info) {
  const std::lock_guard lock(mutex_);
  if (info) {
    told_.emplace_back(change, Fate::kKept);
    return;
  }
  const Error& error = info.error();
  EXPECT_EQ(error.kind(), ErrorKind::kUnavailable) << error.message();
  EXPECT_NE(error.message().find("memory"), std::string::npos) << error.message();
  const bool unknown = error.reason() == ErrorReason::kUnknownOutcome;
  unknown_ = unknown_ || unknown;
  told_.emplace_back(change, unknown ? Fate::kUnknown : Fate::kNotKept);
}

std::map<std::string, Rows> Life::ReadAll() {
  std::map<std::string, Rows> all;
  const auto snapshot = db_->GetSnapshot();
  EXPECT_TRUE(snapshot);
  for (const auto& table : kTables) all[table] = ReadRows(**snapshot, table);
  return all;
}

void Life::ExpectTold(const std::string& when) {
  auto all = ReadAll();
  for (std::size_t i = 0; i < told_.size(); ++i) {
    const auto& [change, fate] = told_[i];
    const auto [done, rows] = CountDone(change, all);
    if (fate != Fate::kNotKept && done == rows) continue;
    if (fate != Fate::kKept && done == 0) continue;
    ADD_FAILURE() << fmt::format("{}: commit {} of {} was told {}; {} of {} rows are as after it",
                                 when, i + 1, told_.size(), NameOf(fate), done, rows);
    return;
  }
}

// Who comes next is not held up, and is told to reopen where nothing can be committed any more.
void Life::ExpectNext() {
  const auto next = db_->Upsert("t", RowsBatch({{kNextKey, "next"}}));
  if (next) return;
  EXPECT_TRUE(unknown_) << next.error().message();
  EXPECT_EQ(next.error().reason(), ErrorReason::kUnknownOutcome) << next.error().message();
}

void Life::ExpectFates() {
  ExpectTold("now");
  ExpectNext();
  RunTasks();
  ExpectTold("after the next commit");
  db_.reset();
  RunTasks();
  disk_.Crash(Survival::kAllLost, &random_);
  Open();
  ExpectTold("after a power cut");
}

}  // namespace varve::testing
