// SPDX-License-Identifier: Apache-2.0
// Reading the database as it was: at a commit, at a moment, under a tag.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/object_store.h"
#include "files/simulated_disk.h"
#include "manifest/manifest.h"
#include "test/support/rows.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::Rows;
using testing::RowsBatch;

constexpr std::int64_t kNoon = 1'795'176'000'000'000;
constexpr std::int64_t kSecond = 1'000'000;

class AsOfTest : public ::testing::Test {
 protected:
  Components World() {
    return {.files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  void Open(bool read_only = false) {
    db_.reset();
    auto db =
        Database::Open("/db", {.create_if_missing = !read_only, .read_only = read_only}, World());
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Make() {
    Open();
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }
  void Reopen() {
    ASSERT_TRUE(db_->Close());
    Open();
  }
  // One commit at this moment; the clock may go back.
  void PutAt(std::int64_t micros, const std::string& value, AckLevel ack = AckLevel::kDurable) {
    clock_.Advance(micros - clock_.Now().micros);
    const auto put = db_->Upsert("t", RowsBatch({{1, value}}), {.ack = ack});
    ASSERT_TRUE(put) << put.error().message();
  }
  void Flush() {
    const Status flushed = db_->Flush();
    ASSERT_TRUE(flushed) << flushed.error().message();
  }
  // The value of the one row; what went wrong when it cannot be read.
  std::string At(const AsOf& as_of) {
    const auto snapshot = db_->GetSnapshot(as_of);
    if (!snapshot) return snapshot.error().message();
    const Rows rows = testing::ReadRows(**snapshot);
    return rows.empty() ? "no row" : rows.at(1);
  }
  std::string At(std::int64_t micros) { return At(WallTime{micros}); }
  ErrorKind KindAt(const AsOf& as_of) {
    const auto snapshot = db_->GetSnapshot(as_of);
    EXPECT_FALSE(snapshot);
    return snapshot ? ErrorKind::kInternal : snapshot.error().kind();
  }
  std::vector<std::string> Names(const std::string& folder) {
    std::vector<std::string> names;
    if (const auto found = disk_.List("/db/" + folder)) {
      for (const FileInfo& file : *found) names.push_back(file.name);
    }
    return names;
  }
  std::vector<std::string> Damages() {
    const auto verified = VerifyDatabase("/db", {}, World());
    EXPECT_TRUE(verified) << verified.error().message();
    std::vector<std::string> files;
    for (const Damage& damage : verified->damages) files.push_back(damage.file);
    return files;
  }

  SimulatedDisk disk_;
  ManualClock clock_{kNoon, 0};
  SeededRandom random_{1};
  ManualExecutor executor_;
  std::unique_ptr<Database> db_;
};

class TagTest : public AsOfTest {
 protected:
  void Tag(const std::string& name, const AsOf& as_of = {}, TagOptions options = {}) {
    const auto tag = db_->Tag(name, as_of, options);
    ASSERT_TRUE(tag) << tag.error().message();
  }
  Error TagError(const std::string& name, const AsOf& as_of = {}) {
    const auto tag = db_->Tag(name, as_of);
    EXPECT_FALSE(tag);
    return tag ? Error(ErrorKind::kInternal, "not refused") : tag.error();
  }
};

const std::string kFirstTimes = "/db/times/00000000000000000003";

// Three commits to each flush, ten seconds apart; one is not flushed.
class MomentsTest : public AsOfTest {
 protected:
  void SetUp() override {
    Make();
    for (int i = 0; i < 10; ++i) {
      PutAt(kNoon + i * 10 * kSecond, "v" + std::to_string(i));
      if (i % 3 == 2) Flush();
    }
  }
  void ExpectEachMoment() {
    for (int i = 0; i < 10; ++i) {
      const auto value = "v" + std::to_string(i);
      EXPECT_EQ(At(kNoon + i * 10 * kSecond), value);
      EXPECT_EQ(At(kNoon + i * 10 * kSecond + 1), value);
      EXPECT_EQ(At(kNoon + (i + 1) * 10 * kSecond - 1), value);
    }
  }
};

TEST_F(MomentsTest, AMomentIsExactAlsoBetweenFlushes) { ExpectEachMoment(); }

TEST_F(MomentsTest, AndAfterReopening) {
  Reopen();
  ExpectEachMoment();
  Flush();
  Reopen();
  ExpectEachMoment();
}

TEST_F(MomentsTest, AndForAReader) {
  ASSERT_TRUE(db_->Close());
  Open(/*read_only=*/true);
  ExpectEachMoment();
}

TEST_F(MomentsTest, AMomentBeforeTheFirstCommitNamesTheOldest) {
  EXPECT_EQ(KindAt(WallTime{kNoon - 1}), ErrorKind::kNotFound);
  EXPECT_EQ(At(kNoon - 1),
            "'/db' has no version as old as 2026-11-20T11:59:59.999999Z: the oldest is commit 1 of "
            "2026-11-20T12:00:00.000000Z; ask for that or a later one");
}

// What other engines do: a time of their own between commits and clock.
TEST_F(MomentsTest, HoleF_TheTimeOfAVersionIsThatOfItsCommit) {
  for (const Version& version : db_->Versions()) {
    const auto snapshot = db_->GetSnapshot(version.time);
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    EXPECT_EQ((*snapshot)->commit(), version.commit);
    EXPECT_EQ(At(version.time), At(version.commit));
    EXPECT_EQ(version.time.micros,
              kNoon + (static_cast<std::int64_t>(version.commit.value) - 1) * 10 * kSecond);
  }
}

TEST_F(AsOfTest, WhereTheClockWentBackTheNewestCommitCounts) {
  Make();
  PutAt(kNoon + 10, "a");
  PutAt(kNoon + 30, "b");
  PutAt(kNoon + 20, "c");  // the clock went back
  const auto expect = [&] {
    EXPECT_EQ(At(kNoon + 19), "a");
    EXPECT_EQ(At(kNoon + 20), "c");
    EXPECT_EQ(At(kNoon + 29), "c");
    EXPECT_EQ(At(kNoon + 30), "c");
  };
  expect();
  Flush();
  expect();
  PutAt(kNoon + 15, "d");  // and between two flushes
  Flush();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(At(kNoon + 10), "a");
    EXPECT_EQ(At(kNoon + 14), "a");
    EXPECT_EQ(At(kNoon + 15), "d");
    EXPECT_EQ(At(kNoon + 30), "d");
    Reopen();
  }
}

TEST_F(AsOfTest, AnEmptyDatabaseHasNoMoment) {
  Make();
  EXPECT_EQ(At(kNoon), "'/db' has no commit yet");
  EXPECT_EQ(At(AsOf()), "no row");
}

TEST_F(AsOfTest, ACommitThatIsNotVisibleIsNoAnswer) {
  Make();
  PutAt(kNoon, "a");
  PutAt(kNoon + 10, "b", AckLevel::kBuffered);
  EXPECT_EQ(At(kNoon + 10), "a");
  EXPECT_EQ(db_->Versions().front().commit.value, 1u) << "a power cut may take commit 2";
  ASSERT_TRUE(db_->Sync());
  EXPECT_EQ(At(kNoon + 10), "b");
  EXPECT_EQ(db_->Versions().front().commit.value, 2u);
}

// As an older varve left it: the same manifest without the times.
TEST_F(MomentsTest, AnOlderDatabaseAnswersByItsFlushes) {
  ASSERT_TRUE(db_->Close());
  const auto store = NewFolderStore(&disk_, "/db", &random_);
  const auto state = (*Manifest::Open(store.get()))->state();
  for (auto number = state->number; number > 2; --number) {  // all but the table
    ASSERT_TRUE(store->Delete(ManifestName(number)));
  }
  const auto manifest = *Manifest::Open(store.get());
  std::vector<Edit> edits;
  for (const auto& run : state->FindTable(1)->runs) edits.emplace_back(AddRunEdit{run});
  for (const VersionPoint& version : state->versions) {
    edits.emplace_back(AdvanceEdit{.commit = version.commit,
                                   .commit_time = version.time,
                                   .floor = state->log_floor,
                                   .durable = state->log_durable});
  }
  ASSERT_TRUE(manifest->Commit(edits, {kNoon}));
  for (const auto& name : Names("times")) ASSERT_TRUE(store->Delete("times/" + name));
  EXPECT_EQ(Damages().size(), 0u);
  Open();
  EXPECT_EQ(At(kNoon + 20 * kSecond), "v2");
  EXPECT_EQ(At(kNoon + 49 * kSecond), "v2") << "the flush before the moment";
  EXPECT_EQ(At(kNoon + 50 * kSecond), "v5");
  EXPECT_EQ(At(kNoon + 90 * kSecond), "v9");
  EXPECT_EQ(KindAt(WallTime{kNoon + 19 * kSecond}), ErrorKind::kNotFound);
  // And from here on it is exact.
  PutAt(kNoon + 100 * kSecond, "v10");
  Flush();
  EXPECT_EQ(At(kNoon + 99 * kSecond), "v9");
  EXPECT_EQ(At(kNoon + 49 * kSecond), "v2");
  Reopen();
  EXPECT_EQ(At(kNoon + 99 * kSecond), "v9");
  EXPECT_EQ(At(kNoon + 49 * kSecond), "v2");
}

TEST_F(MomentsTest, DamageToTheTimesIsNamedAndHurtsOnlyWhoAsksForThem) {
  ASSERT_TRUE(db_->Close());
  const auto sound = *disk_.Peek(kFirstTimes);
  for (std::size_t at = 0; at <= sound.size(); ++at) {
    auto bytes = sound;
    if (at < sound.size()) {
      bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    } else {
      bytes.pop_back();
    }
    disk_.Poke(kFirstTimes, bytes);
    EXPECT_EQ(Damages(), std::vector<std::string>{kFirstTimes}) << at;
    Open();
    EXPECT_EQ(KindAt(WallTime{kNoon + 15 * kSecond}), ErrorKind::kCorruption) << at;
    EXPECT_TRUE(At(kNoon + 15 * kSecond).starts_with(kFirstTimes)) << At(kNoon + 15 * kSecond);
    EXPECT_EQ(At(kNoon + 35 * kSecond), "v3");
    EXPECT_EQ(At(CommitNumber{2}), "v1");
    ASSERT_TRUE(db_->Close());
  }
  ASSERT_TRUE(disk_.Remove(kFirstTimes));
  EXPECT_EQ(Damages(), std::vector<std::string>{kFirstTimes});
  Open();
  EXPECT_EQ(KindAt(WallTime{kNoon}), ErrorKind::kCorruption);
}

TEST_F(MomentsTest, InspectSaysWhatItIs) {
  std::vector<std::string> lines;
  const auto keep = [&](std::string_view line) { lines.emplace_back(line); };
  const auto kind = InspectFile(kFirstTimes, keep, World());
  ASSERT_TRUE(kind) << kind.error().message();
  EXPECT_EQ(*kind, FileKind::kTimes);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1], "commit 1 2026-11-20T12:00:00.000000Z");
  auto bytes = *disk_.Peek(kFirstTimes);
  bytes[0] = 'X';
  disk_.Poke(kFirstTimes, bytes);
  EXPECT_EQ(InspectFile(kFirstTimes, keep, World()).error().kind(), ErrorKind::kCorruption);
}

