// SPDX-License-Identifier: Apache-2.0
#include "log/frame_follower.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"
#include "log/log_recovery.h"

namespace varve {
namespace {

using Step = FrameFollower::Step;

// The files changed between two looks at them; see FrameFollower::Place.
constexpr int kAttemptsMax = 100;

UsedSegment Described(const SegmentOnDisk& found) {
  UsedSegment used;
  used.info.base = {found.header->base};
  used.link = found.link->payload;
  used.drops_open = (found.link->header.flags & kDropsOpen) != 0;
  return used;
}

std::unexpected<Error> Truncated(Lsn from, Lsn oldest) {
  return Fail(ErrorKind::kNotFound,
              fmt::format("LSN {} was truncated: the oldest position that is readable is LSN {}",
                          from.value, oldest.value));
}

std::unexpected<Error> CutOff(Lsn from, Lsn end) {
  return Fail(ErrorKind::kConflict,
              fmt::format("units up to LSN {} were read, but now the log goes from LSN {} to later "
                          "ones: a recovery cut them off; open a cursor from LSN {}",
                          from.value, end.value, end.value));
}

std::unexpected<Error> OtherHistory(Lsn from, const SegmentLife& given) {
  return Fail(ErrorKind::kConflict,
              fmt::format("units up to LSN {} were read, the last in segment {} of generation "
                          "{:016x}, but now the log has another history: it was put back to an "
                          "earlier point and went on; open a cursor anew",
                          from.value, given.sequence, given.generation));
}

std::unexpected<Error> Damaged(const std::string& path, std::uint64_t offset,
                               const std::string& message) {
  return Fail(ErrorKind::kCorruption, fmt::format("{}, offset {}: {}; restore the file", path,
                                                  offset, message));
}

// A search met a file that is no more what the folder said.
std::unexpected<Error> ChangedMeanwhile() {
  return Fail(ErrorKind::kUnavailable, "the log was truncated again and again while a reader "
                                       "looked for its place; try again");
}

}  // namespace

std::string FrameFollower::PathOf(std::uint64_t sequence) const {
  return JoinPath(settings_.dir, SegmentName(sequence));
}

Result<FrameFollower::Look> FrameFollower::LookAt(std::uint64_t sequence) const {
  Look look;
  auto file = settings_.files->Open(PathOf(sequence), OpenMode::kRead);
  if (!file) {
    if (file.error().kind() == ErrorKind::kNotFound) return look;
    return std::unexpected(std::move(file).error());
  }
  VARVE_ASSIGN(look.found, LookAtSegment(file->get()));
  look.found.name = SegmentName(sequence);
  look.found.sequence = sequence;
  const auto& header = look.found.header;
  if (!header || header->sequence != sequence) {
    // Truncated and used again since it was opened?
    const auto info = settings_.files->Info(PathOf(sequence));
    if (!info && info.error().kind() == ErrorKind::kNotFound) return look;
    if (header) {
      return Damaged(PathOf(sequence), 32,
                     fmt::format("segment header: expected sequence {}, found {}", sequence,
                                 header->sequence));
    }
  }
  look.file = *std::move(file);
  return look;
}

// The last used segment whose base is not above `from`, by bisection. A look without file: the
// folder changed meanwhile.
Result<FrameFollower::Look> FrameFollower::FindSegment(Lsn from) {
  VARVE_ASSIGN(const auto entries, settings_.files->List(settings_.dir));
  std::vector<std::uint64_t> sequences;
  for (const auto& entry : entries) {
    if (const auto sequence = SequenceOfName(entry.name)) sequences.push_back(*sequence);
  }
  std::size_t low = 0;  // the one sought is before high, and low or after it
  std::size_t high = sequences.size();
  Look best;
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    VARVE_ASSIGN(auto look, LookAt(sequences[middle]));
    if (!look.file) return look;
    const bool last_artefact =
        look.found.all_zero && middle > 0 && middle + 1 == sequences.size();
    if (!look.found.header && !last_artefact) {
      return Damaged(PathOf(sequences[middle]), 0, look.found.header_defect);
    }
    // One that was not used yet is as if it were not there.
    const bool before = look.found.link && look.found.header->base <= from.value;
    before ? low = middle + 1 : high = middle;
    if (before) best = std::move(look);
  }
  return best.file ? std::move(best) : Oldest(sequences, from);
}

