// SPDX-License-Identifier: Apache-2.0
#include "engine/lease.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "base/crc32c.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::string_view kSuffix = ".lease";
// Behind what the lock writes of its holder.
constexpr std::uint64_t kNoteOffset = 64;
constexpr std::size_t kNumberDigits = 20;
constexpr std::size_t kNoteBytes = 2 * (kNumberDigits + 1) + 8 + 1;
constexpr int kAttemptsMax = 100;

std::string NoteOf(std::uint64_t number, CommitNumber commit) {
  const std::string fields = fmt::format("{:020} {:020} ", number, commit.value);
  return fmt::format("{}{:08x}\n", fields, Crc32c(fields));
}

std::uint64_t NumberAt(std::string_view digits) {
  std::uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + kNumberDigits, number);
  return number;
}

// A note that is missing, or was being written, is that of a reader that needs all.
void TakeNote(std::string_view note, HeldLease* lease) {
  if (note.size() != kNoteBytes) return;
  const std::uint64_t number = NumberAt(note);
  const CommitNumber commit{NumberAt(note.substr(kNumberDigits + 1))};
  if (NoteOf(number, commit) != note) return;
  lease->number = number;
  lease->commit = commit;
}

// "4711 python3\n" as a lock writes it.
std::string HolderOf(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::size_t space = line.find(' ');
  if (line.empty() || line.front() == '\0') return "a process that is just opening it";
  if (space == std::string_view::npos) return std::string(line);
  return fmt::format("{} ({})", line.substr(0, space), line.substr(space + 1));
}

HeldLease ReadLease(Files* files, const std::string& path) {
  HeldLease lease{.holder = fmt::format("the holder of '{}'", path), .number = 0, .commit = {}};
  const auto bytes = ReadWholeFile(files, path);
  if (!bytes) return lease;
  lease.holder = HolderOf(std::string_view(*bytes).substr(0, kNoteOffset));
  if (bytes->size() > kNoteOffset) {
    TakeNote(std::string_view(*bytes).substr(kNoteOffset), &lease);
  }
  return lease;
}

}  // namespace

std::string LeaseFolder(const std::string& database) { return JoinPath(database, "leases"); }

Lease::Lease(Files* files, std::string path, std::unique_ptr<FileLock> lock,
             std::unique_ptr<File> file)
    : files_(files),
      path_(std::move(path)),
      owner_(::getpid()),
      lock_(std::move(lock)),
      file_(std::move(file)) {}

// While it is still locked: so nobody takes a newer one of that name for dead.
Lease::~Lease() {
  if (owner_ == ::getpid()) (void)files_->Remove(path_);
}

Result<std::unique_ptr<Lease>> Lease::Take(Files* files, Random* random,
                                           const std::string& database) {
  const std::string folder = LeaseFolder(database);
  VARVE_TRY(files->CreateDirectories(folder));
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const std::string path = JoinPath(
        folder, fmt::format("{:016x}{:016x}{}", random->Next(), random->Next(), kSuffix));
    // Who looks at leases may meet the file before it is locked, and then removes it.
    auto lock = files->Lock(path, LockMode::kExclusive);
    if (!lock && lock.error().reason() == ErrorReason::kLocked) continue;
    if (!lock) return std::unexpected(std::move(lock).error());
    auto file = files->Open(path, OpenMode::kReadWrite);
    if (!file && file.error().kind() == ErrorKind::kNotFound) continue;
    if (!file) return std::unexpected(std::move(file).error());
    std::unique_ptr<Lease> lease(
        new Lease(files, path, *std::move(lock), *std::move(file)));
    return lease;
  }
  return Fail(ErrorKind::kUnavailable,
              fmt::format("'{}': each new lease was removed at once; try again", folder));
}

Status Lease::Note(std::uint64_t number, CommitNumber commit) {
  const Status noted = file_->WriteAt(kNoteOffset, NoteOf(number, commit));
  const bool full = !noted && noted.error().reason() == ErrorReason::kNoSpace;
  return full ? Status() : noted;
}

Result<std::vector<HeldLease>> HeldLeases(Files* files, const std::string& database) {
  std::vector<HeldLease> held;
  const std::string folder = LeaseFolder(database);
  const auto entries = files->List(folder);
  if (!entries && entries.error().kind() == ErrorKind::kNotFound) return held;
  if (!entries) return std::unexpected(entries.error());
  for (const FileInfo& entry : *entries) {
    if (!entry.name.ends_with(kSuffix)) continue;
    const std::string path = JoinPath(folder, entry.name);
    const auto lock = files->Lock(path, LockMode::kShared);
    if (lock) {
      (void)files->Remove(path);  // one that stays is looked at again
    } else if (lock.error().kind() != ErrorKind::kNotFound) {
      held.push_back(ReadLease(files, path));
    }
  }
  return held;
}

std::uint64_t LowestNumber(const std::vector<HeldLease>& leases) {
  std::uint64_t lowest = std::numeric_limits<std::uint64_t>::max();
  for (const HeldLease& lease : leases) lowest = std::min(lowest, lease.number);
  return lowest;
}

}  // namespace varve
