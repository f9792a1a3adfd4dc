// SPDX-License-Identifier: Apache-2.0
#include "upkeep/flush.h"

#include <numeric>
#include <utility>
#include <vector>

#include <arrow/type.h>
#include <fmt/format.h>

#include "base/check.h"
#include "base/result.h"
#include "run/run_writer.h"

namespace varve {

std::string RunDataName(std::string_view table, std::uint64_t run_id) {
  return fmt::format("data/{}/{:020}.parquet", table, run_id);
}

std::string RunDeletesName(std::string_view table, std::uint64_t run_id) {
  return fmt::format("data/{}/deletes/{:020}.parquet", table, run_id);
}

Result<std::shared_ptr<const RunMeta>> FlushMemtable(ObjectStore* store, const Memtable& memtable,
                                                     std::string_view table_name,
                                                     std::uint32_t table_id,
                                                     std::uint32_t schema_id,
                                                     std::uint64_t run_id) {
  const auto rows = memtable.rows();
  VARVE_CHECK(rows > 0);
  const TableSchema& schema = *memtable.schema();
  std::vector<int> columns(static_cast<std::size_t>(schema.schema()->num_fields()));
  std::iota(columns.begin(), columns.end(), 0);
  const auto source = memtable.NewCursor(columns, KeyBounds{});
  const RunTarget target{.id = run_id,
                         .table_id = table_id,
                         .schema_id = schema_id,
                         .level = 0,
                         .data_name = RunDataName(table_name, run_id),
                         .deletes_name = RunDeletesName(table_name, run_id)};
  auto meta = WriteRun(store, schema, source.get(), target);
  if (!meta) {
    return std::unexpected(
        meta.error().Within(fmt::format("flush of table {} to run {}", table_name, run_id)));
  }
  // Every version of every row is in the run, and the memtable got none meanwhile.
  VARVE_CHECK(meta->data.rows + meta->deletes.rows == rows && memtable.rows() == rows);
  return std::make_shared<const RunMeta>(*std::move(meta));
}

}  // namespace varve
