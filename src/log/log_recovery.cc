// SPDX-License-Identifier: Apache-2.0
#include "log/log_recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <system_error>

#include "base/bytes.h"
#include "base/result.h"
#include "log/end_of_log.h"
#include "log/frame_ahead.h"
#include "log/segment_file.h"
#include "log/segment_reader.h"
#include "log/segment_shape.h"

namespace varve {
namespace {

constexpr int kThreads = 2;  // that read ahead when no executor was given

class LogRecovery {
 public:
  LogRecovery(Files* files, const std::string& dir, const RecoveryOptions& options,
              OnDamage on_damage, const LogReplay& replay, KeyProvider* keys, Executor* executor)
      : files_(files),
        dir_(dir),
        options_(options),
        on_damage_(on_damage),
        replay_(replay),
        keys_(keys),
        executor_(executor),
        ahead_bytes_(FrameAhead::ReadBytes(options.read_ahead_bytes)) {}

  Result<RecoveredLog> Run();

 private:
  // Where reading of one segment stands.
  struct SegmentPosition {
    std::size_t index;
    File* file;
    SegmentReader* reader;
    std::optional<std::uint64_t> stop;   // offset where the next link says this segment ends
    std::optional<std::uint32_t> chain;  // that the next frame must have; none after a gap
    bool sealed = false;
    bool successor = false;
    std::uint64_t seal_unit_end = 0;  // of the last seal
    std::optional<FrameAhead> ahead;  // where it pays
  };

  Status CheckShape();
  bool BelongsHere(std::size_t index) const;
  void CutOffFrom(std::size_t index);
  Status FindStart();
  Status ReadSegment(std::size_t index);
  Status ReadFrames(SegmentPosition* at);
  Result<std::optional<LogFrame>> NextFrame(SegmentPosition* at);
  void StartAhead(SegmentPosition* at);
  Result<bool> EndsUnlinked(const SegmentPosition& at);
  Result<bool> GoOnAfterDamage(SegmentPosition* at);
  Result<std::string> Absorb(SegmentPosition* at, const LogFrame& frame);
  Result<std::string> AbsorbContent(SegmentPosition* at, const LogFrame& frame);
  Status CheckJoin(const SegmentPosition& at);
  Status JudgeTail(SegmentPosition* at);
  Status JudgeEnd(const std::string& name, std::uint64_t offset, const std::string& why);
  Status LookIntoUnused();
  Status Damage(const std::string& name, std::uint64_t offset, std::string message,
                bool in_tail = false);
  void Finish();
  Status CountCut(const std::vector<SegmentOnDisk>& all);
  UsedSegment Describe(std::size_t index) const;
  bool Skips() const { return on_damage_ == OnDamage::kSkip; }

  Files* const files_;
  const std::string& dir_;
  const RecoveryOptions& options_;
  const OnDamage on_damage_;
  const LogReplay& replay_;
  KeyProvider* const keys_;
  Executor* executor_;              // null until it is needed, when none was given
  std::uint64_t ahead_bytes_;       // of the file that one task reads ahead; 0: there is none
  std::unique_ptr<ThreadPool> own_executor_;
  std::unique_ptr<FrameAhead::Pieces> pieces_;
  RecoveredLog out_;
  std::vector<SegmentOnDisk> found_;
  std::size_t used_ = 0;  // found_[0, used_) are used
  std::size_t start_ = 0;
  std::optional<LogId> id_;  // of most segments
  std::optional<UnitStream> stream_;
  LogBeyond beyond_;            // of the tail and the unused segments
  std::string beyond_file_;     // that beyond_.durable_offset is in
  std::uint64_t unused_nonzero_ = 0;
  bool stopped_ = false;        // at damage, by kCut or kCutTail
};

Status LogRecovery::Damage(const std::string& name, std::uint64_t offset, std::string message,
                           bool in_tail) {
  const bool cut = on_damage_ == OnDamage::kCut || (on_damage_ == OnDamage::kCutTail && in_tail);
  if (!cut && !Skips()) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("{}, offset {}: {}; nothing was changed; restore the file, or read on "
                            "in another recovery mode (varve log cat --recovery)",
                            JoinPath(dir_, name), offset, message));
  }
  stopped_ = stopped_ || cut;
  out_.cut_damage = out_.cut_damage || cut;
  out_.damages.push_back({name, offset, std::move(message)});
  return {};
}

