// SPDX-License-Identifier: Apache-2.0
// Files and a file that pass every call on: a test's own say only what they do otherwise.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "files/files.h"

namespace varve::testing {

// WriteDurably and UseSyncMethod are as File has them: WriteAt and then Sync, as overridden.
class ForwardingFile : public File {
 public:
  explicit ForwardingFile(std::unique_ptr<File> file) : file_(std::move(file)) {}

  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    return file_->ReadAt(offset, size, into);
  }
  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    return file_->WriteAt(offset, bytes);
  }
  Status Sync() override { return file_->Sync(); }
  Result<std::uint64_t> Size() override { return file_->Size(); }
  Status Truncate(std::uint64_t size) override { return file_->Truncate(size); }
  const std::string& path() const override { return file_->path(); }

 protected:
  File* file() const { return file_.get(); }

 private:
  const std::unique_ptr<File> file_;
};

// Gives no watch.
class ForwardingFiles : public Files {
 public:
  explicit ForwardingFiles(Files* files) : files_(files) {}
  explicit ForwardingFiles(std::unique_ptr<Files> files)
      : owned_(std::move(files)), files_(owned_.get()) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    return files_->Open(path, mode);
  }
  Result<FileInfo> Info(const std::string& path) override { return files_->Info(path); }
  Result<std::vector<FileInfo>> List(const std::string& path) override {
    return files_->List(path);
  }
  Status CreateDirectories(const std::string& path) override {
    return files_->CreateDirectories(path);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return files_->Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    return files_->Link(from, to);
  }
  Status Remove(const std::string& path) override { return files_->Remove(path); }
  Status SyncDirectory(const std::string& path) override { return files_->SyncDirectory(path); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, LockMode mode) override {
    return files_->Lock(path, mode);
  }

 protected:
  Files* files() const { return files_; }

 private:
  const std::unique_ptr<Files> owned_;  // null: somebody else's
  Files* const files_;
};

}  // namespace varve::testing
