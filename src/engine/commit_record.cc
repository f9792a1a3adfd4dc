// SPDX-License-Identifier: Apache-2.0
#include "engine/commit_record.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/result.h"
#include "columns/batch_codec.h"
#include "manifest/producer_marks.h"

namespace varve {
namespace {

constexpr std::uint8_t kFormat = 1;           // without flags
constexpr std::uint8_t kFormatWithFlags = 2;  // a varve that knows none refuses these commits
constexpr std::uint8_t kProducerFlag = 1;

std::unexpected<Error> Damaged(std::string what) {
  return Fail(ErrorKind::kCorruption, "log unit is no commit: " + std::move(what));
}

Result<DecodedPart> DecodePartHeader(std::string_view bytes) {
  if (bytes.size() != kPartHeaderBytes) {
    return Damaged(fmt::format("part header has {} bytes, expected {}", bytes.size(),
                               kPartHeaderBytes));
  }
  const auto kind = LoadLittle<std::uint8_t>(bytes.data() + 8);
  if (kind > static_cast<std::uint8_t>(RowKind::kDelete)) {
    return Damaged(fmt::format("part kind is {}, expected 0 or 1", kind));
  }
  return DecodedPart{.table_id = LoadLittle<std::uint32_t>(bytes.data()),
                     .schema_id = LoadLittle<std::uint32_t>(bytes.data() + 4),
                     .kind = static_cast<RowKind>(kind),
                     .rows = LoadLittle<std::uint64_t>(bytes.data() + 16),
                     .body = {}};
}

// What the two formats share; `format` is checked.
Result<CommitHeader> DecodeCommitHeader(std::string_view bytes) {
  const auto format = LoadLittle<std::uint8_t>(bytes.data());
  const auto flags = LoadLittle<std::uint8_t>(bytes.data() + 1);
  const bool known = format == kFormat || (format == kFormatWithFlags && flags == kProducerFlag);
  if (!known) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("log unit has commit format {} with flags {}, this version reads {} "
                            "and {} with flags {}: open the database with a newer varve",
                            format, flags, kFormat, kFormatWithFlags, kProducerFlag),
                ErrorReason::kUnsupportedFormat);
  }
  return CommitHeader{.commit = {LoadLittle<std::uint64_t>(bytes.data() + 8)},
                      .time = {LoadLittle<std::int64_t>(bytes.data() + 16)},
                      .parts = LoadLittle<std::uint16_t>(bytes.data() + 2),
                      .producer = format == kFormatWithFlags};
}

Result<Producer> DecodeProducer(std::string_view bytes) {
  if (bytes.size() < 8) return Damaged(fmt::format("producer has {} bytes", bytes.size()));
  Producer producer{.id = std::string(bytes.substr(8)),
                    .sequence = LoadLittle<std::uint64_t>(bytes.data())};
  if (auto sound = CheckProducerId(producer.id); !sound) return Damaged(sound.error().message());
  return producer;
}

}  // namespace

std::array<char, kCommitHeaderBytes> EncodeCommitHeader(const CommitHeader& header) {
  std::array<char, kCommitHeaderBytes> bytes{};
  StoreLittle<std::uint8_t>(bytes.data(), header.producer ? kFormatWithFlags : kFormat);
  StoreLittle<std::uint8_t>(bytes.data() + 1, header.producer ? kProducerFlag : 0);
  StoreLittle<std::uint16_t>(bytes.data() + 2, header.parts);
  StoreLittle<std::uint64_t>(bytes.data() + 8, header.commit.value);
  StoreLittle<std::int64_t>(bytes.data() + 16, header.time.micros);
  return bytes;
}

std::string EncodeProducer(const Producer& producer) {
  std::string bytes(8, '\0');
  StoreLittle<std::uint64_t>(bytes.data(), producer.sequence);
  return bytes + producer.id;
}

Result<CommitPart> EncodePart(std::uint32_t table_id, std::uint32_t schema_id,
                              const WriteBatch& batch) {
  CommitPart part{.table_id = table_id,
                  .schema_id = schema_id,
                  .kind = batch.kind,
                  .rows = static_cast<std::uint64_t>(batch.rows->num_rows()),
                  .header = {},
                  .body = {}};
  StoreLittle<std::uint32_t>(part.header.data(), table_id);
  StoreLittle<std::uint32_t>(part.header.data() + 4, schema_id);
  StoreLittle<std::uint8_t>(part.header.data() + 8, static_cast<std::uint8_t>(batch.kind));
  StoreLittle<std::uint64_t>(part.header.data() + 16, part.rows);
  VARVE_ASSIGN(part.body, EncodeBatch(*batch.rows));
  return part;
}

Result<DecodedCommit> DecodeCommit(LogRecords records) {
  if (records.empty() || records[0].bytes.size() != kCommitHeaderBytes) {
    return Damaged(fmt::format("commit header has {} bytes, expected {}",
                               records.empty() ? 0 : records[0].bytes.size(), kCommitHeaderBytes));
  }
  DecodedCommit commit;
  VARVE_ASSIGN(commit.header, DecodeCommitHeader(records[0].bytes));
  const bool producer = commit.header.producer;
  const std::size_t parts_end = 1 + 2 * std::size_t{commit.header.parts};
  const std::size_t expected = parts_end + (producer ? 1 : 0);
  if ((commit.header.parts == 0 && !producer) || records.size() != expected) {
    return Damaged(fmt::format("commit {} has {} parts and {} records, expected {}",
                               commit.header.commit.value, commit.header.parts, records.size(),
                               expected));
  }
  if (producer) {
    VARVE_ASSIGN(commit.producer, DecodeProducer(records.back().bytes));
  }
  for (std::size_t i = 1; i < parts_end; i += 2) {
    VARVE_ASSIGN(DecodedPart part, DecodePartHeader(records[i].bytes));
    part.body = records[i + 1].bytes;
    commit.parts.push_back(part);
  }
  return commit;
}

Result<WriteBatch> DecodePart(const DecodedPart& part, const TableSchema& schema) {
  const bool deletes = part.kind == RowKind::kDelete;
  VARVE_ASSIGN(auto rows,
               DecodeBatch(part.body, deletes ? schema.key_schema() : schema.schema()));
  if (static_cast<std::uint64_t>(rows->num_rows()) != part.rows) {
    return Damaged(fmt::format("part has {} rows, its header says {}", rows->num_rows(),
                               part.rows));
  }
  std::vector<int> columns = schema.key_columns();
  if (deletes) {
    for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<int>(i);
  }
  auto keys = schema.key_codec().Encode(*rows, columns, 0, rows->num_rows());
  if (!keys) return Damaged(keys.error().message());
  return WriteBatch{.kind = part.kind, .rows = std::move(rows), .keys = *std::move(keys)};
}

}  // namespace varve
