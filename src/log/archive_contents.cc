// SPDX-License-Identifier: Apache-2.0
#include "log/archive_contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/result.h"
#include "log/segment_file.h"

namespace varve {
namespace {

constexpr std::size_t kDigits = 16;

struct ObjectPlace {
  std::uint64_t sequence = 0;
  bool whole = false;
  bool sealed = true;
  std::uint64_t from = 0;
  std::uint64_t to = 0;  // 0: whatever its size is
};

std::uint64_t Hex(std::string_view digits) {
  std::uint64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return value;
}

// The number that begins at digit 17 * `index` of a name; 0 when the name ends before.
std::uint64_t Number(std::string_view name, std::size_t index) {
  const auto at = index * (kDigits + 1);
  return at < name.size() ? Hex(name.substr(at, kDigits)) : 0;
}

// Nothing for a name that no function below gives.
std::optional<ObjectPlace> PlaceOf(std::string_view name) {
  if (const auto sequence = SequenceOfName(name)) return ObjectPlace{*sequence, true};
  const auto sequence = Number(name, 0);
  if (sequence == 0) return {};
  const auto second = Number(name, 1);
  if (second != 0 && WholeName(sequence, second, false) == name) {
    return ObjectPlace{sequence, true, false, 0, second};
  }
  const auto third = Number(name, 2);
  if (third <= second || TailName(sequence, second, third) != name) return {};
  return ObjectPlace{sequence, false, false, second, third};
}

Error Missing(const std::string& what, std::string_view why) {
  return Error(ErrorKind::kCorruption,
               fmt::format("{} is missing from the archive: {}", what, why));
}

// Sorts objects into segments.
class Sorting {
 public:
  Sorting(LogArchive* archive, ArchiveContents* contents)
      : archive_(archive), contents_(contents) {}

  // Objects come by name: so by sequence, and of each segment the tails by place; the whole one
  // comes after them, or (when its name has its size) behind those that begin before its end.
  Status Take(const LogArchiveObject& object) {
    const auto place = PlaceOf(object.name);
    if (!place) return {};
    if (place->to != 0 && place->to - place->from != object.size) {
      return Fail(ErrorKind::kCorruption,
                  fmt::format("{}: expected {} bytes, found {}", archive_->Describe(object.name),
                              place->to - place->from, object.size));
    }
    if (!place->whole) return TakeTail(*place, object);
    if (Knows(place->sequence) && contents_->segments.back().whole) {
      const auto& other = contents_->segments.back().objects.front().name;
      return Fail(ErrorKind::kCorruption,
                  fmt::format("{}: the same segment is there as {}, and both say to be whole; use "
                              "another archive",
                              archive_->Describe(object.name), other));
    }
    DropTails(place->sequence);
    VARVE_TRY(CheckFollows(place->sequence));
    contents_->segments.push_back({place->sequence, true, place->sealed, {object}});
    return {};
  }

  // Tails with a gap matter only where there is no whole segment.
  Status Finish() {
    const auto& segments = contents_->segments;
    if (!has_gap_ || segments.empty() || segments.back().whole) return {};
    return std::unexpected(Missing(
        fmt::format("the tail of segment {} from byte {} on",
                    archive_->Describe(SegmentName(segments.back().sequence)), gap_),
        "a later one is there"));
  }

 private:
  // A put that was given up may have come through late: then two tails begin at one place, and the
  // longer one goes on.
  Status TakeTail(const ObjectPlace& place, const LogArchiveObject& object) {
    auto& segments = contents_->segments;
    const bool known = Knows(place.sequence);
    if (known && segments.back().whole) {  // whose name has its size sorts before later tails
      contents_->stale.push_back(object.name);
      return {};
    }
    if (!known) {
      VARVE_TRY(CheckFollows(place.sequence));
      segments.push_back({place.sequence, false, false, {}});
      from_ = 0;
    }
    auto& segment = segments.back();
    if (place.from == from_ && !segment.objects.empty()) {
      contents_->stale.push_back(segment.objects.back().name);
      segment.objects.pop_back();
    }
    if (place.from < segment.size()) {
      contents_->stale.push_back(object.name);
      return {};
    }
    if (place.from > segment.size() && !has_gap_) {
      has_gap_ = true;
      gap_ = segment.size();
    }
    segment.objects.push_back(object);
    from_ = place.from;
    return {};
  }

