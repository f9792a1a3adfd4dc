// SPDX-License-Identifier: Apache-2.0
// Page images: pages after any crash are those of a prefix of the commits, and hostile bytes are
// refused.
#include "varve/log_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "files/simulated_disk.h"
#include "log/log_fixture.h"
#include "test/support/gated_files.h"

namespace varve {
namespace {

using testing::kLogDir;
using testing::LogTest;

constexpr std::uint64_t kPageBytes = 512;
using Pages = std::map<std::uint64_t, char>;  // a page is one letter, repeated

// Pages in memory and, flushed, in a file.
class FilePages final : public PageSink {
 public:
  explicit FilePages(Files* files) : files_(files) {
    const auto bytes = ReadWholeFile(files, kPath);
    for (std::size_t at = 0; bytes && at + kPageBytes <= bytes->size(); at += kPageBytes) {
      if ((*bytes)[at] != 0) pages[at / kPageBytes] = (*bytes)[at];
    }
  }
  Status Apply(PageNumber page, std::string_view bytes) override {
    if (fails) return Fail(ErrorKind::kUnavailable, "no room for the page");
    if (before_apply) before_apply();
    pages[page.value] = bytes[0];
    order.push_back(bytes[0]);
    return {};
  }
  Status Flush() override {
    if (fails) return Fail(ErrorKind::kUnavailable, "the page file failed");
    auto file = files_->Open(kPath, OpenMode::kReadWrite);
    if (!file) file = files_->Open(kPath, OpenMode::kCreate);
    if (!file) return std::unexpected(file.error());
    for (const auto& [page, letter] : pages) {
      VARVE_TRY((*file)->WriteAt(page * kPageBytes, std::string(kPageBytes, letter)));
    }
    VARVE_TRY((*file)->Sync());
    return files_->SyncDirectory(".");
  }

  static constexpr char kPath[] = "pages";
  Pages pages;
  std::string order;  // in which images came
  bool fails = false;
  std::function<void()> before_apply;

 private:
  Files* const files_;
};

class LogPagesTest : public LogTest {
 protected:
  ~LogPagesTest() override {
    page_log_.reset();
    log_.reset();
  }

  Status TryOpenPages() {
    page_log_.reset();
    log_.reset();
    pages_ = std::make_unique<FilePages>(files_);
    auto log = Log::Open(kLogDir, options_, RecoverPages(pages_.get(), kPageBytes),
                         {.from_checkpoint = true}, World());
    if (!log) return std::unexpected(log.error());
    log_ = *std::move(log);
    page_log_ = std::make_unique<PageLog>(log_.get(), pages_.get(),
                                          PageLogOptions{.page_bytes = kPageBytes});
    return {};
  }
  void OpenPages() {
    auto opened = TryOpenPages();
    ASSERT_TRUE(opened) << opened.error().message();
  }
  LogTransaction Begin() { return page_log_->Begin().value(); }
  Status Put(LogTransaction transaction, std::uint64_t page, char letter) {
    return page_log_->Put(transaction, {page}, std::string(kPageBytes, letter));
  }
  Status Commit(LogTransaction transaction) {
    const auto ack = page_log_->Commit(transaction);
    return ack ? Status() : std::unexpected(ack.error());
  }
  Status TryWrite(std::uint64_t page, char letter) {
    const auto transaction = Begin();
    EXPECT_TRUE(Put(transaction, page, letter));
    return Commit(transaction);
  }
  void Write(std::uint64_t page, char letter) {
    const auto done = TryWrite(page, letter);
    ASSERT_TRUE(done) << done.error().message();
  }
  void ExpectAfterReopening(const Pages& pages) {
    OpenPages();
    EXPECT_EQ(pages_->pages, pages);
  }
  void ExpectKind(const Status& status, ErrorKind kind) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind(), kind) << status.error().message();
  }

  testing::GatedFiles gated_;
  std::unique_ptr<FilePages> pages_;
  std::unique_ptr<PageLog> page_log_;
};

