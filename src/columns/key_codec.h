// SPDX-License-Identifier: Apache-2.0
// Order-preserving key bytes: memcmp order of the bytes is the order of the keys.
//
// Each component is self-delimiting, so that a composite key is their concatenation and a prefix of
// the columns encodes to a byte prefix of the key. Component encodings (docs/format.md):
//   bool                          1 byte, 0 or 1
//   signed integers, date, time, timestamp, duration
//                                 big-endian, sign bit flipped
//   unsigned integers             big-endian
//   float16, float32, float64     big-endian IEEE bits; negative: all bits flipped, else sign bit
//                                 flipped. -0.0 is stored as +0.0 and every NaN as one quiet NaN,
//                                 which comes after +infinity: so -0.0 = 0.0 and NaN = NaN as keys.
//   decimal32/64/128/256          big-endian two's complement, sign bit flipped
//   fixed-size binary             the bytes
//   utf8, binary (and large, view forms)
//                                 0x00 becomes 0x00 0xFF, end is 0x00 0x00
//   dictionary                    as its values
// Anything else (nested, null, interval, extension of those) is no key type. An extension type is
// encoded as its storage.
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"

namespace arrow {
class Array;
class DataType;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

// Keys of the rows of a batch, back to back.
class EncodedKeys {
 public:
  EncodedKeys() = default;
  EncodedKeys(std::string bytes, std::vector<std::uint64_t> offsets)
      : bytes_(std::move(bytes)), offsets_(std::move(offsets)) {}
  std::int64_t size() const {
    return offsets_.empty() ? 0 : static_cast<std::int64_t>(offsets_.size()) - 1;
  }
  std::string_view operator[](std::int64_t i) const {
    const auto at = static_cast<std::size_t>(i);
    return std::string_view(bytes_).substr(offsets_[at], offsets_[at + 1] - offsets_[at]);
  }
  // Asks for the memory of a key that is wanted soon.
  void Prefetch(std::int64_t i) const {
    const auto at = static_cast<std::size_t>(i);
    __builtin_prefetch(offsets_.data() + at);
    // Where it is if all keys are as long.
    __builtin_prefetch(bytes_.data() + bytes_.size() / (offsets_.size() - 1) * at);
  }
  std::uint64_t memory_bytes() const { return bytes_.capacity() + offsets_.capacity() * 8; }

 private:
  std::string bytes_;
  std::vector<std::uint64_t> offsets_;  // size() + 1 of them
};

class KeyCodec {
 public:
  KeyCodec() = default;
  // Invalid when a type cannot be a key; the message names the column and type.
  static Result<KeyCodec> Make(const arrow::Schema& key_schema);

  // Keys of rows [offset, offset + length) of the columns at `columns` (as many as key columns, or
  // fewer for a prefix). Invalid when a value is null: names row (counted from the batch's start)
  // and column.
  Result<EncodedKeys> Encode(const arrow::RecordBatch& batch, const std::vector<int>& columns,
                             std::int64_t offset, std::int64_t length) const;

  // The key columns of these keys; Corruption on bytes that no Encode gives.
  Result<std::shared_ptr<arrow::RecordBatch>> Decode(
      const std::vector<std::string_view>& keys) const;
  // For people: values separated by ", "; never fails (hex when it cannot be decoded).
  std::string ToText(std::string_view key) const;

  // True when Parquet's own order of the key columns equals the order of the key bytes, so that
  // the file may carry sorting_columns.
  bool parquet_order() const { return parquet_order_; }

 private:
  std::shared_ptr<arrow::Schema> key_schema_;
  bool parquet_order_ = false;
};

// The first eight bytes of the key as a number, zeros after its end: if two prefixes differ, the
// keys are in the same order; if they are equal, nothing is known.
inline std::uint64_t KeyPrefix(std::string_view key) {
  std::uint64_t prefix = 0;
  if (key.size() >= sizeof prefix) {
    std::memcpy(&prefix, key.data(), sizeof prefix);  // one load, and no call
  } else {
    std::memcpy(&prefix, key.data(), key.size());
  }
  return __builtin_bswap64(prefix);
}

// The order of two keys by their bytes, given their prefixes: of short keys these and the sizes say
// all.
inline std::strong_ordering CompareKeys(std::uint64_t prefix_a, std::string_view a,
                                        std::uint64_t prefix_b, std::string_view b) {
  if (prefix_a != prefix_b) return prefix_a <=> prefix_b;
  if (a.size() <= sizeof prefix_a || b.size() <= sizeof prefix_b) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

// The smallest byte string greater than all that start with `prefix`; absent when none is.
std::optional<std::string> PrefixEnd(std::string_view prefix);

}  // namespace varve