Status LogRecovery::CheckShape() {
  auto shape = CheckSegmentShape(found_);
  used_ = shape.used;
  id_ = shape.id;
  for (auto& defect : shape.defects) {
    VARVE_TRY(Damage(found_[defect.index].name, defect.offset, std::move(defect.message)));
    if (stopped_) {
      CutOffFrom(defect.index);
      break;
    }
  }
  return {};
}

// A salvage leaves out the segments of another log, and copies that would give units again.
bool LogRecovery::BelongsHere(std::size_t index) const {
  const auto& header = found_[index].header;
  return header && header->log_id == id_ && header->base >= out_.tail.end.value;
}

// What was in order before a defect of the folder is read; the log ends there.
void LogRecovery::CutOffFrom(std::size_t index) {
  used_ = std::min(used_, index);
  for (auto i = index; i < found_.size(); ++i) out_.cut_off.push_back(found_[i].name);
  found_.resize(index);
  stopped_ = false;
}

Status LogRecovery::FindStart() {
  const auto from = options_.replay_from;
  // Whoever wants everything does not ask a link whether there is anything before it.
  for (std::size_t i = 0; i < used_ && from.value != 0; ++i) {
    if (found_[i].link && Describe(i).Covers(from)) start_ = i;
  }
  if (used_ == 0 || from.value == 0 || !found_[start_].link || Describe(start_).Covers(from)) {
    return {};
  }
  return Damage(found_[0].name, 0,
                fmt::format("expected the log to begin at or before LSN {}, found LSN {}; an older "
                            "segment is missing",
                            from.value, found_[0].header->base));
}

UsedSegment LogRecovery::Describe(std::size_t index) const {
  const auto& found = found_[index];
  UsedSegment used;
  used.info.name = found.name;
  used.info.sequence = found.sequence;
  used.info.generation = found.header->generation;
  used.info.base = {found.header->base};
  used.info.file_bytes = found.file_bytes;
  used.link = found.link->payload;
  used.drops_open = (found.link->header.flags & kDropsOpen) != 0;
  return used;
}

Result<RecoveredLog> LogRecovery::Run() {
  VARVE_ASSIGN(found_, ListSegments(files_, dir_));
  std::uint64_t log_bytes = 0;
  for (const auto& segment : found_) log_bytes += segment.file_bytes;
  stream_.emplace(replay_, options_.replay_from, log_bytes, &out_.report);
  const auto all = found_;
  VARVE_TRY(CheckShape());
  VARVE_TRY(LookIntoUnused());
  VARVE_TRY(FindStart());
  if (used_ == 0) VARVE_TRY(JudgeEnd(found_.empty() ? "" : found_[0].name, 0, "no link"));
  for (auto i = start_; i < used_ && !stopped_; ++i) {
    if (BelongsHere(i)) VARVE_TRY(ReadSegment(i));
  }
  // Files of another log may have been cut off; what is written from now on is of this one.
  if (out_.tail.segment.sequence != 0) out_.tail.log_id = out_.tail.segment.log_id;
  for (const auto& segment : all) {
    if (!segment.header) continue;
    if (!out_.tail.log_id) out_.tail.log_id = segment.header->log_id;
    out_.tail.next_base = std::max(out_.tail.next_base, segment.header->EndOfRange());
  }
  Finish();
  if (out_.cut_damage) VARVE_TRY(CountCut(all));
  return std::move(out_);
}

// What shows that a link that does not validate was on the device once; empty when nothing does.
std::string LinkWasDurable(const SegmentOnDisk& segment, const LogBeyond& beyond) {
  if (beyond.durable > segment.header->base) {
    return fmt::format("the frame at offset {} says that everything up to LSN {} was durable, this "
                       "link included",
                       beyond.durable_offset, beyond.durable);
  }
  // The first link of all is synced by itself, before anybody can append.
  if (segment.sequence != 1 || beyond.frame_offset <= kLinkOffset) return {};
  return fmt::format("a frame follows it at offset {}, and the first link of a log is durable "
                     "before anything is appended",
                     beyond.frame_offset);
}