TEST_F(LogPagesTest, CommittedPagesComeBack) {
  OpenPages();
  const auto transaction = Begin();
  ASSERT_TRUE(Put(transaction, 1, 'a') && Put(transaction, 2, 'b') && Put(transaction, 1, 'c'));
  EXPECT_TRUE(pages_->pages.empty()) << "nothing before the commit";
  ASSERT_TRUE(Commit(transaction));
  EXPECT_EQ(pages_->pages, (Pages{{1, 'c'}, {2, 'b'}}));
  ExpectAfterReopening({{1, 'c'}, {2, 'b'}});
}

TEST_F(LogPagesTest, F8_OnlyWhatWasCommittedIsApplied) {
  OpenPages();
  Write(1, 'a');
  const auto aborted = Begin();
  ASSERT_TRUE(Put(aborted, 1, 'x') && page_log_->Abort(aborted));
  const auto open = Begin();
  ASSERT_TRUE(Put(open, 2, 'y'));
  ExpectAfterReopening({{1, 'a'}});
  ExpectKind(Commit(open), ErrorKind::kNotFound);
}

TEST_F(LogPagesTest, F7_ReplayFollowsTheOrderOfCommits) {
  OpenPages();
  const auto early = Begin();
  const auto late = Begin();
  ASSERT_TRUE(Put(early, 1, 'a') && Put(late, 2, 'b'));
  ASSERT_TRUE(Commit(late) && Commit(early));
  Write(1, 'c');
  Write(2, 'd');
  EXPECT_EQ(pages_->order, "bacd");
  OpenPages();
  EXPECT_EQ(pages_->order, "bacd");
  EXPECT_EQ(pages_->pages, (Pages{{1, 'c'}, {2, 'd'}}));
}

TEST_F(LogPagesTest, F16_OfTwoThatSawTheSamePageOneIsKept) {
  OpenPages();
  const auto one = Begin();
  const auto two = Begin();
  ASSERT_TRUE(Put(one, 1, 'a') && Put(two, 1, 'b') && Put(two, 2, 'b'));
  ASSERT_TRUE(Commit(one));
  ExpectKind(Commit(two), ErrorKind::kConflict);
  EXPECT_EQ(pages_->pages, (Pages{{1, 'a'}}));
  Write(1, 'c');
  ExpectAfterReopening({{1, 'c'}});
}

// It sees the page as it was before, though that commit has its place, and is durable.
TEST_F(LogPagesTest, F16_OneThatBeganBeforeACommitWasAppliedDidNotSeeIt) {
  OpenPages();
  const auto first = Begin();
  ASSERT_TRUE(Put(first, 7, 'b'));
  LogTransaction between;
  pages_->before_apply = [&] {
    EXPECT_TRUE(page_log_->Abort(Begin()));  // for a moment nobody is on his way
    between = Begin();
  };
  ASSERT_TRUE(Commit(first));
  pages_->before_apply = nullptr;
  ASSERT_TRUE(Put(between, 7, 'x'));
  const auto refused = Commit(between);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kConflict);
  const auto after = Begin();
  ASSERT_TRUE(Put(after, 7, 'c'));
  EXPECT_TRUE(Commit(after));
  EXPECT_EQ(pages_->order, "bc");
}

TEST_F(LogPagesTest, L9_ACheckpointBetweenBeginAndCommitLosesNothing) {
  options_.segment_bytes_max = 64 << 10;
  OpenPages();
  Write(1, 'a');
  const auto spanning = Begin();
  ASSERT_TRUE(Put(spanning, 2, 'b'));
  Write(3, 'c');
  ASSERT_TRUE(log_->Rotate());
  ASSERT_TRUE(page_log_->Checkpoint());
  ASSERT_TRUE(log_->Rotate());
  Write(4, 'd');
  ASSERT_TRUE(page_log_->Checkpoint());
  ASSERT_TRUE(Commit(spanning));
  ExpectAfterReopening({{1, 'a'}, {2, 'b'}, {3, 'c'}, {4, 'd'}});
  EXPECT_LE(log_->recovery().units, 3u) << "replay begins at the checkpoint";
}

