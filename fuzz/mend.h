// SPDX-License-Identifier: Apache-2.0
// Makes the checksums of mutated bytes agree, so that a fuzzer gets behind them. What is mended is
// chosen by the input, so damaged checksums are tried too. Written from docs/format.md, not with
// the log's encoders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "log/log_format.h"
#include "log/segment_cipher.h"
#include "varve/log_options.h"

namespace varve::fuzz {

// Bits of a byte of an input.
inline constexpr std::uint8_t kMendChecksums = 1;
inline constexpr std::uint8_t kMendPlaces = 2;    // a frame's LSN is that of its place
inline constexpr std::uint8_t kMendChain = 4;     // with kMendLinks also that of links
inline constexpr std::uint8_t kMendLinks = 8;     // they name the segment before and its end
inline constexpr std::uint8_t kMendIdentity = 16; // names, sequences and log ids agree
inline constexpr std::uint8_t kEncrypt = 32;      // units marked as encrypted, here still plain
inline constexpr std::uint8_t kMendAll = 63;

// One key for all names.
class FixedKeys final : public KeyProvider {
 public:
  Result<std::string> CurrentKeyId() override { return std::string("fuzz"); }
  Result<std::string> Key(std::string_view) override { return std::string(32, 'k'); }
};

// The cipher of every segment that is mended with kEncrypt.
std::shared_ptr<const SegmentCipher> FixedCipher();

// `unit` is a unit whose body is plain and, when it is marked as encrypted, followed by 16 bytes of
// room for the tag. Encrypts it if asked to, then sets its checksum. Leaves alone what is shorter
// than a header.
void MendUnit(std::uint64_t lsn, bool encrypt, std::string* unit);

// The frame that begins at `frame` and has `room` bytes at most: the checksums of its units, its
// own, and with kMendPlaces its LSN (`lsn` says which).
void MendFrame(const SegmentHeader& segment, std::uint64_t lsn, std::uint8_t mend, char* frame,
               std::size_t room);

// All segments of a log, by sequence. No compressed unit keeps the claim of a plain body of more
// than kPlainBytesMost: reading one costs time, and unit_fuzz tries them.
inline constexpr std::uint32_t kPlainBytesMost = 1u << 20;
void MendSegments(std::uint8_t mend, std::map<std::uint64_t, std::string>* segments);

}  // namespace varve::fuzz
