// SPDX-License-Identifier: Apache-2.0
#include "log/frame_piece.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace varve {
namespace {

// Reading the header of a frame by itself costs about as much as copying so many bytes; of frames
// that are some times as large it is nothing beside what they cost.
constexpr std::uint64_t kLargeFrameBytes = 32u << 10;

}  // namespace

std::uint64_t FramePiece::MemoryOfUnits() const {
  return places_.capacity() * sizeof(FoundUnit) + decoder_.memory();
}

std::uint64_t FramePiece::memory() const {
  return capacity_ + frames_.capacity() * sizeof(Frame) + MemoryOfUnits();
}

void FramePiece::Clear(std::uint64_t from) {
  begin_ = end_ = from;
  have_ = 0;
  frames_.clear();
  places_.clear();
  decoder_.Clear();
}

// Makes the first `bytes` bytes be there, reading `at_once` at least; false when they cannot be.
bool FramePiece::Fetch(std::uint64_t bytes, std::uint64_t at_once) {
  if (bytes <= have_) return true;
  const auto want = std::min(std::max(bytes, at_once), source_->limit - begin_);
  if (want < bytes) return false;
  if (want > capacity_) {
    // The last frame of a piece is often a little longer: some room more saves most of the moves.
    const auto size = std::max(want, source_->read_bytes + source_->read_bytes / 4);
    auto larger = std::make_unique_for_overwrite<char[]>(size);
    if (have_ > 0) std::memcpy(larger.get(), buffer_.get(), have_);
    buffer_ = std::move(larger);
    capacity_ = size;
  }
  const auto read = source_->file->ReadAt(begin_ + have_, want - have_, buffer_.get() + have_);
  if (!read) return false;
  have_ += *read;
  return have_ >= bytes;
}

std::optional<FrameHeader> FramePiece::HeaderAt(std::uint64_t offset, bool alone) {
  char bytes[kFrameHeaderBytes];
  const auto at = offset - begin_;
  if (source_->limit - offset < sizeof bytes) return {};
  if (alone) {
    const auto read = source_->file->ReadAt(offset, sizeof bytes, bytes);
    if (!read || *read < sizeof bytes) return {};
  } else {
    if (!Fetch(at + sizeof bytes, source_->read_bytes)) return {};
    std::memcpy(bytes, buffer_.get() + at, sizeof bytes);
  }
  const auto header = DecodeFrameHeader(source_->header, source_->header.LsnAt(offset),
                                        {bytes, sizeof bytes});
  if (!header || header->FrameBytes() > source_->limit - offset) return {};
  return *header;
}

std::optional<std::uint64_t> FramePiece::Plan(const PieceSource& source, std::uint64_t from,
                                              bool by_headers) {
  source_ = &source;
  Clear(from);
  while (end_ < source.limit && end_ - begin_ < source.read_bytes) {
    const auto header = HeaderAt(end_, by_headers);
    if (!header) return {};
    const auto next = end_ + header->FrameBytes();
    if (next - begin_ > source.raw_bytes_max()) {
      if (frames_.empty()) end_ = next;
      break;
    }
    if (!by_headers && !Fetch(next - begin_, source.read_bytes)) return {};
    frames_.push_back({end_, *header});
    end_ = next;
  }
  return end_ < source.limit ? std::optional(end_) : std::nullopt;
}

bool FramePiece::has_large_frames() const {
  return end_ - begin_ >= kLargeFrameBytes * std::max<std::size_t>(frames_.size(), 1);
}

// Decides whose units there is room for, and takes it for as many as the headers name.
void FramePiece::MakeRoom() {
  const auto taken = capacity_ + frames_.capacity() * sizeof(Frame);
  const auto room = source_->bytes_max - std::min(source_->bytes_max, taken);
  std::uint64_t units = 0, records = 0;
  const auto need = [&] { return units * sizeof(FoundUnit) + records * sizeof(LogRecord); };
  for (auto& frame : frames_) {
    if (!HoldsWholeUnits(frame.header)) continue;
    units += frame.header.units;
    records += frame.header.records;
    frame.fits = need() <= room;
    if (frame.fits) continue;
    units -= frame.header.units;
    records -= frame.header.records;
  }
  if (MemoryOfUnits() + need() > room) {  // what is left of other pieces goes first
    places_ = {};
    decoder_ = {};
  }
  places_.reserve(units);
  decoder_.Reserve(records);
  const auto held = memory();
  decoder_.LimitMemory(decoder_.memory() +
                       (source_->bytes_max - std::min(source_->bytes_max, held)));
}

void FramePiece::Prepare() {
  if (frames_.empty()) return;
  const auto& last = frames_.back();
  if (!Fetch(last.offset + last.header.FrameBytes() - begin_, 0)) return frames_.clear();
  MakeRoom();
  for (auto& frame : frames_) {
    frame.valid = Matches(frame);
    frame.decoded = frame.valid && frame.fits && Decode(&frame);
  }
  VARVE_CHECK(memory() <= source_->bytes_max);
}

// Whether all its bytes are what its header, which was looked at before, says.
bool FramePiece::Matches(const Frame& frame) const {
  const auto bytes = BytesOf(frame);
  return std::memcmp(bytes.data(), &frame.header, kFrameHeaderBytes) == 0 &&
         CheckPayload(source_->header, frame.header, bytes.substr(kFrameHeaderBytes)).has_value();
}

// The whole units of a valid frame. What it holds beyond what its header says has no room here.
bool FramePiece::Decode(Frame* frame) {
  frame->first_unit = places_.size();
  frame->first_record = decoder_.records().size();
  auto units = frame->header.units;
  auto records = frame->header.records;
  auto rest = BytesOf(*frame).substr(kFrameHeaderBytes, frame->header.payload_bytes);
  Lsn lsn{frame->header.lsn + kFrameHeaderBytes};
  while (const auto header = PeekUnitHeader(rest)) {
    if (units == 0 || header->records > records) return false;
    const auto unit = rest.substr(0, header->size);
    if (!decoder_.TakePlain(*header, unit) && !decoder_.Decode(unit, lsn, source_->cipher.get())) {
      return false;
    }
    const Lsn end{lsn.value + unit.size()};
    places_.push_back({lsn, end, header->records});
    --units;
    records -= header->records;
    rest.remove_prefix(unit.size());
    lsn = end;
  }
  return units == 0 && records == 0;
}

std::string_view FramePiece::BytesOf(const Frame& frame) const {
  return {buffer_.get() + (frame.offset - begin_), frame.header.FrameBytes()};
}

std::optional<LogFrame> FramePiece::At(std::uint64_t offset) const {
  const auto frame = std::lower_bound(
      frames_.begin(), frames_.end(), offset,
      [](const Frame& one, std::uint64_t wanted) { return one.offset < wanted; });
  if (frame == frames_.end() || frame->offset != offset || !frame->valid) return {};
  const auto& header = frame->header;
  const auto bytes = BytesOf(*frame);
  LogFrame found{header, offset, bytes.substr(kFrameHeaderBytes, header.payload_bytes), bytes, {}};
  if (frame->decoded) {
    found.units = {std::span(places_).subspan(frame->first_unit, header.units),
                   decoder_.records().subspan(frame->first_record, header.records)};
  }
  return found;
}

}  // namespace varve
