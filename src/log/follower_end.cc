// SPDX-License-Identifier: Apache-2.0
// FrameFollower where no valid frame is: the end, the next segment, or damage.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/result.h"
#include "log/end_of_log.h"
#include "log/frame_follower.h"

namespace varve {
namespace {

using Step = FrameFollower::Step;

constexpr std::uint64_t kLookBytes = 16 * kLogBlock;  // at once
constexpr std::uint64_t kDoublingsMax = 10;

// The first valid frame header in [from, to) that says that more than `durable` was; else its
// offset is 0. Stops at the end of the file.
struct Witness {
  std::uint64_t offset = 0;
  std::uint64_t durable = 0;
};
Result<Witness> FindWitness(File* file, const SegmentHeader& segment, std::uint64_t from,
                            std::uint64_t to, std::uint64_t durable) {
  std::string buffer;
  for (; from < to; from += kLookBytes) {
    buffer.resize(std::min(kLookBytes, to - from));
    VARVE_ASSIGN(const auto read, file->ReadAt(from, buffer.size(), buffer.data()));
    const auto bytes = std::string_view(buffer).substr(0, read);
    for (std::uint64_t at = 0; at < read; at += kLogBlock) {
      const auto header = DecodeFrameHeader(segment, segment.LsnAt(from + at),
                                            bytes.substr(at, kFrameHeaderBytes));
      if (header && header->durable > durable) return Witness{from + at, header->durable};
      if (!header && header.error().kind() != ErrorKind::kCorruption) {
        return std::unexpected(header.error().Within(file->path()));
      }
    }
    if (read < buffer.size()) break;
  }
  return Witness{};
}

}  // namespace

FrameFollower::Evidence FrameFollower::AtEnd(std::string message) const {
  return {SegmentName(header_.sequence), reader_->offset(), std::move(message)};
}

// No valid frame is next. kFrame: look again, here or in the next segment.
Result<Step> FrameFollower::PassEnd(Lsn durable, bool in_full) {
  VARVE_ASSIGN(auto next, LookAt(header_.sequence + 1));
  if (next.linked()) return FollowLink(std::move(next));
  VARVE_ASSIGN(const auto evidence, FindEvidence(next, durable, in_full));
  if (evidence) {
    // The next one may have been entered since it was looked at.
    VARVE_ASSIGN(const auto again, LookAt(header_.sequence + 1));
    return again.linked() ? Step::kFrame : Judge(*evidence);
  }
  // While this one has its name, so has whatever follows it.
  std::string defect;
  return LookAnew(&defect);
}

Result<Step> FrameFollower::FollowLink(Look next) {
  const auto& link = next.found.link->payload;
  const auto name = next.found.name;
  if (link.sequence != header_.sequence || link.generation != header_.generation) {
    return Judge({name, kLinkOffset,
                  fmt::format("link: expected segment {} of generation {:016x} before this one, "
                              "found {} of {:016x}; one of the two is a stale copy",
                              header_.sequence, header_.generation, link.sequence,
                              link.generation)});
  }
  if (next.found.header->log_id != header_.log_id ||
      next.found.header->base < header_.EndOfRange() || link.end <= header_.base) {
    return Judge({name, 0, "segment header and link: they do not follow the segment before"});
  }
  // A recovery cut off what was read; whether it was given, Place will tell.
  if (link.end < lsn().value) return Step::kMoved;
  if (link.end > lsn().value) {
    TakeStop(next);
    return Judge(AtEnd(fmt::format("the next segment's link says that this one ends at LSN {}",
                                   link.end)));
  }
  if (chain_ && link.chain != *chain_) {
    return Judge({name, kLinkOffset, fmt::format("link: expected chain {:08x}, found {:08x}",
                                                 *chain_, link.chain)});
  }
  VARVE_TRY(Enter(std::move(next)));
  return Step::kFrame;
}

FrameFollower::MaybeEvidence FrameFollower::FindEvidence(const Look& next, Lsn durable,
                                                         bool in_full) {
  durable_ = std::max(durable_, durable);
  if (durable_ > lsn()) {
    return AtEnd(fmt::format("everything up to LSN {} was durable", durable_.value));
  }
  if (beyond_of_ != reader_->offset()) {
    beyond_of_ = beyond_to_ = reader_->offset();
    visits_ = 0;
    looked_all_ = false;
  }
  VARVE_ASSIGN(auto evidence, CheckFile(next));
  if (!evidence) {
    VARVE_ASSIGN(evidence, LookBeyond(in_full));
  }
  if (!evidence && next.file && next.found.header) {
    VARVE_ASSIGN(evidence, LookIntoNext(next, in_full));
  }
  // In the end, or at once: is there anything after the next segment?
  if (!evidence && !looked_all_ && beyond_to_ >= header_.capacity) {
    VARVE_ASSIGN(evidence, LookForLater());
    looked_all_ = !evidence;
  }
  ++visits_;
  return evidence;
}

// What the files as such show.
FrameFollower::MaybeEvidence FrameFollower::CheckFile(const Look& next) {
  SegmentOnDisk here;
  here.header = header_;
  here.sequence = header_.sequence;
  VARVE_ASSIGN(here.file_bytes, file_->Size());
  // Between its last seal and its cut the file has its capacity; see LogWriter::Seal.
  const LastFrame last{reader_->offset(), sealed_, promised_};
  const auto* after = next.file ? &next.found : nullptr;
  if (auto defect = JudgeLastFile(here, last, after)) {
    return Evidence{SegmentName(header_.sequence), defect->offset, std::move(defect->message)};
  }
  if (next.file && !next.found.header && !next.found.all_zero) {
    return Evidence{next.found.name, 0, next.found.header_defect};
  }
  // It got its name when it had its size; what was in it may be gone with its end.
  if (next.file && next.found.header && next.found.file_bytes != next.found.header->capacity) {
    return Evidence{next.found.name, std::min(next.found.file_bytes, next.found.header->capacity),
                    fmt::format("expected a file of {} bytes, found {}",
                                next.found.header->capacity, next.found.file_bytes)};
  }
  return std::nullopt;
}

// A frame beyond that says that this place was durable. The near ones always; those further on step
// by step, or all at once.
FrameFollower::MaybeEvidence FrameFollower::LookBeyond(bool in_full) {
  const auto here = reader_->offset();
  const auto near = std::min(here + kLookBytes, header_.capacity);
  const auto far = std::max(beyond_to_, near);
  const auto more = (kLookBytes << std::min(visits_, kDoublingsMax)) - kLookBytes;
  const auto to = in_full ? header_.capacity : std::min(header_.capacity, far + more);
  VARVE_ASSIGN(auto witness, FindWitness(file_.get(), header_, here, near, lsn().value));
  if (witness.offset == 0) {
    VARVE_ASSIGN(witness, FindWitness(file_.get(), header_, far, to, lsn().value));
  }
  beyond_to_ = std::max(far, to);
  if (witness.offset == 0) return std::nullopt;
  return AtEnd(fmt::format("the frame at offset {} says that everything up to LSN {} was durable",
                           witness.offset, witness.durable));
}

// The next segment has no valid link. Was there one?
FrameFollower::MaybeEvidence FrameFollower::LookIntoNext(const Look& next, bool in_full) {
  const auto& header = *next.found.header;
  if (!in_full && visits_ == 0) return std::nullopt;
  const auto to = in_full && !looked_all_ ? header.capacity : kLinkOffset + kLookBytes;
  VARVE_ASSIGN(const auto witness, FindWitness(next.file.get(), header, kFirstGroupOffset,
                                               std::min(to, header.capacity), header.base));
  if (witness.offset == 0) return std::nullopt;
  return Evidence{next.found.name, kLinkOffset,
                  fmt::format("{}; but the frame at offset {} says that everything up to LSN {} "
                              "was durable, this link included",
                              next.found.link_defect, witness.offset, witness.durable)};
}

FrameFollower::MaybeEvidence FrameFollower::LookForLater() {
  VARVE_ASSIGN(const auto entries, settings_.files->List(settings_.dir));
  for (const auto& entry : entries) {
    const auto sequence = SequenceOfName(entry.name);
    if (!sequence || *sequence <= header_.sequence + 1) continue;
    VARVE_ASSIGN(const auto later, LookAt(*sequence));
    if (!later.linked()) continue;
    return Evidence{SegmentName(header_.sequence + 1), 0,
                    fmt::format("the segment is missing or was never used, but {} was",
                                later.found.name)};
  }
  return std::nullopt;
}

// Everything was read before the evidence was, so it is read again.
Result<Step> FrameFollower::Judge(const Evidence& evidence) {
  std::string defect;
  VARVE_ASSIGN(const auto step, LookAnew(&defect));
  if (step != Step::kEnd) return step;
  VARVE_ASSIGN(const bool intact, Intact());
  if (!intact) return Step::kMoved;
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}, offset {}: {}{}{}; nothing was changed; restore the file, or open "
                          "the log with another recovery mode",
                          JoinPath(settings_.dir, evidence.name), evidence.offset, defect,
                          defect.empty() ? "" : "; ", evidence.message));
}

