// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of everything varve writes itself.
// ISA-L computes it at memory speed. `seed` is the CRC of the bytes that come before: so
// Crc32c(b, Crc32c(a)) == Crc32c(a + b).
#pragma once

#include <cstdint>
#include <string_view>

namespace varve {

std::uint32_t Crc32c(std::string_view bytes, std::uint32_t seed = 0);

}  // namespace varve
