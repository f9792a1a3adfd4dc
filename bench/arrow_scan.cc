// SPDX-License-Identifier: Apache-2.0
#include "bench/arrow_scan.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>

#include <numeric>

#include "bench/slice.h"

namespace varve::bench {
namespace {

template <typename T>
T MustArrow(arrow::Result<T> result) {
  if (!result.ok()) Die(result.status().ToString());
  return *std::move(result);
}

// The places of top-level columns among the file's leaves: for columns that are not nested.
std::vector<int> Places(const parquet::arrow::FileReader& reader,
                        const std::vector<std::string>& columns) {
  const auto* schema = reader.parquet_reader()->metadata()->schema();
  std::vector<int> places;
  for (const auto& column : columns) {
    const int place = schema->ColumnIndex(column);
    if (place < 0) Die("the file has no column " + column);
    places.push_back(place);
  }
  return places;
}

std::int64_t ScanFile(const std::string& file, const std::vector<std::string>& columns) {
  parquet::arrow::FileReaderBuilder builder;
  if (const auto opened = builder.Open(MustArrow(arrow::io::ReadableFile::Open(file)));
      !opened.ok()) {
    Die(opened.ToString());
  }
  parquet::ArrowReaderProperties properties;
  properties.set_use_threads(true);
  properties.set_batch_size(65536);
  const auto reader = MustArrow(builder.properties(properties)->Build());
  std::vector<int> groups(static_cast<std::size_t>(reader->num_row_groups()));
  std::iota(groups.begin(), groups.end(), 0);
  const auto batches =
      MustArrow(columns.empty() ? reader->GetRecordBatchReader(groups)
                                : reader->GetRecordBatchReader(groups, Places(*reader, columns)));
  std::int64_t rows = 0;
  for (const auto& batch : *batches) rows += MustArrow(batch)->num_rows();
  return rows;
}

}  // namespace

std::int64_t ScanArrow(const std::vector<std::string>& files,
                       const std::vector<std::string>& columns) {
  std::int64_t rows = 0;
  for (const auto& file : files) rows += ScanFile(file, columns);
  return rows;
}

}  // namespace varve::bench
