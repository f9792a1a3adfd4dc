// SPDX-License-Identifier: Apache-2.0
// One column of a key: which of the encodings of key_codec.h it has, and the arithmetic that both
// directions share.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include <arrow/type_fwd.h>

#include "columns/key_codec.h"
#include "varve/error.h"

namespace varve {

enum class KeyForm : std::uint8_t { kBool, kSigned, kUnsigned, kFloat, kDecimal, kBytes, kText };

struct KeyComponent {
  KeyForm form = KeyForm::kBool;
  std::int32_t width = 0;  // encoded bytes of a value; 0: as many as the value needs (kText)
};

// The type whose values are encoded: a dictionary's values, an extension's storage.
std::shared_ptr<arrow::DataType> KeyValueType(std::shared_ptr<arrow::DataType> type);

// Nothing when `value_type` (a KeyValueType) has no order-preserving encoding.
std::optional<KeyComponent> KeyComponentOf(const arrow::DataType& value_type);

// The values of a key column at the front of each string of `rest`, as its KeyValueType, and the
// strings moved behind them. Corruption (names the key and column) on bytes that no Encode gives.
Result<std::shared_ptr<arrow::Array>> DecodeKeyColumn(const arrow::Field& field,
                                                      std::vector<std::string_view>* rest);

// Text values: 0x00 is written as kZero kEscapedZero, the end of the value as kZero kEnd.
inline constexpr char kZero = '\x00';
inline constexpr char kEscapedZero = '\xff';
inline constexpr char kEnd = '\x00';
inline constexpr std::size_t kEndBytes = 2;

template <std::unsigned_integral U>
inline constexpr U kSignBit = static_cast<U>(U{1} << (sizeof(U) * 8 - 1));

template <std::unsigned_integral U>
void StoreBig(char* to, U value) {
  value = std::byteswap(value);
  std::memcpy(to, &value, sizeof value);
}

template <std::unsigned_integral U>
U LoadBig(const char* from) {
  U value;
  std::memcpy(&value, from, sizeof value);
  return std::byteswap(value);
}

// IEEE 754 bits of +infinity and of the one NaN that keys hold, by the width of the format.
template <std::unsigned_integral U>
struct FloatBits;
template <>
struct FloatBits<std::uint16_t> {
  static constexpr std::uint16_t kInfinity = 0x7c00, kNan = 0x7e00;
};
template <>
struct FloatBits<std::uint32_t> {
  static constexpr std::uint32_t kInfinity = 0x7f800000, kNan = 0x7fc00000;
};
template <>
struct FloatBits<std::uint64_t> {
  static constexpr std::uint64_t kInfinity = 0x7ff0000000000000, kNan = 0x7ff8000000000000;
};

// Bits whose unsigned order is the order of the numbers: -inf < ... < 0 < ... < +inf < NaN.
template <std::unsigned_integral U>
U OrderedFloatBits(U bits) {
  const U magnitude = static_cast<U>(bits & static_cast<U>(~kSignBit<U>));
  if (magnitude > FloatBits<U>::kInfinity) bits = FloatBits<U>::kNan;
  if (magnitude == 0) bits = 0;
  return static_cast<U>((bits & kSignBit<U>) != 0 ? ~bits : bits ^ kSignBit<U>);
}

// The inverse of OrderedFloatBits, for bits that it gives.
template <std::unsigned_integral U>
U FloatBitsOfOrdered(U ordered) {
  return static_cast<U>((ordered & kSignBit<U>) != 0 ? ordered ^ kSignBit<U> : ~ordered);
}

}  // namespace varve
