// SPDX-License-Identifier: Apache-2.0
// Objects as files of one folder. The order of a put, and why each step is there:
//
//   1. write root/tmp/<16 hexadecimal digits> and sync it: the bytes are durable before any name;
//   2. link(2) it to its name (or rename, to replace): the name appears at once, with all bytes;
//   3. sync the folder of the name: the name is durable, and the put may return;
//   4. remove the temporary name. When that fails the object is there all the same.
//
// A crash leaves at most a file in root/tmp, which no reader looks at.
#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/out_of_memory.h"
#include "base/random.h"
#include "base/result.h"
#include "files/files.h"
#include "files/object_store.h"
#include "files/open_files.h"

namespace varve {
namespace {

constexpr std::string_view kTemporaryFolder = "tmp";
constexpr std::string_view kLeaseFolder = "leases";  // of others, who need nothing there to stay
constexpr std::uint64_t kBufferBytes = 1ull << 20;
// A seeded source repeats its names after a crash, so a leftover may stand in the way.
constexpr int kNameTries = 1000;

bool IsNameByte(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool IsNamePart(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && std::ranges::all_of(part, IsNameByte);
}

std::string_view FirstPart(std::string_view name) { return name.substr(0, name.find('/')); }

Status CheckName(const std::string& name) {
  std::string_view rest = name;
  bool valid = FirstPart(name) != kTemporaryFolder;
  while (valid) {
    const auto part = FirstPart(rest);
    valid = IsNamePart(part);
    if (part.size() == rest.size()) break;
    rest.remove_prefix(part.size() + 1);
  }
  if (valid) return {};
  return Fail(ErrorKind::kInvalid,
              "object name '" + name + "': expected parts of [A-Za-z0-9._-] between single '/', " +
                  "none of them '.' or '..', the first not 'tmp'");
}

Error ShortObject(const std::string& name, const std::string& path, std::uint64_t offset,
                  std::uint64_t size, std::uint64_t found) {
  return Error(ErrorKind::kCorruption,
               "object " + name + " (" + path + "): expected " + std::to_string(size) +
                   " bytes at offset " + std::to_string(offset) + ", found an object of " +
                   std::to_string(found) + " bytes; it was cut short or is another one: verify");
}

// A file in root/tmp; removed when dropped, unless it was renamed away.
class TemporaryFile {
 public:
  TemporaryFile(Files* files, std::unique_ptr<File> file)
      : files_(files), file_(std::move(file)) {}
  TemporaryFile(TemporaryFile&&) = default;
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    // What stays behind harms nobody: RemoveLeftovers clears it.
    if (file_) (void)HadMemory([this] { Remove(); });
  }

  File* file() { return file_.get(); }
  const std::string& path() const { return file_->path(); }
  // Its name is gone.
  void Forget() { file_.reset(); }

 private:
  void Remove() {
    const std::string path = file_->path();
    file_.reset();
    [[maybe_unused]] const auto removed = files_->Remove(path);
  }

  Files* const files_;
  std::unique_ptr<File> file_;
};

enum class Publish { kIfAbsent, kReplace };

// The folder and the steps of a put.
class Folder {
 public:
  Folder(Files* files, std::string root, Random* random)
      : files_(files), root_(std::move(root)), random_(random) {}

  Files* files() const { return files_; }
  const std::string& root() const { return root_; }
  std::string PathOf(const std::string& name) const { return JoinPath(root_, name); }

  Result<TemporaryFile> NewTemporary() {
    const auto folder = PathOf(std::string(kTemporaryFolder));
    VARVE_TRY(EnsureFolder(folder));
    for (int tries = 0;; ++tries) {
      std::string number;
      AppendLittle(&number, random_->Next());
      auto file = files_->Open(JoinPath(folder, ToHex(number)), OpenMode::kCreate);
      if (file) return TemporaryFile(files_, *std::move(file));
      if (file.error().kind() != ErrorKind::kConflict) return std::unexpected(file.error());
      if (tries >= kNameTries) {
        return Fail(ErrorKind::kUnavailable,
                    folder + ": no free temporary name; remove what an earlier crash left there",
                    ErrorReason::kIo);
      }
    }
  }

