// SPDX-License-Identifier: Apache-2.0
// The payloads of links and seals, and what the two readers of units make of any of them. Input:
// kind (1: a seal), flags of the frame, what the segment before ended with, then the payload.
#include <cstring>

#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "log/segment_file.h"
#include "log/unit_puller.h"
#include "log/unit_stream.h"

namespace varve::fuzz {
namespace {

template <typename T>
void CheckPlain(const Result<T>& decoded, std::string_view bytes) {
  FUZZ_EXPECT(decoded.has_value() == (bytes.size() == sizeof(T)), std::to_string(bytes.size()));
  if (!decoded) {
    FUZZ_EXPECT(decoded.error().kind() == ErrorKind::kCorruption, decoded.error().message());
  } else {
    FUZZ_EXPECT(std::memcmp(&*decoded, bytes.data(), bytes.size()) == 0, "other bytes");
  }
}

// The link of a first segment, then the same again as that of the next one: it names where the
// units ended, so it agrees with itself.
void TakeTwice(std::uint16_t flags, std::uint64_t base, const LinkPayload& link) {
  SegmentHeader segment;
  segment.base = base;
  RecoveryReport report;
  const LogReplay nobody;
  UnitStream stream(nobody, {}, 1u << 20, &report);
  const auto first = stream.TakeFirstLink(segment, flags, link);
  const bool sound = link.unit_end <= base && link.end <= base;
  FUZZ_EXPECT(first.empty() == sound, first);
  UnitPuller puller({}, false);
  const auto pulled = puller.TakeLink(flags, link);
  FUZZ_EXPECT(pulled.empty(), pulled);
  if (!sound) return;
  FUZZ_EXPECT(stream.unit_end().value == link.unit_end, std::to_string(link.unit_end));
  const bool goes_on = link.open_unit != 0 && (flags & kDropsOpen) == 0;
  auto next = link;
  if (!goes_on) next.open_unit = 0;
  const auto again = stream.TakeLink(flags, next);
  FUZZ_EXPECT(again.empty(), again);
  const auto pulled_again = puller.TakeLink(flags, next);
  FUZZ_EXPECT(pulled_again.empty(), pulled_again);
  ++next.unit_end;
  FUZZ_EXPECT(!puller.TakeLink(flags, next).empty(), "a later end");
  FUZZ_EXPECT(puller.TakeSeal({next.unit_end - 1}).empty(), "a seal that agrees");
}

}  // namespace

void FuzzOne(Input input) {
  const bool is_seal = (input.Take<std::uint8_t>() & 1) != 0;
  const auto flags = input.Take<std::uint16_t>();
  const auto base = input.Take<std::uint64_t>();
  const auto bytes = input.TakeRest();
  if (is_seal) {
    CheckPlain(DecodeSeal(bytes), bytes);
    return;
  }
  const auto link = DecodeLink(bytes);
  CheckPlain(link, bytes);
  if (link) TakeTwice(flags, base, *link);
}

std::vector<std::string> FuzzSeeds() {
  const auto input = [](char kind, char flags, std::string_view payload) {
    std::string bytes{kind, flags, '\0', '\0', '\0', '\1', '\0', '\0', '\0', '\0', '\0'};
    return bytes.append(payload);
  };
  const LinkPayload link{1, 0x1234, 0x8000, 0x7123, 0x7180, 0xabcd, 0};
  const SealPayload seal{0x7123, 4, 9, 5};
  const std::string_view link_bytes(reinterpret_cast<const char*>(&link), sizeof link);
  const std::string_view seal_bytes(reinterpret_cast<const char*>(&seal), sizeof seal);
  return {input(0, 0, link_bytes), input(0, 4, link_bytes), input(1, 8, seal_bytes),
          input(0, 0, link_bytes.substr(1))};
}

}  // namespace varve::fuzz
