// SPDX-License-Identifier: Apache-2.0
#include "test/log_memory/hungry_files.h"

#include <utility>

#include "base/result.h"
#include "test/log_memory/scarcity.h"

namespace varve::testing {
namespace {

// The disk's own requests are none of the log's.
template <typename Call>
auto Unrationed(const Call& call) {
  const Exempt disk;
  return call();
}

template <typename Call>
auto Hungrily(const Call& call) {
  AskForMemory();
  auto done = Unrationed(call);
  AskForMemory();
  return done;
}

class QuietFile final : public File {
 public:
  explicit QuietFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  ~QuietFile() override {
    Unrationed([&] { file_.reset(); return 0; });
  }
  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    return Unrationed([&] { return file_->ReadAt(offset, size, into); });
  }
  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    return Unrationed([&] { return file_->WriteAt(offset, bytes); });
  }
  Status Sync() override {
    return Unrationed([&] { return file_->Sync(); });
  }
  Status WriteDurably(std::uint64_t offset, std::string_view bytes) override {
    return Unrationed([&] { return file_->WriteDurably(offset, bytes); });
  }
  Status UseSyncMethod(SyncMethod method) override {
    return Hungrily([&] { return file_->UseSyncMethod(method); });
  }
  Result<std::uint64_t> Size() override {
    return Unrationed([&] { return file_->Size(); });
  }
  Status Truncate(std::uint64_t size) override {
    return Unrationed([&] { return file_->Truncate(size); });
  }
  const std::string& path() const override { return file_->path(); }

 private:
  std::unique_ptr<File> file_;
};

}  // namespace

Result<std::unique_ptr<File>> HungryFiles::Open(const std::string& path, OpenMode mode) {
  VARVE_ASSIGN(auto file, Hungrily([&] { return files_->Open(path, mode); }));
  return std::make_unique<QuietFile>(std::move(file));
}

Result<FileInfo> HungryFiles::Info(const std::string& path) {
  return Hungrily([&] { return files_->Info(path); });
}

Result<std::vector<FileInfo>> HungryFiles::List(const std::string& directory) {
  return Hungrily([&] { return files_->List(directory); });
}

Status HungryFiles::CreateDirectories(const std::string& directory) {
  return Hungrily([&] { return files_->CreateDirectories(directory); });
}

Status HungryFiles::Rename(const std::string& from, const std::string& to) {
  return Hungrily([&] { return files_->Rename(from, to); });
}

Status HungryFiles::Link(const std::string& from, const std::string& to) {
  return Hungrily([&] { return files_->Link(from, to); });
}

Status HungryFiles::Remove(const std::string& path) {
  return Hungrily([&] { return files_->Remove(path); });
}

Status HungryFiles::SyncDirectory(const std::string& directory) {
  return Hungrily([&] { return files_->SyncDirectory(directory); });
}

Result<std::unique_ptr<FileLock>> HungryFiles::Lock(const std::string& path, LockMode mode) {
  return Hungrily([&] { return files_->Lock(path, mode); });
}

}  // namespace varve::testing
