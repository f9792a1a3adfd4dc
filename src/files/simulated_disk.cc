// SPDX-License-Identifier: Apache-2.0
// The disk's face: each operation checks, counts its event, changes the tree that programs see and
// records the change in the image that survives.
#include "files/simulated_disk.h"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "base/result.h"
#include "files/create_directories.h"
#include "files/file_errors.h"
#include "files/simulated_state.h"

namespace varve {

class SimulatedDisk::Handle final : public File {
 public:
  // Called with the mutex held.
  Handle(std::shared_ptr<State> state, NodeId node, std::string path, bool writable)
      : state_(std::move(state)),
        life_(state_->lives),
        node_(node),
        path_(std::move(path)),
        writable_(writable) {
    state_->tree.AddHandle(node_);
  }
  ~Handle() override {
    const std::lock_guard guard(state_->mutex);
    if (life_ == state_->lives) state_->tree.DropHandle(node_);
  }

  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckHandle(life_, "read", path_));
    const auto bad = state_->bad_reads.find(node_);
    if (bad != state_->bad_reads.end()) return std::unexpected(bad->second);
    return state_->tree.At(node_).bytes.ReadAt(offset, size, into);
  }

  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    VARVE_TRY(CheckWrite(offset, bytes));
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckHandle(life_, "write", path_));
    if (bytes.empty()) return {};
    auto verdict = state_->Count("write", path_, bytes.size());
    if (!verdict.happens) bytes = PartOf(bytes);
    return Put(offset, bytes, std::move(verdict.status));
  }

  Status WriteDurably(std::uint64_t offset, std::string_view bytes) override {
    VARVE_TRY(CheckWrite(offset, bytes));
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckHandle(life_, "write", path_));
    auto verdict = state_->Count("write-durably", path_, bytes.size());
    SeededRandom random(state_->trace.size());
    const bool sync_fails = !verdict.happens && random.Below(2) == 0;  // otherwise the write does
    if (!verdict.happens && !sync_fails) bytes = PartOf(bytes);
    auto status = Put(offset, bytes, std::move(verdict.status));
    if (status) {
      SyncAfter(offset, bytes.size());
    } else if (sync_fails) {
      FailSyncAfter(offset, bytes.size(), &random);
    }
    return status;
  }

  Status UseSyncMethod(SyncMethod method) override {
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckHandle(life_, "choose the sync method of", path_));
    method_ = method;
    return {};
  }

  Status Sync() override {
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckHandle(life_, "sync", path_));
    auto verdict = state_->Count("sync", path_);
    if (verdict.status) {
      state_->image.SyncFile(node_, state_->tree.At(node_).bytes);
    } else if (!state_->crashed) {
      SeededRandom random(state_->trace.size());
      state_->image.FailSyncFile(node_, &random);
    }
    return std::move(verdict.status);
  }

  Result<std::uint64_t> Size() override {
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckHandle(life_, "size of", path_));
    return state_->tree.At(node_).bytes.size();
  }

  Status Truncate(std::uint64_t size) override {
    if (!writable_) return FailWith("truncate", path_, EINVAL);
    if (size > SparseBytes::kSizeMax) return FailWith("truncate", path_, EFBIG);
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckHandle(life_, "truncate", path_));
    auto verdict = state_->Count("truncate", path_, size);
    if (!verdict.happens) return std::move(verdict.status);
    const bool grows = size > state_->tree.At(node_).bytes.size();
    if (grows && size > state_->SizeLimit(node_)) return FailWith("truncate", path_, ENOSPC);
    state_->tree.Truncate(node_, size);
    state_->image.Truncate(node_, size);
    return std::move(verdict.status);
  }

  const std::string& path() const override { return path_; }

 private:
  Status CheckWrite(std::uint64_t offset, std::string_view bytes) const {
    if (!writable_) return FailWith("write", path_, EBADF);
    if (offset <= SparseBytes::kSizeMax && bytes.size() <= SparseBytes::kSizeMax - offset) {
      return {};
    }
    return FailWith("write", path_, EFBIG);
  }

  // What a write that fails has done.
  std::string_view PartOf(std::string_view bytes) const {
    return bytes.substr(0, SeededRandom(state_->trace.size()).Below(bytes.size() + 1));
  }

  // Writes what fits. Gives `status`, or kNoSpace.
  Status Put(std::uint64_t offset, std::string_view bytes, Status status) {
    const auto limit = std::max(state_->SizeLimit(node_), offset);
    const auto fitting = bytes.substr(0, limit - offset);
    state_->Write(node_, offset, fitting);
    if (status && fitting.size() < bytes.size()) return FailWith("write", path_, ENOSPC);
    return status;
  }

  void SyncAfter(std::uint64_t offset, std::uint64_t size) {
    const auto& now = state_->tree.At(node_).bytes;
    if (SyncsWholeFile(method_)) {
      state_->image.SyncFile(node_, now);
    } else if (size > 0) {
      state_->image.SyncRange(node_, offset, size, now);
    }
  }

  void FailSyncAfter(std::uint64_t offset, std::uint64_t size, Random* random) {
    if (SyncsWholeFile(method_)) {
      state_->image.FailSyncFile(node_, random);
    } else {
      state_->image.FailSyncRange(node_, offset, size, random);
    }
  }

  const std::shared_ptr<State> state_;
  const std::uint64_t life_;
  const NodeId node_;
  const std::string path_;
  const bool writable_;
  SyncMethod method_ = SyncMethod::kFdatasync;  // guarded by the mutex
};