// The first segment's link was synced before this was written.
Result<bool> FrameFollower::HasFirstGroup(const Look& look) const {
  if (!look.found.header) return false;
  char bytes[kFrameHeaderBytes];
  VARVE_ASSIGN(const auto read, look.file->ReadAt(kFirstGroupOffset, sizeof bytes, bytes));
  const auto& header = *look.found.header;
  return DecodeFrameHeader(header, header.LsnAt(kFirstGroupOffset), {bytes, read}).has_value();
}

// `from` is below every base: it may still be that nothing at or after it was truncated.
Result<FrameFollower::Look> FrameFollower::Oldest(const std::vector<std::uint64_t>& sequences,
                                                  Lsn from) {
  if (sequences.empty()) {
    return Fail(ErrorKind::kNotFound, fmt::format("there is no log in {}", settings_.dir));
  }
  VARVE_ASSIGN(auto look, LookAt(sequences.front()));
  if (!look.file) return look;
  if (look.found.header) VARVE_TRY(CheckLog(*look.found.header));
  if (!look.found.link) {
    VARVE_ASSIGN(const auto next, LookAt(look.found.sequence + 1));
    VARVE_ASSIGN(const bool began, HasFirstGroup(look));
    if (look.found.sequence == 1 && !next.linked() && !began) {  // a log that is being made
      return Fail(ErrorKind::kNotFound, fmt::format("there is no log in {} yet", settings_.dir));
    }
    return Damaged(PathOf(look.found.sequence), kLinkOffset, look.found.link_defect);
  }
  if (from.value == 0 || Described(look.found).Covers(from)) return look;
  return Truncated(from, {look.found.header->base});
}

// Positions between the end of a segment and the base of the next belong to the next.
Result<FrameFollower::Look> FrameFollower::SkipGap(Look look, Lsn from) {
  VARVE_ASSIGN(auto next, LookAt(look.found.sequence + 1));
  const bool covers = from.value != 0 && next.linked() && Described(next.found).Covers(from);
  return covers ? std::move(next) : std::move(look);
}

Status FrameFollower::CheckLog(const SegmentHeader& header) const {
  if (!log_id_ || header.log_id == *log_id_) return {};
  return Fail(ErrorKind::kConflict,
              fmt::format("{} holds another log now: expected id {}, found {}; open a cursor anew",
                          settings_.dir, LogIdText(*log_id_), LogIdText(header.log_id)));
}

// Nothing that was given may be missing from the log before the place that was found, nor be
// something else there.
Status FrameFollower::CheckGiven(Lsn from, const ReadFrame& given) const {
  const auto& there = given.segment;
  if (header_.sequence <= there.sequence) {
    if (segment() != there) return OtherHistory(from, there);
    VARVE_ASSIGN(const bool same, Holds(file_.get(), given));
    return same ? Status() : OtherHistory(from, there);
  }
  const bool follows = header_.sequence == there.sequence + 1;
  if (follows && before_.generation != there.generation) return OtherHistory(from, there);
  if (before_.sequence == 0 || from.value <= before_.unit_end) return {};
  return CutOff(from, {before_.unit_end});
}

Status FrameFollower::Enter(Look look) {
  VARVE_TRY(CheckLog(*look.found.header));
  const auto path = PathOf(look.found.sequence);
  auto cipher = OpenSegmentCipher(settings_.keys, *look.found.header);
  if (!cipher) return std::unexpected(cipher.error().Within(path));
  if (reader_) bytes_read_ += reader_->bytes_read();
  reader_.reset();
  file_ = std::move(look.file);
  header_ = *look.found.header;
  log_id_ = header_.log_id;
  cipher_ = *std::move(cipher);
  before_ = look.found.link->payload;
  chain_ = before_.chain;
  inside_ = before_.open_unit != 0 && (look.found.link->header.flags & kDropsOpen) == 0;
  reader_.emplace(file_.get(), header_, header_.capacity);
  reader_->LookAgain(kLinkOffset);
  stop_.reset();
  sealed_ = promised_ = false;
  scout_offset_ = beyond_of_ = frame_offset_ = 0;
  // It was written after a sync of everything before it.
  durable_ = std::max({durable_, Lsn{before_.unit_end}, Lsn{look.found.link->header.durable}});
  VARVE_ASSIGN(const auto next, LookAt(header_.sequence + 1));
  TakeStop(next);
  return {};
}

