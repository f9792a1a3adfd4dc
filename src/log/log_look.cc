// SPDX-License-Identifier: Apache-2.0
#include "log/log_look.h"

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "log/segment_file.h"

namespace varve {

Result<std::vector<LogSegmentInfo>> LookAtSegments(Files* files, const std::string& dir, Lsn end) {
  VARVE_ASSIGN(const auto found, ListSegments(files, dir));
  std::vector<LogSegmentInfo> used;
  for (const SegmentOnDisk& segment : found) {
    if (!segment.header || !segment.link) continue;
    if (!used.empty()) {
      used.back().end = {segment.link->payload.end};
      used.back().sealed = true;
    }
    const Lsn base{segment.header->base};
    used.push_back({.name = segment.name,
                    .sequence = segment.sequence,
                    .generation = segment.header->generation,
                    .base = base,
                    .end = std::max(base, end),
                    .file_bytes = segment.file_bytes,
                    .sealed = false});
  }
  return used;
}

}  // namespace varve