// `file` is null for the lock of a file that is not there; otherwise it keeps the node alive.
class SimulatedDisk::HeldLock final : public FileLock {
 public:
  HeldLock() = default;
  // Called with the mutex held, after TryLock.
  HeldLock(std::shared_ptr<State> state, std::unique_ptr<Handle> file, NodeId node, LockMode mode)
      : state_(std::move(state)),
        file_(std::move(file)),
        life_(state_->lives),
        node_(node),
        mode_(mode) {}
  ~HeldLock() override {
    if (!state_) return;
    const std::lock_guard guard(state_->mutex);
    if (life_ == state_->lives) state_->tree.Unlock(node_, mode_);
  }

  Handle* file() const { return file_.get(); }

 private:
  const std::shared_ptr<State> state_;
  const std::unique_ptr<Handle> file_;
  const std::uint64_t life_ = 0;
  const NodeId node_ = 0;
  const LockMode mode_ = LockMode::kShared;
};

SimulatedDisk::SimulatedDisk() : state_(std::make_shared<State>()) {}
SimulatedDisk::SimulatedDisk(std::shared_ptr<State> state) : state_(std::move(state)) {}
SimulatedDisk::~SimulatedDisk() = default;

Result<std::unique_ptr<File>> SimulatedDisk::Open(const std::string& path, OpenMode mode) {
  const std::lock_guard guard(state_->mutex);
  if (mode != OpenMode::kCreate) {
    VARVE_TRY(state_->CheckPower("open", path));
    VARVE_ASSIGN(const auto node, state_->tree.FindFile("open", path));
    return std::make_unique<Handle>(state_, node, path, mode == OpenMode::kReadWrite);
  }
  VARVE_TRY(state_->CheckPower("create", path));
  VARVE_ASSIGN(const auto place, state_->tree.Locate("create", path));
  if (place.node != 0) return FailWith("create", path, EEXIST);
  auto verdict = state_->Count("create", path);
  const auto node = verdict.happens ? state_->Make(place, /*is_directory=*/false) : 0;
  if (!verdict.status) return std::unexpected(std::move(verdict.status).error());
  return std::make_unique<Handle>(state_, node, path, true);
}

Result<FileInfo> SimulatedDisk::Info(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  VARVE_TRY(state_->CheckPower("look at", path));
  return state_->tree.Info(path);
}

Result<std::vector<FileInfo>> SimulatedDisk::List(const std::string& directory) {
  const std::lock_guard guard(state_->mutex);
  VARVE_TRY(state_->CheckPower("list", directory));
  return state_->tree.List(directory);
}

Status SimulatedDisk::CreateDirectories(const std::string& directory) {
  const auto exists = [this](const std::string& path) -> Result<bool> {
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckPower("make the folder", path));
    return state_->tree.FolderExists(path);
  };
  const auto make = [this](const std::string& path) -> Status {
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckPower("make the folder", path));
    VARVE_ASSIGN(const auto place, state_->tree.Locate("make the folder", path));
    if (place.node != 0) return {};
    auto verdict = state_->Count("mkdir", path);
    if (verdict.happens) state_->Make(place, /*is_directory=*/true);
    return std::move(verdict.status);
  };
  const auto sync = [this](const std::string& path) { return SyncDirectory(path); };
  return CreateDirectoriesWith(directory, {.exists = exists, .make = make, .sync = sync});
}

Status SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard guard(state_->mutex);
  VARVE_TRY(state_->CheckPower("rename", from));
  return state_->Change("rename", TwoPaths(from, to), state_->tree.PlanRename(from, to));
}

Status SimulatedDisk::Link(const std::string& from, const std::string& to) {
  const std::lock_guard guard(state_->mutex);
  VARVE_TRY(state_->CheckPower("link", from));
  return state_->Change("link", TwoPaths(from, to), state_->tree.PlanLink(from, to));
}

Status SimulatedDisk::Remove(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  VARVE_TRY(state_->CheckPower("remove", path));
  return state_->Change("remove", path, state_->tree.PlanRemove(path));
}

Status SimulatedDisk::SyncDirectory(const std::string& directory) {
  const std::lock_guard guard(state_->mutex);
  VARVE_TRY(state_->CheckPower("sync the folder", directory));
  VARVE_ASSIGN(const auto node, state_->tree.Find("sync the folder", directory));
  if (!state_->tree.At(node).is_directory) return FailWith("sync the folder", directory, ENOTDIR);
  auto verdict = state_->Count("syncdir", directory);
  if (verdict.status) state_->image.SyncFolder(node, state_->tree);
  return std::move(verdict.status);
}