TEST_F(MomentsTest, WhatACutShortFlushLeftIsRemoved) {
  ASSERT_TRUE(db_->Close());
  disk_.Poke("/db/times/00000000000000000010", "half of it");
  disk_.Poke("/db/times/README", "somebody else's");
  Open();
  EXPECT_EQ(Names("times"),
            (std::vector<std::string>{"00000000000000000003", "00000000000000000006",
                                      "00000000000000000009", "README"}));
  ExpectEachMoment();
}

TEST_F(MomentsTest, AFlushThatFailsAtAnyStepLeavesEveryMoment) {
  int failures = 0;
  for (std::uint64_t event = 1;; ++event) {
    PutAt(kNoon + 100 * kSecond, "v10");
    const auto before = disk_.events();
    disk_.FailEvent(before + event, Error(ErrorKind::kUnavailable, "a bad spot", ErrorReason::kIo));
    failures += db_->Flush() ? 0 : 1;
    ExpectEachMoment();
    if (disk_.events() < before + event) break;  // all steps had their turn
    Open();
    ExpectEachMoment();
    ASSERT_TRUE(db_->Close());
    EXPECT_EQ(Damages(), std::vector<std::string>{}) << event;
    Open();
  }
  EXPECT_GT(failures, 10);
}

// A flush moves commits from memory to a file while somebody asks for their moments.
TEST_F(AsOfTest, AMomentIsFoundWhileAFlushMovesIt) {
  ThreadPool pool(2);
  const auto files = NewMemoryFiles();
  const auto db =
      *Database::Open("/m", {.create_if_missing = true}, {.files = files.get(), .executor = &pool});
  ASSERT_TRUE(db->CreateTable("t", testing::RowsSchema(), {"id"}));
  ASSERT_TRUE(db->Upsert("t", RowsBatch({{1, "0"}})));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 1; i <= 300; ++i) {
      EXPECT_TRUE(db->Upsert("t", RowsBatch({{1, std::to_string(i)}})));
      if (i % 10 == 0) {
        EXPECT_TRUE(db->Flush());
      }
    }
    done = true;
  });
  std::uint64_t asked = 0;
  while (!done) {
    for (const Version& version : db->Versions(20)) {
      if (version.commit.value > db->Stats().visible.value) continue;
      const auto snapshot = db->GetSnapshot(version.time);
      ASSERT_TRUE(snapshot) << snapshot.error().message();
      ASSERT_GE((*snapshot)->commit(), version.commit);  // the same microsecond may have more
      ++asked;
    }
  }
  writer.join();
  EXPECT_GT(asked, 20u);
}

