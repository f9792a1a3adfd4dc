// SPDX-License-Identifier: Apache-2.0
#include "memtable/layer.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/check.h"
#include "columns/gather.h"

namespace varve {
namespace {

// What Arrow itself takes, measured with one-row batches: objects, control blocks, and buffers
// rounded up to 64 bytes. Counted so that the memory budget holds for small commits too.
constexpr std::uint64_t kSourceOverheadBytes = 512;
constexpr std::uint64_t kColumnOverheadBytes = 448;

// A merged layer gathers its rows into one batch when it has at least kGatherRowsMin rows, more
// than kGatherSourcesMin sources, and fewer than kSourceRowsMin rows a source. So a row is gathered
// once, and at most 7 * 64 + 7 * 8 + 7 batches of a row or few wait for it.
constexpr std::size_t kGatherRowsMin = 512;
constexpr std::size_t kGatherSourcesMin = 16;
constexpr std::size_t kSourceRowsMin = 256;

std::uint64_t SourceBytes(const Source& source) {
  std::uint64_t bytes = kSourceOverheadBytes + source.keys.memory_bytes() +
                        source.commits.capacity() * sizeof(std::uint64_t);
  if (source.rows != nullptr) {
    const auto columns = static_cast<std::uint64_t>(source.rows->num_columns());
    bytes += BatchBytes(*source.rows) + columns * kColumnOverheadBytes;
  }
  return bytes;
}

// Merges neighbours pair by pair until one sorted range is left; `ends` are the ends of the sorted
// ranges. Ranges that do not overlap cost a comparison a row that is always predicted.
void MergeRanges(std::vector<Entry>* entries, std::vector<std::size_t> ends) {
  std::vector<Entry> other(entries->size());
  while (ends.size() > 1) {
    std::vector<std::size_t> merged_ends;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < ends.size(); i += 2) {
      const std::size_t middle = ends[i];
      const std::size_t end = i + 1 < ends.size() ? ends[i + 1] : middle;
      const auto at = entries->begin();
      std::merge(at + begin, at + middle, at + middle, at + end, other.begin() + begin,
                 EntryBefore());
      merged_ends.push_back(end);
      begin = end;
    }
    entries->swap(other);
    ends = std::move(merged_ends);
  }
}

std::size_t SharedPrefix(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// The rows in the order of their keys. Keys of one batch often begin alike (a day, a customer), so
// what is compared first are the eight bytes behind what all of them share.
std::vector<std::int64_t> SortedRows(const EncodedKeys& keys) {
  std::size_t shared = keys[0].size();
  for (std::int64_t row = 1; row < keys.size() && shared > 0; ++row) {
    shared = std::min(shared, SharedPrefix(keys[0].substr(0, shared), keys[row]));
  }
  std::vector<std::pair<std::uint64_t, std::int64_t>> order;
  order.reserve(static_cast<std::size_t>(keys.size()));
  for (std::int64_t row = 0; row < keys.size(); ++row) {
    order.emplace_back(KeyPrefix(keys[row].substr(shared)), row);
  }
  const auto before = [&keys](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : keys[a.second] < keys[b.second];
  };
  if (!std::ranges::is_sorted(order, before)) std::ranges::sort(order, before);
  std::vector<std::int64_t> rows;
  rows.reserve(order.size());
  for (const auto& [prefix, row] : order) rows.push_back(row);
  return rows;
}

bool WorthGathering(const Layer& layer) {
  const std::size_t rows = layer.entries.size();
  const std::size_t sources = layer.sources.size();
  return rows >= kGatherRowsMin && sources > kGatherSourcesMin && rows / sources < kSourceRowsMin;
}

// One source with copies of the entries' rows, in their order. Null when Arrow cannot build such a
// batch (for example, text that together passes 2 GiB): the rows then stay where they are.
std::shared_ptr<Source> GatherSource(const TableSchema& schema, RowKind kind,
                                     const std::vector<Entry>& entries) {
  auto source = std::make_shared<Source>();
  source->kind = kind;
  std::string key_bytes;
  std::vector<std::uint64_t> offsets = {0};
  std::vector<RowSlice> slices;
  for (const Entry& entry : entries) {
    const std::string_view key = entry.key();
    source->distinct = source->distinct && (offsets.size() == 1 || key_bytes.compare(
        offsets[offsets.size() - 2], std::string::npos, key) != 0);
    key_bytes.append(key);
    offsets.push_back(key_bytes.size());
    source->commits.push_back(entry.commit());
    if (kind == RowKind::kUpsert) AddRow(entry.source->rows, entry.row, &slices);
  }
  const auto [min_commit, max_commit] = std::ranges::minmax(source->commits);
  source->min_commit = min_commit;
  source->max_commit = max_commit;
  source->keys = EncodedKeys(std::move(key_bytes), std::move(offsets));
  if (kind == RowKind::kUpsert) {
    auto rows = Gather(schema.schema(), slices);
    if (!rows) return nullptr;
    source->rows = *std::move(rows);
    VARVE_CHECK(source->rows->num_rows() == source->keys.size());
  }
  source->bytes = SourceBytes(*source);
  return source;
}

void GatherSources(const TableSchema& schema, Layer* layer) {
  constexpr std::array kKinds = {RowKind::kUpsert, RowKind::kDelete};
  std::array<std::shared_ptr<Source>, 2> gathered;
  for (const RowKind kind : kKinds) {
    std::vector<Entry> entries;
    std::copy_if(layer->entries.begin(), layer->entries.end(), std::back_inserter(entries),
                 [kind](const Entry& entry) { return entry.source->kind == kind; });
    if (entries.empty()) continue;
    auto& source = gathered[static_cast<std::size_t>(kind)];
    source = GatherSource(schema, kind, entries);
    if (source == nullptr) return;
  }
  std::array<std::int64_t, 2> rows = {0, 0};
  for (Entry& entry : layer->entries) {
    const auto kind = static_cast<std::size_t>(entry.source->kind);
    entry.source = gathered[kind].get();
    entry.row = rows[kind]++;
  }
  layer->sources.clear();
  for (auto& source : gathered) {
    if (source != nullptr) layer->sources.push_back(std::move(source));
  }
}

}  // namespace

std::uint64_t Layer::bytes() const {
  std::uint64_t bytes = sizeof(Layer) + entries.capacity() * sizeof(Entry);
  for (const auto& source : sources) bytes += source->bytes;
  return bytes;
}

const Entry* FirstAtLeast(const Entry* begin, const Entry* end, std::string_view key) {
  const std::uint64_t prefix = KeyPrefix(key);
  const auto below = [&](const Entry& entry) {
    return entry.prefix != prefix ? entry.prefix < prefix : entry.key() < key;
  };
  std::ptrdiff_t step = 1;
  while (step < end - begin && below(begin[step - 1])) {
    begin += step;
    step *= 2;
  }
  return std::partition_point(begin, begin + std::min(step, end - begin), below);
}

LayerPtr MakeLayer(WriteBatch batch, std::uint64_t commit) {
  auto source = std::make_shared<Source>();
  source->kind = batch.kind;
  source->keys = std::move(batch.keys);
  source->min_commit = source->max_commit = commit;
  if (batch.kind == RowKind::kUpsert) source->rows = std::move(batch.rows);
  source->bytes = SourceBytes(*source);

  auto layer = std::make_shared<Layer>();
  const auto rows = SortedRows(source->keys);
  layer->entries.reserve(rows.size());
  for (const std::int64_t row : rows) {
    layer->entries.push_back({KeyPrefix(source->keys[row]), source.get(), row});
  }
  layer->sources.push_back(std::move(source));
  layer->min_commit = layer->max_commit = commit;
  return layer;
}

LayerPtr MergeLayers(const TableSchema& schema, const std::vector<LayerPtr>& layers) {
  auto merged = std::make_shared<Layer>();
  std::size_t rows = 0;
  merged->min_commit = layers.front()->min_commit;
  for (const auto& layer : layers) {
    rows += layer->entries.size();
    merged->min_commit = std::min(merged->min_commit, layer->min_commit);
    merged->max_commit = std::max(merged->max_commit, layer->max_commit);
  }
  merged->entries.reserve(rows);
  std::vector<std::size_t> ends;
  for (const auto& layer : layers) {
    merged->entries.insert(merged->entries.end(), layer->entries.begin(), layer->entries.end());
    merged->sources.insert(merged->sources.end(), layer->sources.begin(), layer->sources.end());
    ends.push_back(merged->entries.size());
  }
  MergeRanges(&merged->entries, std::move(ends));
  if (WorthGathering(*merged)) GatherSources(schema, merged.get());
  return merged;
}

}  // namespace varve
