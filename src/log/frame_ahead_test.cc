// SPDX-License-Identifier: Apache-2.0
// Whatever a log holds and whatever became of it: read ahead or not, recovery gives the same.
#include "log/frame_ahead.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "log/log_fixture.h"
#include "log/log_recovery.h"
#include "log/segment_cipher.h"
#include "log/segment_file.h"

namespace varve {
namespace {

using testing::kLogDir;

constexpr std::uint64_t kLittle = 64u << 10;  // read ahead, in the smallest pieces

class OneKey final : public KeyProvider {
 public:
  Result<std::string> CurrentKeyId() override { return std::string("key"); }
  Result<std::string> Key(std::string_view) override { return std::string(kCipherKeyBytes, 'k'); }
};

// Counts what is submitted to another one.
class CountingExecutor final : public Executor {
 public:
  explicit CountingExecutor(Executor* to) : to_(to) {}
  void Submit(Task task) override {
    ++submitted_;
    to_->Submit(std::move(task));
  }
  void SubmitAfter(std::int64_t micros, Task task) override {
    to_->SubmitAfter(micros, std::move(task));
  }
  bool RunOne() override { return to_->RunOne(); }
  int submitted() const { return submitted_; }

 private:
  Executor* const to_;
  std::atomic<int> submitted_ = 0;
};

std::string Text(const RecoveredLog& log) {
  const auto& report = log.report;
  const auto& tail = log.tail;
  auto text = fmt::format(
      "{} segments, {} units, {} records, {} torn, end {}; tail: frames {} units {} end {} synced "
      "{} chain {} epoch {} unit end {} open {} next base {}\n",
      report.segments, report.units, report.records, report.torn_bytes, report.end.value,
      tail.counts.frames, tail.counts.units, tail.end.value, tail.synced.value, tail.chain,
      tail.epoch, tail.unit_end.value, tail.open_unit.value, tail.next_base);
  for (const auto& damage : log.damages) {
    text += fmt::format("{} {} {}\n", damage.file, damage.offset, damage.message);
  }
  for (const auto& name : log.unused) text += "unused " + name + "\n";
  for (const auto& name : log.cut_off) text += "cut off " + name + "\n";
  for (const auto& used : log.segments) {
    text += fmt::format("{} ends at {}\n", used.info.name, used.info.end.value);
  }
  return text;
}

class FrameAheadTest : public testing::LogTest {
 protected:
  // What recovery does: the units, then the report or the error, as text.
  struct Outcome {
    std::vector<testing::SeenUnit> units;
    std::string text;
    bool operator==(const Outcome&) const = default;
  };

  // `units_max`: replay fails at the one after.
  Outcome Recover(Executor* executor, std::uint64_t ahead, OnDamage on_damage,
                  std::size_t units_max = SIZE_MAX) {
    replayed_.clear();
    const auto remember = Remember();
    const LogReplay replay = [&](const LogUnit& unit) -> Status {
      if (replayed_.size() == units_max) return Fail(ErrorKind::kConflict, "no more");
      return remember(unit);
    };
    const auto log = RecoverLog(files_, kLogDir, {.read_ahead_bytes = ahead}, on_damage, replay,
                                options_.keys, executor);
    return {replayed_, log ? Text(*log) : log.error().message()};
  }

  // The same by all executors; gives the units.
  std::size_t ExpectTheSame(OnDamage on_damage, std::size_t units_max = SIZE_MAX) {
    const auto expected = Recover(nullptr, 0, on_damage, units_max);
    for (Executor* executor : std::initializer_list<Executor*>{&executor_, &one_, &three_}) {
      CountingExecutor counting(executor);
      for (const auto ahead : {kLittle, 8 * kLittle}) {
        const auto found = Recover(&counting, ahead, on_damage, units_max);
        EXPECT_EQ(found.units, expected.units);
        EXPECT_EQ(found.text, expected.text);
      }
      tasks_ += counting.submitted();
      EXPECT_FALSE(executor_.RunOne()) << "a task was left behind";
    }
    return expected.units.size();
  }

