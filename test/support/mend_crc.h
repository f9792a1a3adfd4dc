// SPDX-License-Identifier: Apache-2.0
// What somebody does who changes bytes and knows of their checksum.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"

namespace varve::testing {

// Gives the four bytes at `at` the value that makes the CRC-32C of all bytes `wanted`. A change of
// each of their bits changes the checksum in its own way, whatever the others are: 32 equations.
inline std::string WithCrc32c(std::string bytes, std::size_t at, std::uint32_t wanted) {
  VARVE_CHECK(at + 4 <= bytes.size());
  bytes.replace(at, 4, 4, '\0');
  const std::uint32_t plain = Crc32c(bytes);
  std::array<std::pair<std::uint32_t, std::uint32_t>, 32> rows{};  // by highest bit: change, bits
  const auto reduce = [&](std::uint32_t change, std::uint32_t bits, bool keep) {
    for (int bit = 31; bit >= 0; --bit) {
      if ((change >> bit & 1) == 0) continue;
      auto& row = rows[static_cast<std::size_t>(bit)];
      if (row.first == 0 && keep) {
        row = {change, bits};
        return bits;
      }
      change ^= row.first;
      bits ^= row.second;
    }
    return bits;
  };
  for (std::size_t bit = 0; bit < 32; ++bit) {
    std::string changed = bytes;
    changed[at + bit / 8] = static_cast<char>(1u << bit % 8);
    reduce(Crc32c(changed) ^ plain, 1u << bit, true);
  }
  const std::uint32_t bits = reduce(wanted ^ plain, 0, false);
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(bits >> 8 * i);
  VARVE_CHECK(Crc32c(bytes) == wanted);
  return bytes;
}

}  // namespace varve::testing