TEST_F(TagTest, ATagIsReadAsItsCommitWhateverFollows) {
  Make();
  PutAt(kNoon, "a");
  Tag("first");
  PutAt(kNoon + 10, "b");
  PutAt(kNoon + 20, "c");
  Tag("by-number", CommitNumber{2});
  Tag("by-time", WallTime{kNoon + 19});
  Tag("by-tag", TagName{"first"});
  const auto expect = [&] {
    EXPECT_EQ(At(TagName{"first"}), "a");
    EXPECT_EQ(At(TagName{"by-number"}), "b");
    EXPECT_EQ(At(TagName{"by-time"}), "b");
    EXPECT_EQ(At(TagName{"by-tag"}), "a");
    EXPECT_EQ(At(AsOf()), "c");
  };
  expect();
  Reopen();
  expect();
  Flush();
  expect();
  Reopen();
  expect();
}

TEST_F(TagTest, TagsSayWhatTheyNameAndWhen) {
  Make();
  PutAt(kNoon, "a");
  PutAt(kNoon + 10, "b");
  PutAt(kNoon + 20, "c");
  Flush();
  clock_.Advance(5);
  Tag("z", CommitNumber{2});  // in the middle of a flush
  Tag("y");
  const auto tags = db_->Tags();
  ASSERT_EQ(tags.size(), 2u);
  EXPECT_EQ(tags[0].name, "y");
  EXPECT_EQ(tags[1].name, "z");
  EXPECT_EQ(tags[1].commit.value, 2u);
  EXPECT_EQ(tags[1].time.micros, kNoon + 10);
  EXPECT_EQ(tags[1].made.micros, kNoon + 25);
}

