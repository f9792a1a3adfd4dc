// SPDX-License-Identifier: Apache-2.0
// The segments of a log as files: names, making one so that a crash at any step leaves either no
// segment or a whole one, and a look at those that are there.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/files.h"
#include "log/log_format.h"

namespace varve {

std::string SegmentName(std::uint64_t sequence);  // "000000000000001a.log"
// Nothing for every name that SegmentName cannot have given.
std::optional<std::uint64_t> SequenceOfName(std::string_view name);

// Called between the pieces of a file that is being filled, so that commits can come between too:
// a sync waits for what the disk is busy with.
using FillPause = std::function<void()>;

// Makes a segment: zero-filled and synced under a temporary name, then renamed (over a file of that
// name, if there is one), then the folder is synced. Afterwards the file is durable, whatever
// happens. On failure nothing is left, but with Unavailable/kUnknownOutcome: then the file may be
// there, whole and unused.
Result<std::unique_ptr<File>> CreateSegment(Files* files, const std::string& dir,
                                            const SegmentHeader& header,
                                            const FillPause& pause = {});

// The name under which the file of a segment waits to be used again: "000000000000001a.free".
std::string FreeName(std::uint64_t sequence);
bool IsFreeName(std::string_view name);

// The same from a file that was a segment and durably is none any more. Its old frames stay: they
// are of another generation. On failure the file is removed if that can be done.
Result<std::unique_ptr<File>> RecycleSegment(Files* files, const std::string& dir,
                                             const std::string& free_name, SegmentHeader header,
                                             const FillPause& pause = {});

// A link frame with its payload.
struct SegmentLink {
  FrameHeader header;
  LinkPayload payload;
};

// One segment as found in the folder, its first 8 KiB read.
struct SegmentOnDisk {
  std::string name;
  std::uint64_t sequence = 0;  // as its name says
  std::uint64_t file_bytes = 0;
  std::optional<SegmentHeader> header;  // when it validates
  std::string header_defect;            // otherwise
  bool all_zero = false;                // no header, and no byte that is not zero
  std::optional<SegmentLink> link;      // when it validates: the segment was used
  std::string link_defect;              // otherwise
};

// All segments, by sequence. Errors: I/O, kUnsupportedFormat (names the file). Damage is no error
// here. NotFound when the folder is missing.
Result<std::vector<SegmentOnDisk>> ListSegments(Files* files, const std::string& dir);

// The same for one file, whatever its name is.
Result<SegmentOnDisk> LookAtSegment(File* file);

// The link in `frame`, a whole valid frame of kind kLink. Corruption when its size is wrong.
Result<LinkPayload> DecodeLink(std::string_view payload);
Result<SealPayload> DecodeSeal(std::string_view payload);

}  // namespace varve