  bool Knows(std::uint64_t sequence) const {
    return !contents_->segments.empty() && contents_->segments.back().sequence == sequence;
  }

  void DropTails(std::uint64_t sequence) {
    auto& segments = contents_->segments;
    has_gap_ = false;
    if (!Knows(sequence)) return;
    for (auto& tail : segments.back().objects) contents_->stale.push_back(std::move(tail.name));
    segments.pop_back();
  }

  Status CheckFollows(std::uint64_t sequence) {
    const auto& segments = contents_->segments;
    if (segments.empty()) return {};
    const auto& before = segments.back();
    const auto missing = before.whole ? before.sequence + 1 : before.sequence;
    if (before.whole && sequence == missing) return {};
    const auto name = archive_->Describe(SegmentName(missing));
    return std::unexpected(Missing(name, "a later segment is there"));
  }

  LogArchive* const archive_;
  ArchiveContents* const contents_;
  bool has_gap_ = false;    // in the tails of the last segment
  std::uint64_t gap_ = 0;   // then: where
  std::uint64_t from_ = 0;  // where its last tail begins
};

class ArchivedFile final : public File {
 public:
  ArchivedFile(LogArchive* archive, const ArchivedSegment& segment)
      : archive_(archive),
        objects_(segment.objects),
        size_(segment.size()),
        path_(archive->Describe(segment.objects.front().name)) {}

  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    std::uint64_t done = 0;
    std::uint64_t begin = 0;
    for (const auto& object : objects_) {
      const auto at = offset + done;
      const auto end = begin + object.size;
      if (done < size && at >= begin && at < end) {
        const auto part = std::min(size - done, end - at);
        VARVE_ASSIGN(const auto bytes, archive_->Read(object.name, at - begin, part));
        if (bytes.size() != part) return WrongSize(object, at - begin, part, bytes.size());
        std::copy(bytes.begin(), bytes.end(), into + done);
        done += part;
      }
      begin = end;
    }
    return done;
  }
  Result<std::uint64_t> Size() override { return size_; }
  const std::string& path() const override { return path_; }
  Status WriteAt(std::uint64_t, std::string_view) override { return ReadOnly(); }
  Status Sync() override { return ReadOnly(); }
  Status Truncate(std::uint64_t) override { return ReadOnly(); }

 private:
  std::unexpected<Error> WrongSize(const LogArchiveObject& object, std::uint64_t offset,
                                   std::uint64_t expected, std::uint64_t found) const {
    return Fail(ErrorKind::kCorruption,
                fmt::format("{}: expected {} bytes at offset {}, found {}",
                            archive_->Describe(object.name), expected, offset, found));
  }
  Status ReadOnly() const {
    return Fail(ErrorKind::kInvalid, path_ + ": objects of an archive never change",
                ErrorReason::kReadOnly);
  }

  LogArchive* const archive_;
  const std::vector<LogArchiveObject> objects_;
  const std::uint64_t size_;
  const std::string path_;
};

}  // namespace

std::string TailName(std::uint64_t sequence, std::uint64_t from, std::uint64_t to) {
  return fmt::format("{:016x}.{:016x}.{:016x}.tail", sequence, from, to);
}

std::string WholeName(std::uint64_t sequence, std::uint64_t bytes, bool sealed) {
  return sealed ? SegmentName(sequence) : fmt::format("{:016x}.{:016x}.log", sequence, bytes);
}

std::uint64_t ArchivedSegment::size() const {
  std::uint64_t bytes = 0;
  for (const auto& object : objects) bytes += object.size;
  return bytes;
}

Result<ArchiveContents> ReadContents(LogArchive* archive) {
  VARVE_ASSIGN(const auto objects, archive->List());
  ArchiveContents contents;
  Sorting sorting(archive, &contents);
  for (const auto& object : objects) {
    if (object.name == kArchiveIdName) {
      VARVE_ASSIGN(contents.id, archive->Read(object.name, 0, object.size));
    }
    VARVE_TRY(sorting.Take(object));
  }
  VARVE_TRY(sorting.Finish());
  if (contents.id.empty() && !contents.segments.empty()) {
    const auto name = archive->Describe(std::string(kArchiveIdName));
    return std::unexpected(Missing(name, "segments are there"));
  }
  return contents;
}

std::unique_ptr<File> OpenArchived(LogArchive* archive, const ArchivedSegment& segment) {
  return std::make_unique<ArchivedFile>(archive, segment);
}

}  // namespace varve
