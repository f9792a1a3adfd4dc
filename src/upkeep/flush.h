// SPDX-License-Identifier: Apache-2.0
// Flush: turns the sealed memtable of a table into a run at level 0, every version kept.
// Publishing it is the engine's work, in one manifest edit with the new log floor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "files/object_store.h"
#include "memtable/memtable.h"
#include "run/run_meta.h"
#include "varve/error.h"

namespace varve {

// Object names of a run: data/<table>/<20 digits>.parquet, data/<table>/deletes/<20 digits>.parquet
std::string RunDataName(std::string_view table, std::uint64_t run_id);
std::string RunDeletesName(std::string_view table, std::uint64_t run_id);

// Needs a memtable with at least one row that no longer receives any.
Result<std::shared_ptr<const RunMeta>> FlushMemtable(ObjectStore* store, const Memtable& memtable,
                                                     std::string_view table_name,
                                                     std::uint32_t table_id,
                                                     std::uint32_t schema_id,
                                                     std::uint64_t run_id);

}  // namespace varve
