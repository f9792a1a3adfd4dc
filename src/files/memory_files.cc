// SPDX-License-Identifier: Apache-2.0
// MemoryFiles: the tree in memory behind the Files interface. One mutex guards the tree; files and
// locks keep the tree alive.
#include <cerrno>
#include <mutex>
#include <utility>

#include "base/result.h"
#include "files/create_directories.h"
#include "files/file_errors.h"
#include "files/memory_tree.h"
#include "files/simulated_disk.h"

namespace varve {
namespace {

struct Shared {
  std::mutex mutex;
  MemoryTree tree;  // guarded by mutex
};

class MemoryFile final : public File {
 public:
  // Called with the mutex held.
  MemoryFile(std::shared_ptr<Shared> shared, NodeId node, std::string path, bool writable)
      : shared_(std::move(shared)), node_(node), path_(std::move(path)), writable_(writable) {
    shared_->tree.AddHandle(node_);
  }
  ~MemoryFile() override {
    const std::lock_guard guard(shared_->mutex);
    shared_->tree.DropHandle(node_);
  }

  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    const std::lock_guard guard(shared_->mutex);
    return shared_->tree.At(node_).bytes.ReadAt(offset, size, into);
  }

  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    if (!writable_) return FailWith("write", path_, EBADF);
    if (offset > SparseBytes::kSizeMax || bytes.size() > SparseBytes::kSizeMax - offset) {
      return FailWith("write", path_, EFBIG);
    }
    const std::lock_guard guard(shared_->mutex);
    shared_->tree.Write(node_, offset, bytes);
    return {};
  }

  Status Sync() override { return {}; }
  Status UseSyncMethod(SyncMethod) override { return {}; }  // all the same here

  Result<std::uint64_t> Size() override {
    const std::lock_guard guard(shared_->mutex);
    return shared_->tree.At(node_).bytes.size();
  }

  Status Truncate(std::uint64_t size) override {
    if (!writable_) return FailWith("truncate", path_, EINVAL);
    if (size > SparseBytes::kSizeMax) return FailWith("truncate", path_, EFBIG);
    const std::lock_guard guard(shared_->mutex);
    shared_->tree.Truncate(node_, size);
    return {};
  }

  const std::string& path() const override { return path_; }

 private:
  const std::shared_ptr<Shared> shared_;
  const NodeId node_;
  const std::string path_;
  const bool writable_;
};

// `shared` is null for the lock of a file that is not there.
class MemoryLock final : public FileLock {
 public:
  MemoryLock() = default;
  // Called with the mutex held, after TryLock.
  MemoryLock(std::shared_ptr<Shared> shared, NodeId node, LockMode mode)
      : shared_(std::move(shared)), node_(node), mode_(mode) {
    shared_->tree.AddHandle(node_);
  }
  ~MemoryLock() override {
    if (!shared_) return;
    const std::lock_guard guard(shared_->mutex);
    shared_->tree.Unlock(node_, mode_);
    shared_->tree.DropHandle(node_);
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const NodeId node_ = 0;
  const LockMode mode_ = LockMode::kShared;
};

class MemoryFiles final : public Files {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    const std::lock_guard guard(shared_->mutex);
    if (mode == OpenMode::kCreate) {
      VARVE_ASSIGN(const auto made, Make("create", path, /*is_directory=*/false));
      return std::make_unique<MemoryFile>(shared_, made, path, true);
    }
    VARVE_ASSIGN(const auto node, tree().FindFile("open", path));
    return std::make_unique<MemoryFile>(shared_, node, path, mode == OpenMode::kReadWrite);
  }

  Result<FileInfo> Info(const std::string& path) override {
    const std::lock_guard guard(shared_->mutex);
    return tree().Info(path);
  }

  Result<std::vector<FileInfo>> List(const std::string& directory) override {
    const std::lock_guard guard(shared_->mutex);
    return tree().List(directory);
  }

  Status CreateDirectories(const std::string& directory) override {
    const std::lock_guard guard(shared_->mutex);
    return CreateDirectoriesWith(
        directory, {.exists = [this](const auto& path) { return tree().FolderExists(path); },
                    .make = [this](const auto& path) -> Status {
                      VARVE_TRY(Make("make the folder", path, /*is_directory=*/true));
                      return {};
                    },
                    .sync = [](const auto&) { return Status(); }});
  }

  Status Rename(const std::string& from, const std::string& to) override {
    const std::lock_guard guard(shared_->mutex);
    return Apply(tree().PlanRename(from, to));
  }

  Status Link(const std::string& from, const std::string& to) override {
    const std::lock_guard guard(shared_->mutex);
    return Apply(tree().PlanLink(from, to));
  }

  Status Remove(const std::string& path) override {
    const std::lock_guard guard(shared_->mutex);
    return Apply(tree().PlanRemove(path));
  }

  Status SyncDirectory(const std::string& directory) override {
    const std::lock_guard guard(shared_->mutex);
    VARVE_ASSIGN(const auto node, tree().Find("sync the folder", directory));
    if (!tree().At(node).is_directory) return FailWith("sync the folder", directory, ENOTDIR);
    return {};
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, LockMode mode) override {
    const std::lock_guard guard(shared_->mutex);
    const bool exclusive = mode == LockMode::kExclusive;
    auto node = tree().FindFile("open", path);
    if (!node && node.error().kind() == ErrorKind::kNotFound) {
      if (!exclusive) return std::make_unique<MemoryLock>();
      node = Make("create", path, /*is_directory=*/false);
    }
    if (!node) return std::unexpected(std::move(node).error());
    if (!tree().TryLock(*node, mode)) return std::unexpected(HeldHere(path));
    if (exclusive) {
      tree().Truncate(*node, 0);
      tree().Write(*node, 0, kLockHolderText);
    }
    return std::make_unique<MemoryLock>(shared_, *node, mode);
  }

 private:
  MemoryTree& tree() { return shared_->tree; }

  Result<NodeId> Make(std::string_view operation, const std::string& path, bool is_directory) {
    VARVE_ASSIGN(const auto place, tree().Locate(operation, path));
    if (place.node != 0) return FailWith(operation, path, EEXIST);
    const auto node = tree().NewNode(is_directory);
    tree().Apply({{place.folder, place.name, node}});
    return node;
  }

  Status Apply(Result<EntryChanges> plan) {
    if (!plan) return std::unexpected(std::move(plan).error());
    tree().Apply(*plan);
    return {};
  }

  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace

std::unique_ptr<Files> NewMemoryFiles() { return std::make_unique<MemoryFiles>(); }

}  // namespace varve
