// SPDX-License-Identifier: Apache-2.0
#include "fuzz/mutate.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace varve::fuzz {
namespace {

constexpr std::uint64_t kNumbers[] = {
    0, 1, 2, 7, 8, 16, 20, 21, 63, 64, 127, 128, 255, 256, 4032, 4095, 4096, 4097, 8192, 32768,
    65535, 65536, 1u << 20, 16u << 20, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
    1ull << 40, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffeffffffffff, 0xffffffffffffffff};

struct Range {
  std::size_t begin;
  std::size_t size;
};

Range AnyRange(const std::string& bytes, Random* random) {
  const auto begin = random->Below(bytes.size());
  const auto most = std::min<std::uint64_t>(bytes.size() - begin, 1 + random->Below(64));
  return {begin, 1 + random->Below(most)};
}

// A number of 1 to 8 bytes, an odd one or a neighbour of what was there.
void SetNumber(std::string* bytes, Random* random) {
  const auto width = std::min<std::uint64_t>(1ull << random->Below(4), bytes->size());
  const auto at = random->Below(bytes->size() - width + 1);
  std::uint64_t number = kNumbers[random->Below(std::size(kNumbers))];
  if (random->Below(2) == 0) {
    std::memcpy(&number, bytes->data() + at, width);
    number += random->Below(9) - 4;
  }
  std::memcpy(bytes->data() + at, &number, width);
}

void ChangeOnce(const std::vector<std::string>& seeds, std::string* bytes, Random* random) {
  if (bytes->empty()) bytes->push_back('\0');
  const auto range = AnyRange(*bytes, random);
  const auto& other = seeds[random->Below(seeds.size())];
  switch (random->Below(8)) {
    case 0:
    case 1: (*bytes)[range.begin] ^= static_cast<char>(1u << random->Below(8)); break;
    case 2: (*bytes)[range.begin] = static_cast<char>(random->Next()); break;
    case 3:
    case 4: SetNumber(bytes, random); break;
    case 5: bytes->erase(range.begin, range.size); break;
    case 6:
      bytes->insert(random->Below(bytes->size()), bytes->substr(range.begin, range.size));
      break;
    default:
      if (other.empty()) break;
      const auto from = AnyRange(other, random);
      bytes->replace(range.begin, range.size, other, from.begin, from.size);
  }
}

}  // namespace

std::string Mutated(const std::vector<std::string>& seeds, Random* random) {
  auto bytes = seeds[random->Below(seeds.size())];
  for (auto changes = 1 + random->Below(8); changes > 0; --changes) {
    ChangeOnce(seeds, &bytes, random);
  }
  return bytes;
}

}  // namespace varve::fuzz