  // Steps 1 (the sync), 2, 3 and, by dropping `temporary`, 4.
  Status Give(TemporaryFile temporary, const std::string& name, Publish publish) {
    VARVE_TRY(temporary.file()->Sync());
    const auto path = PathOf(name);
    VARVE_TRY(EnsureFolder(ParentPath(path)));
    if (publish == Publish::kReplace) {
      VARVE_TRY(files_->Rename(temporary.path(), path));
      temporary.Forget();
    } else if (auto linked = files_->Link(temporary.path(), path); !linked) {
      if (linked.error().kind() != ErrorKind::kConflict) return linked;
      return Fail(ErrorKind::kConflict,
                  "object " + name + " (" + path + ") exists already, put by somebody else",
                  ErrorReason::kAlreadyExists);
    }
    auto synced = files_->SyncDirectory(ParentPath(path));
    if (synced) return {};
    return Fail(ErrorKind::kUnavailable,
                "put of object " + name + ", outcome unknown: it is visible, but may be gone " +
                    "after a power cut: " + synced.error().message(),
                ErrorReason::kIo);
  }

 private:
  Status EnsureFolder(const std::string& folder) {
    const std::lock_guard guard(mutex_);
    if (made_.contains(folder)) return {};
    VARVE_TRY(files_->CreateDirectories(folder));
    made_.insert(folder);
    return {};
  }

  Files* const files_;
  const std::string root_;
  Random* const random_;

  std::mutex mutex_;
  std::set<std::string> made_;  // guarded by mutex_; folders whose names are durable
};

Status CheckRange(const std::string& name, const std::string& path, std::uint64_t object_size,
                  std::uint64_t offset, std::uint64_t size) {
  if (offset <= object_size && size <= object_size - offset) return {};
  return std::unexpected(ShortObject(name, path, offset, size, object_size));
}

Status ReadExactly(File* file, const std::string& name, std::uint64_t offset, std::uint64_t size,
                   char* into) {
  VARVE_ASSIGN(const auto read, file->ReadAt(offset, size, into));
  if (read == size) return {};
  return std::unexpected(ShortObject(name, file->path(), offset, size, offset + read));
}

// Has the file open during a read only.
class FolderReader final : public ObjectReader {
 public:
  FolderReader(OpenFiles* files, std::string name, std::string path, std::uint64_t size)
      : files_(files), name_(std::move(name)), path_(std::move(path)), size_(size) {}

  std::uint64_t size() const override { return size_; }

  Status ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    VARVE_TRY(CheckRange(name_, path_, size_, offset, size));
    const auto file = files_->Open(path_);
    if (!file) return std::unexpected(file.error().Within("object " + name_));
    return ReadExactly(file->get(), name_, offset, size, into);
  }

 private:
  OpenFiles* const files_;
  const std::string name_;
  const std::string path_;
  const std::uint64_t size_;
};

class FolderWriter final : public ObjectWriter {
 public:
  FolderWriter(Folder* folder, std::string name, TemporaryFile temporary)
      : folder_(folder), name_(std::move(name)), temporary_(std::move(temporary)) {}

  Status Append(std::string_view bytes) override {
    VARVE_TRY(CheckOpen());
    if (buffer_.size() + bytes.size() > kBufferBytes) VARVE_TRY(Flush());
    if (bytes.size() >= kBufferBytes) return Write(bytes);
    if (buffer_.capacity() < kBufferBytes) buffer_.reserve(kBufferBytes);
    buffer_.append(bytes);
    return {};
  }

  Status Finish() override {
    VARVE_TRY(CheckOpen());
    VARVE_TRY(Flush());
    open_ = false;
    return folder_->Give(std::move(temporary_), name_, Publish::kIfAbsent);
  }

