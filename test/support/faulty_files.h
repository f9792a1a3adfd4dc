// SPDX-License-Identifier: Apache-2.0
// A disk whose n-th call of a kind fails, once or from then on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "files/files.h"
#include "files/simulated_disk.h"

namespace varve::testing {

// Every call that can fail.
enum class CallKind : std::uint8_t {
  kOpen, kCreate, kRead, kWrite, kWriteDurably, kSync, kSyncMethod,
  kTruncate, kSize, kRename, kLink, kRemove,
  kSyncDirectory, kMakeDirectory, kList, kInfo, kLock,
};
inline constexpr int kCallKinds = 17;
std::string_view ToString(CallKind kind);

enum class FaultEffect : std::uint8_t {
  kNotDone,  // of a write a part may be done; a sync that fails loses pages for good
  kDone,     // done, and yet reported as failed
};

struct Fault {
  CallKind kind = CallKind::kOpen;
  std::uint64_t nth = 0;  // of this kind, from 1; 0: none
  bool for_ever = false;  // the later ones too
  FaultEffect effect = FaultEffect::kNotDone;
  ErrorReason reason = ErrorReason::kIo;
};
std::string Describe(const Fault& fault);

// Counts the calls and passes them on to a simulated disk. One thread at a time.
class FaultyFiles final : public Files {
 public:
  explicit FaultyFiles(SimulatedDisk* disk) : disk_(disk) {}
  void Arm(const Fault& fault) { fault_ = fault; }
  void Disarm() { fault_.nth = 0; }
  std::uint64_t calls(CallKind kind) const { return calls_[static_cast<std::size_t>(kind)]; }
  // The fault came about.
  bool hit() const { return hit_; }

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
  class Handle;
  // Counts; whether this call is to fail.
  bool Falls(CallKind kind);
  Error Injected(CallKind kind, const std::string& path) const;
  // A call that only looks.
  template <typename Call>
  auto Look(CallKind kind, const std::string& path, const Call& call) -> decltype(call());
  // A call that is an event of the disk.
  template <typename Call>
  auto Change(CallKind kind, const std::string& path, const Call& call) -> decltype(call());

  SimulatedDisk* const disk_;
  Fault fault_;
  bool hit_ = false;
  std::array<std::uint64_t, kCallKinds> calls_{};
};

}  // namespace varve::testing
