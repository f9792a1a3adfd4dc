// SPDX-License-Identifier: Apache-2.0
// Files that need memory for whatever they do with a name, before and after it is done; the disk
// under them always has its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "files/files.h"

namespace varve::testing {

class HungryFiles final : public Files {
 public:
  explicit HungryFiles(Files* files) : files_(files) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<FileInfo> Info(const std::string& path) override;
  Result<std::vector<FileInfo>> List(const std::string& directory) override;
  Status CreateDirectories(const std::string& directory) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& directory) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, LockMode mode) override;

 private:
  Files* const files_;
};

}  // namespace varve::testing