 private:
  Status CheckOpen() const {
    if (open_) return {};
    return Fail(ErrorKind::kInvalid,
                "object " + name_ + ": the writer has finished or failed before; start a new one",
                ErrorReason::kClosed);
  }

  Status Flush() {
    VARVE_TRY(Write(buffer_));
    buffer_.clear();
    return {};
  }

  Status Write(std::string_view bytes) {
    auto written = temporary_.file()->WriteAt(written_, bytes);
    open_ = written.has_value();
    written_ += bytes.size();
    return written;
  }

  Folder* const folder_;
  const std::string name_;
  TemporaryFile temporary_;
  std::string buffer_;
  std::uint64_t written_ = 0;
  bool open_ = true;
};

class FolderStore final : public ObjectStore {
 public:
  FolderStore(Files* files, std::string root, Random* random)
      : folder_(files, std::move(root), random), open_files_(files) {}

  Status Put(const std::string& name, std::string_view bytes) override {
    auto put = PutWhole(name, bytes, Publish::kReplace);
    open_files_.Forget(folder_.PathOf(name));
    return put;
  }

  Status PutIfAbsent(const std::string& name, std::string_view bytes) override {
    return PutWhole(name, bytes, Publish::kIfAbsent);
  }

  Result<std::unique_ptr<ObjectWriter>> NewWriter(const std::string& name) override {
    VARVE_TRY(CheckName(name));
    VARVE_ASSIGN(auto temporary, folder_.NewTemporary());
    return std::make_unique<FolderWriter>(&folder_, name, std::move(temporary));
  }

  Result<std::string> Get(const std::string& name) override {
    VARVE_ASSIGN(const auto file, Open(name));
    VARVE_ASSIGN(const auto size, file->Size());
    return ReadRange(file.get(), name, 0, size);
  }

  Result<std::string> GetRange(const std::string& name, std::uint64_t offset,
                               std::uint64_t size) override {
    VARVE_ASSIGN(const auto file, Open(name));
    VARVE_ASSIGN(const auto object_size, file->Size());
    VARVE_TRY(CheckRange(name, file->path(), object_size, offset, size));
    return ReadRange(file.get(), name, offset, size);
  }

  Result<std::unique_ptr<ObjectReader>> OpenReader(const std::string& name) override {
    VARVE_ASSIGN(const auto info, Head(name));
    return std::make_unique<FolderReader>(&open_files_, name, folder_.PathOf(name), info.size);
  }

  Result<ObjectInfo> Head(const std::string& name) override {
    VARVE_TRY(CheckName(name));
    const auto info = folder_.files()->Info(folder_.PathOf(name));
    if (!info) return std::unexpected(info.error().Within("object " + name));
    if (info->is_directory) return std::unexpected(IsFolder(name));
    return ObjectInfo{.name = name, .size = info->size, .modified = info->modified};
  }

  Result<std::vector<ObjectInfo>> List(const std::string& prefix,
                                       const std::string& start_after) override {
    std::vector<ObjectInfo> found;
    const auto slash = prefix.rfind('/');
    const auto folder = slash == std::string::npos ? "" : prefix.substr(0, slash + 1);
    if (!folder.empty()) VARVE_TRY(CheckName(folder.substr(0, folder.size() - 1)));
    VARVE_TRY(Walk(folder, [&](ObjectInfo object) {
      if (object.name.starts_with(prefix) && object.name > start_after) {
        found.push_back(std::move(object));
      }
    }));
    std::ranges::sort(found, {}, &ObjectInfo::name);
    return found;
  }

  Status Delete(const std::string& name) override {
    VARVE_TRY(CheckName(name));
    const auto path = folder_.PathOf(name);
    auto removed = folder_.files()->Remove(path);
    open_files_.Forget(path);
    // Absent is fine, but may be so because of a removal that is not durable yet.
    if (!removed && removed.error().kind() != ErrorKind::kNotFound) return removed;
    auto synced = folder_.files()->SyncDirectory(ParentPath(path));
    if (!synced && synced.error().kind() == ErrorKind::kNotFound) return {};
    return synced;
  }

