// SPDX-License-Identifier: Apache-2.0
// RunFooter: what varve adds to a Parquet footer's key-value metadata (docs/format.md). Files of
// before there were pieces have none of the two entries; there a row group is one piece.
//
//   varve.format           "1"
//   varve.row_group_keys   the encoded first key of each row group: hexadecimal, joined by ','
//   varve.piece_rows       for each row group, how many rows a piece of it has (the last may have
//                          fewer): decimal, joined by ','
//   varve.piece_keys       the encoded first key of each piece that begins no row group: as above
//   varve.key_filters      encrypted files alone: how many bytes the filter of each row group's
//                          keys has (key_filters.h); they stand one after the other where the
//                          row groups end: decimal, joined by ','
//   varve.block_crc32c     CRC-32C of each block of kChecksumBlockBytes of the data region, the
//                          last one shorter: 32-bit little-endian numbers, base64
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "varve/error.h"

namespace arrow {
class KeyValueMetadata;
}  // namespace arrow

namespace varve {

inline constexpr char kRunFormat[] = "1";

struct RunFooter {
  std::vector<std::string> row_group_keys;
  std::vector<std::int64_t> piece_rows;
  std::vector<std::string> piece_keys;
  std::vector<std::int64_t> key_filters;
  std::vector<std::uint32_t> block_crc32c;

  std::shared_ptr<arrow::KeyValueMetadata> ToMetadata() const;
  // Corruption when an entry is missing or not as above; Invalid/kUnsupportedFormat when the format
  // is a later one. `object` is for the message.
  static Result<RunFooter> Parse(const arrow::KeyValueMetadata* metadata,
                                 const std::string& object);
};

}  // namespace varve
