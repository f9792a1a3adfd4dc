// SPDX-License-Identifier: Apache-2.0
// RestoreLog. Segments are written under names that no log knows, every frame checked on its way:
// its checksums, the chain, and that each link names the segment before. The restored log ends at
// the end of a unit: the group frame that holds it is written anew, without the units after it (a
// frame says nothing of what follows it), and then a seal, as Close writes it. So the log ends by
// its own word, and recovery has nothing to judge.
//
// Names are given in an order that no crash turns into a shorter log that looks whole: the first
// segment first, durably. While later ones are missing, the seals say so.
//
// Where segments were left out, an unused segment follows, with a base behind all that the archive
// knows: the positions that were cut off are not given out again for something else.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/out_of_memory.h"
#include "base/random.h"
#include "base/result.h"
#include "log/archive_contents.h"
#include "log/log_format.h"
#include "log/log_recovery.h"
#include "log/segment_file.h"
#include "log/segment_reader.h"
#include "log/unit_codec.h"

namespace varve {
namespace {

constexpr char kLockName[] = "LOCK";

std::string UnnamedPath(const std::string& dir, std::uint64_t sequence) {
  return JoinPath(dir, fmt::format("{:016x}.restoring", sequence));
}

std::unexpected<Error> Damaged(const std::string& object, std::uint64_t offset,
                               std::string_view what) {
  return Fail(ErrorKind::kCorruption, fmt::format("{}, offset {}: {}", object, offset, what));
}

// The state of a log after a frame.
struct RestorePoint {
  SegmentHeader segment;      // sequence 0: nowhere yet
  std::uint64_t offset = 0;   // in it, behind the frame
  std::uint32_t chain = 0;
  std::uint64_t epoch = 0;
  SealPayload counts;
};

class LogRestore {
 public:
  LogRestore(LogArchive* archive, std::string dir, const LogRestoreOptions& options,
             const LogComponents& components)
      : archive_(archive),
        dir_(std::move(dir)),
        until_(options.until),
        components_(components),
        files_(components.files != nullptr ? components.files : PosixFiles()) {}

  Result<RecoveryReport> Run();

 private:
  Status CheckEmpty();
  Result<RecoveryReport> Write();
  Status CopySegments();
  Status CopySegment(const ArchivedSegment& archived);
  Result<SegmentHeader> CheckHead(const std::string& object, const ArchivedSegment& archived,
                                  File* from, std::uint64_t* unit_end);
  Status CopyFrame(const LogFrame& frame, const SegmentHeader& segment, File* to);
  Status TakeGroup(const LogFrame& frame, const SegmentHeader& segment, File* to);
  Status WriteShortened(const LogFrame& frame, std::uint64_t payload_bytes, std::uint32_t units,
                        std::uint64_t records, File* to);
  Status CheckEnd(const std::string& object, const ArchivedSegment& archived,
                  const SegmentReader& reader);
  Status SealEnd();
  Status MakeSuccessor(const SegmentHeader& last);
  Status GiveNames();
  Status Verify(RecoveryReport* report);
  void TakeBack();
  bool IsAfter(std::uint64_t unit_end) const {
    return until_.value != 0 && unit_end > until_.value;
  }

  LogArchive* const archive_;
  const std::string dir_;
  const Lsn until_;
  const LogComponents components_;
  Files* const files_;
  ArchiveContents contents_;
  RestorePoint at_;    // behind the last frame read
  RestorePoint kept_;  // behind the last frame that ends a unit
  bool cut_ = false;   // a unit beyond until_ was seen
  bool promised_ = false;                // the last frame is a seal that promises a successor
  std::uint64_t next_base_ = kFirstBase; // above every position of the archive
  std::vector<std::uint64_t> written_;   // sequences
};

Status LogRestore::CheckEmpty() {
  VARVE_TRY(files_->CreateDirectories(dir_));
  VARVE_ASSIGN(const auto entries, files_->List(dir_));
  for (const auto& entry : entries) {
    if (entry.name == kLockName) continue;
    return Fail(ErrorKind::kConflict,
                fmt::format("{}: a log is restored into an empty folder, found {}", dir_,
                            JoinPath(dir_, entry.name)),
                ErrorReason::kAlreadyExists);
  }
  return {};
}

Result<RecoveryReport> LogRestore::Run() {
  VARVE_ASSIGN(contents_, ReadContents(archive_));
  if (contents_.segments.empty()) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("{}: there is no log in this archive",
                            archive_->Describe(std::string(kArchiveIdName))));
  }
  VARVE_TRY(CheckEmpty());
  VARVE_ASSIGN(const auto lock, files_->Lock(JoinPath(dir_, kLockName), LockMode::kExclusive));
  VARVE_TRY(CheckEmpty());
  auto report = OrOutOfMemory([this] { return Write(); });
  if (!report) (void)HadMemory([this] { TakeBack(); });
  return report;
}