TEST_F(LogPagesTest, F5_NothingIsTruncatedBeforeItIsFlushed) {
  options_.segment_bytes_max = 64 << 10;
  OpenPages();
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    Write(1, letter);
    ASSERT_TRUE(log_->Rotate());
  }
  Write(2, 'A');
  pages_->fails = true;
  ExpectKind(page_log_->Checkpoint(), ErrorKind::kUnavailable);
  EXPECT_GT(log_->stats().segments.size(), 26u);
  pages_->fails = false;
  ExpectKind(page_log_->Checkpoint(), ErrorKind::kUnavailable);  // a second flush proves nothing
  ExpectAfterReopening({{1, 'z'}, {2, 'A'}});
  ASSERT_TRUE(page_log_->Checkpoint());
  EXPECT_LT(log_->stats().segments.size(), 4u);
  ExpectAfterReopening({{1, 'z'}, {2, 'A'}});
}

TEST_F(LogPagesTest, ACommitThatTheSinkRefusedIsAppliedByRecovery) {
  OpenPages();
  Write(1, 'a');
  pages_->fails = true;
  const auto transaction = Begin();
  ASSERT_TRUE(Put(transaction, 1, 'b'));
  ExpectKind(Commit(transaction), ErrorKind::kUnavailable);
  pages_->fails = false;
  ExpectKind(page_log_->Checkpoint(), ErrorKind::kUnavailable);
  ExpectAfterReopening({{1, 'b'}});
}

// Who begins again would not see that page either, so he is told what is wrong.
TEST_F(LogPagesTest, OnceTheSinkFailedNobodyIsSentToBeginAgain) {
  OpenPages();
  pages_->fails = true;
  ExpectKind(TryWrite(1, 'a'), ErrorKind::kUnavailable);
  pages_->fails = false;
  const auto refused = TryWrite(1, 'b');
  ExpectKind(refused, ErrorKind::kUnavailable);
  EXPECT_NE(refused.error().message().find("no room for the page"), std::string::npos);
  EXPECT_NE(refused.error().message().find("nothing of this one is kept"), std::string::npos);
  ExpectAfterReopening({{1, 'a'}});
}

TEST_F(LogPagesTest, OnceTheLogStoppedNobodyIsSentToBeginAgain) {
  files_ = &gated_;
  OpenPages();
  Write(1, 'a');
  gated_.faults.no_sync = true;
  ExpectKind(TryWrite(1, 'b'), ErrorKind::kUnavailable);
  gated_.faults.no_sync = false;
  const auto refused = TryWrite(1, 'c');
  ExpectKind(refused, ErrorKind::kUnavailable);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kUnknownOutcome);
  EXPECT_EQ(pages_->order, "a") << "what may not be durable does not reach the sink";
  OpenPages();
  Write(1, 'd');
}

TEST_F(LogPagesTest, AnApplyThatWasRefusedMemoryIsMadeUpFor) {
  OpenPages();
  pages_->before_apply = [] { throw std::bad_alloc(); };
  const auto unknown = TryWrite(1, 'a');
  ExpectKind(unknown, ErrorKind::kUnavailable);
  EXPECT_EQ(unknown.error().reason(), ErrorReason::kUnknownOutcome);
  const auto still = TryWrite(1, 'b');
  ExpectKind(still, ErrorKind::kUnavailable);
  EXPECT_EQ(still.error().reason(), ErrorReason::kNone) << "it is certainly not kept";
  pages_->before_apply = nullptr;
  ExpectKind(TryWrite(1, 'c'), ErrorKind::kConflict);  // it began before 'a' was applied
  Write(1, 'd');
  EXPECT_EQ(pages_->order, "ad");
  ASSERT_TRUE(page_log_->Checkpoint());
  ExpectAfterReopening({{1, 'd'}});
}

