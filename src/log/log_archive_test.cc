// SPDX-License-Identifier: Apache-2.0
// The archiver and the restore: what comes back, what truncation waits for, what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "log/archive_contents.h"
#include "log/archive_fixture.h"

namespace varve {
namespace {

using testing::FlakyArchive;
using testing::kArchiveDir;
using testing::kLogDir;
using testing::LogArchiveTest;
using testing::SeenUnit;

TEST_F(LogArchiveTest, WhatWasArchivedIsRestoredAtItsPositions) {
  OpenLogAndArchiver();
  Fill(20);
  Archive();
  EXPECT_EQ(Restore(), appended_);
  EXPECT_GE(archiver_->status().archived, log_->positions().durable);
  EXPECT_EQ(archiver_->status().lag_bytes, 0u);
}

TEST_F(LogArchiveTest, ObjectsHoldTheBytesOfTheSegments) {
  OpenLogAndArchiver();
  Fill(20);
  Archive();
  const auto whole = ObjectsLike(".log");
  ASSERT_GE(whole.size(), 2u);
  for (const auto& name : whole) {
    EXPECT_EQ(Bytes(JoinPath(kArchiveDir, name)), Bytes(JoinPath(kLogDir, name))) << name;
  }
}

TEST_F(LogArchiveTest, TheTailGrowsAndGoesWhenItsSegmentIsWhole) {
  OpenLogAndArchiver();
  for (int i = 1; i <= 3; ++i) {
    Fill(1);
    Archive();
    EXPECT_EQ(ObjectsLike(".tail").size(), static_cast<std::size_t>(i));
    EXPECT_EQ(Restore(), appended_);
  }
  Archive();
  EXPECT_EQ(ObjectsLike(".tail").size(), 3u) << "nothing new, nothing put";
  ASSERT_TRUE(log_->Rotate());
  Archive();
  EXPECT_TRUE(ObjectsLike(".log").empty()) << "a second seal comes with the next segment";
  EXPECT_EQ(Restore(), appended_);
  Fill(1);
  Archive();
  EXPECT_EQ(ObjectsLike(".tail").size(), 1u);
  EXPECT_EQ(ObjectsLike(".log"), std::vector<std::string>{"0000000000000001.log"});
  EXPECT_EQ(Restore(), appended_);
}

TEST_F(LogArchiveTest, WithoutTheTailOnlyFinishedSegmentsAreShipped) {
  OpenLogAndArchiver();
  Append("one");
  ASSERT_TRUE(log_->Rotate());
  Append("two");
  Archive(LogArchiveExtent::kSealed);
  EXPECT_TRUE(ObjectsLike(".tail").empty());
  EXPECT_EQ(Restore(), std::vector<SeenUnit>{appended_[0]});
  EXPECT_GT(archiver_->status().lag_bytes, 0u);
}

TEST_F(LogArchiveTest, WhatIsNotDurableIsNotArchived) {
  options_.sync_policy = LogSyncPolicy::kNever;
  OpenLogAndArchiver();
  Append("durable");
  Append("written only", AckLevel::kWritten);
  Archive();
  EXPECT_EQ(Restore(), std::vector<SeenUnit>{appended_[0]});
}

// Groups of one unit and of many, units over several frames and segments.
TEST_F(LogArchiveTest, UntilAPositionExactlyTheUnitsBeforeItComeBack) {
  OpenLogAndArchiver();
  std::vector<Lsn> ends;
  const auto note = [&](const LogTicket& ticket, const std::string& text) {
    appended_.push_back({ticket.lsn, {text}});
    ends.push_back(ticket.end);
  };
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) {  // one flush
      const std::string text(static_cast<std::size_t>(i) * 700 + 3, static_cast<char>('a' + i));
      const auto ticket = log_->Enqueue(testing::RecordsOf({text}));
      ASSERT_TRUE(ticket);
      note(*ticket, text);
    }
    ASSERT_TRUE(log_->Sync());
    const auto large = log_->Enqueue(testing::RecordsOf({std::string(150'000, 'L')}));
    ASSERT_TRUE(large && log_->Wait(*large));
    note(*large, std::string(150'000, 'L'));
  }
  ASSERT_TRUE(log_->Rotate());
  Fill(1);
  Archive();
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const auto first = appended_.begin();
    const auto at = static_cast<std::ptrdiff_t>(i);
    EXPECT_EQ(Restore(ends[i]), std::vector<SeenUnit>(first, first + at + 1)) << i;
    EXPECT_EQ(Restore({ends[i].value - 1}), std::vector<SeenUnit>(first, first + at)) << i;
  }
  EXPECT_EQ(Restore(), appended_);
}

TEST_F(LogArchiveTest, ARestoredPrefixGoesOnAndGivesNoPositionOutAgain) {
  OpenLogAndArchiver();
  Fill(20);
  const auto ack = Append("the last one wanted");
  const auto wanted = appended_;
  Fill(20);
  Archive();
  EXPECT_EQ(Restore(ack.end), wanted);
  const auto end = log_->positions().appended;
  CloseAll();
  auto restored = Log::Open(restored_, options_, {}, {}, World());
  ASSERT_TRUE(restored) << restored.error().message();
  const auto more = (*restored)->Append({"another history"});
  ASSERT_TRUE(more);
  EXPECT_GE(more->lsn, end);
  ASSERT_TRUE((*restored)->Close());
  restored->reset();
  auto expected = wanted;
  expected.push_back({more->lsn, {"another history"}});
  EXPECT_EQ(Read(restored_), expected);
}

// The disaster: the log is gone, and the restored one goes on in the same archive.
TEST_F(LogArchiveTest, ARestoredLogGoesOnInItsArchive) {
  for (const bool whole_at_the_end : {false, true}) {
    SCOPED_TRACE(whole_at_the_end ? "a finished segment is the last" : "a tail is the last");
    OpenLogAndArchiver();
    Fill(10);
    if (whole_at_the_end) {
      ASSERT_TRUE(log_->Rotate());
      Append("lost with the log");
    }
    Archive(whole_at_the_end ? LogArchiveExtent::kSealed : LogArchiveExtent::kTail);
    EXPECT_EQ(ObjectsLike(".tail").empty(), whole_at_the_end);
    if (whole_at_the_end) appended_.pop_back();
    KillAll();
    for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
    ASSERT_TRUE(RestoreLog(archive_.get(), kLogDir, {}, World()));
    OpenLogAndArchiver();
    ExpectEverythingBack();
    Fill(10);
    Archive();
    EXPECT_EQ(Restore(), appended_);
    KillAll();
  }
}

TEST_F(LogArchiveTest, ANewProcessGoesOnWhereTheArchiveStands) {
  OpenLogAndArchiver();
  Fill(20);
  Archive();
  KillAll();
  OpenLogAndArchiver();
  Archive();
  EXPECT_EQ(archiver_->status().objects, 0u) << "all of it was there";
  Fill(5);
  Archive();
  CloseAll();
  OpenLogAndArchiver();
  Append("after a clean close");
  Archive();
  EXPECT_EQ(Restore(), appended_);
}

TEST_F(LogArchiveTest, ALogThatWasClosedCanStillBeArchived) {
  OpenLogAndArchiver();
  Fill(10);
  ASSERT_TRUE(log_->Close());
  Archive();
  EXPECT_EQ(Restore(), appended_);
  KillAll();
  OpenLogAndArchiver();
  Append("and goes on");
  Archive();
  EXPECT_EQ(Restore(), appended_);
}

TEST_F(LogArchiveTest, AClosedLogIsArchivedThoughTheArchiveWasOutOfReach) {
  OpenLogAndArchiver();
  Fill(10);
  Archive();
  Fill(10);
  ASSERT_TRUE(log_->Close());
  archive_->out_of_reach = true;
  EXPECT_FALSE(archiver_->ArchiveNow());
  archive_->out_of_reach = false;
  Archive();
  EXPECT_EQ(Restore(), appended_);
}

// tonbo's cap deleted what nobody had flushed; lora truncated up to any fence.
TEST_F(LogArchiveTest, T5_L10_TruncationWaitsForTheArchiveAndAppendsDoNot) {
  options_.log_bytes_max = 1 << 20;
  OpenLogAndArchiver();
  archive_->out_of_reach = true;
  Fill(40);
  ExpectFailure(archiver_->ArchiveNow(), ErrorKind::kUnavailable, "out of reach");
  EXPECT_EQ(TruncateAll(), 0u);
  EXPECT_EQ(log_->TruncateBefore(log_->positions().durable, true)->held_at, log_->stats().first);
  EXPECT_EQ(archiver_->status().failures, 1u);
  EXPECT_TRUE(archiver_->status().last_error);
  EXPECT_GT(archiver_->status().lag_bytes, 40u * 9'000);
  archive_->out_of_reach = false;
  Archive();
  EXPECT_FALSE(archiver_->status().last_error);
  EXPECT_GT(TruncateAll(), 3u);
  EXPECT_EQ(Restore(), appended_);
}

// rivven unlinked the file that was still written to; fsqlite deleted what was not yet applied.
TEST_F(LogArchiveTest, F5_R20_SegmentsAreTruncatedAndUsedAgainOnlyOnceTheyAreArchived) {
  OpenLogAndArchiver();
  std::uint64_t truncated = 0;
  for (int round = 0; round < 12; ++round) {
    Fill(7);
    if (round % 3 != 0) Archive();
    truncated += TruncateAll();
    Fill(7);
    EXPECT_LE(log_->stats().first, archiver_->status().archived.value == 0
                                       ? log_->stats().first
                                       : archiver_->status().archived);
  }
  EXPECT_GT(truncated, 10u);
  Archive();
  EXPECT_EQ(Restore(), appended_);
  KillAll();
  Open();
  const auto tail = appended_.end() - static_cast<std::ptrdiff_t>(replayed_.size());
  EXPECT_EQ(replayed_, std::vector<SeenUnit>(tail, appended_.end())) << "acked after a truncation";
}

TEST_F(LogArchiveTest, SegmentsWithoutAUnitAreArchivedToo) {
  Open();
  for (int i = 0; i < 3; ++i) {  // a process that begins a segment and dies
    Append("whole");
    Append(std::string(100'000, 'L'), AckLevel::kBuffered);
    appended_.pop_back();
    KillAll();
    OpenLogAndArchiver();
    Archive();
    TruncateAll();
    Append("next");
    TruncateAll();
    Archive();
  }
  EXPECT_EQ(Restore(), appended_);
}

// It is the oldest one of the log, and what was before it is in the archive.
TEST_F(LogArchiveTest, AFirstSegmentWithoutAUnitIsKeptUntilItIsArchived) {
  OpenLogAndArchiver();
  Append("whole");
  Append(std::string(60'000, 'L'));
  Archive(LogArchiveExtent::kSealed);
  ASSERT_EQ(ObjectsLike(".log"), std::vector<std::string>{"0000000000000001.log"});
  appended_.pop_back();
  KillAll();
  Overwrite(PathOf(2), kFirstGroupOffset + 70, "flip");
  ASSERT_TRUE(files_->Remove(PathOf(1)));
  Open({.mode = RecoveryMode::kPointInTime});
  OpenArchiver();
  archive_->out_of_reach = true;
  EXPECT_FALSE(archiver_->ArchiveNow());
  EXPECT_EQ(TruncateAll(), 0u);
  Append("after");
  EXPECT_EQ(TruncateAll(), 0u);
  archive_->out_of_reach = false;
  Archive();
  EXPECT_EQ(TruncateAll(), 1u);
  EXPECT_EQ(Restore(), appended_);
}

TEST_F(LogArchiveTest, AnotherLogsArchiveIsRefused) {
  OpenLogAndArchiver();
  Fill(3);
  Archive();
  archiver_.reset();
  auto other = Log::Open("other", options_, {}, {}, World());
  ASSERT_TRUE(other);
  auto archiver = LogArchiver::Open(other->get(), "other", archive_.get(), {}, World());
  ASSERT_TRUE(archiver);
  ExpectFailure((*archiver)->ArchiveNow(), ErrorKind::kInvalid, "another log");
}

TEST_F(LogArchiveTest, ALogThatWasPutBackIsRefused) {
  OpenLogAndArchiver();
  Fill(3);
  const auto earlier = Append("earlier");
  Fill(30);
  Archive();
  const auto objects = Objects();
  const auto restored = Restore(earlier.end);
  KillAll();
  auto log = Log::Open(restored_, options_, {}, {}, World());
  ASSERT_TRUE(log);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE((*log)->Append({std::string(9'000, 'x')}));
    if (i % 20 != 0) continue;
    auto archiver = LogArchiver::Open(log->get(), restored_, archive_.get(), {}, World());
    ASSERT_TRUE(archiver);
    ExpectFailure((*archiver)->ArchiveNow(), ErrorKind::kCorruption, "put back");
  }
  EXPECT_EQ(Objects(), objects);
}

// It went on and was truncated since, so that it has no segment left to compare.
TEST_F(LogArchiveTest, ALogThatWasPutBackAndTruncatedIsRefused) {
  for (const bool put_back : {false, true}) {
    SCOPED_TRACE(put_back);
    NewWorld();
    Open();
    Append("in both");
    Kill();
    const auto backup = Picture();
    OpenLogAndArchiver();
    Fill(20);
    Archive(LogArchiveExtent::kSealed);
    const auto archived = archiver_->status().archived;
    if (put_back) {
      KillAll();
      for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
      for (const auto& [name, bytes] : backup) Put(JoinPath(kLogDir, name), bytes);
      Open();
    }
    archiver_.reset();
    Fill(30);
    ASSERT_TRUE(log_->TruncateBefore(archived));
    ASSERT_EQ(log_->stats().segments.front().sequence, ObjectsLike(".log").size() + 1);
    OpenArchiver();
    const auto objects = Objects();
    const auto done = archiver_->ArchiveNow();
    if (put_back) {
      ExpectFailure(done, ErrorKind::kCorruption, "history");
      EXPECT_EQ(Objects(), objects);
    } else {
      ASSERT_TRUE(done) << done.error().message();
      EXPECT_EQ(Restore(), appended_);
    }
  }
}

TEST_F(LogArchiveTest, HistoryThatWasTruncatedWithoutAnArchiverIsAskedFor) {
  OpenLogAndArchiver();
  Fill(10);
  Archive();
  archiver_.reset();
  Fill(30);
  EXPECT_GT(TruncateAll(), 2u);
  OpenArchiver();
  ExpectFailure(archiver_->ArchiveNow(), ErrorKind::kNotFound, "truncated");
}

TEST_F(LogArchiveTest, WhatThePutKeptWrongIsTakenAwayAndPutAgain) {
  OpenLogAndArchiver();
  Archive();
  Fill(10);
  archive_->keeps_other_bytes = true;
  ExpectFailure(archiver_->ArchiveNow(), ErrorKind::kCorruption, "read back");
  archive_->keeps_other_bytes = false;
  Archive();
  EXPECT_EQ(Restore(), appended_);
}

TEST_F(LogArchiveTest, ADamagedSegmentIsNotArchived) {
  OpenLogAndArchiver();
  Fill(10);
  ASSERT_TRUE(log_->Rotate());
  Overwrite(PathOf(1), 20'000, "flip");
  ExpectFailure(archiver_->ArchiveNow(), ErrorKind::kCorruption, "0000000000000001.log");
  EXPECT_TRUE(ObjectsLike(".log").empty());
  EXPECT_EQ(TruncateAll(), 0u);
}

TEST_F(LogArchiveTest, APutThatCameThroughLateDoesNoHarm) {
  OpenLogAndArchiver();
  Fill(1);
  Archive();
  const auto tail = Bytes(JoinPath(kArchiveDir, ObjectsLike(".tail").front()));
  Fill(1);
  archiver_.reset();
  NewArchive("second");
  OpenArchiver();
  Archive();
  Put("second/" + TailName(1, 0, tail.size()), tail);
  EXPECT_EQ(Restore(), appended_);
  OpenArchiver();
  Archive();
  EXPECT_EQ(archive_->List()->size(), 2u) << "the shorter one was taken away";
}

// Recovery cut the segment where a tail went on that had been given up.
TEST_F(LogArchiveTest, ATailThatCameThroughLateBehindAWholeSegmentIsStale) {
  OpenLogAndArchiver();
  Append("one");
  Archive();
  const auto late = TailName(1, 8192, 12288);
  ASSERT_TRUE(files_->CreateDirectories("other"));
  Put(JoinPath("other", "log.id"), Bytes(JoinPath(kArchiveDir, "log.id")));
  Put(JoinPath("other", WholeName(1, 4096, false)), std::string(4096, 'w'));
  Put(JoinPath("other", late), std::string(4096, 't'));
  NewArchive("other");
  const auto contents = ReadContents(archive_.get());
  ASSERT_TRUE(contents) << contents.error().message();
  ASSERT_EQ(contents->segments.size(), 1u);
  EXPECT_EQ(contents->segments[0].objects.size(), 1u);
  EXPECT_EQ(contents->stale, std::vector<std::string>{late});
}

TEST_F(LogArchiveTest, NamesThatNoArchiverGivesAreNoneOfItsObjects) {
  ASSERT_TRUE(files_->CreateDirectories("other"));
  Put(JoinPath("other", "log.id"), std::string(32, '1'));
  Put(JoinPath("other", WholeName(1, 4096, false)), std::string(4096, 'w'));
  Put(JoinPath("other", WholeName(2, 0, false)), "");
  Put(JoinPath("other", TailName(1, 8192, 4096)), std::string(4096, 't'));
  Put(JoinPath("other", TailName(1, 8192, 8192)), "");
  NewArchive("other");
  const auto contents = ReadContents(archive_.get());
  ASSERT_TRUE(contents) << contents.error().message();
  ASSERT_EQ(contents->segments.size(), 1u);
  EXPECT_EQ(contents->segments[0].objects.size(), 1u);
  EXPECT_TRUE(contents->stale.empty());
}

TEST_F(LogArchiveTest, TwoObjectsThatSayToBeOneWholeSegmentAreRefused) {
  ASSERT_TRUE(files_->CreateDirectories("other"));
  Put(JoinPath("other", "log.id"), std::string(32, '1'));
  Put(JoinPath("other", WholeName(1, 4096, false)), std::string(4096, 'w'));
  Put(JoinPath("other", WholeName(1, 8192, true)), std::string(8192, 'w'));
  NewArchive("other");
  const auto contents = ReadContents(archive_.get());
  ASSERT_FALSE(contents);
  EXPECT_EQ(contents.error().kind(), ErrorKind::kCorruption) << contents.error().message();
}

TEST_F(LogArchiveTest, TheExecutorArchivesByTime) {
  Open();
  OpenArchiver({.interval_ms = 50});
  for (int i = 0; i < 3; ++i) {
    Fill(3);
    executor_.RunAll();
    ASSERT_TRUE(executor_.RunLater());
    EXPECT_EQ(Restore(), appended_);
  }
  archiver_.reset();
  executor_.RunLater();  // finds that there is nothing to do any more
}

TEST_F(LogArchiveTest, ArchivingSoonIsATaskOfTheExecutor) {
  OpenLogAndArchiver();
  Fill(3);
  archiver_->ArchiveSoon();
  EXPECT_TRUE(Objects().empty());
  executor_.RunAll();
  EXPECT_EQ(Restore(), appended_);
}

// The archive ends inside a unit that goes on in a segment which is not there yet.
TEST_F(LogArchiveTest, AUnitThatIsNotWholeInTheArchiveIsLeftOut) {
  OpenLogAndArchiver();
  Append("whole");
  Append(std::string(200'000, 'L'));
  Archive(LogArchiveExtent::kSealed);
  ASSERT_GE(ObjectsLike(".log").size(), 3u);
  EXPECT_EQ(Restore(), std::vector<SeenUnit>{appended_[0]});
  auto restored = Log::Open(restored_, options_, {}, {}, World());
  ASSERT_TRUE(restored && (*restored)->Append({"goes on"})) << "behind the rest of it";
  restored->reset();
  EXPECT_EQ(Read(restored_).size(), 2u);
  Archive();
  EXPECT_EQ(Restore(), appended_);
}

class MapKeys final : public KeyProvider {
 public:
  Result<std::string> CurrentKeyId() override { return std::string("k1"); }
  Result<std::string> Key(std::string_view) override { return std::string(32, 'K'); }
};

TEST_F(LogArchiveTest, EncryptedLogsAreArchivedAndRestoredWithoutAKey) {
  MapKeys keys;
  options_.keys = &keys;
  OpenLogAndArchiver();
  Fill(10);
  const auto shared = log_->Enqueue(testing::RecordsOf({"secret one"}));
  const auto cut = log_->Enqueue(testing::RecordsOf({"secret two"}));
  ASSERT_TRUE(shared && cut && log_->Wait(*cut));
  appended_.push_back({shared->lsn, {"secret one"}});
  Archive();
  for (const auto& name : Objects()) {
    EXPECT_EQ(Bytes(JoinPath(kArchiveDir, name)).find("secret"), std::string::npos);
  }
  EXPECT_EQ(Restore(shared->end), appended_);
}

TEST_F(LogArchiveTest, AFolderThatHoldsSomethingIsNotRestoredInto) {
  OpenLogAndArchiver();
  Fill(3);
  Archive();
  const auto picture = Picture();
  ExpectFailure(StatusOf(RestoreLog(archive_.get(), kLogDir, {}, World())), ErrorKind::kConflict,
                kLogDir);
  EXPECT_EQ(Picture(), picture);
}

TEST_F(LogArchiveTest, APositionThatTheArchiveDoesNotReachIsNotFound) {
  Open();
  NewArchive(kArchiveDir);
  ExpectFailure(StatusOf(TryRestore()), ErrorKind::kNotFound, "no log");
  Fill(20);
  TruncateAll();
  OpenArchiver();
  Archive();
  ExpectFailure(StatusOf(TryRestore({log_->positions().appended.value + 5'000})),
                ErrorKind::kNotFound, "ends at");
  ExpectFailure(StatusOf(TryRestore({5'000})), ErrorKind::kNotFound, "begins at");
  EXPECT_TRUE(files_->List(restored_)->size() <= 1) << "nothing but the lock is left";
}

// Every object gone, cut, flipped, or of another log. Nothing wrong is ever restored: either it is
// refused, naming an object of the archive, or (the last object gone) exactly a prefix comes back.
class LogArchiveDamage : public LogArchiveTest {
 protected:
  void Make() {
    OpenLogAndArchiver();
    Fill(17);
    Archive();
    Fill(1);
    Archive();
    ASSERT_GE(ObjectsLike(".log").size(), 2u);
    ASSERT_EQ(ObjectsLike(".tail").size(), 2u);
  }
  void ExpectRefused(const std::string& what) {
    const auto restored = TryRestore();
    ASSERT_FALSE(restored) << what;
    EXPECT_EQ(restored.error().kind(), ErrorKind::kCorruption) << restored.error().message();
    EXPECT_NE(restored.error().message().find(kArchiveDir), std::string::npos)
        << what << ": " << restored.error().message();
    const auto left = files_->List(restored_);
    for (std::size_t i = 0; left && i < left->size(); ++i) EXPECT_EQ((*left)[i].name, "LOCK");
  }
  std::string At(const std::string& name) { return JoinPath(kArchiveDir, name); }
};

TEST_F(LogArchiveDamage, L8_AMissingObjectIsNamed) {
  Make();
  const auto without = [this](const std::string& name, const auto& then) {
    const auto bytes = Bytes(At(name));
    ASSERT_TRUE(files_->Remove(At(name)));
    then();
    Put(At(name), bytes);
  };
  const auto whole = ObjectsLike(".log");
  const auto tails = ObjectsLike(".tail");
  for (std::size_t i = 1; i < whole.size(); ++i) {
    without(whole[i], [&] { ExpectRefused(whole[i]); });
  }
  without(tails[0], [&] { ExpectRefused(tails[0]); });
  without("log.id", [&] { ExpectRefused("log.id"); });
  // What was put last nobody misses; what was put first may have been deleted on purpose.
  without(tails[1], [&] {
    EXPECT_EQ(Restore(), std::vector<SeenUnit>(appended_.begin(), appended_.end() - 1));
  });
  without(whole[0], [&] {
    const auto later = Restore();
    EXPECT_EQ(later, std::vector<SeenUnit>(appended_.end() - std::ssize(later), appended_.end()));
    EXPECT_LT(later.size(), appended_.size());
  });
  EXPECT_EQ(Restore(), appended_);
}

TEST_F(LogArchiveDamage, EveryObjectCutAtEveryBlockIsRefused) {
  Make();
  for (const auto& name : Objects()) {
    const auto bytes = Bytes(At(name));
    for (std::uint64_t size = 0; size < bytes.size(); size += 1024) {
      Put(At(name), bytes.substr(0, size));
      ExpectRefused(name + " cut to " + std::to_string(size));
    }
    Put(At(name), bytes);
  }
  EXPECT_EQ(Restore(), appended_);
}

TEST_F(LogArchiveDamage, FlippedBytesAreRefused) {
  Make();
  for (const auto& name : Objects()) {
    const auto bytes = Bytes(At(name));
    for (std::uint64_t at = 0; at < bytes.size(); at += at % 4096 < 160 ? 3 : 509) {
      auto damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
      Put(At(name), damaged);
      ExpectRefused(name + " flipped at " + std::to_string(at));
      if (HasFailure()) return;
    }
    Put(At(name), bytes);
  }
  EXPECT_EQ(Restore(), appended_);
}

TEST_F(LogArchiveDamage, ObjectsOfAnotherLogAndSwappedOnesAreRefused) {
  Make();
  const auto first = Bytes(At("0000000000000001.log"));
  const auto second = Bytes(At("0000000000000002.log"));
  Put(At("0000000000000001.log"), second);
  ExpectRefused("second as first");
  Put(At("0000000000000001.log"), first);
  KillAll();
  NewArchive("elsewhere");
  auto other = Log::Open("other", options_, {}, {}, World());
  ASSERT_TRUE(other);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE((*other)->Append({std::string(9'000, 'o')}));
  auto archiver = LogArchiver::Open(other->get(), "other", archive_.get(), {}, World());
  ASSERT_TRUE(archiver && (*archiver)->ArchiveNow());
  archiver->reset();
  const auto foreign = Bytes("elsewhere/0000000000000001.log");
  NewArchive(kArchiveDir);
  Put(At("0000000000000002.log"), foreign);
  ExpectRefused("another log's");
}

}  // namespace
}  // namespace varve