Result<RecoveryReport> LogRestore::Write() {
  VARVE_TRY(CopySegments());
  const bool exact = !cut_ && promised_;
  if (!exact) VARVE_TRY(SealEnd());
  const auto& last = exact ? at_.segment : kept_.segment;
  if (exact || next_base_ > last.EndOfRange()) VARVE_TRY(MakeSuccessor(last));
  VARVE_TRY(GiveNames());
  RecoveryReport report;
  VARVE_TRY(Verify(&report));
  return report;
}

Status LogRestore::CopySegments() {
  for (const auto& archived : contents_.segments) {
    VARVE_TRY(CopySegment(archived));
    if (cut_) break;
  }
  const auto& newest = contents_.segments.back();
  const auto file = OpenArchived(archive_, newest);
  VARVE_ASSIGN(const auto found, LookAtSegment(file.get()));
  if (!found.header) return Damaged(file->path(), 0, found.header_defect);
  next_base_ = std::max(at_.segment.EndOfRange(), found.header->EndOfRange());
  const auto end = at_.segment.LsnAt(at_.offset);
  if (cut_ || until_ <= end) return {};
  return Fail(ErrorKind::kNotFound,
              fmt::format("{}: asked for everything until LSN {}, but the archive ends at LSN {}",
                          file->path(), until_.value, end.value));
}

Result<SegmentHeader> LogRestore::CheckHead(const std::string& object,
                                            const ArchivedSegment& archived, File* from,
                                            std::uint64_t* unit_end) {
  VARVE_ASSIGN(const auto found, LookAtSegment(from));
  if (!found.header) return Damaged(object, 0, found.header_defect);
  const auto& header = *found.header;
  const auto id = LogIdText(header.log_id);
  if (id != contents_.id) {
    return Damaged(object, 16, fmt::format("expected log id {}, found {}: the object is of "
                                           "another log",
                                           contents_.id, id));
  }
  if (header.sequence != archived.sequence) {
    return Damaged(object, 32, fmt::format("expected sequence {}, found {}", archived.sequence,
                                           header.sequence));
  }
  if (!found.link) return Damaged(object, kLinkOffset, found.link_defect);
  const auto& link = found.link->payload;
  *unit_end = link.unit_end;
  const auto& before = at_.segment;
  const bool follows =
      before.sequence == 0 ||
      (link.sequence == before.sequence && link.generation == before.generation &&
       link.end == before.LsnAt(at_.offset).value && link.chain == at_.chain &&
       header.base >= before.EndOfRange());
  if (follows) return header;
  return Damaged(object, kLinkOffset,
                 fmt::format("link: the segment before ended at LSN {} with chain {:08x}, found "
                             "one that ends at LSN {} with chain {:08x}",
                             link.end, link.chain, before.LsnAt(at_.offset).value, at_.chain));
}

