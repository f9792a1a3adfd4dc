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
  const auto table = PickTable(chance_.get());
  const auto rows = PickRows(table, chance_.get());
  const bool erase = Below(3) == 0;
  const auto batch = MakeBatch(table, rows);
  Must(erase ? in.transaction->Delete(table, batch) : in.transaction->Upsert(table, batch), last_);
  for (const auto& [key, row] : rows) {
    in.touched[{table, key}] = true;
    erase ? static_cast<void>(in.view[table].erase(key)) : void(in.view[table][key] = row);
  }
}

void Life::ReadInTransaction() {
  last_ = "read in a transaction";
  if (open_.empty()) return;
  auto& in = open_[Below(open_.size())];
  const auto table = PickTable(chance_.get());
  const auto keys = PickRows(table, chance_.get());
  RowList expected;
  for (const auto& [key, unused] : keys) {
    if (in.serializable) in.touched.insert({{table, key}, false});
    const auto at = in.view[table].find(key);
    if (at != in.view[table].end()) expected.emplace_back(*at);
  }
  const auto found =
      ReadBatch(table, *Must(in.transaction->Get(table, MakeBatch(table, keys)), last_));
  Require(found == expected, fmt::format("a transaction's get from {}: found{}, expected{}", table,
                                         Describe(found), Describe(expected)));
}

void Life::EndTransaction() {
  last_ = "end a transaction";
  if (open_.empty()) return;
  const auto which = Below(open_.size());
  auto in = std::move(open_[which]);
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
  if (Below(5) == 0) return in.transaction->Abort();
  bool writes = false, clashes = false;
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
  Require(info->commit.value == after_.size(), "a transaction's commit has the wrong number");
  auto tables = Newest();
  for (const auto& [at, wrote] : in.touched) {
    if (!wrote) continue;
    const auto& [table, key] = at;
    const auto row = in.view[table].find(key);
    row == in.view[table].end() ? void(tables[table].erase(key))
                                : void(tables[table][key] = row->second);
    written_[at] = info->commit.value;
  }
  after_.push_back(std::move(tables));
}

}  // namespace varve::testing
