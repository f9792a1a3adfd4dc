// SPDX-License-Identifier: Apache-2.0
// Layers: sorted references to rows, and the batches that they refer to.
//
// A Source is a batch with the keys and commits of its rows. A Layer is a sorted array of entries,
// (key ascending, commit descending), each one row of one of its sources. Both are immutable.
// Merging layers moves no row, with one exception: a layer made of very many very small batches
// (a program that commits row by row) gathers them into one batch, since an Arrow batch of one row
// costs some hundred bytes a column and as much time to read as one of a thousand.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "columns/key_codec.h"
#include "columns/table_schema.h"
#include "columns/write_batch.h"

namespace varve {

struct Source {
  RowKind kind = RowKind::kUpsert;
  std::shared_ptr<arrow::RecordBatch> rows;  // table schema; null for deletes
  EncodedKeys keys;                          // one per row
  std::uint64_t min_commit = 0;
  std::uint64_t max_commit = 0;
  std::vector<std::uint64_t> commits;  // one per row; empty when all are max_commit
  bool distinct = true;                // no two rows have the same key
  std::uint64_t bytes = 0;             // of memory, all of the above
};

struct Entry {
  std::uint64_t prefix = 0;  // KeyPrefix of the key: settles most comparisons in one load
  const Source* source = nullptr;
  std::int64_t row = 0;

  std::string_view key() const { return source->keys[row]; }
  std::uint64_t commit() const {
    return source->commits.empty() ? source->max_commit
                                   : source->commits[static_cast<std::size_t>(row)];
  }
};

struct Layer {
  std::vector<Entry> entries;
  std::vector<std::shared_ptr<const Source>> sources;  // of the entries; each in one layer only
  std::uint64_t min_commit = 0;                        // of the entries
  std::uint64_t max_commit = 0;
  // The one that waits behind this one; guarded by the memtable's layers_mutex_ (memtable.h).
  mutable std::shared_ptr<const Layer> next_waiting;

  std::uint64_t bytes() const;
};
using LayerPtr = std::shared_ptr<const Layer>;

// A sorted batch on its way into a memtable, whose commit is not known yet.
struct NewRows {
  std::shared_ptr<Layer> layer;  // null: no rows
  Source* source = nullptr;      // the layer's only one
};

inline bool SameKey(const Entry& a, const Entry& b) {
  return a.prefix == b.prefix && a.key() == b.key();
}

// The order of versions: key ascending, commit descending.
struct EntryBefore {
  bool operator()(const Entry& a, const Entry& b) const {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    const int order = a.key().compare(b.key());
    return order != 0 ? order < 0 : a.commit() > b.commit();
  }
};

// The first entry in [begin, end), which is sorted, whose key is >= `key`. Gallops from `begin`: a
// near answer is found in few steps.
const Entry* FirstAtLeast(const Entry* begin, const Entry* end, std::string_view key);

NewRows PrepareRows(WriteBatch batch);
// The layer of these rows, of which there are some. Needs no memory.
LayerPtr AtCommit(NewRows rows, std::uint64_t commit) noexcept;
LayerPtr MergeLayers(const TableSchema& schema, const std::vector<LayerPtr>& layers);

}  // namespace varve