Status LogRecovery::LookIntoUnused() {
  for (auto i = used_; i < found_.size(); ++i) {
    const auto& segment = found_[i];
    if (!segment.header) continue;
    VARVE_ASSIGN(auto file, files_->Open(JoinPath(dir_, segment.name), OpenMode::kRead));
    SegmentReader reader(file.get(), *segment.header, segment.file_bytes);
    VARVE_ASSIGN(const auto beyond, reader.LookBeyond());
    out_.report.bytes += reader.bytes_read();
    if (auto shown = LinkWasDurable(segment, beyond); !shown.empty()) {
      VARVE_TRY(Damage(segment.name, kLinkOffset, segment.link_defect + "; but " + shown, true));
      if (stopped_) {
        CutOffFrom(i);
        return {};
      }
      used_ = i + 1;
      continue;
    }
    unused_nonzero_ += beyond.nonzero_bytes;
    if (beyond.durable > beyond_.durable) {
      beyond_ = beyond;
      beyond_file_ = segment.name;
    }
  }
  return {};
}

Status LogRecovery::ReadSegment(std::size_t index) {
  const auto& segment = found_[index];
  VARVE_ASSIGN(auto file, files_->Open(JoinPath(dir_, segment.name), OpenMode::kRead));
  if (keys_ != nullptr || replay_) {
    auto cipher = OpenSegmentCipher(keys_, *segment.header);
    if (!cipher) return std::unexpected(cipher.error().Within(JoinPath(dir_, segment.name)));
    stream_->SetCipher(*std::move(cipher));
  }
  SegmentReader reader(file.get(), *segment.header, segment.file_bytes);
  SegmentPosition at{index, file.get(), &reader, {}, {}, false, false, 0, {}};
  if (segment.link) at.chain = segment.link->payload.chain;
  if (index + 1 < used_ && found_[index + 1].link) {
    const auto& next = found_[index + 1].link->payload;
    if (next.sequence == segment.sequence && next.generation == segment.header->generation) {
      at.stop = segment.header->OffsetOf({next.end});
    }
  }
  ++out_.report.segments;
  auto read = ReadFrames(&at);
  out_.report.bytes += reader.bytes_read();
  return read;
}

Status LogRecovery::ReadFrames(SegmentPosition* at) {
  const bool last = at->index + 1 == used_;
  while (!at->successor && !(at->stop && at->reader->offset() >= *at->stop)) {
    const auto offset = at->reader->offset();
    VARVE_ASSIGN(auto frame, NextFrame(at));
    if (!frame && at->sealed && !at->stop) break;  // closed, and nothing came after it
    std::string defect = at->reader->defect();
    if (frame) {
      VARVE_ASSIGN(defect, Absorb(at, *frame));
      if (defect.empty()) continue;
    } else if (last) {
      const auto before = out_.damages.size();
      VARVE_TRY(JudgeTail(at));
      if (stopped_ || out_.damages.size() == before) return {};
      VARVE_ASSIGN(const bool more, GoOnAfterDamage(at));
      if (!more) return {};
      continue;
    }
    if (!last) {
      VARVE_ASSIGN(const bool ends, EndsUnlinked(*at));
      if (ends) return {};
      defect += "; the log goes on in the next segment";
    }
    VARVE_TRY(Damage(found_[at->index].name, offset, std::move(defect), last));
    if (stopped_) return {};
    if (frame) {
      stream_->Resync();
      at->chain = frame->header.crc;
      out_.tail.epoch = frame->header.epoch;
      continue;
    }
    VARVE_ASSIGN(const bool more, GoOnAfterDamage(at));
    if (!more) return {};
  }
  return last ? JudgeTail(at) : CheckJoin(*at);
}

// What was prepared, if it is the frame that must come here; all else the reader finds out.
Result<std::optional<LogFrame>> LogRecovery::NextFrame(SegmentPosition* at) {
  StartAhead(at);
  if (at->ahead) {
    auto frame = at->ahead->Take(at->reader->offset());
    if (frame && (!at->chain || frame->header.chain == *at->chain)) {
      at->reader->Pass(frame->header);
      return frame;
    }
  }
  return at->reader->Next(at->chain);
}

// A short log is read sooner than others could be asked to help. How much of a segment is used is
// known when there is a next one; else that some of it was read must do.
void LogRecovery::StartAhead(SegmentPosition* at) {
  if (ahead_bytes_ == 0 || at->ahead) return;
  const auto offset = at->reader->offset();
  if (!at->stop && offset < kLinkOffset + ahead_bytes_) return;
  const auto& segment = found_[at->index];
  const auto end = at->stop.value_or(std::min(segment.header->capacity, segment.file_bytes));
  if (end < offset + 2 * ahead_bytes_) return;
  if (!pieces_) pieces_ = std::make_unique<FrameAhead::Pieces>();
  if (executor_ == nullptr) {
    try {
      own_executor_ = std::make_unique<ThreadPool>(kThreads);
    } catch (const std::system_error&) {  // no threads to be had
      ahead_bytes_ = 0;
      return;
    }
    executor_ = own_executor_.get();
  }
  at->ahead.emplace(executor_, pieces_.get(), at->file, *segment.header, stream_->cipher(),
                    offset, end, options_.read_ahead_bytes);
}

