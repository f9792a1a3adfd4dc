// SPDX-License-Identifier: Apache-2.0
// What an archive holds: names of its objects, and its segments as read-only files.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "files/files.h"
#include "varve/log_archive.h"

namespace varve {

inline constexpr std::string_view kArchiveIdName = "log.id";
inline constexpr std::uint64_t kArchiveCopyBytes = 1u << 20;

// Bytes [from, to) of a segment that is still written to.
std::string TailName(std::uint64_t sequence, std::uint64_t from, std::uint64_t to);
// A finished segment: as its file is named. One that does not end with a seal (a recovery cut
// damage off) has its size in the name too, since nothing else tells that the object is whole.
std::string WholeName(std::uint64_t sequence, std::uint64_t bytes, bool sealed);

// The objects of one segment, one behind the other: the whole one, or tails.
struct ArchivedSegment {
  std::uint64_t sequence = 0;
  bool whole = false;
  bool sealed = true;  // its last frame must be a seal that promises a successor
  std::vector<LogArchiveObject> objects;

  std::uint64_t size() const;
};

struct ArchiveContents {
  std::string id;                         // empty: nothing was ever put
  std::vector<ArchivedSegment> segments;  // by sequence, without a gap; all but the last are whole
  std::vector<std::string> stale;         // tails of whole segments
};

// Names that are none of an archive's are passed over. Errors: Corruption (names the object) when
// one is missing; as LogArchive's.
Result<ArchiveContents> ReadContents(LogArchive* archive);

// The bytes of an archived segment. Errors name the object. `archive` must outlive it.
std::unique_ptr<File> OpenArchived(LogArchive* archive, const ArchivedSegment& segment);

}  // namespace varve
