// SPDX-License-Identifier: Apache-2.0
// CommitTimes: when each commit of one flush was made, as the object times/<20 digits>; the digits
// are the number of the last of these commits. What "as of this moment" is answered from once the
// log is gone.
//
//    0  8 bytes  "VARVETIM"
//    8  u32      format: 1
//   12  u32      0
//   16  u64      number of the first commit
//   24  u64      how many commits, at least 1; their numbers have no gap
//   32  i64      time of the first, microseconds since 1970-01-01T00:00:00Z
//   40  ...      for each later one: its time less that of the one before (modulo 2^64), as zigzag
//                LEB128: 7 bits a byte from the lowest on, the high bit says that more follow
//   end u32      crc32c of all bytes before
//
// Little-endian. Clocks may go back, so the times need not grow. The manifest holds the last four
// bytes and the size; so an object of another flush or database does not pass for this one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/object_store.h"
#include "varve/error.h"
#include "varve/types.h"

namespace varve {

inline constexpr std::string_view kTimesPrefix = "times/";

// What the manifest says about one such object.
struct TimesObject {
  CommitNumber first;  // of the version; in a backup, which may take more at once, the object may
                       // begin with an earlier one
  WallTime min_time;   // the earliest in the object
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;
  std::string file_key;  // secret: the data key that it is encrypted with; empty: it is not
  bool operator==(const TimesObject&) const = default;
};

class CommitTimes {
 public:
  // Needs at least one time.
  CommitTimes(CommitNumber first, std::vector<WallTime> times);
  // Corruption says expected and found; Invalid/kUnsupportedFormat for a newer format.
  static Result<CommitTimes> Decode(std::string_view bytes);
  std::string Encode() const;
  // Whether it says of each commit of `other` what that says, and maybe of some before.
  bool Covers(const CommitTimes& other) const;

  CommitNumber first() const { return first_; }
  CommitNumber last() const { return {first_.value + times_.size() - 1}; }
  // Needs first() <= commit <= last().
  WallTime At(CommitNumber commit) const { return times_[commit.value - first_.value]; }
  WallTime Earliest() const;
  // The newest commit that was not made after `time`.
  std::optional<CommitNumber> NewestAt(WallTime time) const;

 private:
  CommitNumber first_;
  std::vector<WallTime> times_;
};

// 2026-11-20T12:00:00.000000Z
std::string TimeText(WallTime time);

// "times/00000000000000000007"
std::string TimesName(CommitNumber last);
bool IsTimesName(std::string_view name);

// Writes the object, durable on return, whatever an earlier try left under its name. `encrypted`:
// under a new data key (manifest_cipher.h).
Result<TimesObject> WriteTimes(ObjectStore* store, const CommitTimes& times,
                               bool encrypted = false);

// The object of the flush that ended with commit `last`. Corruption names object, expected, found.
Result<std::shared_ptr<const CommitTimes>> ReadTimes(ObjectStore* store, CommitNumber last,
                                                     const TimesObject& object);

// A description of one object's bytes, line by line, up to the first damage, which is the error.
// `file_key`: of an encrypted one.
Status DumpTimes(std::string_view bytes, const std::function<void(std::string_view)>& line,
                 const std::string& file_key = {});

}  // namespace varve
