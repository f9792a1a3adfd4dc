// SPDX-License-Identifier: Apache-2.0
#include "log/segment_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/out_of_memory.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::string_view kSuffix = ".log";
constexpr std::string_view kFreeSuffix = ".free";
constexpr std::size_t kNameDigits = 16;
constexpr std::uint64_t kFillBytes = 256u << 10;  // synced at once
constexpr std::uint64_t kReadBytes = 1u << 20;

// Real zeros: a commit into a hole, or into an extent that is only reserved, makes the file system
// write metadata, which costs another 50 % of a sync.
Status WriteZeros(File* file, std::uint64_t from, std::uint64_t to, const FillPause& pause) {
  const std::string zeros(std::min(kFillBytes, to - from), '\0');
  while (from < to) {
    const auto part = std::min<std::uint64_t>(zeros.size(), to - from);
    VARVE_TRY(file->WriteAt(from, std::string_view(zeros).substr(0, part)));
    from += part;
    if (!pause || from == to) continue;
    VARVE_TRY(file->Sync());
    pause();
  }
  return {};
}

Result<std::unique_ptr<File>> WriteTemporary(Files* files, const std::string& path,
                                             const SegmentHeader& header,
                                             const FillPause& pause) {
  if (auto removed = files->Remove(path);
      !removed && removed.error().kind() != ErrorKind::kNotFound) {
    return std::unexpected(std::move(removed).error());
  }
  VARVE_ASSIGN(auto file, files->Open(path, OpenMode::kCreate));
  VARVE_TRY(file->WriteAt(0, EncodeSegmentHeader(header)));
  VARVE_TRY(WriteZeros(file.get(), kLogBlock, header.capacity, pause));
  VARVE_TRY(file->Sync());
  return file;
}

// From here on the name is there or not, for good or not: nobody may go on from an error.
Status NameSegment(Files* files, const std::string& dir, const std::string& from,
                   std::uint64_t sequence) {
  const auto named = OrOutOfMemory([&] {
    auto done = files->Rename(from, JoinPath(dir, SegmentName(sequence)));
    return done ? files->SyncDirectory(dir) : done;
  });
  if (named) return {};
  return std::unexpected(UnknownOutcome("making a log segment: ", named.error()));
}

// Gives the room back. When that fails too the file is removed by the next attempt, or the next
// open, and the first error is the one to report.
void RemoveAfterFailure(Files* files, const std::string& path) {
  (void)OrOutOfMemory([&] { return files->Remove(path); });
}

// Gives a file of any size the header and the size of a segment, durably.
Result<std::unique_ptr<File>> PrepareUsedFile(Files* files, const std::string& path,
                                              const SegmentHeader& header,
                                              const FillPause& pause) {
  VARVE_ASSIGN(auto file, files->Open(path, OpenMode::kReadWrite));
  VARVE_ASSIGN(const auto size, file->Size());
  if (size > header.capacity) VARVE_TRY(file->Truncate(header.capacity));
  if (size < header.capacity) VARVE_TRY(WriteZeros(file.get(), size, header.capacity, pause));
  VARVE_TRY(file->WriteAt(0, EncodeSegmentHeader(header)));
  VARVE_TRY(file->Sync());
  return file;
}

// Corruption becomes a note for the caller; other errors go on.
template <typename T>
Result<std::optional<T>> NoteDefect(Result<T> result, const std::string& path,
                                    std::string* defect) {
  if (result) return std::optional<T>(*std::move(result));
  if (result.error().kind() != ErrorKind::kCorruption) {
    return std::unexpected(result.error().Within(path));
  }
  *defect = result.error().message();
  return std::optional<T>();
}

Result<SegmentLink> DecodeLinkFrame(const SegmentHeader& segment, std::string_view block) {
  VARVE_ASSIGN(const auto header, DecodeFrameHeader(segment, segment.LsnAt(kLinkOffset), block));
  if (header.kind != FrameKind::kLink || header.FrameBytes() != block.size()) {
    return Fail(ErrorKind::kCorruption, "expected a link frame of one block, found another frame");
  }
  VARVE_TRY(CheckPayload(segment, header, block.substr(kFrameHeaderBytes)));
  VARVE_ASSIGN(const auto payload,
               DecodeLink(block.substr(kFrameHeaderBytes, header.payload_bytes)));
  return SegmentLink{header, payload};
}

template <typename T>
Result<T> DecodePlain(std::string_view payload, const char* what) {
  if (payload.size() != sizeof(T)) {
    return Fail(ErrorKind::kCorruption, fmt::format("{}: expected {} bytes, found {}", what,
                                                    sizeof(T), payload.size()));
  }
  T value;
  std::memcpy(&value, payload.data(), sizeof value);
  return value;
}

