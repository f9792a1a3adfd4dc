// SPDX-License-Identifier: Apache-2.0
// Do the segments of a folder belong together? Judged from headers and links alone.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "log/segment_file.h"

namespace varve {

struct ShapeDefect {
  std::size_t index = 0;  // in the list of segments
  std::uint64_t offset = 0;
  std::string message;
};

struct SegmentShape {
  std::size_t used = 0;              // the segments [0, used) are used; those after hold nothing
  std::vector<ShapeDefect> defects;  // by index
  std::optional<LogId> id;           // of the log; none when no header is sound
};

// Expects: the file's name and header agree; one log id, that of most segments; no gap in the
// sequences; each used segment has a valid link, which names the segment before it; bases rise; one
// that is not used has its full size. A last file of zeros only, after others, is what a crash
// leaves, no defect.
SegmentShape CheckSegmentShape(const std::vector<SegmentOnDisk>& segments);

}  // namespace varve
