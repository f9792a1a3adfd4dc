// SPDX-License-Identifier: Apache-2.0
#include "engine/own_writes.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "base/result.h"
#include "columns/gather.h"

namespace varve {
namespace {

// Versions of one kind.
struct Versions {
  std::vector<RowSlice> rows;     // of upserts
  std::vector<std::string> keys;  // of deletes

  bool empty() const { return rows.empty() && keys.empty(); }
  void Add(const VersionCursor& at) {
    if (at.kind() == RowKind::kDelete) {
      keys.emplace_back(at.key());
    } else if (!rows.empty() && rows.back().batch == at.batch() &&
               rows.back().start + rows.back().length == at.row()) {
      ++rows.back().length;
    } else {
      rows.push_back({at.batch(), at.row(), 1});
    }
  }
};

std::vector<int> AllColumns(const TableSchema& schema) {
  std::vector<int> columns(static_cast<std::size_t>(schema.schema()->num_fields()));
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

Result<WriteBatch> MakeBatch(const TableSchema& schema, RowKind kind, const Versions& versions) {
  WriteBatch batch;
  batch.kind = kind;
  auto columns = schema.key_columns();
  if (kind == RowKind::kDelete) {
    const std::vector<std::string_view> keys(versions.keys.begin(), versions.keys.end());
    VARVE_ASSIGN(batch.rows, schema.key_codec().Decode(keys));
    std::iota(columns.begin(), columns.end(), 0);
  } else {
    VARVE_ASSIGN(batch.rows, Gather(schema.schema(), versions.rows));
  }
  VARVE_ASSIGN(batch.keys,
               schema.key_codec().Encode(*batch.rows, columns, 0, batch.rows->num_rows()));
  return batch;
}

constexpr RowKind kKinds[] = {RowKind::kUpsert, RowKind::kDelete};

// How many rows are given at once.
std::uint64_t RowsAtOnce(const Memtable& memtable) {
  const auto row_bytes = 1 + memtable.bytes() / std::max<std::uint64_t>(memtable.rows(), 1);
  return std::clamp<std::uint64_t>(OwnWrites::kBatchBytes / row_bytes, 1,
                                   OwnWrites::kBatchRowsMax);
}

// The statements up to `last` alone.
Status CopyUpTo(const Memtable& from, std::uint64_t last, Memtable* copy) {
  const auto& schema = from.schema();
  std::map<std::uint64_t, std::map<RowKind, Versions>> kept;
  const auto cursor = from.NewCursor(AllColumns(*schema), {});
  VARVE_TRY(cursor->Next());
  while (cursor->valid()) {
    if (cursor->commit() <= last) kept[cursor->commit()][cursor->kind()].Add(*cursor);
    VARVE_TRY(cursor->Next());
  }
  for (const auto& [statement, kinds] : kept) {
    for (const auto& [kind, versions] : kinds) {
      VARVE_ASSIGN(auto batch, MakeBatch(*schema, kind, versions));
      copy->Insert(std::move(batch), statement);
    }
  }
  return {};
}

}  // namespace

std::shared_ptr<Memtable> OwnWrites::NewMemtable(
    const std::shared_ptr<const TableSchema>& schema) const {
  auto memtable = std::make_shared<Memtable>(schema, nullptr, memory_);
  memtable->BookAs(MemoryHolder::kTransactions);
  return memtable;
}

void OwnWrites::Add(std::uint32_t table, const std::shared_ptr<const TableSchema>& schema,
                    WriteBatch batch) {
  auto& memtable = tables_[table];
  if (memtable == nullptr) memtable = NewMemtable(schema);
  memtable->Insert(std::move(batch), ++statements_);
}

Status OwnWrites::GoBackTo(std::uint64_t statements) {
  std::map<std::uint32_t, std::shared_ptr<Memtable>> kept;
  for (const auto& [table, memtable] : tables_) {
    auto copy = NewMemtable(memtable->schema());
    VARVE_TRY(CopyUpTo(*memtable, statements, copy.get()));
    if (copy->rows() > 0) kept[table] = std::move(copy);
  }
  tables_ = std::move(kept);
  statements_ = statements;
  return {};
}

std::uint64_t OwnWrites::rows() const {
  std::uint64_t rows = 0;
  for (const auto& [table, memtable] : tables_) rows += memtable->rows();
  return rows;
}

std::uint64_t OwnWrites::BytesOf(const WriteBatch& batch) {
  const auto values = batch.kind == RowKind::kUpsert ? BatchBytes(*batch.rows) : 0;
  const auto rows = static_cast<std::uint64_t>(batch.keys.size());
  return values + batch.keys.memory_bytes() + rows * sizeof(Entry);
}

std::uint64_t OwnWrites::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [table, memtable] : tables_) bytes += memtable->bytes();
  return bytes;
}

std::shared_ptr<const Memtable> OwnWrites::Find(std::uint32_t table) const {
  const auto at = tables_.find(table);
  return at == tables_.end() ? nullptr : at->second;
}

Status OwnWrites::GiveNewest(std::uint32_t table, const TakeBatch& take) const {
  const auto& memtable = *tables_.at(table);
  const auto& schema = *memtable.schema();
  const auto rows_max = RowsAtOnce(memtable);
  std::map<RowKind, Versions> newest;
  std::uint64_t rows = 0;
  const auto give = [&]() -> Status {
    for (const RowKind kind : kKinds) {
      const auto at = newest.find(kind);
      if (at == newest.end()) continue;
      VARVE_ASSIGN(auto batch, MakeBatch(schema, kind, at->second));
      VARVE_TRY(take(std::move(batch)));
    }
    newest.clear();
    rows = 0;
    return {};
  };
  const auto cursor = memtable.NewCursor(AllColumns(schema), {});
  VARVE_TRY(cursor->Next());
  std::string last;
  for (bool first = true; cursor->valid(); first = false) {
    if (first || cursor->key() != last) {
      if (rows == rows_max) VARVE_TRY(give());
      newest[cursor->kind()].Add(*cursor);
      ++rows;
    }
    last = cursor->key();
    VARVE_TRY(cursor->Next());
  }
  return give();
}

}  // namespace varve