// Looks for the next frame again, in the file that has the name now. kEnd: there is none, as
// `defect` says if one could be here.
Result<Step> FrameFollower::LookAnew(std::string* defect) {
  VARVE_ASSIGN(auto file, Reopen());
  if (!file) return Step::kMoved;
  const auto offset = reader_->offset();
  bytes_read_ += reader_->bytes_read();
  file_ = std::move(file);
  reader_.emplace(file_.get(), header_, header_.capacity);
  reader_->LookAgain(offset);
  if (promised_ || AtStop()) return Step::kEnd;
  VARVE_ASSIGN(const auto frame, reader_->Next(chain_));
  *defect = reader_->defect();
  reader_->LookAgain(offset);
  return frame ? Step::kFrame : Step::kEnd;
}

Result<Step> FrameFollower::Refuse(const std::string& defect) {
  VARVE_ASSIGN(const bool intact, Intact());
  if (!intact) return Step::kMoved;
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}, offset {}: {}; nothing was changed; restore the file",
                          PathOf(header_.sequence), frame_offset_, defect));
}

// The file that has the segment's name, if it is the one that is being read, or a copy of it that
// holds at least what was read; else null.
Result<std::unique_ptr<File>> FrameFollower::Reopen() const {
  auto file = settings_.files->Open(PathOf(header_.sequence), OpenMode::kRead);
  if (!file) {
    if (file.error().kind() == ErrorKind::kNotFound) return nullptr;
    return file;
  }
  std::string block(kLogBlock, '\0');
  VARVE_ASSIGN(const auto read, (*file)->ReadAt(0, block.size(), block.data()));
  block.resize(read);
  const auto header = DecodeSegmentHeader(block);
  if (!header && header.error().kind() != ErrorKind::kCorruption) {
    return std::unexpected(header.error().Within((*file)->path()));
  }
  if (header) {
    if (header->generation != header_.generation) return nullptr;
    const bool read_any = frame_offset_ != 0;
    VARVE_ASSIGN(const bool same, read_any ? Holds(file->get(), frame()) : Result<bool>(true));
    if (!same) return nullptr;
    return file;
  }
  // Opened by its name, and then used again? Else the header was damaged since it was read.
  const auto info = settings_.files->Info(PathOf(header_.sequence));
  if (info) return file;
  if (info.error().kind() == ErrorKind::kNotFound) return nullptr;
  return std::unexpected(info.error());
}

