// SPDX-License-Identifier: Apache-2.0
// The bytes of one commit in the log: one unit of 1 + 2 * parts records, and one more when there is
// a producer; little-endian.
//
//   record 0, commit header (24 bytes)
//     0  u8   format: 1 when flags is 0, else 2
//     1  u8   flags: 1, the last record is a producer's; no others yet
//     2  u16  parts: tables' batches in this commit, at least 1; with a producer 0 too
//     4  u32  0
//     8  u64  commit number
//    16  i64  wall time, microseconds
//   record 2k+1, part header (24 bytes)
//     0  u32  table id
//     4  u32  schema id
//     8  u8   kind: 0 upsert, 1 delete
//     9  u8[7] 0
//    16  u64  rows
//   record 2k+2, part body: columns/batch_codec.h; the table's schema, or its key schema (delete)
//   last record, producer
//     0  u64  sequence
//     8  ...  id, to the end of the record
//
// A commit is one unit, so the log keeps it whole or not at all. The log checks every byte; what
// is checked here is that the bytes mean something: anything else is Corruption.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "columns/write_batch.h"
#include "varve/log.h"
#include "varve/error.h"
#include "varve/options.h"
#include "varve/types.h"

namespace arrow {
class Buffer;
}  // namespace arrow

namespace varve {

inline constexpr std::size_t kCommitHeaderBytes = 24;
inline constexpr std::size_t kPartHeaderBytes = 24;
inline constexpr std::size_t kPartsMax = 65535;

struct CommitHeader {
  CommitNumber commit;
  WallTime time;
  std::uint16_t parts = 1;  // at most kPartsMax
  bool producer = false;
};
std::array<char, kCommitHeaderBytes> EncodeCommitHeader(const CommitHeader& header);
std::string EncodeProducer(const Producer& producer);

// One table's batch, ready for the log. Made outside of every lock.
struct CommitPart {
  std::uint32_t table_id = 0;
  std::uint32_t schema_id = 0;
  RowKind kind = RowKind::kUpsert;
  std::uint64_t rows = 0;
  std::array<char, kPartHeaderBytes> header;
  std::shared_ptr<arrow::Buffer> body;
};
Result<CommitPart> EncodePart(std::uint32_t table_id, std::uint32_t schema_id,
                              const WriteBatch& batch);

struct DecodedPart {
  std::uint32_t table_id = 0;
  std::uint32_t schema_id = 0;
  RowKind kind = RowKind::kUpsert;
  std::uint64_t rows = 0;
  std::string_view body;  // lent from the unit
};
struct DecodedCommit {
  CommitHeader header;
  std::vector<DecodedPart> parts;
  std::optional<Producer> producer;
};
Result<DecodedCommit> DecodeCommit(LogRecords records);

// The batch of a decoded part with its keys; `schema` is the table's.
Result<WriteBatch> DecodePart(const DecodedPart& part, const TableSchema& schema);

}  // namespace varve