// Where the next segment's link is damaged it cannot say where this one ended.
Result<bool> LogRecovery::EndsUnlinked(const SegmentPosition& at) {
  if (at.stop) return false;
  VARVE_ASSIGN(const auto beyond, at.reader->LookBeyond());
  return beyond.durable <= at.reader->lsn().value;
}

Result<bool> LogRecovery::GoOnAfterDamage(SegmentPosition* at) {
  stream_->Resync();
  at->chain.reset();
  return at->reader->SkipToFrame();
}

// Gives what is wrong with a frame that is valid by itself; otherwise the tail moves behind it.
Result<std::string> LogRecovery::Absorb(SegmentPosition* at, const LogFrame& frame) {
  const auto& header = frame.header;
  const bool first = header.kind == FrameKind::kLink && at->index == start_;
  const auto epoch = out_.tail.epoch;
  if (at->chain && !first && header.epoch != epoch && header.epoch != epoch + 1) {
    return fmt::format("frame: expected epoch {} or one more, found {}", epoch, header.epoch);
  }
  if (header.durable > header.lsn) {
    return fmt::format("frame: claims that LSN {} was durable, which lies beyond it",
                       header.durable);
  }
  if ((header.kind == FrameKind::kLink) != (frame.offset == kLinkOffset)) {
    return std::string("frame: a link stands only at the beginning of a segment");
  }
  VARVE_ASSIGN(auto defect, AbsorbContent(at, frame));
  if (!defect.empty()) return defect;
  const auto& segment = *found_[at->index].header;
  at->chain = header.crc;
  auto& tail = out_.tail;
  if (tail.segment.sequence != segment.sequence) tail.counts = {};
  tail.segment = segment;
  ++tail.counts.frames;
  tail.counts.units += header.units;
  tail.counts.records += header.records;
  tail.promises_successor = at->successor;
  tail.end = {header.lsn + header.FrameBytes()};
  tail.synced = std::max(tail.synced, Lsn{header.durable});
  tail.chain = header.crc;
  tail.epoch = header.epoch;
  tail.unit_end = stream_->unit_end();
  tail.counts.unit_end = tail.unit_end.value;
  tail.open_unit = stream_->open_unit();
  return defect;
}

Result<std::string> LogRecovery::AbsorbContent(SegmentPosition* at, const LogFrame& frame) {
  const bool promises = (frame.header.flags & kSuccessor) != 0;
  if (at->sealed && !promises) return std::string("frame: behind the seal of a closed log");
  if (frame.header.kind == FrameKind::kGroup) return stream_->TakeGroup(frame);
  if (frame.header.kind == FrameKind::kLink) {
    const auto link = DecodeLink(frame.payload);
    if (!link) return link.error().message();
    if (frame.header.chain != link->chain) {
      return fmt::format("link: expected chain {:08x}, found {:08x}", link->chain,
                         frame.header.chain);
    }
    return at->index == start_ ? stream_->TakeFirstLink(*found_[at->index].header,
                                                        frame.header.flags, *link)
                               : stream_->TakeLink(frame.header.flags, *link);
  }
  const auto seal = DecodeSeal(frame.payload);
  if (!seal) return seal.error().message();
  // The second seal agrees with the first, which may stand behind a gap.
  const auto unit_end = at->sealed ? at->seal_unit_end : stream_->unit_end().value;
  if (at->chain && seal->unit_end != unit_end) {
    return fmt::format("seal: expected last unit end {}, found {}", unit_end, seal->unit_end);
  }
  at->sealed = true;
  at->seal_unit_end = seal->unit_end;
  at->successor = promises;
  return std::string();
}

