// SPDX-License-Identifier: Apache-2.0
#include "log/end_of_log.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve {

std::optional<EndDefect> JudgeLastFile(const SegmentOnDisk& segment, const LastFrame& last,
                                       const SegmentOnDisk* next) {
  const auto capacity = segment.header->capacity;
  const auto sealed_bytes = last.end + (last.promises_successor ? 0 : kLogBlock);
  if (segment.file_bytes != capacity && !(last.is_seal && segment.file_bytes == sealed_bytes)) {
    return EndDefect{std::min(segment.file_bytes, last.end),
                     fmt::format("expected a file of {} bytes, or one that ends with a seal, found "
                                 "{} bytes",
                                 capacity, segment.file_bytes)};
  }
  const auto seals = (last.is_seal ? 1 : 2) * kLogBlock;
  if (!last.promises_successor && last.end + seals > capacity) {
    return EndDefect{last.end, fmt::format("expected room for {} bytes of seals in a file of {}, "
                                           "found no room for them behind the last frame",
                                           seals, capacity)};
  }
  if (!last.promises_successor || (next != nullptr && next->header)) return {};
  return EndDefect{last.end - kLogBlock,
                   fmt::format("the seal says that segment {} exists, but {}",
                               SegmentName(segment.sequence + 1),
                               next != nullptr ? "its header does not validate" : "it is missing")};
}

std::string JudgeLogEnd(Lsn end, const LogBeyond& beyond, const std::string& beyond_file,
                        Lsn known_durable) {
  if (beyond.durable > end.value) {
    return fmt::format("the log would end at LSN {}, but the frame in {} at offset {} says that "
                       "everything up to LSN {} was durable",
                       end.value, beyond_file, beyond.durable_offset, beyond.durable);
  }
  if (known_durable > end) {
    return fmt::format("the log ends at LSN {}, but the caller knows that everything up to LSN {} "
                       "was durable",
                       end.value, known_durable.value);
  }
  return {};
}

}  // namespace varve
