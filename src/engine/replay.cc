// SPDX-License-Identifier: Apache-2.0
#include "engine/replay.h"

#include <fmt/format.h>

#include <utility>

#include "base/result.h"
#include "engine/commit_record.h"

namespace varve {
namespace {

Status ReplayPart(const DecodedPart& part, CommitNumber number, const ManifestState& state,
                  Generation* into) {
  const TableState* table = state.FindTable(part.table_id);
  if (table == nullptr || table->schema_id != part.schema_id) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("commit {} writes table {} with schema {}, which the manifest does not "
                            "have",
                            number.value, part.table_id, part.schema_id));
  }
  VARVE_ASSIGN(auto batch, DecodePart(part, *table->schema));
  into->memtables.at(table->id)->Insert(std::move(batch), number.value);
  return {};
}

Result<std::optional<Replayed>> ReplayCommit(const LogUnit& unit, const ManifestState& state,
                                             CommitNumber last, Generation* into) {
  VARVE_ASSIGN(const DecodedCommit commit, DecodeCommit(unit.records));
  const CommitNumber number = commit.header.commit;
  if (number <= state.commit) return std::nullopt;
  if (number.value != last.value + 1) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("commit {} follows commit {}", number.value, last.value));
  }
  for (const DecodedPart& part : commit.parts) {
    VARVE_TRY(ReplayPart(part, number, state, into));
  }
  return Replayed{{number, commit.header.time}, commit.producer};
}

}  // namespace

std::shared_ptr<Generation> NewGeneration(const ManifestState& state, Executor* executor,
                                          const std::shared_ptr<MemoryBudget>& memory) {
  auto generation = std::make_shared<Generation>();
  generation->log_start = state.log_floor;
  for (const auto& [name, table] : state.tables) {
    generation->memtables[table->id] = 
        std::make_shared<Memtable>(table->schema, executor, memory);
  }
  return generation;
}

Result<std::optional<Replayed>> ReplayUnit(const LogUnit& unit, const std::string& where,
                                           const ManifestState& state, CommitNumber last,
                                           Generation* into) {
  auto replayed = ReplayCommit(unit, state, last, into);
  if (replayed) return replayed;
  return std::unexpected(
      replayed.error().Within(fmt::format("log of '{}', LSN {}", where, unit.lsn.value)));
}

}  // namespace varve
