// SPDX-License-Identifier: Apache-2.0
#include "bench/upkeep/arrow_files.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/io/file.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>
#include <unistd.h>

#include <cmath>
#include <numeric>

#include "bench/slice.h"

namespace varve::bench {
namespace {

constexpr std::int64_t kGroupRows = 65536;
constexpr std::int64_t kPageRows = 4096;
constexpr std::int64_t kDictionaryBytes = 32 << 10;
constexpr double kSizeDifferenceMax = 0.03;

void Check(const arrow::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

template <typename T>
T Checked(arrow::Result<T> result) {
  Check(result.status());
  return *std::move(result);
}

std::shared_ptr<parquet::WriterProperties> RunProperties() {
  parquet::WriterProperties::Builder builder;
  return builder.created_by("Arrow")
      ->compression(parquet::Compression::ZSTD)
      ->compression_level(1)
      ->max_row_group_length(kGroupRows)
      ->max_rows_per_page(kPageRows)
      ->dictionary_pagesize_limit(kDictionaryBytes)
      ->enable_page_checksum()
      ->enable_write_page_index()
      ->enable_bloom_filter(kKey, {})
      ->build();
}

std::unique_ptr<parquet::arrow::FileReader> OpenFile(const std::string& path) {
  parquet::arrow::FileReaderBuilder builder;
  Check(builder.Open(Checked(arrow::io::ReadableFile::Open(path))));
  parquet::ArrowReaderProperties properties;
  properties.set_use_threads(false);
  properties.set_batch_size(kGroupRows);
  return Checked(builder.properties(properties)->Build());
}

template <typename Take>
void EachBatch(const std::string& path, const Take& take) {
  const auto reader = OpenFile(path);
  std::vector<int> groups(static_cast<std::size_t>(reader->num_row_groups()));
  std::iota(groups.begin(), groups.end(), 0);
  const auto batches = Checked(reader->GetRecordBatchReader(groups));
  for (auto batch : *batches) take(Checked(std::move(batch)));
}

}  // namespace

std::vector<BatchPtr> ReadParquet(const std::string& path) {
  std::vector<BatchPtr> rows;
  EachBatch(path, [&](BatchPtr batch) { rows.push_back(std::move(batch)); });
  return rows;
}

std::int64_t DecodeParquet(const Paths& paths) {
  std::int64_t rows = 0;
  for (const auto& path : paths) {
    EachBatch(path, [&](const BatchPtr& batch) { rows += batch->num_rows(); });
  }
  return rows;
}

std::uint64_t EncodeParquet(const std::string& path, const std::vector<BatchPtr>& groups,
                            bool sync) {
  const auto file = Checked(arrow::io::FileOutputStream::Open(path));
  parquet::ArrowWriterProperties::Builder settings;
  auto writer = Checked(parquet::arrow::FileWriter::Open(
      *groups.front()->schema(), arrow::default_memory_pool(), file, RunProperties(),
      settings.store_schema()->build()));
  for (const auto& group : groups) {
    const auto table = Checked(arrow::Table::FromRecordBatches({group}));
    Check(writer->WriteTable(*table, group->num_rows()));
  }
  Check(writer->Close());
  const auto bytes = Checked(file->Tell());
  if (sync && ::fdatasync(file->file_descriptor()) != 0) Die("cannot sync " + path);
  Check(file->Close());
  return static_cast<std::uint64_t>(bytes);
}

std::vector<BatchPtr> SortRows(const std::vector<BatchPtr>& batches) {
  const auto table = Checked(arrow::Table::FromRecordBatches(batches));
  const auto keys = Checked(arrow::Concatenate(table->GetColumnByName(kKey)->chunks()));
  const auto order = Checked(arrow::compute::SortIndices(*keys));
  const auto rows = Checked(table->CombineChunksToBatch());
  std::vector<BatchPtr> groups;
  for (std::int64_t at = 0; at < order->length(); at += kGroupRows) {
    const auto taken = Checked(arrow::compute::Take(rows, order->Slice(at, kGroupRows)));
    groups.push_back(taken.record_batch());
  }
  return groups;
}

void CheckSameSize(std::uint64_t ours, std::uint64_t arrows) {
  const double ratio = static_cast<double>(ours) / static_cast<double>(arrows);
  if (std::abs(ratio - 1) <= kSizeDifferenceMax) return;
  Die(fmt::format("varve wrote {} bytes and Arrow {}: not the same rows and properties", ours,
                  arrows));
}

}  // namespace varve::bench
