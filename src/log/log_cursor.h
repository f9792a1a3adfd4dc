// SPDX-License-Identifier: Apache-2.0
// What a LogCursor is made of: a walk over the frames, the units in them, what may be given, and
// how to wait.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "files/files.h"
#include "log/frame_follower.h"
#include "log/unit_puller.h"
#include "varve/log.h"
#include "varve/log_reader.h"

namespace varve {

// What a cursor over a log that this process has open asks of it. Empty functions: it has none.
struct LiveLog {
  std::function<LogPositions()> positions;
  std::function<Result<LogPin>(Lsn)> pin;
  std::function<Status(Lsn, AckLevel, std::uint64_t timeout_ms)> wait;
};

class LogCursor::Impl {
 public:
  Impl(const std::string& dir, const LogReaderOptions& options, const LogComponents& components,
       LiveLog live);

  // Finds the place, so that what is wrong with it is told at once.
  Status Open();
  Result<std::optional<LogUnit>> Next();
  Result<bool> WaitForMore(std::uint64_t timeout_ms);
  Status Sync();
  Lsn position() const { return position_; }

 private:
  Result<bool> Fill();
  Result<bool> FillOnce();
  Result<bool> PassUnwanted();
  Status Place();
  Status CheckId() const;
  Result<FrameFollower::Step> TakeNextFrame(Lsn durable);
  Result<FrameFollower::Step> MayGive(Lsn end);
  Result<LogUnit> Give();
  Status MovePin(Lsn position);
  Lsn Limit(const LogPositions& positions) const;
  void Displace();
  Result<bool> WaitInLog(std::int64_t micros);
  Status WaitOutside(std::int64_t micros);

  const LogReaderOptions options_;
  Files* const files_;
  Clock* const clock_;
  const std::string dir_;
  const LiveLog live_;
  FrameFollower follower_;
  std::optional<UnitPuller> puller_;  // none: the place has to be found first
  Lsn position_;
  std::optional<ReadFrame> given_in_;  // where the unit ended that was given last
  LogPin pin_;
  std::unique_ptr<FolderWatch> watch_;
  bool watch_asked_ = false;
  std::int64_t nap_micros_ = 0;       // of the next look without a watch
};

}  // namespace varve
