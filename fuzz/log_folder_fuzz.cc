// SPDX-License-Identifier: Apache-2.0
// A whole log through everything that reads it: recovery in each mode, VerifyLog, cursors, the
// dump. They must agree. Input: log_folder.h; bits of the second byte leave out what costs most.
#include "fuzz/allocation_meter.h"
#include "fuzz/log_folder.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "log/segment_file.h"
#include "varve/log_reader.h"

namespace varve::fuzz {
namespace {

constexpr std::uint8_t kGoOn = 1;       // open for writing, append, open again
constexpr std::uint8_t kModes = 2;      // the modes besides kStrict
constexpr std::uint8_t kDumps = 4;
constexpr std::uint8_t kFollows = 8;
constexpr std::uint8_t kFromMiddle = 16;

// One buffer for frames in each reader, what the folder holds a few times over, and units that
// were compressed (mend.h lets none of them say that it holds more than kPlainBytesMost).
constexpr std::uint64_t kMemoryBytesMost = 32u << 20;

bool IsCorrupt(const Reading& reading) {
  return reading.error && reading.error->kind() == ErrorKind::kCorruption;
}

// Whether bytes may be blamed; keys too, since the wrapped key is bytes of the input.
bool MayRefuse(const Error& error) {
  return BlamesBytes(error) || error.reason() == ErrorReason::kWrongKey ||
         error.reason() == ErrorReason::kMissingKey || error.kind() == ErrorKind::kNotFound;
}

void CheckVerify(const LogFolder& folder, const Reading& strict) {
  const auto files = FilesOf(folder);
  World world;
  const auto verified = VerifyLog(kLogDir, world.On(files.get()), &world.keys);
  if (!verified) {
    FUZZ_EXPECT(MayRefuse(verified.error()), verified.error().message());
    FUZZ_EXPECT(strict.error, verified.error().message());
    return;
  }
  if (verified->damages.empty()) {
    const bool empty = strict.error && strict.error->kind() == ErrorKind::kNotFound;
    FUZZ_EXPECT(!strict.error || empty, strict.Describe());
    FUZZ_EXPECT(verified->report.units == strict.units.size(), strict.Describe());
  } else {
    FUZZ_EXPECT(strict.error, verified->damages[0].file + ": " + verified->damages[0].message);
  }
}

// A cursor gives what recovery gives, and sees damage where recovery does.
void CheckCursor(const LogFolder& folder, const Reading& strict) {
  const auto files = FilesOf(folder);
  const auto read = ReadByCursor(files.get(), {}, AckLevel::kWritten, false);
  if (read.error) FUZZ_EXPECT(MayRefuse(*read.error), read.Describe());
  if (!strict.error) {
    FUZZ_EXPECT(!read.error, strict.Describe() + "; cursor: " + read.Describe());
    FUZZ_EXPECT(read.units == strict.units, strict.Describe() + "; cursor: " + read.Describe());
  } else if (IsCorrupt(strict) && !read.error) {
    // Recovery also refuses files that never held a unit, where a cursor is at its end.
    const auto all = ReadLog(files.get(), kLogDir, RecoveryMode::kSalvage, true);
    FUZZ_EXPECT(all.units == read.units,
                strict.Describe() + "; cursor: " + read.Describe() + "; in all " + all.Describe());
  }
  if ((folder.choices & kFollows) != 0) {
    const auto durable = ReadByCursor(files.get(), {}, AckLevel::kDurable, true);
    FUZZ_EXPECT(IsPrefix(durable.units, read.units), durable.Describe() + "; " + read.Describe());
  }
  if ((folder.choices & kFromMiddle) == 0 || strict.error || strict.units.size() < 2) return;
  const auto middle = strict.units.size() / 2;
  const auto rest = ReadByCursor(files.get(), strict.units[middle].lsn, AckLevel::kWritten, false);
  const std::vector<SeenUnit> expected(strict.units.begin() + static_cast<std::ptrdiff_t>(middle),
                                       strict.units.end());
  FUZZ_EXPECT(rest.units == expected && !rest.error, rest.Describe());
}

// What opens goes on: a unit is appended, and all is there when it is opened again.
void CheckGoesOn(const LogFolder& folder, const Reading& strict, RecoveryMode mode) {
  const auto files = FilesOf(folder);
  const auto first = ReadLog(files.get(), kLogDir, mode, false, "new");
  if (mode == RecoveryMode::kStrict) {
    FUZZ_EXPECT(first.error.has_value() == strict.error.has_value(),
                strict.Describe() + "; for writing: " + first.Describe());
  }
  if (first.error) {
    FUZZ_EXPECT(MayRefuse(*first.error), first.Describe());
    return;
  }
  if (!strict.error) FUZZ_EXPECT(IsPrefix(strict.units, first.units), first.Describe());
  const auto again = ReadLog(files.get(), kLogDir, RecoveryMode::kStrict, false, "newer");
  FUZZ_EXPECT(!again.error, first.Describe() + "; again: " + again.Describe());
  FUZZ_EXPECT(IsPrefix(first.units, again.units) && again.units.size() == first.units.size() + 1,
              first.Describe() + "; again: " + again.Describe());
}

void CheckDumps(const LogFolder& folder) {
  const auto files = FilesOf(folder);
  World world;
  for (const auto& [sequence, bytes] : folder.segments) {
    std::size_t lines = 0;
    const auto dumped = DumpLogSegment(
        JoinPath(kLogDir, SegmentName(sequence)), [&](std::string_view) { ++lines; },
        world.On(files.get()), &world.keys);
    if (!dumped) FUZZ_EXPECT(MayRefuse(dumped.error()), dumped.error().message());
    FUZZ_EXPECT(lines <= bytes.size() / kLogBlock + 2, std::to_string(lines));
  }
}

void Test(const LogFolder& folder) {
  AllocationMeter meter;
  const auto files = FilesOf(folder);
  const auto strict = ReadLog(files.get(), kLogDir, RecoveryMode::kStrict, true);
  if (strict.error) FUZZ_EXPECT(MayRefuse(*strict.error), strict.Describe());
  CheckVerify(folder, strict);
  CheckCursor(folder, strict);
  if ((folder.choices & kDumps) != 0) CheckDumps(folder);
  if ((folder.choices & kGoOn) != 0) CheckGoesOn(folder, strict, RecoveryMode::kStrict);
  if ((folder.choices & kModes) != 0) {
    CheckGoesOn(folder, strict, RecoveryMode::kTolerateTail);
    CheckGoesOn(folder, strict, RecoveryMode::kPointInTime);
    const auto salvaged = ReadLog(files.get(), kLogDir, RecoveryMode::kSalvage, true);
    if (salvaged.error) FUZZ_EXPECT(MayRefuse(*salvaged.error), salvaged.Describe());
    if (!strict.error) FUZZ_EXPECT(salvaged.units == strict.units, salvaged.Describe());
  }
  FUZZ_EXPECT(meter.peak_bytes() <= kMemoryBytesMost + 8 * folder.bytes(),
              std::to_string(meter.peak_bytes()));
}

}  // namespace

void FuzzOne(Input input) {
  Test(TakeFolder(input));
}

std::vector<std::string> FuzzSeeds() { return SampleFolders(); }

}  // namespace varve::fuzz
