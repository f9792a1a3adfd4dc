// SPDX-License-Identifier: Apache-2.0
#include "test/support/faulty_files.h"

#include <fmt/format.h>

#include <utility>

#include "base/result.h"

namespace varve::testing {

std::string_view ToString(CallKind kind) {
  static constexpr std::string_view kNames[kCallKinds] = {
      "open",        "create",   "read", "write",  "write durably", "sync",
      "sync method", "truncate", "size", "rename", "link",          "remove",
      "sync folder", "mkdir",    "list", "info",   "lock"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string Describe(const Fault& fault) {
  return fmt::format("{} {}{} fails with {}{}", ToString(fault.kind), fault.nth,
                     fault.for_ever ? " and every later one" : "", ToString(fault.reason),
                     fault.effect == FaultEffect::kDone ? ", though it is done" : "");
}

bool FaultyFiles::Falls(CallKind kind) {
  const auto call = ++calls_[static_cast<std::size_t>(kind)];
  if (fault_.nth == 0 || kind != fault_.kind || call < fault_.nth) return false;
  if (call > fault_.nth && !fault_.for_ever) return false;
  hit_ = true;
  return true;
}

Error FaultyFiles::Injected(CallKind kind, const std::string& path) const {
  return Error(ErrorKind::kUnavailable, fmt::format("{} {}: injected", ToString(kind), path),
               fault_.reason);
}

template <typename Call>
auto FaultyFiles::Look(CallKind kind, const std::string& path, const Call& call)
    -> decltype(call()) {
  if (Falls(kind)) return std::unexpected(Injected(kind, path));
  return call();
}

template <typename Call>
auto FaultyFiles::Change(CallKind kind, const std::string& path, const Call& call)
    -> decltype(call()) {
  if (!Falls(kind)) return call();
  const bool done = fault_.effect == FaultEffect::kDone;
  const bool in_part = kind == CallKind::kWrite || kind == CallKind::kSync ||
                       kind == CallKind::kWriteDurably;
  if (!done && !in_part) return std::unexpected(Injected(kind, path));
  if (!done) disk_->FailEvent(disk_->events() + 1, Injected(kind, path));
  auto outcome = call();
  if (outcome) return std::unexpected(Injected(kind, path));  // as if the report of it was lost
  return outcome;
}

class FaultyFiles::Handle final : public File {
 public:
  Handle(FaultyFiles* files, std::unique_ptr<File> file) : files_(files), file_(std::move(file)) {}
  Result<std::uint64_t> ReadAt(std::uint64_t offset, std::uint64_t size, char* into) override {
    return files_->Look(CallKind::kRead, path(), [&] { return file_->ReadAt(offset, size, into); });
  }
  Status WriteAt(std::uint64_t offset, std::string_view bytes) override {
    if (bytes.empty()) return {};
    return files_->Change(CallKind::kWrite, path(), [&] { return file_->WriteAt(offset, bytes); });
  }
  Status WriteDurably(std::uint64_t offset, std::string_view bytes) override {
    return files_->Change(CallKind::kWriteDurably, path(),
                          [&] { return file_->WriteDurably(offset, bytes); });
  }
  Status UseSyncMethod(SyncMethod method) override {
    return files_->Look(CallKind::kSyncMethod, path(),
                        [&] { return file_->UseSyncMethod(method); });
  }
  Status Sync() override {
    return files_->Change(CallKind::kSync, path(), [&] { return file_->Sync(); });
  }
  Result<std::uint64_t> Size() override {
    return files_->Look(CallKind::kSize, path(), [&] { return file_->Size(); });
  }
  Status Truncate(std::uint64_t size) override {
    return files_->Change(CallKind::kTruncate, path(), [&] { return file_->Truncate(size); });
  }
  const std::string& path() const override { return file_->path(); }

 private:
  FaultyFiles* const files_;
  const std::unique_ptr<File> file_;
};

Result<std::unique_ptr<File>> FaultyFiles::Open(const std::string& path, OpenMode mode) {
  const auto open = [&] { return disk_->Open(path, mode); };
  auto file = mode == OpenMode::kCreate ? Change(CallKind::kCreate, path, open)
                                        : Look(CallKind::kOpen, path, open);
  if (!file) return std::unexpected(std::move(file).error());
  return std::make_unique<Handle>(this, *std::move(file));
}
Result<FileInfo> FaultyFiles::Info(const std::string& path) {
  return Look(CallKind::kInfo, path, [&] { return disk_->Info(path); });
}
Result<std::vector<FileInfo>> FaultyFiles::List(const std::string& directory) {
  return Look(CallKind::kList, directory, [&] { return disk_->List(directory); });
}
Status FaultyFiles::CreateDirectories(const std::string& directory) {
  return Look(CallKind::kMakeDirectory, directory,
              [&] { return disk_->CreateDirectories(directory); });
}
Status FaultyFiles::Rename(const std::string& from, const std::string& to) {
  return Change(CallKind::kRename, from, [&] { return disk_->Rename(from, to); });
}
Status FaultyFiles::Link(const std::string& from, const std::string& to) {
  return Change(CallKind::kLink, from, [&] { return disk_->Link(from, to); });
}
Status FaultyFiles::Remove(const std::string& path) {
  return Change(CallKind::kRemove, path, [&] { return disk_->Remove(path); });
}
Status FaultyFiles::SyncDirectory(const std::string& directory) {
  return Change(CallKind::kSyncDirectory, directory,
                [&] { return disk_->SyncDirectory(directory); });
}
Result<std::unique_ptr<FileLock>> FaultyFiles::Lock(const std::string& path, LockMode mode) {
  return Look(CallKind::kLock, path, [&] { return disk_->Lock(path, mode); });
}

}  // namespace varve::testing