TEST_F(TagTest, VersionsShowTags) {
  Make();
  for (int i = 0; i < 6; ++i) {
    PutAt(kNoon + i * 10, "v");
    if (i % 3 == 2) Flush();
  }
  PutAt(kNoon + 60, "v");
  PutAt(kNoon + 70, "v");
  Tag("a", CommitNumber{2});
  Tag("b", CommitNumber{2});
  Tag("c", CommitNumber{1});
  Tag("d", CommitNumber{6});
  Tag("e", CommitNumber{7});
  const auto text = [&](std::uint64_t limit) {
    std::string out;
    for (const Version& version : db_->Versions(limit)) {
      out += std::to_string(version.commit.value) + (version.flushed ? "f" : "");
      out += std::to_string(version.runs) + "@" + std::to_string(version.time.micros - kNoon);
      for (const auto& tag : version.tags) out += " " + tag;
      out += "; ";
    }
    return out;
  };
  EXPECT_EQ(text(100), "84@70; 74@60 e; 6f4@50 d; 3f2@20; 2f2@10 a b; 1f2@0 c; ");
  EXPECT_EQ(text(5), "84@70; 74@60 e; 6f4@50 d; 3f2@20; 2f2@10 a b; ");
  EXPECT_EQ(text(1), "84@70; ");
}