void FrameFollower::TakeStop(const Look& next) {
  if (!next.linked()) return;
  const auto& link = next.found.link->payload;
  const bool ours = link.sequence == header_.sequence && link.generation == header_.generation;
  if (ours && link.end > header_.base && link.end <= header_.EndOfRange()) {
    stop_ = header_.OffsetOf({link.end});
  }
}

void FrameFollower::Absorb(const FrameHeader& header) {
  frame_offset_ = header_.OffsetOf({header.lsn});
  chain_ = header.crc;
  epoch_ = header.epoch;
  durable_ = std::max(durable_, Lsn{header.durable});
  sealed_ = header.kind == FrameKind::kSeal;
  promised_ = sealed_ && (header.flags & kSuccessor) != 0;
  if (header.kind == FrameKind::kGroup) inside_ = (header.flags & kEndsInside) != 0;
}

// What is wrong with a frame that is valid by itself, as recovery would say it.
std::string FrameFollower::CheckPlace(const LogFrame& frame) const {
  const auto& header = frame.header;
  if (sealed_ && (header.flags & kSuccessor) == 0) return "a frame behind the seal of a closed log";
  if (epoch_ && header.epoch != *epoch_ && header.epoch != *epoch_ + 1) {
    return fmt::format("frame: expected epoch {} or one more, found {}", *epoch_, header.epoch);
  }
  if (header.durable > header.lsn) {
    return fmt::format("frame: claims that LSN {} was durable, which lies beyond it",
                       header.durable);
  }
  const bool is_link = header.kind == FrameKind::kLink;
  if (is_link == (frame.offset == kLinkOffset)) return {};
  return "frame: a link stands only at the beginning of a segment";
}

// Steps over the next frame if it ends at or before `from`.
Result<FrameFollower::Skipped> FrameFollower::SkipBefore(Lsn from) {
  if (promised_ || AtStop()) return Skipped::kNoFrame;
  const auto offset = reader_->offset();
  VARVE_ASSIGN(const auto header, reader_->Skip(chain_));
  if (!header) return Skipped::kNoFrame;
  if (lsn() > from) {
    reader_->LookAgain(offset);
    return Skipped::kHoldsIt;
  }
  Absorb(*header);
  return Skipped::kYes;
}

Result<Step> FrameFollower::Place(Lsn from, const std::optional<ReadFrame>& given) {
  Look start;
  for (int attempt = 0; !start.file; ++attempt) {
    if (attempt == kAttemptsMax) return ChangedMeanwhile();
    VARVE_ASSIGN(start, FindSegment(from));
  }
  VARVE_ASSIGN(start, SkipGap(std::move(start), from));
  epoch_.reset();
  durable_ = {};  // the files tell it anew: they may have been put back to an earlier point
  VARVE_TRY(Enter(std::move(start)));
  while (header_.base <= from.value && lsn() < from) {
    VARVE_ASSIGN(const auto skipped, SkipBefore(from));
    if (skipped == Skipped::kHoldsIt) break;
    if (skipped == Skipped::kYes) continue;
    VARVE_ASSIGN(const auto passed, PassEnd({}, true));
    if (passed == Step::kMoved) return passed;
    if (passed == Step::kFrame) continue;
    if (given) return CutOff(from, lsn());
    return Fail(ErrorKind::kInvalid, fmt::format("LSN {} lies beyond the end of the log, LSN {}",
                                                 from.value, lsn().value));
  }
  if (given) VARVE_TRY(CheckGiven(from, *given));
  return Step::kFrame;
}

Status FrameFollower::Sync(Lsn end) {
  if (durable_ >= end) return {};
  VARVE_TRY(file_->Sync());
  durable_ = std::max(durable_, end);
  return {};
}

Result<Step> FrameFollower::Next(Lsn durable, LogFrame* frame) {
  while (true) {
    if (!promised_ && !AtStop()) {
      VARVE_ASSIGN(auto found, reader_->Next(chain_));
      if (!found) {  // what is buffered may be from before it was written
        reader_->LookAgain(reader_->offset());
        VARVE_ASSIGN(auto fresh, reader_->Next(chain_));
        found = std::move(fresh);
      }
      if (found) {
        const auto defect = CheckPlace(*found);
        Absorb(found->header);
        if (!defect.empty()) return Refuse(defect);
        visits_ = 0;
        *frame = *found;
        return Step::kFrame;
      }
    }
    VARVE_ASSIGN(const auto passed, PassEnd(durable, !settings_.follow));
    if (passed != Step::kFrame) return passed;
  }
}

}  // namespace varve
