// SPDX-License-Identifier: Apache-2.0
// Walks the frames of a log's files in order, from any position on, while others write to them.
//
// What a reader without the lock may meet, and what it may conclude. Let x be the place behind the
// last valid frame of the segment that is being read.
//   - No valid frame at x: the end, or one that is just being written, or damage. It is damage only
//     when something shows that the device had confirmed more: a durable position above x that a
//     frame, or the log itself, tells; a file that is shorter than its capacity without ending with
//     its seal; a promised successor that is missing; a later segment with a link. Since x may have
//     been written after it was read, it is read again after the evidence was seen.
//   - The next segment's link says where this one ended. Above x: damage. At x: reading goes on
//     there. Below x: a recovery cut off what was read.
//   - The file may be truncated away, and then used again under another name, while it is open. Its
//     name is gone before one byte is overwritten, and no frame of another generation validates. So
//     frames that validate are right whenever they are read, and damage is damage only if the name
//     still shows this generation after the bad bytes were read.
//   - The folder may be put back to an earlier point, from a backup or an archive, or hold another
//     log. So the end is the end, and damage is damage, only in the file that has the name now and
//     holds the frame that was read last.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "files/files.h"
#include "log/log_format.h"
#include "log/segment_cipher.h"
#include "log/segment_file.h"
#include "log/segment_reader.h"
#include "varve/error.h"
#include "varve/log_options.h"

namespace varve {

struct FollowerSettings {
  Files* files;
  std::string dir;
  KeyProvider* keys;  // may be null
  bool follow;           // see LogReaderOptions
};

// A segment among all that ever had its name.
struct SegmentLife {
  std::uint64_t sequence = 0;
  std::uint64_t generation = 0;
  bool operator==(const SegmentLife&) const = default;
};

// A frame that was read. Through the chain of checksums it speaks for all before it.
struct ReadFrame {
  SegmentLife segment;
  std::uint64_t offset = 0;
  std::uint32_t crc = 0;
};

// Used by one thread.
class FrameFollower {
 public:
  enum class Step : std::uint8_t {
    kFrame,  // there is one
    kEnd,    // for now
    kMoved,  // the files changed under the reader: place it anew
  };

  explicit FrameFollower(FollowerSettings settings) : settings_(std::move(settings)) {}

  // Stands before the first frame that holds or follows `from` (0: the oldest). `given`: everything
  // before `from` was read already, the end of it in this frame, so that its loss is a Conflict;
  // and so is another log than that of the first Place. kEnd: `from` is the end.
  // Errors: those of LogCursor::Open.
  Result<Step> Place(Lsn from, const std::optional<ReadFrame>& given);
  // Whether the next frame goes on with a unit that began before it.
  bool inside() const { return inside_; }

  // The next frame, into `frame`, whose payload is valid until the next call of Next or Place.
  // `durable`: the caller knows that everything before it was synced.
  Result<Step> Next(Lsn durable, LogFrame* frame);

  // Whether everything before `end`, which was read, is known to have been synced: kFrame when it
  // is. Reads headers of later frames, each once.
  Result<Step> KnowsDurable(Lsn end);

  // Makes everything before `end`, which was read, durable; no work when that is known already.
  Status Sync(Lsn end);

  // Corruption at the frame that Next gave last, unless the files changed: then kMoved.
  Result<Step> Refuse(const std::string& defect);

  const std::shared_ptr<const SegmentCipher>& cipher() const { return cipher_; }
  const LogId& log_id() const { return *log_id_; }  // once it was placed
  // That is being read.
  SegmentLife segment() const { return {header_.sequence, header_.generation}; }
  // That Next gave last.
  ReadFrame frame() const { return {segment(), frame_offset_, *chain_}; }
  Lsn begin() const { return {header_.base}; }  // of it
  std::uint64_t bytes_read() const { return bytes_read_ + (reader_ ? reader_->bytes_read() : 0); }

 private:
  // A segment as it is now. No file: there is none of that name.
  struct Look {
    std::unique_ptr<File> file;
    SegmentOnDisk found;
    bool linked() const { return file && found.link; }
  };
  // What shows that the log should go on behind x.
  struct Evidence {
    std::string name;  // of the file that is damaged
    std::uint64_t offset;
    std::string message;
  };
  enum class Skipped : std::uint8_t { kYes, kHoldsIt, kNoFrame };
  using MaybeEvidence = Result<std::optional<Evidence>>;

  std::string PathOf(std::uint64_t sequence) const;
  Result<Look> LookAt(std::uint64_t sequence) const;
  Result<Look> FindSegment(Lsn from);
  Result<bool> HasFirstGroup(const Look& look) const;
  Result<Look> Oldest(const std::vector<std::uint64_t>& sequences, Lsn from);
  Status CheckLog(const SegmentHeader& header) const;
  Status CheckGiven(Lsn from, const ReadFrame& given) const;
  Result<Look> SkipGap(Look look, Lsn from);
  Status Enter(Look look);
  void TakeStop(const Look& next);
  bool AtStop() const { return stop_ && reader_->offset() >= *stop_; }
  void Absorb(const FrameHeader& header);
  std::string CheckPlace(const LogFrame& frame) const;
  Result<Skipped> SkipBefore(Lsn from);
  Result<Step> PassEnd(Lsn durable, bool in_full);
  Result<Step> FollowLink(Look next);
  MaybeEvidence FindEvidence(const Look& next, Lsn durable, bool in_full);
  MaybeEvidence CheckFile(const Look& next);
  MaybeEvidence LookBeyond(bool in_full);
  MaybeEvidence LookIntoNext(const Look& next, bool in_full);
  MaybeEvidence LookForLater();
  Evidence AtEnd(std::string message) const;
  Result<Step> Judge(const Evidence& evidence);
  Result<std::unique_ptr<File>> Reopen() const;
  Result<bool> Holds(File* file, const ReadFrame& frame) const;
  Result<bool> Intact() const;
  Result<Step> LookAnew(std::string* defect);
  Status ScoutAhead(File* file, Lsn end);
  Lsn lsn() const { return reader_->lsn(); }

  const FollowerSettings settings_;
  std::optional<LogId> log_id_;  // once a segment was entered

  // The segment that is being read.
  std::unique_ptr<File> file_;
  SegmentHeader header_;
  std::shared_ptr<const SegmentCipher> cipher_;
  std::optional<SegmentReader> reader_;
  LinkPayload before_;                  // what its link says
  std::optional<std::uint32_t> chain_;  // of the next frame
  std::optional<std::uint64_t> epoch_;  // of the last frame, here or in the segment before
  std::optional<std::uint64_t> stop_;   // offset where the next link says that it ends
  std::uint64_t frame_offset_ = 0;      // of the frame that was read last; 0: none in this segment
  bool sealed_ = false;                 // the last frame is a seal
  bool promised_ = false;               // and says that there is a next segment
  bool inside_ = false;
  std::uint64_t bytes_read_ = 0;        // of earlier segments

  Lsn durable_;                         // the largest position that was shown to be

  // Headers that were read ahead of the frames, to learn what is durable.
  std::uint64_t scout_offset_ = 0;
  std::optional<std::uint32_t> scout_chain_;
  bool scout_sealed_ = false;

  // How far was looked beyond the place where the last valid frame ended.
  std::uint64_t beyond_of_ = 0;  // that place
  std::uint64_t beyond_to_ = 0;
  std::uint64_t visits_ = 0;
  bool looked_all_ = false;
};

}  // namespace varve
