// SPDX-License-Identifier: Apache-2.0
// Readers of a varve::Log: cursors, which may follow a log while it grows, and tools that look at
// its files. None takes the lock and none changes anything: they work in a read-only folder, beside
// a log that this process or another one has open, and after a crash before recovery.
//
//   auto cursor = varve::LogCursor::Open("orders.log", {.follow = true});
//   while (true) {
//     auto unit = (*cursor)->Next();
//     if (!unit) return unit.error();
//     if (*unit) Apply((*unit)->records);
//     else (void)(*cursor)->WaitForMore(1000);
//   }
//
// A cursor gives each unit once, in order, whole, with the position and bytes that its appender was
// told; across rotation, truncation behind it, a closed log that is opened again, and files that
// are used again. It never takes damage for the end, nor the end for damage: a frame that is being
// written is the end for now; where something shows that the device had confirmed more than is
// readable it is Corruption, with file and offset.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "varve/log.h"
#include "varve/log_options.h"
#include "varve/types.h"

namespace varve {

struct LogReaderOptions {
  // The first unit given is the first one at or after this position. 0: the oldest there is.
  Lsn from{};
  // kWritten (and kBuffered, which no file can show more of): every unit that is in the files. A
  // power cut may take the newest back; then Next gives Conflict. kDurable: only units that a later
  // frame or the end of a closed log says were synced, so the newest comes with the next flush; for
  // a cursor of OpenCursor, the log's own position counts.
  AckLevel level = AckLevel::kWritten;
  // How the end is judged. false: once, in full, as recovery does, at the cost of reading the rest
  // of the last segment. true: each Next at the end looks at 64 KiB beyond it at once, and at the
  // rest little by little in later calls.
  bool follow = false;
  // Opens encrypted logs. Must outlive the cursor.
  KeyProvider* keys = nullptr;
  // The log is known to have been durable up to here, so that a missing end is Corruption; 0: no
  // more is known than the files show.
  Lsn known_durable{};
  // As LogOptions::id: another log is Corruption. Empty: any.
  std::string id = {};
};

// Used by one thread at a time. Memory: one frame (16 MiB at most, a flush has usually one), or the
// one unit that spans frames; and the records of one unit.
class LogCursor {
 public:
  // Cost: a listing, the headers of O(log n) of n segments, and 64 bytes of each frame before
  // `from` in one segment; no payload before it is read.
  // Errors: NotFound when there is no log, or when `from` was truncated (names the oldest position
  // that is readable); Invalid when it lies beyond the last frame; NotFound/kMissingKey and
  // Invalid/kWrongKey; Invalid/kUnsupportedFormat; Corruption; Unavailable/kIo.
  static Result<std::unique_ptr<LogCursor>> Open(const std::string& dir,
                                                 const LogReaderOptions& options = {},
                                                 const LogComponents& components = {});
  ~LogCursor();
  LogCursor(const LogCursor&) = delete;
  LogCursor& operator=(const LogCursor&) = delete;

  // The next unit; nothing at the present end, where later calls go on. Its records are valid until
  // the next call of any member.
  // Errors, besides those of Open: NotFound, "was truncated", when the log was truncated past this
  // cursor; Conflict when units that it gave were lost to a power cut or cut off by a recovery, or
  // when the folder was put back to an earlier point, or holds another log now (open a new one);
  // Corruption. An error leaves the position where it was: the next call tries again.
  Result<std::optional<LogUnit>> Next();

  // Waits until Next has a unit or an error to give, `timeout_ms` at most; gives whether it has.
  // On a real disk the system tells when the folder changes (inotify); elsewhere, or where it has
  // no watch to give, the folder is looked at every 1 to 64 ms of the components' clock. A cursor
  // of OpenCursor waits in the log for what is appended already, as a committer would: that flushes
  // it, and for kDurable syncs it.
  Result<bool> WaitForMore(std::uint64_t timeout_ms);

  // Makes durable what Next gave: no power cut takes it back from then on. It needs no permission
  // to write. Unavailable/kIo when the device does not confirm it.
  Status Sync();

  // Just after the last unit given, or as asked for (the oldest there was): where a later cursor
  // goes on.
  Lsn position() const;

 private:
  class Impl;
  explicit LogCursor(std::unique_ptr<Impl> impl);
  friend Result<std::unique_ptr<LogCursor>> OpenCursor(Log* log, const std::string& dir,
                                                       const LogReaderOptions& options,
                                                       const LogComponents& components);
  std::unique_ptr<Impl> impl_;
};

// A cursor over a log that this process has open for writing, in `dir`. It holds a pin where it
// stands, so that truncation cannot pass it, and never gives a unit beyond the log's own position
// of its level. `from` may be any position up to positions().appended. `log` must outlive it.
// Errors: as LogCursor::Open; Invalid when `dir` holds another log; those of Log::Pin.
Result<std::unique_ptr<LogCursor>> OpenCursor(Log* log, const std::string& dir,
                                              const LogReaderOptions& options = {},
                                              const LogComponents& components = {});

// One finding of VerifyLog: where, and what was expected and found there.
struct LogDamage {
  std::string file;
  std::uint64_t offset = 0;
  std::string message;
};

// Reads every byte that recovery would trust, without the lock and without changing anything.
// Gives the damages found (none: sound; a torn tail is no damage and is in the report). With `keys`
// encrypted units are opened and their tags checked, at the errors that keys can have; without, the
// checksums of what is stored are checked alone.
struct LogVerification {
  RecoveryReport report;
  Lsn durable;  // up to here the files show by themselves that they were synced. The last flush
                // does not show it before the next one, or the end of a closed log
  std::vector<LogSegmentInfo> segments;  // in use, oldest first; those that were readable
  std::vector<LogDamage> damages;
};
Result<LogVerification> VerifyLog(const std::string& dir, const LogComponents& components = {},
                                  KeyProvider* keys = nullptr);

// Calls `visit` for a line of text per header and frame of one segment file, up to the first
// damage, which it describes in the last line. A group's line counts its units by codec and, where
// they can be read (with `keys` also in an encrypted segment), its records by kind. For people; the
// form of the lines may change.
Status DumpLogSegment(const std::string& path, const std::function<void(std::string_view)>& visit,
                      const LogComponents& components = {}, KeyProvider* keys = nullptr);

}  // namespace varve
