// SPDX-License-Identifier: Apache-2.0
#include "memtable/memtable_cursor.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <utility>

#include "base/check.h"

namespace varve {

MemtableCursor::MemtableCursor(std::vector<LayerPtr> layers, const TableSchema& schema,
                               std::vector<int> columns, const KeyBounds& bounds)
    : layers_(std::move(layers)), columns_(std::move(columns)) {
  arrow::FieldVector fields;
  for (const int column : columns_) fields.push_back(schema.schema()->field(column));
  projected_schema_ = arrow::schema(std::move(fields));
  for (const auto& layer : layers_) {
    const Entry* const begin = layer->entries.data();
    const Entry* const end = begin + layer->entries.size();
    const Entry* const first = FirstAtLeast(begin, end, bounds.lower);
    const Entry* const last = bounds.upper ? FirstAtLeast(first, end, *bounds.upper) : end;
    if (first < last) heap_.Push({first, last});
  }
}

Status MemtableCursor::Next() {
  if (!started_) {
    started_ = true;
    return {};
  }
  if (heap_.empty()) return {};
  const Entry before = current();
  MoveTop(1);
  repeated_ = !heap_.empty() && SameKey(before, current());
  return {};
}

Status MemtableCursor::Seek(std::string_view key) {
  started_ = true;
  if (heap_.empty() || current().key() >= key) return {};
  for (Position position : heap_.Take()) {
    position.at = FirstAtLeast(position.at, position.end, key);
    if (position.at < position.end) heap_.Push(position);
  }
  repeated_ = false;
  return {};
}

void MemtableCursor::MoveTop(std::int64_t count) {
  Position& top = heap_.top();
  VARVE_CHECK(count <= top.end - top.at);
  top.at += count;
  // Other layers' rows come between: that one's key is there when its turn comes.
  if (top.end - top.at > 1) top.at[1].source->keys.Prefetch(top.at[1].row);
  if (top.at == top.end) {
    heap_.Pop();
  } else {
    heap_.TopMoved();
  }
}

const std::shared_ptr<arrow::RecordBatch>& MemtableCursor::batch() const {
  const Source* const source = current().source;
  if (batch_ == nullptr || batch_source_ != source) {
    auto [at, fresh] = projected_.try_emplace(source);
    if (fresh && source->kind == RowKind::kUpsert) {
      arrow::ArrayVector arrays;
      for (const int column : columns_) arrays.push_back(source->rows->column(column));
      at->second = arrow::RecordBatch::Make(projected_schema_, source->rows->num_rows(),
                                            std::move(arrays));
    }
    batch_source_ = source;
    batch_ = &at->second;
  }
  return *batch_;
}

std::int64_t MemtableCursor::PlainRows(std::optional<std::string_view> limit,
                                       std::uint64_t as_of) {
  const Entry* const first = heap_.top().at;
  const Entry* const layer_end = heap_.top().end;
  const Source* const source = first->source;
  if (repeated_ || source->kind == RowKind::kDelete) return 0;

  const Entry* end = layer_end;
  if (limit) end = FirstAtLeast(first, end, *limit);
  if (const Position* second = heap_.second()) end = FirstAtLeast(first, end, second->at->key());

  const bool all_visible = source->max_commit <= as_of;
  const Entry* at = first;
  while (at < end && at->source == source && at->row == first->row + (at - first) &&
         (all_visible || at->commit() <= as_of) &&
         (source->distinct || at + 1 == layer_end || !SameKey(at[0], at[1]))) {
    ++at;
  }
  // The rows of the source are distinct among themselves, yet another one may follow the last.
  if (at > first && at < layer_end && SameKey(at[-1], at[0])) --at;
  return at - first;
}

Status MemtableCursor::Skip(std::int64_t count) {
  MoveTop(count);
  repeated_ = false;
  return {};
}

}  // namespace varve
