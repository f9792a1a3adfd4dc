// SPDX-License-Identifier: Apache-2.0
#include "log/segment_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/crc32c.h"
#include "base/result.h"
#include "log/segment_file.h"
#include "log/segment_reader.h"

namespace varve {
namespace {

std::unexpected<Error> Damaged(const std::string& path, std::uint64_t offset,
                               std::string_view what) {
  return Fail(ErrorKind::kCorruption, fmt::format("{}, offset {}: {}", path, offset, what));
}

Result<std::string> ReadRange(File* file, std::uint64_t offset, std::uint64_t size) {
  std::string bytes(size, '\0');
  VARVE_ASSIGN(const auto read, file->ReadAt(offset, size, bytes.data()));
  if (read == size) return bytes;
  return Damaged(file->path(), offset, fmt::format("expected {} bytes, found {}", size, read));
}

Result<FrameHeader> HeaderAt(const SourceSegment& source, std::uint64_t offset) {
  VARVE_ASSIGN(const auto bytes, ReadRange(source.file.get(), offset, kFrameHeaderBytes));
  auto header = DecodeFrameHeader(source.header, source.header.LsnAt(offset), bytes);
  if (header) return header;
  return std::unexpected(
      header.error().Within(fmt::format("{}, offset {}", source.file->path(), offset)));
}

Status CompareRange(File* archived, const SourceSegment& source, std::uint64_t from,
                    std::uint64_t to) {
  while (from < to) {
    const auto size = std::min(kArchiveCopyBytes, to - from);
    VARVE_ASSIGN(const auto there, ReadRange(archived, from, size));
    VARVE_ASSIGN(const auto here, ReadRange(source.file.get(), from, size));
    const auto differs = std::ranges::mismatch(there, here).in1 - there.begin();
    if (static_cast<std::uint64_t>(differs) != size) {
      return Damaged(archived->path(), from + static_cast<std::uint64_t>(differs),
                     fmt::format("the archive holds other bytes than {}: one of them is damaged, "
                                 "or the log was put back to an earlier point and went on; use "
                                 "another archive",
                                 source.file->path()));
    }
    from += size;
  }
  return {};
}

}  // namespace

Result<SourceSegment> OpenSource(Files* files, const std::string& dir,
                                 const LogSegmentInfo& info) {
  SourceSegment source{info, nullptr, {}, {}};
  VARVE_ASSIGN(source.file, files->Open(JoinPath(dir, info.name), OpenMode::kRead));
  VARVE_ASSIGN(const auto found, LookAtSegment(source.file.get()));
  const auto& path = source.file->path();
  if (!found.header) return Damaged(path, 0, found.header_defect);
  if (found.header->sequence != info.sequence || found.header->generation != info.generation) {
    return Damaged(path, 32,
                   fmt::format("expected segment {} of generation {:016x}, found {} of {:016x}",
                               info.sequence, info.generation, found.header->sequence,
                               found.header->generation));
  }
  if (!found.link) return Damaged(path, kLinkOffset, found.link_defect);
  source.header = *found.header;
  source.link = found.link->payload;
  return source;
}

Result<bool> EndsWithPromise(const SourceSegment& source) {
  const auto end = source.EndOffset();
  if (end < kFirstGroupOffset + kLogBlock) return false;
  VARVE_ASSIGN(const auto bytes,
               ReadRange(source.file.get(), end - kLogBlock, kFrameHeaderBytes));
  const auto header =
      DecodeFrameHeader(source.header, source.header.LsnAt(end - kLogBlock), bytes);
  return header && header->kind == FrameKind::kSeal && (header->flags & kSuccessor) != 0;
}

Result<std::uint64_t> FrameEnd(const SourceSegment& source, std::uint64_t from, Lsn limit) {
  auto at = std::max(from, kLinkOffset);
  while (source.header.LsnAt(at) < limit) {
    VARVE_ASSIGN(const auto header, HeaderAt(source, at));
    at += header.FrameBytes();
  }
  return at;
}

Result<CopiedBytes> CopyFrames(const SourceSegment& source, std::uint64_t from, std::uint64_t to,
                               LogArchive::Put* put) {
  CopiedBytes copied{from, from, 0};
  const auto append = [&](std::string_view bytes) {
    copied.crc = Crc32c(bytes, copied.crc);
    copied.to += bytes.size();
    return put->Append(bytes);
  };
  if (from == 0) {
    VARVE_ASSIGN(const auto header, ReadRange(source.file.get(), 0, kLogBlock));
    VARVE_TRY(append(header));
  }
  VARVE_ASSIGN(const auto file_bytes, source.file->Size());
  SegmentReader reader(source.file.get(), source.header, file_bytes, copied.to);
  std::optional<std::uint32_t> chain;
  while (reader.offset() < to) {
    VARVE_ASSIGN(const auto frame, reader.Next(chain));
    if (!frame) return Damaged(source.file->path(), reader.offset(), reader.defect());
    chain = frame->header.crc;
    VARVE_TRY(append(frame->bytes));
  }
  if (copied.to == to) return copied;
  return Damaged(source.file->path(), to, "expected the end of a frame, found the middle of one");
}

Status CheckPut(LogArchive* archive, const std::string& name, const CopiedBytes& put) {
  std::uint32_t crc = 0;
  const auto size = put.to - put.from;
  for (std::uint64_t at = 0; at < size; at += kArchiveCopyBytes) {
    VARVE_ASSIGN(const auto bytes,
                 archive->Read(name, at, std::min(kArchiveCopyBytes, size - at)));
    crc = Crc32c(bytes, crc);
  }
  if (crc == put.crc) return {};
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}: read back after it was put: expected checksum {:08x}, found {:08x}",
                          archive->Describe(name), put.crc, crc));
}

