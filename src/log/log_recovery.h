// SPDX-License-Identifier: Apache-2.0
// Reads a log back: which units it holds, where it ends, and whether what lies beyond the end is a
// torn tail or damage.
//
// The judgement. Let x be the LSN of the first place, after the last valid frame of the last used
// segment, where no valid frame is. A segment is used when its link is valid. A crash can lose any
// part of what was written and not synced, so bad bytes at x are a torn tail unless something shows
// that the device had confirmed more than x:
//   - a valid frame header beyond x, or in a later segment, whose durable position is above x;
//   - a later segment with a valid link, which was written after a sync of all before it;
//   - a seal that promises a successor which is missing (each segment that was ever written to is
//     promised by the one before, see LogWriter::Enter);
//   - a frame behind a bad link of the first segment of all, whose link is synced by itself;
//   - a file that is shorter than its capacity and does not end with its seal, or a last frame that
//     leaves no room for the two seals;
//   - the caller, who knows a durable position above x.
// Then it is damage. A valid frame beyond x alone shows nothing: it may have been written by the
// same flush, of which x was lost.
//
// The end is recorded in the link of the next segment, before anything in that segment counts. So
// bytes beyond x in the old segment are never looked at again: they cannot revive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "files/files.h"
#include "log/log_format.h"
#include "log/unit_stream.h"
#include "varve/log.h"
#include "varve/log_reader.h"

namespace varve {

// What the link of the next segment will say, and where numbering goes on.
struct LogTail {
  std::optional<LogId> log_id;   // none: there is no segment yet
  SegmentHeader segment;         // of the last used segment; sequence 0: none
  SealPayload counts;            // what a seal at `end` says
  bool sealed = false;              // the last frame is a seal
  bool promises_successor = false;  // and says that a segment follows
  Lsn end;                       // after the last valid frame
  Lsn synced;                    // the largest durable position that a frame notes
  std::uint32_t chain = 0;
  std::uint64_t epoch = 0;
  Lsn unit_end;
  Lsn open_unit;
  std::uint64_t next_base = kFirstBase;  // above everything that is known to be given out
};

// A segment in use, and the link that says what lies before it.
struct UsedSegment {
  LogSegmentInfo info;
  LinkPayload link;
  bool drops_open = false;

  // Whether nothing at or after `from` lies before this segment.
  bool Covers(Lsn from) const {
    return link.sequence == 0 ||
           (from.value >= link.unit_end &&
            (link.open_unit == 0 || drops_open || from.value > link.open_unit));
  }
};

struct RecoveredLog {
  RecoveryReport report;
  LogTail tail;
  std::vector<UsedSegment> segments;  // oldest first; those before the first one read included
  // Files after the tail that hold nothing, and (kPointInTime) those that hold what was cut off.
  // Before the first append the first ones are replaced or removed, highest first; the others are
  // set aside.
  std::vector<std::string> unused;
  std::vector<std::string> cut_off;
  bool cut_damage = false;  // the end was chosen by a mode other than kStrict
  std::vector<LogDamage> damages;
};

enum class OnDamage : std::uint8_t {
  kRefuse,   // the first damage ends it with Corruption
  kCutTail,  // damage of the last used segment's tail is the end of the log; else refuse
  kCut,      // any damage is the end of the log
  kSkip,     // goes on after it; each is listed
};

// Changes nothing. NotFound when there is no such folder. `keys` may be null: without keys and
// without `replay`, encrypted units are checked and counted. What is read ahead is prepared by
// tasks of `executor`, all of which have ended when this returns; null: by threads of its own.
Result<RecoveredLog> RecoverLog(Files* files, const std::string& dir,
                                const RecoveryOptions& options, OnDamage on_damage,
                                const LogReplay& replay, KeyProvider* keys,
                                Executor* executor);

}  // namespace varve