Result<bool> IsAllZero(File* file, std::uint64_t size) {
  std::string buffer(kReadBytes, '\0');
  for (std::uint64_t at = 0; at < size; at += kReadBytes) {
    VARVE_ASSIGN(const auto read, file->ReadAt(at, buffer.size(), buffer.data()));
    if (buffer.find_first_not_of('\0') < read) return false;
  }
  return true;
}

}  // namespace

std::string SegmentName(std::uint64_t sequence) {
  return fmt::format("{:016x}{}", sequence, kSuffix);
}

std::optional<std::uint64_t> SequenceOfName(std::string_view name) {
  if (name.size() != kNameDigits + kSuffix.size()) return {};
  std::uint64_t sequence = 0;
  std::from_chars(name.data(), name.data() + kNameDigits, sequence, 16);
  if (sequence == 0 || SegmentName(sequence) != name) return {};
  return sequence;
}

Result<std::unique_ptr<File>> CreateSegment(Files* files, const std::string& dir,
                                            const SegmentHeader& header, const FillPause& pause) {
  const auto path = JoinPath(dir, SegmentName(header.sequence));
  const auto temporary = path.substr(0, path.size() - kSuffix.size()) + ".tmp";
  auto file = OrOutOfMemory([&] { return WriteTemporary(files, temporary, header, pause); });
  if (!file) {
    RemoveAfterFailure(files, temporary);
    return std::unexpected(file.error().Within("making a log segment"));
  }
  VARVE_TRY(NameSegment(files, dir, temporary, header.sequence));
  return file;
}

std::string FreeName(std::uint64_t sequence) {
  return fmt::format("{:016x}{}", sequence, kFreeSuffix);
}

bool IsFreeName(std::string_view name) {
  return name.ends_with(kFreeSuffix) && name.size() == kNameDigits + kFreeSuffix.size();
}

Result<std::unique_ptr<File>> RecycleSegment(Files* files, const std::string& dir,
                                             const std::string& free_name, SegmentHeader header,
                                             const FillPause& pause) {
  const auto path = JoinPath(dir, free_name);
  header.flags |= kRecycledFile;
  auto file = OrOutOfMemory([&] { return PrepareUsedFile(files, path, header, pause); });
  if (!file) {
    RemoveAfterFailure(files, path);
    return std::unexpected(file.error().Within("making a log segment"));
  }
  VARVE_TRY(NameSegment(files, dir, path, header.sequence));
  return file;
}

Result<LinkPayload> DecodeLink(std::string_view payload) {
  return DecodePlain<LinkPayload>(payload, "link");
}

Result<SealPayload> DecodeSeal(std::string_view payload) {
  return DecodePlain<SealPayload>(payload, "seal");
}

Result<SegmentOnDisk> LookAtSegment(File* file) {
  SegmentOnDisk segment;
  VARVE_ASSIGN(segment.file_bytes, file->Size());
  std::string head(kFirstGroupOffset, '\0');
  VARVE_ASSIGN(const auto read, file->ReadAt(0, head.size(), head.data()));
  head.resize(read);
  const std::string_view bytes = head;
  VARVE_ASSIGN(segment.header, NoteDefect(DecodeSegmentHeader(bytes.substr(0, kLogBlock)),
                                          file->path(), &segment.header_defect));
  if (!segment.header) {
    VARVE_ASSIGN(segment.all_zero, IsAllZero(file, segment.file_bytes));
    return segment;
  }
  const auto block = bytes.substr(std::min<std::uint64_t>(bytes.size(), kLinkOffset));
  VARVE_ASSIGN(segment.link, NoteDefect(DecodeLinkFrame(*segment.header, block), file->path(),
                                        &segment.link_defect));
  return segment;
}

Result<std::vector<SegmentOnDisk>> ListSegments(Files* files, const std::string& dir) {
  VARVE_ASSIGN(const auto entries, files->List(dir));
  std::vector<SegmentOnDisk> segments;
  for (const auto& entry : entries) {
    const auto sequence = SequenceOfName(entry.name);
    if (!sequence) continue;
    if (entry.is_directory) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("{}, offset 0: expected a segment of the log, found a folder; move "
                              "it away",
                              JoinPath(dir, entry.name)));
    }
    VARVE_ASSIGN(auto file, files->Open(JoinPath(dir, entry.name), OpenMode::kRead));
    VARVE_ASSIGN(auto segment, LookAtSegment(file.get()));
    segment.name = entry.name;
    segment.sequence = *sequence;
    segments.push_back(std::move(segment));
  }
  return segments;  // fixed-width names: sorted by name is sorted by sequence
}

}  // namespace varve
