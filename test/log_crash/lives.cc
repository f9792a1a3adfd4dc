// SPDX-License-Identifier: Apache-2.0
#include "test/log_crash/lives.h"

#include "log/log_format.h"

namespace varve::testing {
namespace {

constexpr auto kBuffered = AckLevel::kBuffered;
constexpr auto kWritten = AckLevel::kWritten;

void FirstUnits(Life& life) {
  life.Open();
  life.Append(1);
  life.Append(3'900);
  life.Append(8'000);
}

void EmptyRecordsAndEdges(Life& life) {
  life.Open();
  life.Append({0, 20, 0});
  life.Append({0});
  for (const std::size_t bytes : {4'019, 4'020, 4'021, 4'096}) life.Append(bytes);
  life.Append({30, 4'000, 100});
}

void SharedFlushes(Life& life) {
  life.Open();
  life.EnqueueMany(8, 900);
  life.WaitForAll();
  life.EnqueueMany(3, 3'000);
  life.WaitForLast();
  life.EnqueueMany(5, 40);
  life.WaitForAll(kWritten);
  life.Append(40);
}

void AckLevels(Life& life) {
  life.Open();
  life.Append(700, kBuffered);
  life.Background();
  life.Append(5'000, kWritten);
  life.Append(30, kBuffered);
  life.Append(3'000, kWritten);
  life.Append(50);
  life.Append(60, kBuffered);
  life.Append(6'000, kWritten);
  life.Abandon();
}

void WrittenSurvivesTheProcess(Life& life) {
  life.Open();
  life.Append(2'000, kWritten);
  life.Append(2'100, kWritten);
  life.Kill();
  life.Open();
  life.Append(7'000, kWritten);
  life.Kill();
  life.Open();
  life.Append(30);
}

void Syncs(Life& life) {
  life.Open();
  life.EnqueueMany(3, 1'500);
  life.Sync();
  life.Enqueue(4'500);
  life.Sync();
  life.Sync();
  life.Append(100, kBuffered);
  life.Sync();
  life.Append(9'000, kWritten);
  life.Sync();
}

void RotateByHand(Life& life) {
  life.Open();
  life.Rotate();
  life.Append(100);
  life.Rotate();
  life.Rotate();
  life.Append(5'000);
  life.Enqueue(3'000);
  life.Rotate();
  life.Append(200);
}

void RollWithSegmentsMadeAhead(Life& life) {
  life.Open();
  for (int i = 0; i < 6; ++i) {
    life.Append(9'000);
    life.Background();
  }
}

void RollWithoutHelp(Life& life) {
  life.Open();
  for (int i = 0; i < 6; ++i) life.Append(9'000);
}

void RollInsideOneGroup(Life& life) {
  life.Open();
  life.EnqueueMany(16, 3'000);
  life.WaitForLast();
  life.EnqueueMany(8, 5'000);
  life.OneTask();
  life.WaitForAll();
}

void TasksThatComeLate(Life& life) {
  life.Open();
  life.Append(12'000);
  life.Append(9'000, kBuffered);
  life.Append(6'000, kWritten);
  life.OneTask();
  life.Append(12'000);
  life.OneTask();
  life.Rotate();
  life.Background();
  life.Append(9'000, kBuffered);
  life.Close();
}

// Around the sizes with which a frame fills its blocks, whatever its headers take.
void SegmentsFilledToTheLastByte(Life& life) {
  life.Open();
  for (const std::size_t overhead : {64, 75, 76, 77, 84, 85, 86, 101}) {
    life.Append((1 + overhead % 3) * kLogBlock - overhead);
  }
  life.Close();
}

void Transactions(Life& life) {
  life.Open();
  const auto one = life.Begin();
  const auto two = life.Begin();
  const auto three = life.Begin();
  life.AppendTo(one, 500);
  life.AppendTo(two, 3'000);
  life.AppendTo(one, 4'000);
  life.Append(200);
  life.AppendTo(three, 50);
  life.Commit(two, kWritten);
  life.AppendTo(one, 20'000);
  life.Abort(three);
  life.Commit(one);
  life.AppendTo(life.Begin(), 300);
  life.Kill();
  life.Open();
  life.Append(100);
}

void Checkpoints(Life& life) {
  life.Open();
  for (int i = 0; i < 3; ++i) {
    life.Append(6'000);
    life.Checkpoint();
    life.Append(9'000);
    life.TruncateAllBut(2);
  }
  life.Kill();
  life.Open();
  life.Checkpoint();
}

// Segments come back under new numbers while old frames are still in them.
void TruncatedSegmentsUsedAgain(Life& life) {
  life.Open();
  for (int i = 0; i < 7; ++i) {
    life.Append(12'000);
    life.Background();
    life.TruncateAllBut(1);
  }
  life.Append(3'000, kWritten);
  life.PowerCut(Survival::kRandomSectors);
  life.Open();
  life.Append(20'000);
  life.TruncateAllBut(1);
  life.Append(20'000);
}

void HugeUnit(Life& life) {
  life.Open();
  life.Append(300);
  life.Append(100'000);
  life.Background();
  life.Append(300);
  life.Append({40'000, 0, 30'000});
}

void HugeUnitAmongOthers(Life& life) {
  life.Open();
  life.Enqueue(500);
  life.Enqueue(70'000);
  life.Enqueue(600);
  life.WaitForAll();
  life.Enqueue(50'000);
  life.WaitForAll(kWritten);
  life.Append(700);
}

void HugeUnitCutByTheEnd(Life& life) {
  life.Open();
  life.Append(300);
  life.Append(90'000, kWritten);
  life.Append(10, kWritten);
  life.PowerCut(Survival::kRandomPrefix);
  life.Open();
  life.Append(400);
  life.Append(60'000, kWritten);
  life.Kill();
  life.Open();
  life.Append(500);
}

void Truncation(Life& life) {
  life.Open();
  for (int i = 0; i < 4; ++i) {
    life.Append(2'000);
    life.Rotate();
  }
  life.TruncateAllBut(3);
  life.Append(100);
  life.TruncateAllBut(1);
  life.Append(200);
}

void TruncationAndReopening(Life& life) {
  life.Open();
  for (int i = 0; i < 5; ++i) life.Append(9'000);
  life.TruncateAllBut(2);
  life.Abandon();
  life.Open();
  life.Append(100);
  life.TruncateAllBut(1);
  life.Append(100);
  life.Close();
  life.Open();
  life.TruncateAllBut(1);
  life.Append(100);
}

void TruncationAroundAHugeUnit(Life& life) {
  life.Open();
  life.Append(3'000);
  life.Append(80'000);
  life.Append(100);
  life.TruncateAllBut(2);
  life.Append(100);
  life.TruncateAllBut(1);
  life.Append(100);
}

// The next segment is begun, and not durable.
void TruncationUpToTheEnd(Life& life) {
  life.Open();
  for (int i = 0; i < 3; ++i) {
    life.Append(2'000);
    life.Rotate();
    life.Append(3'000, kWritten);
    life.TruncateAllThatIsDurable();
  }
  life.Append(12'000);
  life.Append(12'000, kWritten);
  life.TruncateAllThatIsDurable();
  life.Kill();
  life.Open();
  life.TruncateAllThatIsDurable();
  life.Append(100, kWritten);
  life.TruncateAllThatIsDurable();
}

void CloseAndReopen(Life& life) {
  for (int i = 0; i < 3; ++i) {
    life.Open();
    life.Append(1'000);
    life.Append(100, kBuffered);
    life.Close();
  }
  life.Open();
  life.Append(100);
}

void NothingAppended(Life& life) {
  life.Open();
  life.Close();
  life.Open();
  life.Abandon();
  life.Open();
  life.Sync();
  life.Rotate();
  life.Close();
  life.Open();
  life.Append(100);
  life.Close();
  life.Open();
  life.Close();
}

void AbandonAndReopen(Life& life) {
  for (int i = 0; i < 4; ++i) {
    life.Open();
    life.Append(3'000);
    life.Enqueue(500);
    life.Abandon();
  }
  life.Open();
}

void KilledWithAFullQueue(Life& life) {
  for (int i = 0; i < 3; ++i) {
    life.Open();
    life.EnqueueMany(4, 1'000);
    life.WaitForAll(kWritten);
    life.EnqueueMany(12, 3'000);
    life.Kill();
  }
  life.Open();
  life.Append(100);
}

void AheadAndUnused(Life& life) {
  life.Open();
  life.Append(14'000);
  life.Background();
  life.Abandon();
  life.Open();
  life.Append(14'000);
  life.Background();
  life.Close();
  life.Open();
  life.Append(14'000);
}

// Made for units that never came to be written.
void ManyUnused(Life& life) {
  life.Open();
  life.Append(300);
  life.Enqueue(120'000);
  life.Kill();
  life.Open();
  life.Append(300);
  life.Enqueue(70'000);
  life.Abandon();
  life.Open();
  life.Append(300);
  life.Close();
}

void FullDisk(Life& life) {
  life.Open();
  life.Append(3'000);
  life.LeaveRoomFor(40'000);
  life.AppendIsRefused(120'000);
  life.Append(2'000);
  life.LeaveRoomFor(UINT64_MAX);
  life.Append(60'000);
  life.LeaveRoomFor(0);
  life.AppendIsRefused(40'000);
  life.LeaveRoomFor(UINT64_MAX);
  life.Append(100);
  life.Close();
}

void PowerCuts(Life& life) {
  for (const auto survival : {Survival::kRandomSectors, Survival::kAllKept, Survival::kGarbage,
                              Survival::kMetadataFirst}) {
    life.Open();
    life.Append(2'000);
    life.EnqueueMany(4, 2'500);
    life.WaitForAll(kWritten);
    life.PowerCut(survival);
  }
  life.Open();
  life.Append(100);
}

void OtherRecoveryModes(Life& life) {
  for (const auto mode : {RecoveryMode::kTolerateTail, RecoveryMode::kPointInTime}) {
    life.Open({.mode = mode});
    life.Append(2'000);
    life.EnqueueMany(3, 2'500);
    life.WaitForAll(kWritten);
    life.Kill();
    life.Open({.mode = mode});
    life.Append(12'000);
    life.Append(12'000, kWritten);
    life.PowerCut(Survival::kRandomPrefix);
  }
  life.Open({.mode = RecoveryMode::kPointInTime});
  life.Append(100);
}

void ABitOfEverything(Life& life) {
  life.Open();
  life.EnqueueMany(3, 2'000);
  life.WaitForLast();
  life.Append(50'000);
  life.Append(400, kWritten);
  life.TruncateAllBut(2);
  life.Background();
  life.Rotate();
  life.Append(8'000, kBuffered);
  life.Kill();
  life.Open();
  life.Append(100);
  life.TruncateAllBut(1);
  life.Append(30'000, kWritten);
  life.Close();
  life.Open();
  life.Append(100);
  life.Close();
}

class FixedKeys final : public KeyProvider {
 public:
  Result<std::string> CurrentKeyId() override { return "the key"; }
  Result<std::string> Key(std::string_view) override { return std::string(32, 'k'); }
};

LogOptions Small(std::uint32_t recycled, LogSyncMethod method,
                 LogCompression compression = LogCompression::kNone,
                 KeyProvider* keys = nullptr) {
  LogOptions options;
  options.segment_bytes_max = kSegmentBytesMin;
  options.recycled_segments_max = recycled;
  options.sync_method = method;
  options.compression = compression;
  options.keys = keys;
  return options;
}

}  // namespace

std::span<const LogVariant> AllVariants() {
  static FixedKeys keys;
  using enum LogSyncMethod;
  static const LogVariant variants[] = {
      {"Plain", Small(0, kFdatasync), true},
      {"Recycled", Small(2, kDirectDsync), true},
      {"Compressed", Small(1, kDsync, LogCompression::kZstd), false},
      {"Encrypted", Small(2, kFdatasync, LogCompression::kLz4, &keys), false},
  };
  return variants;
}

std::span<const NamedLife> AllLives() {
  static constexpr NamedLife kLives[] = {
      {"FirstUnits", FirstUnits},
      {"EmptyRecordsAndEdges", EmptyRecordsAndEdges},
      {"SharedFlushes", SharedFlushes},
      {"AckLevels", AckLevels},
      {"WrittenSurvivesTheProcess", WrittenSurvivesTheProcess},
      {"Syncs", Syncs},
      {"RotateByHand", RotateByHand},
      {"RollWithSegmentsMadeAhead", RollWithSegmentsMadeAhead},
      {"RollWithoutHelp", RollWithoutHelp},
      {"RollInsideOneGroup", RollInsideOneGroup},
      {"TasksThatComeLate", TasksThatComeLate},
      {"SegmentsFilledToTheLastByte", SegmentsFilledToTheLastByte},
      {"Transactions", Transactions},
      {"Checkpoints", Checkpoints},
      {"TruncatedSegmentsUsedAgain", TruncatedSegmentsUsedAgain},
      {"HugeUnit", HugeUnit},
      {"HugeUnitAmongOthers", HugeUnitAmongOthers},
      {"HugeUnitCutByTheEnd", HugeUnitCutByTheEnd},
      {"Truncation", Truncation},
      {"TruncationAndReopening", TruncationAndReopening},
      {"TruncationAroundAHugeUnit", TruncationAroundAHugeUnit},
      {"TruncationUpToTheEnd", TruncationUpToTheEnd},
      {"CloseAndReopen", CloseAndReopen},
      {"NothingAppended", NothingAppended},
      {"AbandonAndReopen", AbandonAndReopen},
      {"KilledWithAFullQueue", KilledWithAFullQueue},
      {"AheadAndUnused", AheadAndUnused},
      {"ManyUnused", ManyUnused},
      {"FullDisk", FullDisk},
      {"PowerCuts", PowerCuts},
      {"OtherRecoveryModes", OtherRecoveryModes},
      {"ABitOfEverything", ABitOfEverything},
  };
  return kLives;
}

}  // namespace varve::testing