TEST_F(TagTest, ATagMovesOnlyWhenAsked) {
  Make();
  PutAt(kNoon, "a");
  Tag("x");
  PutAt(kNoon + 10, "b");
  const auto error = TagError("x");
  EXPECT_EQ(error.kind(), ErrorKind::kConflict);
  EXPECT_EQ(error.reason(), ErrorReason::kAlreadyExists);
  EXPECT_NE(error.message().find("commit 1 of 2026-11-20T12:00:00"), std::string::npos);
  EXPECT_EQ(At(TagName{"x"}), "a");
  Tag("x", {}, {.replace = true});
  Tag("new", {}, {.replace = true});
  Reopen();
  EXPECT_EQ(At(TagName{"x"}), "b");
  EXPECT_EQ(db_->Tags().size(), 2u);
}

TEST_F(TagTest, UntagTakesTheNameAwayAndNothingElse) {
  Make();
  PutAt(kNoon, "a");
  Tag("x");
  Tag("y");
  const auto gone = db_->Untag("x");
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->commit.value, 1u);
  Reopen();
  EXPECT_EQ(At(TagName{"x"}), "there is no tag 'x' (tags: y)");
  EXPECT_EQ(KindAt(TagName{"x"}), ErrorKind::kNotFound);
  EXPECT_EQ(At(CommitNumber{1}), "a");
  EXPECT_EQ(db_->Untag("x").error().kind(), ErrorKind::kNotFound);
  ASSERT_TRUE(db_->Untag("y"));
  EXPECT_EQ(At(TagName{"y"}), "there is no tag 'y': the database has none");
}

TEST_F(TagTest, OnlyWhatIsThereAndDurableGetsAName) {
  Make();
  EXPECT_EQ(TagError("x").kind(), ErrorKind::kNotFound);
  PutAt(kNoon, "a");
  PutAt(kNoon + 10, "b", AckLevel::kBuffered);
  EXPECT_EQ(TagError("x", CommitNumber{2}).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(TagError("x", CommitNumber{0}).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(TagError("x", WallTime{kNoon - 1}).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(TagError("x", TagName{"y"}).kind(), ErrorKind::kNotFound);
  Tag("newest");
  EXPECT_EQ(At(TagName{"newest"}), "a");
}

TEST_F(TagTest, ANameThatReadsAsANumberOrATimeIsRefused) {
  Make();
  PutAt(kNoon, "a");
  const auto events = disk_.events();
  for (const std::string name :
       {"", "7", "-5m", "2026-11-20", "2026-11-20T12:00:00Z", "a b", "a/b"}) {
    EXPECT_EQ(TagError(name).kind(), ErrorKind::kInvalid) << name;
  }
  EXPECT_EQ(disk_.events(), events);
}

TEST_F(TagTest, AReaderCannotTag) {
  Make();
  PutAt(kNoon, "a");
  Tag("x");
  ASSERT_TRUE(db_->Close());
  Open(/*read_only=*/true);
  EXPECT_EQ(TagError("y").reason(), ErrorReason::kReadOnly);
  EXPECT_EQ(db_->Untag("x").error().reason(), ErrorReason::kReadOnly);
  EXPECT_EQ(At(TagName{"x"}), "a");
  ASSERT_TRUE(db_->Close());
  EXPECT_EQ(KindAt(TagName{"x"}), ErrorKind::kInvalid);
}

// What a tag names is not taken over by another commit of that number.
TEST_F(TagTest, ALogThatLostATaggedCommitIsDamaged) {
  Make();
  PutAt(kNoon, "a");
  std::map<std::string, std::string> before;
  for (const auto& name : Names("log")) before[name] = *disk_.Peek("/db/log/" + name);
  PutAt(kNoon + 10, "b");
  Tag("x");
  disk_.KillProcess();
  db_.reset();
  for (const auto& [name, bytes] : before) disk_.Poke("/db/log/" + name, bytes);
  const auto opened = Database::Open("/db", {}, World());
  ASSERT_FALSE(opened) << "tag x names a commit that is not there";
  EXPECT_EQ(opened.error().kind(), ErrorKind::kCorruption) << opened.error().message();
}

}  // namespace
}  // namespace varve
