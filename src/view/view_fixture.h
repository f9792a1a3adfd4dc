// SPDX-License-Identifier: Apache-2.0
// For the tests of this room: a table of memtables and runs made by hand, and a reference model of
// it. The table: key (k int32, name utf8), values f float64, s utf8, n int64, at timestamp, and v,
// a struct (q int64, t utf8) of n and s again, null where both are.
#pragma once

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/compute/expression.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "columns/arrow_init.h"
#include "columns/table_schema.h"
#include "columns/write_batch.h"
#include "files/files.h"
#include "files/simulated_disk.h"
#include "files/object_store.h"
#include "memtable/memtable.h"
#include "run/open_run.h"
#include "run/run.h"
#include "run/run_writer.h"
#include "run/tail_cache.h"
#include "varve/snapshot.h"
#include "view/superversion.h"

namespace varve::testing {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

template <typename T>
T Ok(Result<T> result) {
  EXPECT_TRUE(result) << (result ? "" : result.error().message());
  if (!result) std::abort();
  return *std::move(result);
}

inline void ExpectSame(const std::shared_ptr<arrow::Table>& found,
                       const std::shared_ptr<arrow::Table>& expected) {
  EXPECT_TRUE(found->schema()->Equals(*expected->schema())) << found->schema()->ToString();
  EXPECT_TRUE(found->Equals(*expected)) << found->ToString() << "\nexpected\n"
                                        << expected->ToString();
}

struct Row {
  std::int32_t k = 0;
  std::string name;
  std::optional<double> f;
  std::optional<std::string> s;
  std::optional<std::int64_t> n;
  std::optional<std::int64_t> at;
};
using RowKey = std::pair<std::int32_t, std::string>;

inline std::shared_ptr<arrow::Schema> RowSchema() {
  return arrow::schema({arrow::field("k", arrow::int32()), arrow::field("name", arrow::utf8()),
                        arrow::field("f", arrow::float64()), arrow::field("s", arrow::utf8()),
                        arrow::field("n", arrow::int64()),
                        arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
                        arrow::field("v", arrow::struct_({arrow::field("q", arrow::int64()),
                                                          arrow::field("t", arrow::utf8())}))});
}

inline BatchPtr ToBatch(const std::vector<Row>& rows) {
  arrow::Int32Builder k;
  arrow::StringBuilder name, s;
  arrow::DoubleBuilder f;
  arrow::Int64Builder n;
  arrow::TimestampBuilder at(RowSchema()->field(5)->type(), arrow::default_memory_pool());
  arrow::TypedBufferBuilder<bool> valid;
  for (const Row& row : rows) {
    EXPECT_TRUE(k.Append(row.k).ok() && name.Append(row.name).ok());
    EXPECT_TRUE((row.f ? f.Append(*row.f) : f.AppendNull()).ok());
    EXPECT_TRUE((row.s ? s.Append(*row.s) : s.AppendNull()).ok());
    EXPECT_TRUE((row.n ? n.Append(*row.n) : n.AppendNull()).ok());
    EXPECT_TRUE((row.at ? at.Append(*row.at) : at.AppendNull()).ok());
    EXPECT_TRUE(valid.Append(row.n || row.s).ok());
  }
  const arrow::ArrayVector parts = {*n.Finish(), *s.Finish()};
  const std::shared_ptr<arrow::Array> v = std::make_shared<arrow::StructArray>(
      RowSchema()->field(6)->type(), std::ssize(rows), parts, *valid.Finish());
  return arrow::RecordBatch::Make(
      RowSchema(), std::ssize(rows),
      {*k.Finish(), *name.Finish(), *f.Finish(), parts[1], parts[0], *at.Finish(), v});
}

inline BatchPtr KeyBatch(const std::vector<RowKey>& keys) {
  std::vector<Row> rows;
  for (const auto& [k, name] : keys) rows.push_back({k, name, {}, {}, {}, {}});
  return ToBatch(rows)->SelectColumns({0, 1}).ValueOrDie();
}

// Every version of every key, by commit.
class RowModel {
 public:
  void Upsert(const std::vector<Row>& rows, std::uint64_t commit) {
    for (const Row& row : rows) versions_[{row.k, row.name}][commit] = row;
  }
  void Delete(const std::vector<RowKey>& keys, std::uint64_t commit) {
    for (const RowKey& key : keys) versions_[key][commit] = std::nullopt;
  }
  std::optional<Row> Find(const RowKey& key, std::uint64_t as_of) const {
    auto at = versions_.find(key);
    if (at == versions_.end()) return std::nullopt;
    auto newer = at->second.upper_bound(as_of);
    return newer == at->second.begin() ? std::nullopt : std::prev(newer)->second;
  }
  // What Changes must give, in its order.
  struct Change {
    std::uint64_t commit = 0;
    RowKey key;
    std::optional<Row> before, after;
  };
  std::vector<Change> Changes(std::uint64_t from, std::uint64_t through) const {
    std::vector<Change> changes;
    for (const auto& [key, versions] : versions_) {
      std::optional<Row> before;
      for (const auto& [commit, row] : versions) {
        if (commit > from && commit <= through) changes.push_back({commit, key, before, row});
        before = row;
      }
    }
    std::ranges::stable_sort(changes, {}, &Change::commit);
    return changes;
  }
  std::vector<Row> Rows(std::uint64_t as_of) const {
    std::vector<Row> rows;
    for (const auto& [key, versions] : versions_) {
      if (auto row = Find(key, as_of)) rows.push_back(*row);
    }
    return rows;
  }