Result<std::unique_ptr<FileLock>> SimulatedDisk::Lock(const std::string& path, LockMode mode) {
  const bool exclusive = mode == LockMode::kExclusive;
  if (exclusive) {
    const auto made = Open(path, OpenMode::kCreate);
    if (!made && made.error().kind() != ErrorKind::kConflict) return std::unexpected(made.error());
  }
  std::unique_ptr<HeldLock> lock;
  {
    const std::lock_guard guard(state_->mutex);
    VARVE_TRY(state_->CheckPower("lock", path));
    const auto node = state_->tree.FindFile("lock", path);
    if (!node) {
      const bool absent = node.error().kind() == ErrorKind::kNotFound;
      if (absent && !exclusive) return std::make_unique<HeldLock>();
      return std::unexpected(node.error());
    }
    if (!state_->tree.TryLock(*node, mode)) return std::unexpected(HeldHere(path));
    lock = std::make_unique<HeldLock>(
        state_, std::make_unique<Handle>(state_, *node, path, exclusive), *node, mode);
  }
  if (exclusive) {
    // As on a real disk the text is for people: that there is no room for it is no reason to stop.
    [[maybe_unused]] const auto written = lock->file()->WriteAt(0, kLockHolderText);
  }
  return lock;
}

std::uint64_t SimulatedDisk::events() const {
  const std::lock_guard guard(state_->mutex);
  return state_->trace.size();
}

std::vector<DiskEvent> SimulatedDisk::trace() const {
  const std::lock_guard guard(state_->mutex);
  std::vector<DiskEvent> events;
  for (const auto& event : state_->trace) events.push_back(*event);
  return events;
}

void SimulatedDisk::CrashAtEvent(std::uint64_t event) {
  const std::lock_guard guard(state_->mutex);
  state_->crash_at = event;
}

bool SimulatedDisk::crashed() const {
  const std::lock_guard guard(state_->mutex);
  return state_->crashed;
}

void SimulatedDisk::Crash(Survival survival, Random* random) {
  const std::lock_guard guard(state_->mutex);
  state_->EndLife();
  state_->image.Crash(survival, random, &state_->tree);
}

std::size_t SimulatedDisk::PendingParts(std::uint64_t grain) const {
  const std::lock_guard guard(state_->mutex);
  return state_->image.PendingParts(grain);
}

void SimulatedDisk::CrashKeeping(std::uint64_t grain, const std::vector<bool>& kept) {
  const std::lock_guard guard(state_->mutex);
  state_->EndLife();
  state_->image.CrashKeeping(grain, kept, &state_->tree);
}

std::uint64_t SimulatedDisk::Fingerprint() const {
  const std::lock_guard guard(state_->mutex);
  return state_->tree.Fingerprint();
}

void SimulatedDisk::KillProcess() {
  const std::lock_guard guard(state_->mutex);
  state_->EndLife();
}

void SimulatedDisk::FailEvent(std::uint64_t event, Error error) {
  const std::lock_guard guard(state_->mutex);
  state_->failures.insert_or_assign(event, std::move(error));
}

void SimulatedDisk::FailReads(const std::string& path, std::optional<Error> error) {
  const std::lock_guard guard(state_->mutex);
  const auto node = state_->tree.FindFile("find", path);
  VARVE_CHECK(node.has_value());
  state_->bad_reads.erase(*node);
  if (error) state_->bad_reads.emplace(*node, *std::move(error));
}

void SimulatedDisk::SetCapacity(std::uint64_t bytes) {
  const std::lock_guard guard(state_->mutex);
  state_->capacity = bytes;
}

Result<std::string> SimulatedDisk::Peek(const std::string& path) const {
  const std::lock_guard guard(state_->mutex);
  VARVE_ASSIGN(const auto node, state_->tree.FindFile("peek at", path));
  return state_->tree.At(node).bytes.ToString();
}

void SimulatedDisk::Poke(const std::string& path, std::string bytes) {
  const std::lock_guard guard(state_->mutex);
  const auto place = state_->tree.Locate("poke", path);
  VARVE_CHECK(place.has_value());
  auto node = place->node;
  if (node == 0) {
    node = state_->tree.NewNode(/*is_directory=*/false);
    state_->tree.Apply({{place->folder, place->name, node}});
  }
  state_->tree.Truncate(node, 0);
  state_->tree.Write(node, 0, bytes);
  state_->image.Place(*place, node, state_->tree.At(node).bytes);
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::Clone() const {
  const std::lock_guard guard(state_->mutex);
  auto copy = std::make_shared<State>();
  copy->tree = state_->tree;
  copy->tree.DropAllHandles();
  copy->image = state_->image;
  copy->trace = state_->trace;
  copy->failures = state_->failures;
  copy->bad_reads = state_->bad_reads;
  copy->crash_at = state_->crash_at;
  copy->capacity = state_->capacity;
  copy->crashed = state_->crashed;
  return std::unique_ptr<SimulatedDisk>(new SimulatedDisk(std::move(copy)));
}

}  // namespace varve