// A flush that is on its way is waited for, so that who begins again finds its pages applied.
TEST_F(LogPagesTest, WhoIsSentToBeginAgainFindsTheOthersPageApplied) {
  files_ = &gated_;
  OpenPages();
  Write(1, 'a');
  gated_.gate.Shut();
  Status first;
  std::thread flushing([&] { first = TryWrite(1, 'b'); });
  gated_.gate.AwaitHeld();
  const auto behind = Begin();  // does not see it
  ASSERT_TRUE(Put(behind, 1, 'c'));
  Status second;
  std::thread refused([&] { second = Commit(behind); });
  gated_.gate.Open();
  refused.join();
  ExpectKind(second, ErrorKind::kConflict);
  EXPECT_TRUE(TryWrite(1, 'd'));  // though the first may not have come back yet
  flushing.join();
  EXPECT_TRUE(first);
  EXPECT_EQ(pages_->order, "abd");
}

TEST_F(LogPagesTest, F6_AFlippedByteOfAnImageIsNeverApplied) {
  OpenPages();
  const auto transaction = Begin();
  ASSERT_TRUE(page_log_->Put(transaction, {1}, std::string(kPageBytes, 'a'),
                             std::string(kPageBytes, 'z')));
  ASSERT_TRUE(Commit(transaction));
  Write(2, 'b');
  Close();
  const auto bytes = Bytes(PathOf(1));
  const auto end = bytes.rfind(std::string(20, 'b'));
  for (auto at = bytes.find(std::string(20, 'z')); at <= end; at += 13) {
    auto damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    testing::LogTest::Put(PathOf(1), damaged);
    ExpectKind(TryOpenPages(), ErrorKind::kCorruption);
    const auto& pages = pages_->pages;
    EXPECT_TRUE(pages.empty() || pages == (Pages{{1, 'a'}})) << at;
  }
}

TEST_F(LogPagesTest, RecordsThatAreNoImagesAreRefusedWhole) {
  const auto image = [](std::uint64_t transaction, std::uint64_t page) {
    return EncodePageImage({transaction, {page}, {}, std::string(kPageBytes, 'q')});
  };
  auto flags = image(1, 1);
  flags[16] = 2;
  auto before = image(1, 1);
  before[20] = 1;
  const std::vector<std::vector<std::string>> hostile = {
      {image(1, 1), ""},     {image(1, 1), std::string(23, '\0')},
      {image(1, 1), flags},  {image(1, 1), before},
      {image(1, 1), image(1, 2) + "x"}, {image(1, 1), image(2, 2)},
      {image(1, 1), image(1, 2).substr(0, 300)}};
  for (const auto& records : hostile) {
    page_log_.reset();
    Open();
    std::vector<LogRecord> unit;
    for (const auto& record : records) unit.emplace_back(record, LogKind::kPageImage);
    ASSERT_TRUE(log_->Append(unit));
    Close();
    ExpectKind(TryOpenPages(), ErrorKind::kCorruption);
    EXPECT_TRUE(pages_->pages.empty()) << "all of a unit or nothing";
    for (const auto& name : Names()) ASSERT_TRUE(files_->Remove(JoinPath(kLogDir, name)));
  }
}

TEST_F(LogPagesTest, EveryTruncationOfAnImageIsRefused) {
  const std::string page(kPageBytes, 'p');
  const auto bytes = EncodePageImage({7, {9}, page, page});
  const auto whole = DecodePageImage(bytes, kPageBytes);
  ASSERT_TRUE(whole && whole->before);
  EXPECT_EQ(whole->transaction, 7u);
  EXPECT_EQ(whole->page.value, 9u);
  EXPECT_EQ(*whole->before, page);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodePageImage(bytes.substr(0, size), kPageBytes)) << size;
  }
  EXPECT_FALSE(DecodePageImage(bytes, kPageBytes + 1));
}

