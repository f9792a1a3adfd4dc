// SPDX-License-Identifier: Apache-2.0
// The steps of a life that belong to transactions.
#include <fmt/format.h>

#include <algorithm>

#include "test/model/life.h"

namespace varve::testing {
namespace {

constexpr std::size_t kTransactionsMost = 3;

}  // namespace

void Life::Begin() {
  last_ = "begin";
  const bool serializable = Below(2) == 0;
  auto transaction = Must(
      db_->Begin({.isolation = serializable ? Isolation::kSerializable : Isolation::kSnapshot}),
      last_);
  const auto began = transaction->snapshot().value;
  See(began);
  open_.push_back({.transaction = std::move(transaction),
                   .serializable = serializable,
                   .began = began,
                   .view = reference_.At(began)});
}

void Life::UseTransaction() {
  const bool full = open_.size() == kTransactionsMost;
  if (open_.empty() || (!full && Below(3) == 0)) Begin();
  last_ = "use a transaction";
  auto& in = open_[Below(open_.size())];
  for (auto left = 1 + Below(5); left > 0; --left) {
    const auto at = PickTableOf(in.view);
    if (!at) return;
    switch (Below(9)) {
      case 0: case 1: SetSavepoint(&in); break;
      case 2: GoBackAndGet(&in); break;
      case 3: GetInTransaction(&in, *at); break;
      case 4: case 5: ScanInTransaction(&in, *at); break;
      default: WriteInTransaction(&in, *at);
    }
  }
}

// What a mode looks at counts as read, also when it is refused.
void Life::WriteInTransaction(OpenTransaction* in, const Picked& at) {
  const auto write = PickWrite(*at.table, chance_.get());
  last_ += fmt::format(", in {} {}", at.name, Describe(write));
  std::uint64_t passed = 0;
  const auto done = in->transaction->Write(at.name, RequestOf(write), &passed);
  if (in->serializable && write.mode == WriteMode::kDeleteWhere) {
    in->scanned.emplace_back(at.table->id, write.wanted);
  } else if (in->serializable && write.looks_first()) {
    for (const auto& [key, row] : write.rows) in->read.emplace(at.table->id, key);
  }
  auto outcome = OutcomeOf(write, *at.table);
  if (outcome.refusal) {
    return Require(!done && done.error().kind() == *outcome.refusal, "it was not refused");
  }
  Must(done, last_);
  Require(passed == outcome.passed,
          fmt::format("it passed over {} rows, expected {}", passed, outcome.passed));
  for (const auto& [key, row] : outcome.written) in->wrote.emplace(at.table->id, key);
  in->view = WithRows(in->view, at.name, std::move(outcome.rows));
}

void Life::SetSavepoint(OpenTransaction* in) {
  last_ += ", savepoint";
  const auto id = Must(in->transaction->Savepoint(), last_);
  in->savepoints.push_back({id, in->view, in->wrote});
}

// What was read stays read; later savepoints are gone.
void Life::GoBack(OpenTransaction* in) {
  if (in->savepoints.empty()) return;
  const auto which = Below(in->savepoints.size());
  last_ += fmt::format(", back to savepoint {} of {}", which + 1, in->savepoints.size());
  const auto& to = in->savepoints[which];
  Must(in->transaction->RollbackTo(to.id), last_);
  in->view = to.view;
  in->wrote = to.wrote;
  const auto gone = in->savepoints.back().id;
  if (gone != to.id) {
    const auto back = in->transaction->RollbackTo(gone);
    Require(!back && back.error().kind() == ErrorKind::kInvalid, "a later savepoint is left");
  }
  in->savepoints.resize(which + 1);
}

// What was taken back must be gone at once.
void Life::GoBackAndGet(OpenTransaction* in) {
  GoBack(in);
  const auto at = PickTableOf(in->view);
  if (at) GetInTransaction(in, *at);
}

void Life::GetInTransaction(OpenTransaction* in, const Picked& at) {
  const auto keys = PickRows(at.shape(), chance_.get());
  last_ += ", get from " + at.name;
  RowList expected;
  for (const auto& [key, unused] : keys) {
    if (in->serializable) in->read.emplace(at.table->id, key);
    const auto row = at.table->rows.find(key);
    if (row != at.table->rows.end()) expected.emplace_back(*row);
  }
  const auto batch = Must(in->transaction->Get(at.name, MakeBatch(at.shape(), keys)), last_);
  const auto found = ReadBatch(at.shape(), *batch);
  Require(found == expected, fmt::format("a transaction's get from {}: found{}, expected{}",
                                         at.name, Describe(found), Describe(expected)));
}

void Life::ScanInTransaction(OpenTransaction* in, const Picked& at) {
  const auto scan = PickScan(at.shape(), chance_.get());
  last_ += fmt::format(", scan {}{}", at.name, Describe(scan));
  if (in->serializable) in->scanned.emplace_back(at.table->id, scan.wanted);
  auto reader = Must(in->transaction->Scan(at.name, OptionsOf(scan, at.shape())), Describe(scan));
  RequireRows(scan, *at.table, ReadRows(scan, reader.get()), "a transaction's scan of " + at.name);
}

// A table that it used was dropped, or got other columns; a name is no matter.
bool Life::TablesChanged(const OpenTransaction& in) const {
  std::set<std::uint32_t> used;
  for (const auto& [table, key] : in.wrote) used.insert(table);
  for (const auto& [table, key] : in.read) used.insert(table);
  for (const auto& [table, wanted] : in.scanned) used.insert(table);
  return std::ranges::any_of(used, [&](std::uint32_t table) {
    const auto now = FindTable(Newest(), table);
    return now == Newest().end() ||
           now->second->shape != FindTable(in.view, table)->second->shape;
  });
}

bool Life::WrittenSince(const std::pair<std::uint32_t, Key>& at, std::uint64_t commit) const {
  const auto written = written_.find(at);
  return written != written_.end() && written->second > commit;
}

// Of a filter only what it says of the key narrows what counts as read: so a key that the scan
// would find, as it was or as it is, clashes surely, another one of the range perhaps.
Life::Clash Life::ClashOfScan(const OpenTransaction& in, std::uint32_t table,
                              const Wanted& wanted) const {
  const auto is_found = [&](const Tables& tables, const Key& key) {
    const auto& rows = FindTable(tables, table)->second->rows;
    const auto row = rows.find(key);
    return row != rows.end() && wanted.Accepts(key, row->second);
  };
  auto clash = Clash::kNone;
  for (const auto& [at, commit] : written_) {
    const auto& [of, key] = at;
    if (of != table || commit <= in.began || !Within(wanted.range, key)) continue;
    if (!wanted.condition || is_found(reference_.At(in.began), key) || is_found(Newest(), key)) {
      return Clash::kSurely;
    }
    clash = Clash::kPerhaps;
  }
  return clash;
}

Life::Clash Life::ClashOf(const OpenTransaction& in) const {
  const auto is_new = [&](const auto& at) { return WrittenSince(at, in.began); };
  if (TablesChanged(in)) return Clash::kSurely;
  if (std::ranges::any_of(in.wrote, is_new) || std::ranges::any_of(in.read, is_new)) {
    return Clash::kSurely;
  }
  auto clash = Clash::kNone;
  for (const auto& [table, wanted] : in.scanned) {
    clash = std::max(clash, ClashOfScan(in, table, wanted));
  }
  return clash;
}

// Under the names of now.
Tables Life::AfterTransaction(const OpenTransaction& in) const {
  auto tables = Newest();
  for (const auto& [id, key] : in.wrote) {
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
  const auto clash = in.wrote.empty() ? Clash::kNone : ClashOf(in);
  const auto ack = syncs_ ? AckLevel::kDurable : PickAck();
  const auto info = in.transaction->Commit({.ack = ack});
  if (clash == Clash::kSurely || (clash == Clash::kPerhaps && !info)) {
    Require(!info && info.error().kind() == ErrorKind::kConflict, "a conflict was not seen");
    return;
  }
  Must(info, last_);
  if (in.wrote.empty()) return;
  for (const auto& at : in.wrote) written_[at] = newest() + 1;
  MakeCommit(last_, info->commit, AfterTransaction(in), ack);
}

}  // namespace varve::testing
