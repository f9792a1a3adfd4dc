// SPDX-License-Identifier: Apache-2.0
// One file's pending changes taken apart, for trying every subset that a power cut may leave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "files/disk_image.h"
#include "files/sparse_bytes.h"

namespace varve {

// Survives or is lost as a whole: bytes of one write, or what one change does to the size.
struct PendingPart {
  std::size_t change = 0;   // index into DurableNode::pending
  bool is_size = false;     // otherwise `count` bytes at `from`
  std::uint64_t from = 0;
  std::uint64_t count = 0;
};

// In order. `grain` is a multiple of kSectorBytes: a write is cut at its multiples. Parts that make
// no difference, because the bytes are there already, are left out.
std::vector<PendingPart> PendingPartsOf(const DurableNode& node, std::uint64_t grain);

// The content when exactly the parts `i` with `kept[i]` survive, and with each part that does the
// earlier ones of the same sectors: a sector is as it was at some one moment.
SparseBytes BytesWithParts(const DurableNode& node, const std::vector<PendingPart>& parts,
                           std::vector<bool> kept);

}  // namespace varve