Status LogRestore::CopySegment(const ArchivedSegment& archived) {
  const auto from = OpenArchived(archive_, archived);
  const auto& object = from->path();
  std::uint64_t unit_end = 0;
  VARVE_ASSIGN(const auto segment, CheckHead(object, archived, from.get(), &unit_end));
  if (IsAfter(segment.base) && at_.segment.sequence != 0) {
    cut_ = true;
    return {};
  }
  if (IsAfter(segment.base)) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("{}: asked for everything until LSN {}, but the archive begins at LSN "
                            "{}",
                            object, until_.value, segment.base));
  }
  VARVE_ASSIGN(const auto to,
               files_->Open(UnnamedPath(dir_, segment.sequence), OpenMode::kCreate));
  written_.push_back(segment.sequence);
  std::string header(kLogBlock, '\0');
  VARVE_TRY(from->ReadAt(0, kLogBlock, header.data()));
  VARVE_TRY(to->WriteAt(0, header));
  at_.segment = segment;
  at_.offset = kLinkOffset;
  at_.counts = {unit_end, 0, 0, 0};
  SegmentReader reader(from.get(), segment, archived.size());
  while (!cut_ && reader.offset() < archived.size()) {
    // The chain of a link was looked at with it.
    const bool first = reader.offset() == kLinkOffset;
    VARVE_ASSIGN(const auto frame,
                 reader.Next(first ? std::nullopt : std::optional(at_.chain)));
    if (!frame) return Damaged(object, reader.offset(), reader.defect());
    VARVE_TRY(CopyFrame(*frame, segment, to.get()));
  }
  if (!cut_) VARVE_TRY(CheckEnd(object, archived, reader));
  return to->Sync();
}

Status LogRestore::CheckEnd(const std::string& object, const ArchivedSegment& archived,
                            const SegmentReader& reader) {
  if (!archived.whole || !archived.sealed || promised_) return {};
  return Damaged(object, reader.offset(), "expected the seal of a finished segment, found the end "
                                          "of the object");
}

Status LogRestore::CopyFrame(const LogFrame& frame, const SegmentHeader& segment, File* to) {
  promised_ = (frame.header.flags & kSuccessor) != 0 && frame.header.kind == FrameKind::kSeal;
  if (frame.header.kind == FrameKind::kGroup) {
    VARVE_TRY(TakeGroup(frame, segment, to));
    if (cut_) return {};
  }
  VARVE_TRY(to->WriteAt(frame.offset, frame.bytes));
  at_.offset = frame.offset + frame.bytes.size();
  at_.chain = frame.header.crc;
  at_.epoch = frame.header.epoch;
  ++at_.counts.frames;
  at_.counts.units += frame.header.units;
  at_.counts.records += frame.header.records;
  const bool ends_units =
      frame.header.kind == FrameKind::kGroup && (frame.header.flags & kEndsInside) == 0;
  if (ends_units) {
    at_.counts.unit_end =
        segment.LsnAt(frame.offset).value + kFrameHeaderBytes + frame.payload.size();
  }
  // The link of the first segment is where a log without a unit ends.
  if (ends_units || kept_.segment.sequence == 0) kept_ = at_;
  return {};
}

// Finds the first unit of the frame that ends after the end asked for.
Status LogRestore::TakeGroup(const LogFrame& frame, const SegmentHeader& segment, File* to) {
  const auto begin = segment.LsnAt(frame.offset).value + kFrameHeaderBytes;
  if (!IsAfter(begin + frame.payload.size())) return {};
  if ((frame.header.flags & kEndsInside) != 0) return {};  // ends no unit
  cut_ = true;
  if ((frame.header.flags & kBeginsInside) != 0) return {};
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  std::uint32_t units = 0;
  while (bytes < frame.payload.size()) {
    VARVE_ASSIGN(const auto unit, DecodeUnitHeader(frame.payload.substr(bytes)));
    if (IsAfter(begin + bytes + unit.size)) break;
    bytes += unit.size;
    records += unit.records;
    ++units;
  }
  return units == 0 ? Status() : WriteShortened(frame, bytes, units, records, to);
}

Status LogRestore::WriteShortened(const LogFrame& frame, std::uint64_t payload_bytes,
                                  std::uint32_t units, std::uint64_t records, File* to) {
  std::string bytes(frame.bytes.substr(0, kFrameHeaderBytes + payload_bytes));
  const auto used = bytes.size();
  bytes.resize(RoundUp(used, kLogBlock));
  auto header = frame.header;
  header.units = units;
  header.records = static_cast<std::uint32_t>(records);
  header = FinishFrame(at_.segment, header, bytes.data(), used);
  VARVE_TRY(to->WriteAt(frame.offset, bytes));
  at_.offset = frame.offset + bytes.size();
  at_.chain = header.crc;
  at_.epoch = header.epoch;
  ++at_.counts.frames;
  at_.counts.units += units;
  at_.counts.records += records;
  at_.counts.unit_end = header.lsn + used;
  kept_ = at_;
  return {};
}

