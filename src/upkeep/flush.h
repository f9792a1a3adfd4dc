// SPDX-License-Identifier: Apache-2.0
// Flush: turns the sealed memtable of a table into runs at level 0, every version kept: the newest
// of each key in one run, and those before, if any, in another, which is hidden from every reader
// that sees the newest ones. So rows that are written again and again cost a scan of now nothing.
// Publishing is the engine's work, in one manifest edit with the new log floor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/object_store.h"
#include "memtable/memtable.h"
#include "run/run_meta.h"
#include "run/run_writer.h"
#include "varve/error.h"

namespace varve {

// Names of a run's objects: data/<table>/<20 digits>.parquet and .../_deletes/<20 digits>.parquet,
// where <table> is RunFolder.
// The id in a name that one of these two gives; nothing for any other name.
std::optional<std::uint64_t> RunIdOf(std::string_view name);
std::string RunDataName(std::string_view table, std::uint64_t run_id);
std::string RunDeletesName(std::string_view table, std::uint64_t run_id);
// The table's name; of an encrypted database, whose names are secret, its id.
std::string RunFolder(std::string_view table_name, std::uint32_t table_id, bool encrypted);

// Into how many rows flushes cut their runs, in the whole process. Tests alone change it, so that a
// few rows are several row groups: while no database is open, since nothing guards it.
struct FlushCuts {
  std::int64_t row_group_rows = kRowGroupRows;
  std::int64_t piece_rows_max = kPieceRowsMax;
};
FlushCuts& CutsOfFlushes();

// What a flush may take of memory beside its memtable, and who reads its runs.
struct FlushRoom {
  std::uint64_t row_group_bytes_max = kRowGroupBytesMax;
  std::int64_t piece_rows_max = kPieceRowsMax;
  std::uint64_t piece_bytes = kPieceBytes;
  std::shared_ptr<const RunMemory> memory = nullptr;  // null: nobody counts
};

// Needs a memtable with at least one row that no longer receives any. One run or two; their ids are
// `next_run_id`, which is counted up. After an error nothing is left, as RunWriter says.
Result<std::vector<std::shared_ptr<const RunMeta>>> FlushMemtable(
    ObjectStore* store, const Memtable& memtable, std::string_view table_name,
    std::uint32_t table_id, std::uint32_t schema_id, std::uint64_t* next_run_id,
    bool encrypted = false, const FlushRoom& room = {});

}  // namespace varve
