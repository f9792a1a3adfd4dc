// SPDX-License-Identifier: Apache-2.0
// Publishing when others publish too, when answers are lost, and when the store refuses.
#include "manifest/manifest_fixture.h"

namespace varve::testing {
namespace {

class ManifestPublishTest : public ManifestTest {
 protected:
  void SetUp() override {
    ManifestTest::SetUp();
    Commit({NewTable(1, "t")});
  }
  void NextPut(bool done, ErrorReason reason) {
    store_.put_if_absent_faults.push_back(
        {done, Error(ErrorKind::kUnavailable, "the plug was pulled", reason)});
  }
  void NextConfirmation(bool done) {
    store_.put_faults.push_back(
        {done, Error(ErrorKind::kUnavailable, "and again", ErrorReason::kIo)});
  }
  Error FailedCommit(const std::vector<Edit>& edits) {
    const auto before = StateText();
    auto committed = manifest_->Commit(edits, {2});
    EXPECT_FALSE(committed);
    EXPECT_EQ(StateText(), before);
    return committed ? Error(ErrorKind::kInternal, "did not fail") : committed.error();
  }
};

TEST_F(ManifestPublishTest, OfTwoWritersOneWins) {
  auto other = *Manifest::Open(&store_);
  ASSERT_TRUE(other->Commit({NewRun(1)}, {3}));
  const auto error = FailedCommit({NewRun(2)});
  EXPECT_EQ(error.kind(), ErrorKind::kConflict);
  EXPECT_NE(error.message().find("another writer"), std::string::npos);
  EXPECT_EQ(FailedCommit({NewRun(3)}).kind(), ErrorKind::kConflict);  // and stays out
  const auto winner = Text(*other->state());
  ASSERT_TRUE(other->Commit({NewRun(4)}, {4}));
  Reopen();
  EXPECT_EQ(StateText(), Text(*other->state()));
  EXPECT_NE(StateText(), winner);
}

TEST_F(ManifestPublishTest, ALostAnswerIsASuccess) {
  NextPut(/*done=*/true, ErrorReason::kIo);
  Commit({NewRun(1)});
  EXPECT_EQ(store_.puts, 4);  // create, table, run, and its confirmation
  NextPut(/*done=*/true, ErrorReason::kTimedOut);
  Commit({NewRun(2)});
  Commit({NewRun(3)});
  const auto before = StateText();
  Reopen();
  EXPECT_EQ(StateText(), before);
}

// Read back, but not confirmed: it may be gone after a power cut, so it is no success.
TEST_F(ManifestPublishTest, WhatCannotBeMadeDurableIsUnknown) {
  NextPut(/*done=*/true, ErrorReason::kIo);
  NextConfirmation(/*done=*/true);
  const auto error = FailedCommit({NewRun(1)});
  EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(error.reason(), ErrorReason::kUnknownOutcome);
}

TEST_F(ManifestPublishTest, AnUnknownOutcomeEndsCommitting) {
  EXPECT_TRUE(manifest_->CheckCommits());
  NextPut(/*done=*/false, ErrorReason::kIo);
  EXPECT_EQ(FailedCommit({NewRun(1)}).reason(), ErrorReason::kUnknownOutcome);
  EXPECT_EQ(manifest_->CheckCommits().error().reason(), ErrorReason::kUnknownOutcome);
  const auto later = FailedCommit({NewRun(1)});
  EXPECT_EQ(later.reason(), ErrorReason::kUnknownOutcome);
  EXPECT_NE(later.message().find("the plug was pulled"), std::string::npos) << later.message();
  Reopen();
  Commit({NewRun(1)});
}

TEST_F(ManifestPublishTest, AReadBackThatFailsIsUnknown) {
  NextPut(/*done=*/true, ErrorReason::kNoSpace);
  store_.get_error = Error(ErrorKind::kUnavailable, "no answer", ErrorReason::kIo);
  EXPECT_EQ(FailedCommit({NewRun(1)}).reason(), ErrorReason::kUnknownOutcome);
}

TEST_F(ManifestPublishTest, AFullStoreRefusesAndTheNextTryMaySucceed) {
  for (const auto reason : {ErrorReason::kNoSpace, ErrorReason::kPermission}) {
    NextPut(/*done=*/false, reason);
    const auto error = FailedCommit({NewRun(1)});
    EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
    EXPECT_EQ(error.reason(), reason);
  }
  Commit({NewRun(1)});
}

TEST_F(ManifestPublishTest, CreateTellsTheSameOutcomesApart) {
  const auto create = [](bool done, ErrorReason reason) {
    ScriptedStore store;
    store.put_if_absent_faults.push_back({done, Error(ErrorKind::kUnavailable, "no", reason)});
    return Manifest::Create(&store, kDatabase, {1});
  };
  EXPECT_TRUE(create(true, ErrorReason::kIo));
  EXPECT_EQ(create(false, ErrorReason::kNoSpace).error().reason(), ErrorReason::kNoSpace);
  EXPECT_EQ(create(false, ErrorReason::kIo).error().reason(), ErrorReason::kUnknownOutcome);
}

TEST_F(ManifestPublishTest, MakeDurablePutsTheSameBytesAgain) {
  Reopen();
  const auto objects = store_.objects;
  const auto puts = store_.puts;
  ASSERT_TRUE(manifest_->MakeDurable());
  EXPECT_EQ(store_.puts, puts + 1);
  EXPECT_EQ(store_.objects, objects);
  NextConfirmation(/*done=*/false);
  EXPECT_EQ(manifest_->MakeDurable().error().kind(), ErrorKind::kUnavailable);
  store_.objects[ManifestName(2)] += ' ';
  EXPECT_EQ(manifest_->MakeDurable().error().kind(), ErrorKind::kCorruption);
}

}  // namespace
}  // namespace varve::testing
