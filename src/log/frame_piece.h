// SPDX-License-Identifier: Apache-2.0
// Some frames of a segment, one after the other, read at once and taken apart. What FrameAhead's
// tasks do, without the tasks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "files/files.h"
#include "log/log_format.h"
#include "log/segment_cipher.h"
#include "log/segment_reader.h"
#include "log/unit_codec.h"

namespace varve {

// Where pieces come from, and how large they may be. `cipher` is null when there is none.
struct PieceSource {
  File* file;
  SegmentHeader header;
  std::uint64_t limit;       // offset: no frame of interest lies beyond
  std::shared_ptr<const SegmentCipher> cipher;
  std::uint64_t read_bytes;  // at once; whole blocks
  std::uint64_t bytes_max;   // a piece holds no more, everything counted

  // What of these the frames may be; the rest is for what they are decoded into.
  std::uint64_t raw_bytes_max() const { return bytes_max / 4 * 3; }
};

// Used by one thread at a time. It gives nothing that does not validate, and does not say why.
class FramePiece {
 public:
  // Walks the headers of the frames from `from` on: of source.read_bytes, and of the frame across
  // their end, so that no byte is in two pieces. A frame that is too large for a piece is
  // left out. `by_headers`: reads the headers alone, which is quicker when frames are large; else
  // all bytes. Gives where the next piece begins; nothing when there is no valid frame header, the
  // limit is reached, or the file cannot be read. Lends `source`.
  std::optional<std::uint64_t> Plan(const PieceSource& source, std::uint64_t from,
                                    bool by_headers);
  // Whether the frames found are so large that the next piece should be planned by headers.
  bool has_large_frames() const;

  // Reads what was not read, checks it, and decodes whole units as far as bytes_max allows.
  void Prepare();

  // Holds nothing, from `from` to `from`.
  void Clear(std::uint64_t from);

  // The frame at `offset` when it was prepared and is valid, its chain and its place in the log
  // aside. Its units come with it unless it holds a part of one, or they could not be decoded.
  std::optional<LogFrame> At(std::uint64_t offset) const;

  std::uint64_t end() const { return end_; }  // of the frames; those that were left out included
  std::uint64_t memory() const;               // bytes held

 private:
  struct Frame {
    std::uint64_t offset;
    FrameHeader header;
    std::size_t first_unit = 0;
    std::size_t first_record = 0;
    bool fits = false;     // there is room for its units
    bool valid = false;
    bool decoded = false;
  };

  bool Fetch(std::uint64_t bytes, std::uint64_t at_once);
  std::optional<FrameHeader> HeaderAt(std::uint64_t offset, bool alone);
  bool Matches(const Frame& frame) const;
  void MakeRoom();
  bool Decode(Frame* frame);
  std::string_view BytesOf(const Frame& frame) const;
  std::uint64_t MemoryOfUnits() const;

  const PieceSource* source_ = nullptr;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  std::unique_ptr<char[]> buffer_;  // from begin_ on
  std::uint64_t capacity_ = 0;      // of buffer_
  std::uint64_t have_ = 0;          // bytes in it
  std::vector<Frame> frames_;
  std::vector<FoundUnit> places_;
  UnitDecoder decoder_;
};

}  // namespace varve
