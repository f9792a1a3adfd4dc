// SPDX-License-Identifier: Apache-2.0
// Archiving while each request for memory is refused in turn: every call returns, and the next run
// goes on (restoring: test/log_memory). And an archive that gives more or fewer bytes than it was
// asked for.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "log/archive_fixture.h"
#include "test/support/failing_memory.h"

namespace varve {
namespace {

using testing::FailingAllocation;
using testing::kArchiveDir;
using testing::LogArchiveTest;

class LogArchiveMemoryTest : public LogArchiveTest {
 protected:
  // A log of two segments, nothing archived.
  void Make(const LogArchiverOptions& options = {}) {
    NewWorld();
    while (executor_.RunLater()) {
    }
    Open();
    OpenArchiver(options);
    Fill(8);
    executor_.RunAll();
  }
  // Calls `prepare`, then `run` with the n-th request of this thread refused, then `check`, for
  // every n there is.
  void ForEachRequest(const std::function<void()>& prepare, const std::function<void()>& run,
                      const std::function<void()>& check) {
    bool refused = true;
    for (int n = 1; refused && !HasFailure(); ++n) {
      SCOPED_TRACE("request " + std::to_string(n));
      prepare();
      {
        const FailingAllocation allocation(n);
        run();
        refused = allocation.hit();
      }
      check();
    }
  }
  static void ExpectNoMemory(const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnavailable) << error.message();
    EXPECT_NE(error.message().find("out of memory"), std::string::npos) << error.message();
  }
};

TEST_F(LogArchiveMemoryTest, ARunShortOfMemoryFailsAndTheNextGoesOn) {
  Status done;
  ForEachRequest([this] { Make(); }, [&] { done = archiver_->ArchiveNow(); },
                 [&] {
                   if (!done) ExpectNoMemory(done.error());
                   EXPECT_EQ(archiver_->status().failures, done ? 0u : 1u);
                   Archive();
                   EXPECT_EQ(Restore(), appended_);
                 });
}

TEST_F(LogArchiveMemoryTest, ARunInTheBackgroundShortOfMemoryIsFollowedByTheNext) {
  ForEachRequest([this] { Make({.interval_ms = 1}); }, [this] { executor_.RunLater(); },
                 [this] {
                   const auto first = archiver_->status().last_error;
                   if (first) ExpectNoMemory(*first);
                   EXPECT_TRUE(executor_.RunLater()) << "no further run was asked for";
                   EXPECT_FALSE(archiver_->status().last_error);
                   EXPECT_EQ(Restore(), appended_);
                 });
}

TEST_F(LogArchiveMemoryTest, ARunThatCannotBeAskedForIsOneThatFailed) {
  ForEachRequest([this] { Make(); }, [this] { archiver_->ArchiveSoon(); },
                 [this] {
                   const bool asked = executor_.RunOne();
                   EXPECT_EQ(archiver_->status().failures, asked ? 0u : 1u);
                   if (!asked) ExpectNoMemory(*archiver_->status().last_error);
                 });
}

TEST_F(LogArchiveMemoryTest, AnArchiverShortOfMemoryIsNotMadeAndHoldsNothing) {
  Result<std::unique_ptr<LogArchiver>> made;
  const auto prepare = [&] {
    made = nullptr;
    Make();
    archiver_.reset();
  };
  const auto make = [&] {
    made = LogArchiver::Open(log_.get(), testing::kLogDir, archive_.get(), {.interval_ms = 1},
                             World());
  };
  ForEachRequest(prepare, make, [&] {
    if (made) return;
    ExpectNoMemory(made.error());
    EXPECT_GT(TruncateAll(), 0u);
  });
  made = nullptr;
}

TEST_F(LogArchiveMemoryTest, AnArchiveThatGivesMoreOrFewerBytesIsRefused) {
  Make();
  Archive();
  for (const int more : {1, -1}) {
    SCOPED_TRACE(more);
    archive_->gives_more = more;
    ExpectFailure(StatusOf(TryRestore()), ErrorKind::kCorruption, "bytes at offset 0, found");
    OpenArchiver();
    ExpectFailure(archiver_->ArchiveNow(), ErrorKind::kCorruption, "bytes at offset 0, found");
  }
  archive_->gives_more = 0;
  EXPECT_EQ(Restore(), appended_);
}

}  // namespace
}  // namespace varve