  std::string RandomRecord() {
    const std::uint64_t most[] = {100, 3'000, 30'000, 90'000};
    std::string record(random_.Below(most[std::min<std::uint64_t>(random_.Below(12), 3)]), 'r');
    const auto noise = random_.Below(3) == 0 ? record.size() : record.size() / 8;
    for (std::size_t i = 0; i < noise; ++i) record[i] = static_cast<char>(random_.Next());
    return record;
  }

  template <typename T>
  static void Check(const Result<T>& done) {
    EXPECT_TRUE(done) << done.error().message();
  }

  void MakeRandomLog() {
    for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
    options_.segment_bytes_max = 64u << 10 << random_.Below(3);
    options_.compression = static_cast<LogCompression>(random_.Below(3));
    options_.keys = random_.Below(2) == 0 ? &keys_ : nullptr;
    Open();
    for (int i = 0; i < 120; ++i) {
      const std::string records[] = {RandomRecord(), RandomRecord()};
      const std::vector<LogRecord> unit(records, records + 1 + random_.Below(2));
      ASSERT_TRUE(log_->Enqueue(unit));
      if (random_.Below(4) == 0) Check(log_->Sync());
      if (random_.Below(4) == 0) executor_.RunAll();
      if (random_.Below(40) == 0) Open();
      if (random_.Below(40) == 0) Check(log_->TruncateBefore(log_->positions().durable));
    }
    random_.Below(2) == 0 ? Close() : Kill();
    executor_.RunAll();
  }

  // A group of whole units, if one is there, becomes another one that is valid by itself.
  void Forge(const std::string& path, const std::string& bytes, std::uint64_t at) {
    const auto segment = DecodeSegmentHeader(bytes.substr(0, kLogBlock));
    if (!segment || at < kFirstGroupOffset) return;
    auto header = DecodeFrameHeader(*segment, segment->LsnAt(at), bytes.substr(at, kLogBlock));
    if (!header || !HoldsWholeUnits(*header)) return;
    header->durable = header->durable == 0 ? 1 : 0;
    const auto frame = bytes.substr(at, kFrameHeaderBytes + header->payload_bytes);
    Overwrite(path, at, testing::FinishedFrame(*segment, *header, frame));
  }

  // One file, in one place.
  void DamageSomething() {
    std::vector<std::string> segments;
    for (const auto& name : Names()) {
      if (name.ends_with(".log")) segments.push_back(JoinPath(kLogDir, name));
    }
    const auto& path = segments[random_.Below(segments.size())];
    const auto bytes = Bytes(path);
    const auto at = random_.Below(bytes.size());
    switch (random_.Below(5)) {
      case 0: return Cut(path, at);
      case 1: return Overwrite(path, at / kLogBlock * kLogBlock, std::string(kLogBlock, '\0'));
      case 2: return Overwrite(path, at, {"x", 1});
      case 3: return Forge(path, bytes, at / kLogBlock * kLogBlock);
      default: return Overwrite(path, at / kLogBlock * kLogBlock + random_.Below(90), {"\1", 1});
    }
  }

  OneKey keys_;
  ThreadPool one_{1};
  ThreadPool three_{3};
  int tasks_ = 0;
};

TEST_F(FrameAheadTest, AnyLogComesBackTheSame) {
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  std::size_t units = 0;
  for (int round = 0; round < 12 && !HasFailure(); ++round) {
    MakeRandomLog();
    units += ExpectTheSame(OnDamage::kRefuse);
  }
  EXPECT_GT(units, 300u);
  EXPECT_GT(tasks_, 1'000) << "nothing was read ahead: a test that cannot fail";
}

TEST_F(FrameAheadTest, AnyDamageIsJudgedTheSame) {
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  for (int round = 0; round < 6 && !HasFailure(); ++round) {
    MakeRandomLog();
    const auto whole = Picture();
    for (int damage = 0; damage < 6; ++damage) {
      DamageSomething();
      if (random_.Below(3) == 0) DamageSomething();
      for (const auto on_damage :
           {OnDamage::kRefuse, OnDamage::kCutTail, OnDamage::kCut, OnDamage::kSkip}) {
        ExpectTheSame(on_damage);
      }
      for (const auto& [name, bytes] : whole) Put(JoinPath(kLogDir, name), bytes);
    }
  }
  EXPECT_GT(tasks_, 1'000);
}

TEST_F(FrameAheadTest, AnErrorOfReplayEndsItAtTheSameUnit) {
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  for (int round = 0; round < 8 && !HasFailure(); ++round) {
    MakeRandomLog();
    const auto units = ExpectTheSame(OnDamage::kRefuse);
    for (int i = 0; i < 5 && units > 0; ++i) {
      ExpectTheSame(OnDamage::kRefuse, random_.Below(units));
    }
  }
}

TEST_F(FrameAheadTest, WithoutTheKeyUnitsAreCheckedAndCountedTheSame) {
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  do MakeRandomLog();
  while (options_.keys == nullptr);
  const auto count = [&](std::uint64_t ahead) {
    const auto log = RecoverLog(files_, kLogDir, {.read_ahead_bytes = ahead}, OnDamage::kRefuse,
                                {}, nullptr, &three_);
    return log ? Text(*log) : log.error().message();
  };
  EXPECT_EQ(count(kLittle), count(0));
  options_.keys = nullptr;
  ExpectTheSame(OnDamage::kRefuse);
}

TEST_F(FrameAheadTest, AShortLogIsReadWithoutTasks) {
  Open();
  for (int i = 0; i < 50; ++i) Append(std::string(10'000, 's'));
  Close();
  CountingExecutor counting(&executor_);
  const auto found = Recover(&counting, RecoveryOptions{}.read_ahead_bytes, OnDamage::kRefuse);
  EXPECT_EQ(found.units, appended_);
  EXPECT_EQ(counting.submitted(), 0);
}

// Zeros that are a thousand times smaller on the disk, and records that are five times larger in
// memory.
TEST_F(FrameAheadTest, APieceHoldsNoMoreThanItMay) {
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  options_.compression = LogCompression::kZstd;
  options_.segment_bytes_max = 1u << 20;
  Open();
  for (int i = 0; i < 60; ++i) {
    const std::vector<std::string> small(random_.Below(2'000) + 1, "");
    const auto zeros = std::string(random_.Below(300'000), '\0');
    random_.Below(2) == 0 ? Append(small) : Append(zeros);
  }
  Close();
  const auto file = *files_->Open(PathOf(1), OpenMode::kRead);
  const auto header = *LookAtSegment(file.get())->header;
  int with_units = 0, without = 0;
  for (int round = 0; round < 200; ++round) {
    const auto bytes_max = (16u << 10) + random_.Below(1u << 20);
    const PieceSource source{file.get(), header, *file->Size(), nullptr,
                             FrameAhead::ReadBytes(bytes_max * FrameAhead::kPieces), bytes_max};
    FramePiece piece;
    std::optional<std::uint64_t> from = kLinkOffset;
    while (from) {
      const auto at = *from;
      from = piece.Plan(source, at, random_.Below(2) == 0);
      piece.Prepare();
      ASSERT_LE(piece.memory(), bytes_max);
      const auto first = piece.At(at);
      if (first && first->header.kind == FrameKind::kGroup) ++(first->units ? with_units : without);
    }
  }
  EXPECT_GT(with_units, 100);
  EXPECT_GT(without, 100);
}

TEST_F(FrameAheadTest, WhoeverStopsLeavesNoTaskBehind) {
  options_.segment_bytes_max = 1u << 20;
  Open();
  for (int i = 0; i < 60; ++i) Append(std::string(5'000, 's'));
  Close();
  executor_.RunAll();
  const auto file = *files_->Open(PathOf(1), OpenMode::kRead);
  const auto header = *LookAtSegment(file.get())->header;
  auto pieces = std::make_unique<FrameAhead::Pieces>();
  for (int taken = 0; taken < 30; ++taken) {
    {
      FrameAhead ahead(&executor_, pieces.get(), file.get(), header, nullptr, kLinkOffset,
                       *file->Size(), kLittle);
      std::uint64_t offset = kLinkOffset;
      for (int i = 0; i < taken; ++i) {
        const auto frame = ahead.Take(offset);
        ASSERT_TRUE(frame) << i;
        ASSERT_EQ(frame->offset, offset);
        offset += frame->header.FrameBytes();
      }
    }
    ASSERT_FALSE(executor_.RunOne());
  }
}

}  // namespace
}  // namespace varve