TEST_F(LogPagesTest, MisuseIsNamed) {
  OpenPages();
  const auto transaction = Begin();
  ExpectKind(page_log_->Put(transaction, {1}, "short"), ErrorKind::kInvalid);
  ExpectKind(page_log_->Put(transaction, {1}, std::string(kPageBytes, 'a'), "short"),
             ErrorKind::kInvalid);
  ExpectKind(Commit(transaction), ErrorKind::kInvalid);  // empty, and still open
  ASSERT_TRUE(page_log_->Abort(transaction));
  ExpectKind(page_log_->Abort(transaction), ErrorKind::kNotFound);
  ExpectKind(Put(transaction, 1, 'a'), ErrorKind::kNotFound);
}

// Threads commit at once; what the sink saw live is what recovery makes.
TEST_F(LogPagesTest, ThreadsCommitInOneOrder) {
  OpenPages();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int i = 0; i < 50; ++i) {
        const auto transaction = Begin();
        const auto letter = static_cast<char>('a' + (thread * 50 + i) % 26);
        EXPECT_TRUE(Put(transaction, 1, letter) && Put(transaction, 10 + thread, letter));
        const auto done = Commit(transaction);
        EXPECT_TRUE(done || done.error().kind() == ErrorKind::kConflict);
        EXPECT_TRUE(i % 20 != 0 || page_log_->Checkpoint());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  ExpectAfterReopening(Pages(pages_->pages));
}

// A pager's life, cut at every event: its pages are those of a prefix of the commits, whole, with
// all that were acknowledged.
bool PagerLife(SimulatedDisk* disk, std::vector<Pages>* states, std::size_t* acknowledged) {
  ManualClock clock;
  SeededRandom random(3);
  ManualExecutor executor;
  FilePages pages(disk);
  auto log = Log::Open("wal", {.segment_bytes_max = 64 << 10}, RecoverPages(&pages, kPageBytes),
                       {.from_checkpoint = true}, {disk, &clock, &random, &executor, nullptr});
  if (!log) return false;
  PageLog page_log(log->get(), &pages, {.page_bytes = kPageBytes});
  states->push_back(pages.pages);
  for (int i = 0; i < 40; ++i) {
    const auto transaction = page_log.Begin();
    auto next = states->back();
    for (const auto page : {0, 1 + i % 7, 8 + i % 5}) {
      next[static_cast<std::uint64_t>(page)] = static_cast<char>('A' + i);
      const std::string image(kPageBytes, static_cast<char>('A' + i));
      if (!page_log.Put(*transaction, {static_cast<std::uint64_t>(page)}, image)) return false;
    }
    states->push_back(next);
    if (!page_log.Commit(*transaction)) return false;
    *acknowledged = states->size() - 1;
    if (i % 6 == 5 && !page_log.Checkpoint()) return false;
    if (i % 8 == 7 && !(*log)->Rotate()) return false;
  }
  return (*log)->Close().has_value();
}

TEST(LogPagesCrash, F8_PagesAreThoseOfAPrefixOfCommitsAfterEveryCrash) {
  const auto seed = testing::TestSeed(4);
  SCOPED_TRACE(testing::SeedTrace(seed));
  SimulatedDisk whole;
  std::vector<Pages> states;
  std::size_t acknowledged = 0;
  ASSERT_TRUE(PagerLife(&whole, &states, &acknowledged));
  for (std::uint64_t event = 1; event <= whole.events(); ++event) {
    SimulatedDisk disk;
    disk.CrashAtEvent(event);
    states.clear();
    acknowledged = 0;
    PagerLife(&disk, &states, &acknowledged);
    for (const auto survival : kAllSurvivals) {
      const auto copy = disk.Clone();
      SeededRandom random(seed + event);
      copy->Crash(survival, &random);
      std::vector<Pages> after;
      std::size_t unused = 0;
      ASSERT_TRUE(PagerLife(copy.get(), &after, &unused)) << event << ToString(survival);
      const auto from = states.begin() + static_cast<std::ptrdiff_t>(acknowledged);
      const bool prefix = states.empty() ? after[0].empty()
                                         : std::find(from, states.end(), after[0]) != states.end();
      ASSERT_TRUE(prefix) << "event " << event << ", " << ToString(survival);
    }
  }
}

}  // namespace
}  // namespace varve
