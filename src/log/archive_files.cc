// SPDX-License-Identifier: Apache-2.0
#include "log/archive_files.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "log/log_format.h"
#include "log/segment_file.h"

namespace varve {
namespace {

std::string_view LastPart(const std::string& path) {
  return std::string_view(path).substr(path.rfind('/') + 1);
}

// A segment that was still written to: as its file, which has zeros behind what is written.
class PaddedFile final : public File {
 public:
  PaddedFile(std::unique_ptr<File> file, std::uint64_t written, std::uint64_t capacity)
      : file_(std::move(file)), written_(written), capacity_(capacity) {}

  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    if (offset >= capacity_) return 0;
    size = std::min(size, capacity_ - offset);
    std::uint64_t done = 0;
    if (offset < written_) {
      VARVE_ASSIGN(done, file_->ReadAt(offset, std::min(size, written_ - offset), into));
      if (done < std::min(size, written_ - offset)) return done;
    }
    std::fill(into + done, into + size, '\0');
    return size;
  }
  Result<std::uint64_t> Size() override { return capacity_; }
  const std::string& path() const override { return file_->path(); }
  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    return file_->WriteAt(offset, bytes);  // refuses it, as the two below
  }
  Status Sync() override { return file_->Sync(); }
  Status Truncate(std::uint64_t size) override { return file_->Truncate(size); }

 private:
  const std::unique_ptr<File> file_;
  const std::uint64_t written_;
  const std::uint64_t capacity_;
};

Result<std::unique_ptr<File>> OpenSegment(LogArchive* archive, const ArchivedSegment& segment) {
  auto file = OpenArchived(archive, segment);
  if (segment.whole) return file;
  std::string block(kLogBlock, '\0');
  VARVE_TRY(file->ReadAt(0, block.size(), block.data()));
  const auto header = DecodeSegmentHeader(block);
  if (!header) return file;  // whoever reads it says what is wrong
  const std::uint64_t written = segment.size();
  return std::make_unique<PaddedFile>(std::move(file), written,
                                      std::max(written, header->capacity));
}

class ArchiveFiles final : public Files {
 public:
  ArchiveFiles(LogArchive* archive, const ArchiveContents& contents) : archive_(archive) {
    for (const ArchivedSegment& segment : contents.segments) {
      segments_[SegmentName(segment.sequence)] = segment;
    }
  }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    if (mode != OpenMode::kRead) return std::unexpected(ReadOnly(path));
    const auto at = segments_.find(LastPart(path));
    if (at == segments_.end()) return std::unexpected(None(path));
    return OpenSegment(archive_, at->second);
  }

  Result<FileInfo> Info(const std::string& path) override {
    const auto at = segments_.find(LastPart(path));
    if (at == segments_.end()) return std::unexpected(None(path));
    return InfoOf(at->first, at->second);
  }

  Result<std::vector<FileInfo>> List(const std::string&) override {
    std::vector<FileInfo> infos;
    for (const auto& [name, segment] : segments_) infos.push_back(InfoOf(name, segment));
    return infos;
  }

  Status CreateDirectories(const std::string& path) override { return Refuse(path); }
  Status Rename(const std::string& from, const std::string&) override { return Refuse(from); }
  Status Link(const std::string& from, const std::string&) override { return Refuse(from); }
  Status Remove(const std::string& path) override { return Refuse(path); }
  Status SyncDirectory(const std::string& path) override { return Refuse(path); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, LockMode) override {
    return std::unexpected(ReadOnly(path));
  }

 private:
  static FileInfo InfoOf(const std::string& name, const ArchivedSegment& segment) {
    FileInfo info;
    info.name = name;
    info.size = segment.size();
    return info;
  }
  static Error None(const std::string& path) {
    return Error(ErrorKind::kNotFound, path + ": the archive has no such segment");
  }
  static Error ReadOnly(const std::string& path) {
    return Error(ErrorKind::kInvalid, path + ": an archive is only read here",
                 ErrorReason::kReadOnly);
  }
  static Status Refuse(const std::string& path) { return std::unexpected(ReadOnly(path)); }

  LogArchive* const archive_;
  std::map<std::string, ArchivedSegment, std::less<>> segments_;
};

}  // namespace

std::unique_ptr<Files> FilesOfArchive(LogArchive* archive, const ArchiveContents& contents) {
  return std::make_unique<ArchiveFiles>(archive, contents);
}

}  // namespace varve
