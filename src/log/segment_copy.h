// SPDX-License-Identifier: Apache-2.0
// Segments on their way into an archive: opening one as the log describes it, copying its frames
// while checking them, and comparing it with what the archive holds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "files/files.h"
#include "log/archive_contents.h"
#include "log/log_format.h"
#include "varve/log.h"
#include "varve/log_archive.h"

namespace varve {

struct SourceSegment {
  LogSegmentInfo info;
  std::unique_ptr<File> file;
  SegmentHeader header;
  LinkPayload link;

  std::uint64_t EndOffset() const { return header.OffsetOf(info.end); }
};

// Errors: Corruption when the file is not the segment that `info` tells of; I/O.
Result<SourceSegment> OpenSource(Files* files, const std::string& dir, const LogSegmentInfo& info);

// Whether the last frame is a seal that promises a successor: nothing will be added.
Result<bool> EndsWithPromise(const SourceSegment& source);

// What was put, to compare with what is read back.
struct CopiedBytes {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::uint32_t crc = 0;
};

// The offset behind the last frame that begins before `limit`, from the one at `from` on, by the
// headers alone.
Result<std::uint64_t> FrameEnd(const SourceSegment& source, std::uint64_t from, Lsn limit);

// Appends the bytes [from, to) to `put`; from 0 with the header, otherwise `from` is the place of a
// frame. Corruption when a frame does not validate.
Result<CopiedBytes> CopyFrames(const SourceSegment& source, std::uint64_t from, std::uint64_t to,
                               LogArchive::Put* put);

// Reads an object back. Corruption when it is not what was put.
Status CheckPut(LogArchive* archive, const std::string& name, const CopiedBytes& put);

// Compares an archived segment with the source: its ends, which through the chain of checksums
// speak for all between, or every byte. Corruption when they differ.
enum class Compare : std::uint8_t { kEnds, kEveryByte };
Status CompareWithSource(LogArchive* archive, const ArchivedSegment& archived,
                         const SourceSegment& source, Compare how);

// Whether the source's link names the whole archived segment, every frame of which is checked, as
// the one before it. Corruption when it does not.
Status CheckFollows(LogArchive* archive, const ArchivedSegment& before,
                    const SourceSegment& source);

}  // namespace varve