Status LogRestore::SealEnd() {
  while (written_.back() != kept_.segment.sequence) {
    VARVE_TRY(files_->Remove(UnnamedPath(dir_, written_.back())));
    written_.pop_back();
  }
  VARVE_ASSIGN(const auto file, files_->Open(UnnamedPath(dir_, kept_.segment.sequence),
                                             OpenMode::kReadWrite));
  std::string frame(kLogBlock, '\0');
  std::memcpy(frame.data() + kFrameHeaderBytes, &kept_.counts, sizeof kept_.counts);
  FrameHeader header;
  header.kind = FrameKind::kSeal;
  header.lsn = kept_.segment.LsnAt(kept_.offset).value;
  header.durable = kept_.counts.unit_end;
  header.epoch = kept_.epoch;
  header.chain = kept_.chain;
  FinishFrame(kept_.segment, header, frame.data(), kFrameHeaderBytes + sizeof kept_.counts);
  // A block is left for the seal that a log gets when it goes on.
  frame.resize(2 * kLogBlock);
  VARVE_TRY(file->Truncate(kept_.offset));
  VARVE_TRY(file->WriteAt(kept_.offset, frame));
  return file->Sync();
}

Status LogRestore::MakeSuccessor(const SegmentHeader& last) {
  SegmentHeader header;
  header.log_id = last.log_id;
  header.sequence = last.sequence + 1;
  auto* random = components_.random != nullptr ? components_.random : SystemRandom();
  header.generation = random->Next();
  header.base = next_base_;
  header.capacity = kSegmentBytesMin;
  header.created_micros = last.created_micros;
  VARVE_ASSIGN(const auto made, CreateSegment(files_, dir_, header));
  return {};
}

Status LogRestore::GiveNames() {
  for (const auto sequence : written_) {
    VARVE_TRY(files_->Rename(UnnamedPath(dir_, sequence), JoinPath(dir_, SegmentName(sequence))));
    if (sequence == written_.front()) VARVE_TRY(files_->SyncDirectory(dir_));
  }
  return files_->SyncDirectory(dir_);
}

// What is wrong now is damage that each segment by itself does not show.
Status LogRestore::Verify(RecoveryReport* report) {
  VARVE_ASSIGN(const auto verified, VerifyLog(dir_, components_));
  *report = verified.report;
  if (verified.damages.empty()) {
    if (report->end.value == kept_.counts.unit_end) return {};
    return Fail(ErrorKind::kInternal,
                fmt::format("{}: restored a log that ends at LSN {}, expected LSN {}", dir_,
                            report->end.value, kept_.counts.unit_end));
  }
  const auto& damage = verified.damages.front();
  const auto sequence = SequenceOfName(damage.file);
  auto object = damage.file;
  for (const auto& archived : contents_.segments) {
    if (archived.sequence == sequence) object = archive_->Describe(archived.objects.front().name);
  }
  return Damaged(object, damage.offset, damage.message);
}

// Best effort: the error to report is the one that led here.
void LogRestore::TakeBack() {
  auto entries = files_->List(dir_);
  if (!entries) return;
  // The last first, so that nothing shorter ever looks whole.
  for (auto entry = entries->rbegin(); entry != entries->rend(); ++entry) {
    if (entry->name != kLockName) (void)files_->Remove(JoinPath(dir_, entry->name));
  }
  (void)files_->SyncDirectory(dir_);
}

}  // namespace

Result<RecoveryReport> RestoreLog(LogArchive* archive, const std::string& dir,
                                  const LogRestoreOptions& options,
                                  const LogComponents& components) {
  return OrOutOfMemory([&] { return LogRestore(archive, dir, options, components).Run(); });
}

}  // namespace varve