// The end of a segment that has a successor: both must agree on where and how it ended.
Status LogRecovery::CheckJoin(const SegmentPosition& at) {
  const auto& next = found_[at.index + 1];
  if (!at.stop || !next.link) return {};  // already listed as damage
  const auto& link = next.link->payload;
  const bool agrees = out_.tail.end.value == link.end && (!at.chain || *at.chain == link.chain);
  if (agrees) return {};
  return Damage(found_[at.index].name, at.reader->offset(),
                fmt::format("the next segment's link says that this one ends at LSN {} with chain "
                            "{:08x}, found an end at LSN {} with chain {:08x}",
                            link.end, link.chain, out_.tail.end.value, out_.tail.chain));
}

Status LogRecovery::JudgeTail(SegmentPosition* at) {
  const auto& segment = found_[at->index];
  const auto offset = at->reader->offset();
  LogBeyond here;
  if (!at->sealed) {
    VARVE_ASSIGN(here, at->reader->LookBeyond());
  }
  out_.report.torn_bytes = here.nonzero_bytes + unused_nonzero_;
  if (here.durable > beyond_.durable) {
    beyond_ = here;
    beyond_file_ = segment.name;
  }
  out_.tail.sealed = at->sealed;
  const auto damages = out_.damages.size();
  VARVE_TRY(JudgeEnd(segment.name, offset,
                     at->sealed ? "the log is sealed here" : at->reader->defect()));
  if (out_.damages.size() != damages) return {};
  const auto* next = at->index + 1 < found_.size() ? &found_[at->index + 1] : nullptr;
  auto judged = JudgeLastFile(segment, {offset, at->sealed, at->successor}, next);
  return judged ? Damage(segment.name, judged->offset, std::move(judged->message), true) : Status();
}

// Whether the log may end at the tail.
Status LogRecovery::JudgeEnd(const std::string& name, std::uint64_t offset,
                             const std::string& why) {
  const auto known = std::max(options_.known_durable, options_.replay_from);
  auto message = JudgeLogEnd(out_.tail.end, beyond_, beyond_file_, known);
  return message.empty() ? Status() : Damage(name, offset, why + "; " + message, true);
}

void LogRecovery::Finish() {
  auto& tail = out_.tail;
  const auto known = std::max(options_.known_durable, options_.replay_from);
  tail.next_base = std::max({tail.next_base, RoundUp(known.value, kLogBlock), tail.end.value});
  // Where damage was cut, its bytes stay as they were found: no seal goes over them.
  if (out_.cut_damage) tail.sealed = tail.promises_successor = true;
  out_.report.torn_bytes += stream_->open_bytes();
  out_.report.end = tail.unit_end;
  for (std::size_t i = 0; i < used_ && found_[i].sequence <= tail.segment.sequence; ++i) {
    if (!found_[i].header || !found_[i].link) continue;
    auto used = Describe(i);
    const bool last = found_[i].sequence == tail.segment.sequence;
    used.info.end = last || i + 1 >= used_ || !found_[i + 1].link
                        ? tail.end
                        : Lsn{found_[i + 1].link->payload.end};
    used.info.sealed = !last || tail.sealed;
    out_.segments.push_back(std::move(used));
  }
  for (const auto& segment : found_) {
    if (segment.sequence <= tail.segment.sequence) continue;
    (stopped_ && segment.link ? out_.cut_off : out_.unused).push_back(segment.name);
  }
  std::sort(out_.cut_off.begin(), out_.cut_off.end());
}

// What lies behind the damage that ends the log. Files that will be set aside are not read.
Status LogRecovery::CountCut(const std::vector<SegmentOnDisk>& all) {
  auto& report = out_.report;
  for (const auto& segment : all) {
    if (std::ranges::binary_search(out_.cut_off, segment.name)) {
      report.cut_bytes += segment.file_bytes;
    } else if (segment.header && segment.sequence == out_.tail.segment.sequence) {
      VARVE_ASSIGN(auto file, files_->Open(JoinPath(dir_, segment.name), OpenMode::kRead));
      SegmentReader reader(file.get(), *segment.header, segment.file_bytes,
                           segment.header->OffsetOf(out_.tail.end));
      VARVE_ASSIGN(const auto beyond, reader.LookBeyond());
      report.bytes += reader.bytes_read();
      report.cut_bytes += beyond.nonzero_bytes;
    }
  }
  return {};
}

}  // namespace

Result<RecoveredLog> RecoverLog(Files* files, const std::string& dir,
                                const RecoveryOptions& options, OnDamage on_damage,
                                const LogReplay& replay, KeyProvider* keys, Executor* executor) {
  return LogRecovery(files, dir, options, on_damage, replay, keys, executor).Run();
}

}  // namespace varve
