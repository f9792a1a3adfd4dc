// SPDX-License-Identifier: Apache-2.0
// The steps of a life that write rows, each of them one commit.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "test/model/life.h"
#include "test/model/thread_write.h"

namespace varve::testing {

void Life::Upsert() {
  const auto at = PickTable();
  if (!at) return;
  const auto rows = PickRows(at->shape(), chance_.get());
  const auto ack = static_cast<AckLevel>(Below(3));
  const auto info = db_->Upsert(at->name, MakeBatch(at->shape(), rows), {.ack = ack});
  NoteWritten(*at, rows);
  CommitRows(fmt::format("upsert into {}:{}", at->name, Describe(rows)), *at, info,
             After(at->table->rows, rows));
  if (ack != AckLevel::kDurable) Must(db_->Sync(), "sync");
}

std::optional<Life::Attempt> Life::UpsertAttempt(const Picked& at) {
  const auto rows = PickRows(at.shape(), chance_.get());
  const auto& name = at.name;
  return Attempt{
      fmt::format("upsert into {}:{}", name, Describe(rows)),
      [name, batch = MakeBatch(at.shape(), rows)](Database& db) -> Result<CommitNumber> {
        const auto info = db.Upsert(name, batch);
        if (!info) return std::unexpected(info.error());
        return info->commit;
      },
      [name, rows](const Tables& tables) {
        return WithRows(tables, name, After(tables.at(name)->rows, rows));
      }};
}

void Life::Delete() {
  const auto at = PickTable();
  if (!at) return;
  const auto keys = PickRows(at->shape(), chance_.get());
  const auto info = db_->Delete(at->name, MakeBatch(at->shape(), keys));
  NoteWritten(*at, keys);
  CommitRows(fmt::format("delete from {}:{}", at->name, Describe(keys)), *at, info,
             Without(at->table->rows, keys));
}

void Life::Mix() {
  const auto at = PickTable();
  if (!at) return;
  const auto rows = PickRows(at->shape(), chance_.get());
  auto next = at->table->rows;
  arrow::BooleanBuilder deletes;
  for (const auto& [key, row] : rows) {
    const bool erase = Below(2) == 0;
    Require(deletes.Append(erase).ok(), "memory");
    if (erase) {
      next.erase(key);
    } else {
      next[key] = row;
    }
  }
  const auto bits = Take(deletes.Finish(), "deletes");
  const auto info = db_->Write(at->name, {.rows = MakeBatch(at->shape(), rows),
                                          .deletes =
                                              std::static_pointer_cast<arrow::BooleanArray>(bits)});
  NoteWritten(*at, rows);
  CommitRows(fmt::format("mix into {}:{}", at->name, Describe(rows)), *at, info, std::move(next));
}

void Life::CommitLooked(const std::string& what, const Picked& at, const CommitInfo& info,
                        const RowList& written, TableRows next) {
  last_ = what;
  Require(info.rows == written.size(), fmt::format("{} wrote {} rows, expected {}", what,
                                                   info.rows, written.size()));
  if (written.empty()) return Require(info.commit.value == newest(), what + " made a commit");
  NoteWritten(at, written);
  CommitRows(what, at, info, std::move(next));
}

void Life::InsertMissing() {
  const auto at = PickTable();
  if (!at) return;
  const auto rows = PickRows(at->shape(), chance_.get());
  TableRows missing;
  for (const auto& [key, row] : rows) {
    if (!at->table->rows.contains(key)) missing[key] = row;
  }
  const auto what = fmt::format("insert what is missing into {}:{}", at->name, Describe(rows));
  const auto info = Must(db_->Write(at->name, {.mode = WriteMode::kInsertMissing,
                                               .rows = MakeBatch(at->shape(), rows)}),
                         what);
  const auto written = Listed(missing);
  CommitLooked(what, *at, info, written, After(at->table->rows, written));
}

void Life::DeleteWhere() {
  const auto at = PickTable();
  if (!at) return;
  const auto condition = PickCondition(at->shape(), chance_.get());
  const auto what = fmt::format("delete from {} where {}", at->name, condition.text);
  const auto filter = Must(ParseFilter(condition.text, SchemaOf(at->shape())), what);
  const auto info =
      Must(db_->Write(at->name, {.mode = WriteMode::kDeleteWhere, .filter = filter}), what);
  const auto written = Listed(Where(at->table->rows, condition));
  CommitLooked(what, *at, info, written, Without(at->table->rows, written));
}

std::vector<Life::ThreadWrite> Life::PickThreadWrites() {
  std::vector<ThreadWrite> writes;
  for (int i = 0; i < kWriters; ++i) {
    const auto at = PickTable();
    writes.push_back({at->name, at->table, PickRows(at->shape(), chance_.get()), CommitInfo{}});
  }
  return writes;
}

// Which commit came first only they can say.
void Life::WriteFromThreads() {
  last_ = "writes from threads";
  if (Newest().empty()) return;
  auto writes = PickThreadWrites();
  std::vector<std::thread> threads;
  for (auto& write : writes) threads.emplace_back([&] { write.Make(*db_); });
  for (auto& thread : threads) thread.join();
  for (const auto& write : writes) Must(write.info, last_);
  std::ranges::sort(writes, {}, [](const ThreadWrite& write) { return write.info->commit; });
  for (const auto& write : writes) {
    const Picked at{write.name, Newest().at(write.name)};
    NoteWritten(at, write.rows);
    CommitRows(last_, at, write.info, After(at.table->rows, write.rows));
  }
}

}  // namespace varve::testing
