// SPDX-License-Identifier: Apache-2.0
#include "upkeep/flush.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
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
  return fmt::format("data/{}/_deletes/{:020}.parquet", table, run_id);
}

std::optional<std::uint64_t> RunIdOf(std::string_view name) {
  constexpr std::string_view kSuffix = ".parquet";
  const std::size_t slash = name.rfind('/');
  if (!name.starts_with("data/") || !name.ends_with(kSuffix)) return std::nullopt;
  std::string_view digits = name.substr(slash + 1);
  digits.remove_suffix(kSuffix.size());
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  if (digits.size() != 20 || error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return id;
}

std::string RunFolder(std::string_view table_name, std::uint32_t table_id, bool encrypted) {
  return encrypted ? fmt::format("{:010}", table_id) : std::string(table_name);
}

FlushCuts& CutsOfFlushes() {
  static FlushCuts cuts;
  return cuts;
}

namespace {

using Metas = std::vector<std::shared_ptr<const RunMeta>>;

// The versions of a memtable, each to the run where it belongs.
class VersionSorter {
 public:
  VersionSorter(ObjectStore* store, const TableSchema& schema, const RunTarget& newest,
                const RunTarget& older)
      : store_(store), newest_(store, schema, newest), older_(store, schema, older) {}

  Status Add(const VersionCursor& version) {
    if (newest_.empty() || version.key() != key_) {
      key_ = version.key();
      commit_ = version.commit();
      return newest_.Add(version);
    }
    hidden_from_ = std::max(hidden_from_, commit_);  // that of the newest version of this key
    return older_.Add(version);
  }

  Result<Metas> Finish() {
    VARVE_ASSIGN(auto newest, newest_.Finish());
    Metas runs = {std::make_shared<const RunMeta>(newest)};
    if (older_.empty()) return runs;
    auto older = older_.Finish();
    if (!older) return std::unexpected(Undo(newest, older.error()));
    older->hidden_from = hidden_from_;
    runs.push_back(std::make_shared<const RunMeta>(*std::move(older)));
    return runs;
  }

 private:
  Error Undo(const RunMeta& run, const Error& error) {
    std::string message = error.message();
    for (const std::string& name : {run.data.name, run.deletes.name}) {
      if (name.empty()) continue;
      if (const auto removed = store_->Delete(name); !removed) {
        message += "; besides, " + store_->Describe(name) +
                   " could not be removed and belongs to no run: " + removed.error().message();
      }
    }
    return Error(error.kind(), std::move(message), error.reason());
  }

  ObjectStore* const store_;
  RunWriter newest_;
  RunWriter older_;
  std::string key_;                 // of the version before
  std::uint64_t commit_ = 0;        // of the newest version of key_
  std::uint64_t hidden_from_ = 0;
};

}  // namespace

Result<Metas> FlushMemtable(ObjectStore* store, const Memtable& memtable,
                            std::string_view table_name, std::uint32_t table_id,
                            std::uint32_t schema_id, std::uint64_t* next_run_id,
                            bool encrypted, const FlushRoom& room) {
  const auto rows = memtable.rows();
  VARVE_CHECK(rows > 0);
  const TableSchema& schema = *memtable.schema();
  std::vector<int> columns(static_cast<std::size_t>(schema.schema()->num_fields()));
  std::iota(columns.begin(), columns.end(), 0);
  const std::string folder = RunFolder(table_name, table_id, encrypted);
  const auto target = [&] {
    const std::uint64_t id = (*next_run_id)++;
    return RunTarget{.id = id,
                     .table_id = table_id,
                     .schema_id = schema_id,
                     .level = 0,
                     .data_name = RunDataName(folder, id),
                     .deletes_name = RunDeletesName(folder, id),
                     .encrypted = encrypted,
                     .row_group_rows = CutsOfFlushes().row_group_rows,
                     .row_group_bytes_max = room.row_group_bytes_max,
                     .piece_rows_max = std::min(CutsOfFlushes().piece_rows_max,
                                                room.piece_rows_max),
                     .piece_bytes = room.piece_bytes,
                     .memory = room.memory};
  };
  const RunTarget newest = target(), older = target();
  const auto write = [&]() -> Result<Metas> {
    VersionSorter sorter(store, schema, newest, older);
    const auto source = memtable.NewCursor(columns, KeyBounds{});
    VARVE_TRY(source->Next());
    while (source->valid()) {
      VARVE_TRY(sorter.Add(*source));
      VARVE_TRY(source->Next());
    }
    return sorter.Finish();
  };
  auto runs = write();
  if (!runs) {
    return std::unexpected(
        runs.error().Within(fmt::format("flush of table {} to run {}", table_name, newest.id)));
  }
  // Every version of every row is in the runs, and the memtable got none meanwhile.
  std::uint64_t written = 0;
  for (const auto& run : *runs) written += run->data.rows + run->deletes.rows;
  VARVE_CHECK(written == rows && memtable.rows() == rows);
  return runs;
}

}  // namespace varve
