// SPDX-License-Identifier: Apache-2.0
// An archive in a folder, by way of the folder store, whose puts are atomic and durable.
#include <utility>

#include "base/random.h"
#include "base/result.h"
#include "files/files.h"
#include "files/object_store.h"
#include "varve/log_archive.h"

namespace varve {
namespace {

class FolderPut final : public LogArchive::Put {
 public:
  explicit FolderPut(std::unique_ptr<ObjectWriter> writer) : writer_(std::move(writer)) {}
  Status Append(std::string_view bytes) override { return writer_->Append(bytes); }
  Status Finish() override { return writer_->Finish(); }

 private:
  const std::unique_ptr<ObjectWriter> writer_;
};

class FolderArchive final : public LogArchive {
 public:
  FolderArchive(Files* files, std::string folder, Random* random)
      : files_(files), folder_(std::move(folder)), store_(NewFolderStore(files, folder_, random)) {}

  Status Settle() override { return RemoveLeftovers(files_, folder_); }

  Result<std::unique_ptr<Put>> NewPut(const std::string& name) override {
    VARVE_ASSIGN(auto writer, store_->NewWriter(name));
    return std::make_unique<FolderPut>(std::move(writer));
  }

  Result<std::string> Read(const std::string& name, std::uint64_t offset,
                           std::uint64_t size) override {
    return store_->GetRange(name, offset, size);
  }

  Result<std::vector<LogArchiveObject>> List() override {
    VARVE_ASSIGN(const auto found, store_->List(""));
    std::vector<LogArchiveObject> objects;
    objects.reserve(found.size());
    for (const auto& object : found) objects.push_back({object.name, object.size});
    return objects;
  }

  Status Delete(const std::string& name) override { return store_->Delete(name); }
  std::string Describe(const std::string& name) const override { return store_->Describe(name); }

 private:
  Files* const files_;
  const std::string folder_;
  const std::unique_ptr<ObjectStore> store_;
};

}  // namespace

std::unique_ptr<LogArchive> NewFolderArchive(const std::string& folder,
                                             const LogComponents& components) {
  auto* files = components.files != nullptr ? components.files : PosixFiles();
  auto* random = components.random != nullptr ? components.random : SystemRandom();
  return std::make_unique<FolderArchive>(files, folder, random);
}

}  // namespace varve