Status CompareWithSource(LogArchive* archive, const ArchivedSegment& archived,
                         const SourceSegment& source, Compare how) {
  const auto size = archived.size();
  const auto file = OpenArchived(archive, archived);
  const auto end = source.EndOffset();
  if (archived.whole ? size != end : size > end) {
    return Damaged(file->path(), std::min(size, end),
                   fmt::format("the archive holds {} bytes of this segment, {} has {}: the log was "
                               "put back to an earlier point, or an object is damaged",
                               size, source.file->path(), end));
  }
  const auto head = std::min(size, kFirstGroupOffset);
  if (how == Compare::kEveryByte || size < head + kLogBlock) {
    return CompareRange(file.get(), source, 0, size);
  }
  VARVE_TRY(CompareRange(file.get(), source, 0, head));
  return CompareRange(file.get(), source, size - kLogBlock, size);
}

Status CheckFollows(LogArchive* archive, const ArchivedSegment& before,
                    const SourceSegment& source) {
  const auto file = OpenArchived(archive, before);
  VARVE_ASSIGN(const auto found, LookAtSegment(file.get()));
  if (!found.header) return Damaged(file->path(), 0, found.header_defect);
  SegmentReader reader(file.get(), *found.header, before.size());
  std::optional<std::uint32_t> chain;
  while (reader.offset() < before.size()) {
    VARVE_ASSIGN(const auto frame, reader.Next(chain));
    if (!frame) return Damaged(file->path(), reader.offset(), reader.defect());
    chain = frame->header.crc;
  }
  const auto& link = source.link;
  const bool named = link.sequence == found.header->sequence &&
                     link.generation == found.header->generation &&
                     link.end == reader.lsn().value && link.chain == chain;
  if (named && source.header.log_id == found.header->log_id) return {};
  return Damaged(source.file->path(), kLinkOffset,
                 fmt::format("expected the link to {}, of generation {:016x} and ending at LSN {}, "
                             "found generation {:016x} and LSN {}: the archive holds another "
                             "history of this log; use another archive",
                             file->path(), found.header->generation, reader.lsn().value,
                             link.generation, link.end));
}

}  // namespace varve
