// SPDX-License-Identifier: Apache-2.0
// Little-endian loads and stores. Byte strings are std::string when owned, std::string_view when
// lent; string_view compares as unsigned bytes (memcmp), which is the order of encoded keys.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace varve {

static_assert(std::endian::native == std::endian::little, "add byte swaps before porting");

template <std::integral T>
T LoadLittle(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <std::integral T>
void StoreLittle(char* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

template <std::integral T>
void AppendLittle(std::string* to, T value) {
  to->append(reinterpret_cast<const char*>(&value), sizeof value);
}

constexpr std::uint64_t RoundUp(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

// Lower-case hexadecimal, and back; FromHex gives false on a bad digit or odd length.
std::string ToHex(std::string_view bytes);
bool FromHex(std::string_view text, std::string* bytes);

}  // namespace varve