  std::string Describe(const std::string& name) const override { return folder_.PathOf(name); }

 private:
  static Error IsFolder(const std::string& name) {
    return Error(ErrorKind::kNotFound, "object " + name + ": there is a folder of that name only");
  }

  static Result<std::string> ReadRange(File* file, const std::string& name, std::uint64_t offset,
                                       std::uint64_t size) {
    std::string bytes(size, '\0');
    VARVE_TRY(ReadExactly(file, name, offset, size, bytes.data()));
    return bytes;
  }

  Status PutWhole(const std::string& name, std::string_view bytes, Publish publish) {
    VARVE_TRY(CheckName(name));
    VARVE_ASSIGN(auto temporary, folder_.NewTemporary());
    VARVE_TRY(temporary.file()->WriteAt(0, bytes));
    return folder_.Give(std::move(temporary), name, publish);
  }

  // A file of the caller's own, which is not kept open.
  Result<std::unique_ptr<File>> Open(const std::string& name) {
    VARVE_TRY(CheckName(name));
    const auto path = folder_.PathOf(name);
    auto file = folder_.files()->Open(path, OpenMode::kRead);
    if (file) return file;
    const auto info = folder_.files()->Info(path);
    if (info && info->is_directory) return std::unexpected(IsFolder(name));
    return std::unexpected(file.error().Within("object " + name));
  }

  // `visit` sees every object below `folder`, which is "" or ends with '/'.
  template <typename Visit>
  Status Walk(const std::string& folder, const Visit& visit) {
    const auto path = folder.empty() ? folder_.root()
                                     : folder_.PathOf(folder.substr(0, folder.size() - 1));
    auto entries = folder_.files()->List(path);
    if (!entries && entries.error().kind() == ErrorKind::kNotFound) return {};
    if (!entries) return std::unexpected(std::move(entries).error());
    for (const auto& entry : *entries) {
      const auto name = folder + entry.name;
      if (!IsNamePart(entry.name) || name == kTemporaryFolder) continue;  // no object
      // What is behind a link is somebody else's. One in the root may have its files elsewhere.
      if (entry.is_link && !folder.empty()) continue;
      if (entry.is_directory) {
        VARVE_TRY(Walk(name + "/", visit));
      } else {
        visit(ObjectInfo{.name = name, .size = entry.size, .modified = entry.modified});
      }
    }
    return {};
  }

  Folder folder_;
  OpenFiles open_files_;  // of its readers
};

// As Folder::NewTemporary makes them.
bool IsTemporaryName(std::string_view name) {
  return name.size() == 2 * sizeof(std::uint64_t) &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Makes every name below `folder` durable.
Status SyncFolders(Files* files, const std::string& folder) {
  auto entries = files->List(folder);
  if (!entries && entries.error().kind() == ErrorKind::kNotFound) return {};
  if (!entries) return std::unexpected(std::move(entries).error());
  for (const auto& entry : *entries) {
    if (!entry.is_directory || entry.name == kLeaseFolder) continue;
    VARVE_TRY(SyncFolders(files, JoinPath(folder, entry.name)));
  }
  return files->SyncDirectory(folder);
}

}  // namespace

std::unique_ptr<ObjectStore> NewFolderStore(Files* files, std::string root, Random* random) {
  return std::make_unique<FolderStore>(files, std::move(root), random);
}

Status RemoveLeftovers(Files* files, const std::string& root) {
  const auto folder = JoinPath(root, kTemporaryFolder);
  auto leftovers = files->List(folder);
  if (!leftovers && leftovers.error().kind() != ErrorKind::kNotFound) {
    return std::unexpected(std::move(leftovers).error());
  }
  if (leftovers) {
    for (const auto& leftover : *leftovers) {
      if (leftover.is_directory || !IsTemporaryName(leftover.name)) continue;  // none of ours
      VARVE_TRY(files->Remove(JoinPath(folder, leftover.name)));
    }
  }
  return SyncFolders(files, root);
}

}  // namespace varve
