// SPDX-License-Identifier: Apache-2.0
// MemtableCursor: the versions of a list of layers, merged.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "columns/version_cursor.h"
#include "memtable/layer.h"
#include "memtable/merge_heap.h"

namespace arrow {
class Schema;
}  // namespace arrow

namespace varve {

class MemtableCursor final : public VersionCursor {
 public:
  // Keeps the layers alive. `columns` are indices into the table's schema.
  MemtableCursor(std::vector<LayerPtr> layers, const TableSchema& schema,
                 std::vector<int> columns, const KeyBounds& bounds);

  Status Next() override;
  Status Seek(std::string_view key) override;
  bool valid() const override { return started_ && !heap_.empty(); }
  std::string_view key() const override { return current().key(); }
  std::uint64_t commit() const override { return current().commit(); }
  RowKind kind() const override { return current().source->kind; }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override;
  std::int64_t row() const override {
    return kind() == RowKind::kDelete ? 0 : current().row;
  }
  std::int64_t PlainRows(std::optional<std::string_view> limit, std::uint64_t as_of) override;
  Status Skip(std::int64_t count) override;

 private:
  // A place in one layer, at < end.
  struct Position {
    const Entry* at;
    const Entry* end;
  };
  struct PositionBefore {
    bool operator()(const Position& a, const Position& b) const {
      return EntryBefore()(*a.at, *b.at);
    }
  };

  const Entry& current() const { return *heap_.top().at; }
  void MoveTop(std::int64_t count);

  const std::vector<LayerPtr> layers_;
  const std::vector<int> columns_;
  std::shared_ptr<arrow::Schema> projected_schema_;
  MergeHeap<Position, PositionBefore> heap_;
  bool started_ = false;
  bool repeated_ = false;  // a newer version of the current key was passed

  // Batches with the projected columns, made when first asked for.
  mutable std::unordered_map<const Source*, std::shared_ptr<arrow::RecordBatch>> projected_;
  mutable const Source* batch_source_ = nullptr;
  mutable const std::shared_ptr<arrow::RecordBatch>* batch_ = nullptr;  // of batch_source_
};

}  // namespace varve
