// SPDX-License-Identifier: Apache-2.0
#include "memtable/layer.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "columns/gather.h"
#include "columns/packed_rows.h"
#include "columns/plain_layout.h"

namespace varve {
namespace {

// What Arrow itself takes, measured with one-row batches: objects, control blocks, and buffers
// rounded up to 64 bytes. Counted so that the memory budget holds for small commits too.
constexpr std::uint64_t kSourceOverheadBytes = 512;
constexpr std::uint64_t kColumnOverheadBytes = 448;

// A merged layer gathers its rows into one batch when it has at least kGatherRowsMin rows, more
// than kGatherSourcesMin sources, and fewer than kSourceRowsMin rows a source. So a row is gathered
// once, and at most 7 * 64 + 7 * 8 + 7 batches of one row wait for it; of a few rows more, where a
// task does it (tiers.h).
constexpr std::size_t kGatherRowsMin = 512;
constexpr std::size_t kGatherSourcesMin = 16;
constexpr std::size_t kSourceRowsMin = 256;

std::uint64_t SourceBytes(const Source& source) {
  std::uint64_t bytes = kSourceOverheadBytes + source.keys.memory_bytes() +
                        source.commits.capacity() * sizeof(std::uint64_t);
  if (source.rows != nullptr) {
    // Of packed rows as if they were unpacked already: what was counted may not change later.
    const auto columns = static_cast<std::uint64_t>(source.rows->num_columns());
    const auto* const packed = PackedRows::Of(*source.rows);
    bytes += packed ? packed->layout().BodyBytes(packed->bytes()) : BatchBytes(*source.rows);
    bytes += columns * kColumnOverheadBytes;
  }
  return bytes;
}

// Whether each range begins behind the one before it, as of rows that come in the order of keys.
bool InOrder(const std::vector<Entry>& entries, const std::vector<std::size_t>& ends) {
  return std::ranges::all_of(ends, [&](std::size_t end) {
    return end == entries.size() || EntryBefore()(entries[end - 1], entries[end]);
  });
}

// Merges neighbours pair by pair until one sorted range is left; `ends` are the ends of the sorted
// ranges. Ranges that do not overlap cost a comparison a row that is always predicted.
void MergeRanges(std::vector<Entry>* entries, std::vector<std::size_t> ends) {
  if (InOrder(*entries, ends)) return;
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

bool Ascending(const EncodedKeys& keys) {
  for (std::int64_t row = 1; row < keys.size(); ++row) {
    if (keys[row - 1] >= keys[row]) return false;
  }
  return true;
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

// The entries' rows as slices of the bytes they are packed in; nothing when one of them is not.
std::optional<std::vector<PlainSlice>> PackedSlices(const std::vector<Entry>& entries) {
  std::vector<PlainSlice> slices;
  slices.reserve(entries.size());
  for (const Entry& entry : entries) {
    const auto* const packed = PackedRows::Of(*entry.source->rows);
    if (packed == nullptr) return std::nullopt;
    const auto* const bytes = &packed->bytes();
    if (!slices.empty() && slices.back().bytes == bytes &&
        slices.back().start + slices.back().length == entry.row) {
      ++slices.back().length;
    } else {
      slices.push_back({bytes, entry.row, 1});
    }
  }
  return slices;
}

Result<std::shared_ptr<arrow::RecordBatch>> GatherRows(const std::shared_ptr<arrow::Schema>& schema,
                                                       const std::vector<Entry>& entries) {
  if (const auto layout = PlainLayout::Of(schema)) {
    if (const auto packed = PackedSlices(entries)) return layout->Gather(*packed, schema);
  }
  std::vector<RowSlice> slices;
  for (const Entry& entry : entries) AddRow(entry.source->rows, entry.row, &slices);
  return Gather(schema, slices);
}

// One source with copies of the entries' rows, in their order. Null when Arrow cannot build such a
// batch (for example, text that together passes 2 GiB): the rows then stay where they are.
std::shared_ptr<Source> GatherSource(const TableSchema& schema, RowKind kind,
                                     const std::vector<Entry>& entries) {
  auto source = std::make_shared<Source>();
  source->kind = kind;
  std::string key_bytes;
  std::vector<std::uint64_t> offsets;
  offsets.reserve(entries.size() + 1);
  offsets.push_back(0);
  source->commits.reserve(entries.size());
  for (const Entry& entry : entries) {
    const std::string_view key = entry.key();
    source->distinct = source->distinct && (offsets.size() == 1 || key_bytes.compare(
        offsets[offsets.size() - 2], std::string::npos, key) != 0);
    key_bytes.append(key);
    offsets.push_back(key_bytes.size());
    source->commits.push_back(entry.commit());
  }
  const auto [min_commit, max_commit] = std::ranges::minmax(source->commits);
  source->min_commit = min_commit;
  source->max_commit = max_commit;
  source->keys = EncodedKeys(std::move(key_bytes), std::move(offsets));
  if (kind == RowKind::kUpsert) {
    auto rows = GatherRows(schema.schema(), entries);
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
    const auto of_kind = [kind](const Entry& entry) { return entry.source->kind == kind; };
    const auto count = std::ranges::count_if(layer->entries, of_kind);
    if (count == 0) continue;
    std::vector<Entry> entries;
    const bool all = count == std::ssize(layer->entries);
    if (!all) std::ranges::copy_if(layer->entries, std::back_inserter(entries), of_kind);
    auto& source = gathered[static_cast<std::size_t>(kind)];
    source = GatherSource(schema, kind, all ? layer->entries : entries);
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

NewRows PrepareRows(WriteBatch batch) {
  const std::int64_t rows = batch.keys.size();
  if (rows == 0) return {};
  VARVE_CHECK(batch.kind == RowKind::kDelete || batch.rows->num_rows() == rows);
  auto source = std::make_shared<Source>();
  source->kind = batch.kind;
  source->keys = std::move(batch.keys);
  if (batch.kind == RowKind::kUpsert) source->rows = std::move(batch.rows);
  source->bytes = SourceBytes(*source);

  auto layer = std::make_shared<Layer>();
  layer->entries.reserve(static_cast<std::size_t>(rows));
  const auto add = [&](std::int64_t row) {
    layer->entries.push_back({KeyPrefix(source->keys[row]), source.get(), row});
  };
  if (Ascending(source->keys)) {
    for (std::int64_t row = 0; row < rows; ++row) add(row);
  } else {
    std::ranges::for_each(SortedRows(source->keys), add);
  }
  layer->sources.push_back(source);
  return {std::move(layer), source.get()};
}

LayerPtr AtCommit(NewRows rows, std::uint64_t commit) noexcept {
  rows.source->min_commit = rows.source->max_commit = commit;
  rows.layer->min_commit = rows.layer->max_commit = commit;
  return std::move(rows.layer);
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
