// SPDX-License-Identifier: Apache-2.0
// The steps of a life that belong to transactions.
#include <fmt/format.h>

#include "test/model/life.h"

namespace varve::testing {
namespace {

constexpr std::size_t kTransactionsMost = 3;

}  // namespace

void Life::Begin() {
  last_ = "begin";
  if (open_.size() == kTransactionsMost) return;
  const bool serializable = Below(2) == 0;
  auto transaction = Must(
      db_->Begin({.isolation = serializable ? Isolation::kSerializable : Isolation::kSnapshot}),
      last_);
  Require(transaction->snapshot().value == newest(), "a transaction's snapshot is not the newest");
  open_.push_back({std::move(transaction), serializable, newest(), Newest(), {}});
}

void Life::WriteInTransaction() {
  last_ = "write in a transaction";
  if (open_.empty()) return;
  auto& in = open_[Below(open_.size())];
  const auto at = PickTableOf(in.view);
  if (!at) return;
  const auto rows = PickRows(at->shape(), chance_.get());
  const bool erase = Below(3) == 0;
  const auto batch = MakeBatch(at->shape(), rows);
  Must(erase ? in.transaction->Delete(at->name, batch) : in.transaction->Upsert(at->name, batch),
       last_);
  for (const auto& [key, row] : rows) in.touched[{at->table->id, key}] = true;
  in.view = WithRows(in.view, at->name,
                     erase ? Without(at->table->rows, rows) : After(at->table->rows, rows));
}

void Life::ReadInTransaction() {
  last_ = "read in a transaction";
  if (open_.empty()) return;
  auto& in = open_[Below(open_.size())];
  const auto at = PickTableOf(in.view);
  if (!at) return;
  const auto keys = PickRows(at->shape(), chance_.get());
  RowList expected;
  for (const auto& [key, unused] : keys) {
    if (in.serializable) in.touched.insert({{at->table->id, key}, false});
    const auto row = at->table->rows.find(key);
    if (row != at->table->rows.end()) expected.emplace_back(*row);
  }
  const auto batch = Must(in.transaction->Get(at->name, MakeBatch(at->shape(), keys)), last_);
  const auto found = ReadBatch(at->shape(), *batch);
  Require(found == expected, fmt::format("a transaction's get from {}: found{}, expected{}",
                                         at->name, Describe(found), Describe(expected)));
}

// A table that it used was dropped, or got other columns; a name is no matter.
bool Life::TablesChanged(const OpenTransaction& in) const {
  for (const auto& [at, wrote] : in.touched) {
    const auto now = FindTable(Newest(), at.first);
    if (now == Newest().end()) return true;
    if (now->second->shape != FindTable(in.view, at.first)->second->shape) return true;
  }
  return false;
}

// Under the names of now.
Tables Life::AfterTransaction(const OpenTransaction& in) const {
  auto tables = Newest();
  for (const auto& [at, wrote] : in.touched) {
    if (!wrote) continue;
    const auto& [id, key] = at;
    const auto& then = FindTable(in.view, id)->second->rows;
    const auto row = then.find(key);
    const auto now = FindTable(tables, id);
    auto rows = now->second->rows;
    row == then.end() ? void(rows.erase(key)) : void(rows[key] = row->second);
    tables = WithRows(tables, now->first, std::move(rows));
  }
  return tables;
}

void Life::EndTransaction() {
  last_ = "end a transaction";
  if (open_.empty()) return;
  const auto which = Below(open_.size());
  auto in = std::move(open_[which]);
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
  if (Below(5) == 0) return in.transaction->Abort();
  bool writes = false, clashes = TablesChanged(in);
  for (const auto& [at, wrote] : in.touched) {
    writes = writes || wrote;
    const auto written = written_.find(at);
    clashes = clashes || (written != written_.end() && written->second > in.began);
  }
  const auto info = in.transaction->Commit();
  if (writes && clashes) {
    Require(!info && info.error().kind() == ErrorKind::kConflict, "a conflict was not seen");
    return;
  }
  Must(info, last_);
  if (!writes) return;
  for (const auto& [at, wrote] : in.touched) {
    if (wrote) written_[at] = newest() + 1;
  }
  MakeCommit(last_, info->commit, AfterTransaction(in));
}

}  // namespace varve::testing