 private:
  std::map<RowKey, std::map<std::uint64_t, std::optional<Row>>> versions_;
};

class RowTable {
 public:
  std::int64_t row_group_rows = kRowGroupRows;  // of the runs to come

  RowTable()
      : files_(NewMemoryFiles()),
        random_(7),
        store_(NewFolderStore(files_.get(), "db", &random_)),
        schema_(Ok(TableSchema::Make(RowSchema(), {"k", "name"}))),
        active_(std::make_shared<Memtable>(schema_)) {
    InitializeArrow();
  }

  std::uint64_t Upsert(const std::vector<Row>& rows) { return UpsertAt(rows, commit_ + 1); }
  // Commits may arrive out of order.
  std::uint64_t UpsertAt(const std::vector<Row>& rows, std::uint64_t commit) {
    active_->Insert(Ok(PrepareUpsert(*schema_, ToBatch(rows))), commit);
    model_.Upsert(rows, commit);
    commit_ = std::max(commit_, commit);
    return commit;
  }
  std::uint64_t Delete(const std::vector<RowKey>& keys) {
    active_->Insert(Ok(PrepareDelete(*schema_, KeyBatch(keys))), ++commit_);
    model_.Delete(keys, commit_);
    return commit_;
  }
  // As Delete, of a commit that may arrive out of order.
  void DeleteAt(const std::vector<RowKey>& keys, std::uint64_t commit) {
    active_->Insert(Ok(PrepareDelete(*schema_, KeyBatch(keys))), commit);
    model_.Delete(keys, commit);
    commit_ = std::max(commit_, commit);
  }
  void Seal() {
    sealed_.push_back(active_);
    active_ = std::make_shared<Memtable>(schema_);
  }
  // The oldest sealed memtable, or else the active one, becomes a run.
  void Flush() {
    if (sealed_.empty()) Seal();
    const auto memtable = sealed_.front();
    sealed_.erase(sealed_.begin());
    if (memtable->rows() == 0) return;
    std::vector<int> columns(static_cast<std::size_t>(schema_->schema()->num_fields()));
    std::iota(columns.begin(), columns.end(), 0);
    const std::uint64_t id = runs_.size() + 1;
    const RunTarget target{.id = id,
                           .table_id = 1,
                           .schema_id = 1,
                           .level = 0,
                           .data_name = "data/t/" + std::to_string(id) + ".parquet",
                           .deletes_name = "data/t/deletes/" + std::to_string(id) + ".parquet",
                           .row_group_rows = row_group_rows};
    auto cursor = memtable->NewCursor(columns, KeyBounds{});
    auto meta = Ok(WriteRun(store_.get(), *schema_, cursor.get(), target));
    runs_.push_back(Run::Make(store_.get(), schema_, std::make_shared<const RunMeta>(meta),
                              {.pieces = nullptr, .tails = tails_}));
  }

  Snapshot At(std::uint64_t commit) const { return Snapshot(View(), {commit}); }
  Snapshot Newest() const { return At(commit_); }
  std::shared_ptr<const Superversion> View() const {
    auto table = std::make_shared<TableView>();
    table->id = table->schema_id = 1;
    table->name = "t";
    table->schema = schema_;
    table->active = active_;
    table->sealed = sealed_;
    table->runs = runs_;
    auto superversion = std::make_shared<Superversion>();
    superversion->tables["t"] = table;
    return superversion;
  }

  // A byte of the run's rows is another one.
  void Damage(std::size_t run) {
    const auto& object = runs_.at(run)->meta().data;
    const auto file = Ok(files_->Open("db/" + object.name, OpenMode::kReadWrite));
    char byte = 0;
    ASSERT_EQ(Ok(file->ReadAt(object.data_bytes / 2, 1, &byte)), 1u);
    byte = static_cast<char>(byte ^ 1);
    ASSERT_TRUE(file->WriteAt(object.data_bytes / 2, {&byte, 1}));
  }

  const RowModel& model() const { return model_; }
  std::uint64_t commit() const { return commit_; }
  const std::vector<std::shared_ptr<const Run>>& runs() const { return runs_; }
  const std::shared_ptr<const TableSchema>& schema() const { return schema_; }

 private:
  std::unique_ptr<Files> files_;
  SeededRandom random_;
  std::unique_ptr<ObjectStore> store_;
  std::shared_ptr<const TableSchema> schema_;
  std::shared_ptr<Memtable> active_;
  std::vector<std::shared_ptr<const Memtable>> sealed_;
  const std::shared_ptr<TailCache> tails_ = std::make_shared<TailCache>(64 << 20);
  std::vector<std::shared_ptr<const Run>> runs_;
  RowModel model_;
  std::uint64_t commit_ = 0;
};

}  // namespace varve::testing