Result<bool> FrameFollower::Holds(File* file, const ReadFrame& frame) const {
  char bytes[kFrameHeaderBytes];
  VARVE_ASSIGN(const auto read, file->ReadAt(frame.offset, sizeof bytes, bytes));
  const auto found = DecodeFrameHeader(header_, header_.LsnAt(frame.offset), {bytes, read});
  return found && found->crc == frame.crc;
}

Result<bool> FrameFollower::Intact() const {
  VARVE_ASSIGN(const auto file, Reopen());
  return file != nullptr;
}

Result<Step> FrameFollower::KnowsDurable(Lsn end) {
  if (durable_ < end) VARVE_TRY(ScoutAhead(file_.get(), end));
  if (durable_ >= end) return Step::kFrame;
  VARVE_ASSIGN(const auto file, Reopen());
  if (!file) return Step::kMoved;
  VARVE_TRY(ScoutAhead(file.get(), end));
  return durable_ >= end ? Step::kFrame : Step::kEnd;
}

// Headers alone, each a read of 64 bytes, from the next frame on.
Status FrameFollower::ScoutAhead(File* file, Lsn end) {
  if (scout_offset_ < reader_->offset()) {
    scout_offset_ = reader_->offset();
    scout_chain_ = chain_;
    scout_sealed_ = sealed_;
  }
  while (durable_ < end && scout_offset_ < header_.capacity) {
    char bytes[kFrameHeaderBytes];
    VARVE_ASSIGN(const auto read, file->ReadAt(scout_offset_, sizeof bytes, bytes));
    const auto header = DecodeFrameHeader(header_, header_.LsnAt(scout_offset_), {bytes, read});
    if (!header && header.error().kind() != ErrorKind::kCorruption) {
      return std::unexpected(header.error().Within(file->path()));
    }
    if (!header || (scout_chain_ && header->chain != *scout_chain_)) break;
    durable_ = std::max(durable_, Lsn{header->durable});
    scout_chain_ = header->crc;
    scout_sealed_ = header->kind == FrameKind::kSeal;
    scout_offset_ += header->FrameBytes();
  }
  if (durable_ >= end) return {};
  // A file is cut only after a sync behind its seal; a link is written after one too.
  VARVE_ASSIGN(const auto file_bytes, file->Size());
  const bool cut = scout_sealed_ && file_bytes < header_.capacity && scout_offset_ <= file_bytes;
  VARVE_ASSIGN(const auto next, LookAt(header_.sequence + 1));
  const bool linked = next.linked() && next.found.link->payload.sequence == header_.sequence &&
                      next.found.link->payload.generation == header_.generation &&
                      next.found.link->payload.end == header_.LsnAt(scout_offset_).value;
  if (cut || linked) durable_ = std::max(durable_, header_.LsnAt(scout_offset_));
  return {};
}

}  // namespace varve
