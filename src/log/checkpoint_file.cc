// SPDX-License-Identifier: Apache-2.0
#include "log/checkpoint_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/out_of_memory.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::string_view kMagic = "VARVECKP";
constexpr std::size_t kIdOffset = 8;
constexpr std::size_t kNumberOffset = 24;
constexpr std::size_t kDurableOffset = 32;
constexpr std::size_t kReplayOffset = 40;
constexpr std::size_t kCrcOffset = 48;
constexpr std::size_t kSlotUsed = 52;
constexpr std::uint64_t kSlots = 2;
constexpr std::uint64_t kNumberMost = 1ull << 62;  // nobody counts so far

std::string EncodeSlot(const LogId& id, const CheckpointSlot& slot) {
  std::string bytes(kLogBlock, '\0');
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  std::memcpy(bytes.data() + kIdOffset, id.data(), id.size());
  StoreLittle(bytes.data() + kNumberOffset, slot.number);
  StoreLittle(bytes.data() + kDurableOffset, slot.durable.value);
  StoreLittle(bytes.data() + kReplayOffset, slot.replay_from.value);
  StoreLittle(bytes.data() + kCrcOffset, Crc32c(std::string_view(bytes).substr(0, kCrcOffset)));
  return bytes;
}

// `index` says which slot it is.
std::optional<CheckpointSlot> DecodeSlot(std::string_view bytes, const LogId& id,
                                         std::uint64_t index) {
  if (bytes.size() < kSlotUsed || !bytes.starts_with(kMagic)) return {};
  if (LoadLittle<std::uint32_t>(bytes.data() + kCrcOffset) !=
      Crc32c(bytes.substr(0, kCrcOffset))) {
    return {};
  }
  if (std::memcmp(bytes.data() + kIdOffset, id.data(), id.size()) != 0) {
    return {};
  }
  // One in the slot of another would be written over before the next one is durable.
  const auto number = LoadLittle<std::uint64_t>(bytes.data() + kNumberOffset);
  if (number == 0 || number > kNumberMost || number % kSlots != index) return {};
  return CheckpointSlot{number,
                        {LoadLittle<std::uint64_t>(bytes.data() + kDurableOffset)},
                        {LoadLittle<std::uint64_t>(bytes.data() + kReplayOffset)}};
}

}  // namespace

std::string EncodeCheckpoint(Lsn replay_from, std::string_view note) {
  std::string record;
  AppendLittle(&record, replay_from.value);
  record += note;
  return record;
}

std::optional<LogCheckpoint> DecodeCheckpoint(Lsn lsn, const LogRecord& record) {
  if (record.bytes.size() < sizeof(std::uint64_t)) return {};
  return LogCheckpoint{lsn,
                       {LoadLittle<std::uint64_t>(record.bytes.data())},
                       std::string(record.bytes.substr(sizeof(std::uint64_t)))};
}

Result<std::optional<CheckpointSlot>> ReadCheckpoint(Files* files, const std::string& dir,
                                                     const LogId& id) {
  std::optional<CheckpointSlot> newest;
  auto bytes = ReadWholeFile(files, JoinPath(dir, kCheckpointName));
  if (!bytes && bytes.error().kind() == ErrorKind::kNotFound) return newest;
  if (!bytes) return std::unexpected(std::move(bytes).error());
  for (std::uint64_t i = 0; i < kSlots && bytes->size() >= i * kLogBlock; ++i) {
    const auto slot = DecodeSlot(std::string_view(*bytes).substr(i * kLogBlock), id, i);
    if (slot && (!newest || slot->number > newest->number)) newest = slot;
  }
  return newest;
}

// An earlier process may have ended before it synced the slot, or its sync failed: then what is
// read is in the page cache only. Written again it becomes durable, whatever the kernel takes for
// clean.
Status CheckpointFile::Read() {
  if (read_) return {};
  VARVE_ASSIGN(const auto slot, ReadCheckpoint(files_, dir_, id_));
  if (slot) VARVE_TRY(Put(*slot));
  read_ = true;
  return {};
}

Result<std::optional<Lsn>> CheckpointFile::ReplayFrom() {
  VARVE_TRY(Read());
  return newest_ ? Lowest(newest_->replay_from, unit_) : unit_;
}

Status CheckpointFile::Open() {
  const auto path = JoinPath(dir_, kCheckpointName);
  auto file = files_->Open(path, OpenMode::kReadWrite);
  if (!file && file.error().kind() == ErrorKind::kNotFound) {
    file = files_->Open(path, OpenMode::kCreate);
  }
  if (!file) return std::unexpected(std::move(file).error());
  file_ = *std::move(file);
  return {};
}

Status CheckpointFile::Announce(Lsn replay_from) {
  VARVE_TRY(Read());
  VARVE_TRY(Failure());
  if (newest_ && replay_from < newest_->replay_from) {
    VARVE_TRY(PutNext(newest_->durable, replay_from));
  }
  unit_ = Lowest(unit_, replay_from);
  return {};
}

Status CheckpointFile::Write(Lsn durable, Lsn replay_from) {
  VARVE_TRY(Read());
  VARVE_TRY(PutNext(durable, replay_from));
  unit_.reset();
  return {};
}

Status CheckpointFile::PutNext(Lsn durable, Lsn replay_from) {
  const auto before = newest_ ? newest_->number : 0;
  if (before == kNumberMost) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("{}: checkpoint {} cannot be; remove the file",
                            JoinPath(dir_, kCheckpointName), before));
  }
  return Put({before + 1, durable, replay_from});
}

Status CheckpointFile::Put(const CheckpointSlot& slot) {
  VARVE_TRY(Failure());
  if (!file_) VARVE_TRY(Open());
  const auto bytes = EncodeSlot(id_, slot);
  // A call that is refused memory may have been done.
  auto written = OrOutOfMemory([&] {
    auto done = file_->WriteAt(slot.number % kSlots * kLogBlock, bytes);
    if (done) done = file_->Sync();
    if (done && !newest_) done = files_->SyncDirectory(dir_);
    return done;
  });
  if (written) {
    newest_ = slot;
    return {};
  }
  // Either of the two may be what a crash leaves.
  if (!newest_) newest_ = slot;
  newest_->replay_from = std::min(newest_->replay_from, slot.replay_from);
  failure_ = CopyOf(written.error());
  return Failure();
}

Status CheckpointFile::Failure() const {
  if (!failure_) return {};
  return std::unexpected(
      failure_->Within("writing the checkpoint; reopen the log to write another"));
}

}  // namespace varve
