// SPDX-License-Identifier: Apache-2.0
// May the log end where it seems to? The rule is in log_recovery.h; here it is applied.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "log/segment_file.h"
#include "log/segment_reader.h"

namespace varve {

// Where reading of the last used segment ended.
struct LastFrame {
  std::uint64_t end = 0;  // offset behind it
  bool is_seal = false;
  bool promises_successor = false;
};

struct EndDefect {
  std::uint64_t offset = 0;
  std::string message;
};

// Nothing when the file itself shows no loss. `next` is the file after it, null when there is none.
std::optional<EndDefect> JudgeLastFile(const SegmentOnDisk& segment, const LastFrame& last,
                                       const SegmentOnDisk* next);

// Why the log cannot end at `end`: what frames beyond (in `beyond_file`) or the caller know. Empty
// when it can.
std::string JudgeLogEnd(Lsn end, const LogBeyond& beyond, const std::string& beyond_file,
                        Lsn known_durable);

}  // namespace varve
