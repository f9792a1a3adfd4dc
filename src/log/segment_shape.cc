// SPDX-License-Identifier: Apache-2.0
#include "log/segment_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace varve {
namespace {

using Segments = std::vector<SegmentOnDisk>;

class ShapeCheck {
 public:
  explicit ShapeCheck(const Segments& segments) : segments_(segments) {}

  SegmentShape Run() {
    FindId();
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      if (segments_[i].link) shape_.used = i + 1;
    }
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      if (CheckSequence(i) && CheckHeader(i)) CheckLink(i);
    }
    if (shape_.used == 0 && !segments_.empty() && segments_[0].sequence != 1) {
      Report(0, kLinkOffset, "the first segment of a truncated log has no link: " +
                                 segments_[0].link_defect);
    }
    return std::move(shape_);
  }

 private:
  bool Report(std::size_t index, std::uint64_t offset, std::string message) {
    shape_.defects.push_back({index, offset, std::move(message)});
    return false;
  }

  // The id of most segments, and of the first of equally many: the others are strangers.
  void FindId() {
    std::map<LogId, std::size_t> times;
    for (const auto& segment : segments_) {
      if (segment.header) ++times[segment.header->log_id];
    }
    std::size_t most = 0;
    for (const auto& segment : segments_) {
      if (!segment.header || times[segment.header->log_id] <= most) continue;
      most = times[segment.header->log_id];
      shape_.id = segment.header->log_id;
    }
  }

  bool CheckSequence(std::size_t i) {
    if (i == 0 || segments_[i].sequence == segments_[i - 1].sequence + 1) return true;
    Report(i, 0, fmt::format("segment {} is missing before this one",
                             SegmentName(segments_[i - 1].sequence + 1)));
    return true;
  }

  bool CheckHeader(std::size_t i) {
    const auto& segment = segments_[i];
    if (!segment.header) {
      // The first of all has its name only when it is durable: it was emptied.
      const bool artefact = i > 0 && i >= shape_.used && i + 1 == segments_.size() &&
                            segment.all_zero;
      return artefact ? false : Report(i, 0, segment.header_defect);
    }
    if (segment.header->sequence != segment.sequence) {
      return Report(i, 32, fmt::format("segment header: expected sequence {}, found {}",
                                       segment.sequence, segment.header->sequence));
    }
    if (segment.header->log_id == *shape_.id) return true;
    return Report(i, 16, fmt::format("segment header: expected log id {}, found {}; the file "
                                     "belongs to another log",
                                     LogIdText(*shape_.id), LogIdText(segment.header->log_id)));
  }

  bool CheckLink(std::size_t i) {
    const auto& segment = segments_[i];
    if (i >= shape_.used) {
      const auto capacity = segment.header->capacity;
      return segment.file_bytes == capacity ||
             Report(i, std::min(segment.file_bytes, capacity),
                    fmt::format("expected a file of {} bytes, found {}", capacity,
                                segment.file_bytes));
    }
    if (!segment.link) {
      return Report(i, kLinkOffset, "a later segment was used, but here " + segment.link_defect);
    }
    const auto& link = segment.link->payload;
    if (link.sequence != segment.sequence - 1) {
      return Report(i, kLinkOffset, fmt::format("link: expected segment {} before this one, found "
                                                "{}",
                                                segment.sequence - 1, link.sequence));
    }
    const bool follows = i > 0 && segments_[i - 1].sequence + 1 == segment.sequence;
    return !follows || !segments_[i - 1].header || CheckPredecessor(i);
  }

  bool CheckPredecessor(std::size_t i) {
    const auto& before = *segments_[i - 1].header;
    const auto& link = segments_[i].link->payload;
    if (link.generation != before.generation) {
      return Report(i, kLinkOffset,
                    fmt::format("link: expected generation {:016x} of {}, found {:016x}; one of "
                                "the two is a stale copy",
                                before.generation, segments_[i - 1].name, link.generation));
    }
    if (link.end <= before.base || link.end > before.EndOfRange() || link.end % kLogBlock != 0 ||
        segments_[i].header->base < before.EndOfRange()) {
      return Report(i, kLinkOffset,
                    fmt::format("link: an end at LSN {} and a base of {} do not follow a segment "
                                "of LSN {} to {}",
                                link.end, segments_[i].header->base, before.base,
                                before.EndOfRange()));
    }
    return true;
  }

  const Segments& segments_;
  SegmentShape shape_;
};

}  // namespace

SegmentShape CheckSegmentShape(const std::vector<SegmentOnDisk>& segments) {
  return ShapeCheck(segments).Run();
}

}  // namespace varve
