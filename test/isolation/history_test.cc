// SPDX-License-Identifier: Apache-2.0
// The check of histories against histories written by hand: each anomaly is seen, by its name.
#include "test/isolation/history.h"

#include <gtest/gtest.h>

#include "test/isolation/numbers.h"

namespace varve::testing {
namespace {

using Kind = Operation::Kind;

Operation Read(std::int64_t key, std::vector<Value> list) {
  return {Kind::kRead, key, std::move(list), 0};
}
Operation Append(std::int64_t key, Value value) { return {Kind::kAppend, key, {}, value}; }
Operation Put(std::int64_t key, Value value) { return {Kind::kPut, key, {}, value}; }
Operation Delete(std::int64_t key) { return {Kind::kDelete, key, {}, 0}; }
Operation Save() { return {Kind::kSavepoint, 0, {}, 0}; }
Operation GoBack() { return {Kind::kRollback, 0, {}, 0}; }

// All at once, so that nothing follows from time.
class HistoryTest : public ::testing::Test {
 protected:
  void Committed(std::vector<Operation> operations) { Add(true, std::move(operations)); }
  void Aborted(std::vector<Operation> operations) { Add(false, std::move(operations)); }
  // With the numbers that it was told.
  void Numbered(std::uint64_t snapshot, std::uint64_t commit, std::vector<Operation> operations) {
    Add(true, std::move(operations));
    history_.back().snapshot = snapshot;
    history_.back().commit = commit;
  }
  void Plain(std::uint64_t commit, Operation operation) {
    Numbered(0, commit, {std::move(operation)});
    history_.back().plain = true;
  }
  void Refused(std::uint64_t snapshot, std::vector<Operation> operations) {
    Add(false, std::move(operations));
    history_.back().snapshot = snapshot;
    history_.back().refused = true;
  }
  // From here on transactions begin after those so far have ended.
  void Later() { now_ += 2; }
  std::map<std::string, std::uint64_t> Found() { return Check(history_).counts; }
  std::map<std::string, std::uint64_t> FoundByNumbers(bool serializable = false) {
    return CheckNumbers(history_, serializable).counts;
  }
  bool WriteSkew() { return Check(history_).write_skew; }

 private:
  void Add(bool committed, std::vector<Operation> operations) {
    history_.push_back({now_, now_ + 1, committed, std::move(operations)});
  }
  History history_;
  std::uint64_t now_ = 1;
};

using Counts = std::map<std::string, std::uint64_t>;

TEST_F(HistoryTest, ASerialHistoryIsSound) {
  Committed({Read(1, {}), Append(1, 10), Append(1, 11), Read(1, {10, 11})});
  Later();
  Aborted({Read(1, {10, 11}), Append(1, 12), Read(1, {10, 11, 12})});
  Later();
  Committed({Read(1, {10, 11}), Append(1, 13), Save(), Append(1, 14), GoBack(),
             Read(1, {10, 11, 13})});
  Later();
  Committed({Read(1, {10, 11, 13}), Read(2, {})});
  EXPECT_EQ(Found(), Counts());
  EXPECT_FALSE(WriteSkew());
}

TEST_F(HistoryTest, OwnWritesThatAreNotSeenAreInternal) {
  Committed({Read(1, {}), Append(1, 10), Read(1, {})});
  EXPECT_EQ(Found(), (Counts{{"internal", 1}}));
}

TEST_F(HistoryTest, AReadThatChangesIsInternal) {
  Committed({Read(1, {}), Append(1, 10)});
  Committed({Read(1, {}), Read(1, {10})});
  EXPECT_EQ(Found(), (Counts{{"internal", 1}}));
}

TEST_F(HistoryTest, AnAbortedValueThatIsReadIsG1a) {
  Aborted({Read(1, {}), Append(1, 10)});
  Committed({Read(1, {10})});
  EXPECT_TRUE(Found().contains("G1a"));
}

TEST_F(HistoryTest, AValueBehindASavepointThatIsReadIsG1a) {
  Committed({Read(1, {}), Append(1, 10), Save(), Append(1, 11), GoBack()});
  Committed({Read(1, {10, 11})});
  EXPECT_TRUE(Found().contains("G1a"));
}

TEST_F(HistoryTest, HalfATransactionThatIsReadIsG1b) {
  Committed({Read(1, {}), Append(1, 10), Append(1, 11)});
  Committed({Read(1, {10})});
  EXPECT_TRUE(Found().contains("G1b"));
}

TEST_F(HistoryTest, TwoThatAppendToOneListAreALostUpdate) {
  Committed({Read(1, {}), Append(1, 10)});
  Committed({Read(1, {}), Append(1, 11)});
  EXPECT_EQ(Found(), (Counts{{"lost update", 1}}));
}

TEST_F(HistoryTest, ListsThatCannotBothHaveBeenAreAnOrder) {
  Committed({Read(1, {}), Append(1, 10)});
  Committed({Read(1, {10}), Append(1, 11)});
  Committed({Read(1, {11})});
  EXPECT_TRUE(Found().contains("order"));
}

TEST_F(HistoryTest, WritesThatOverlapTwiceAreG0) {
  Committed({Read(1, {}), Append(1, 10), Read(2, {21}), Append(2, 20)});
  Committed({Read(1, {10}), Append(1, 11), Read(2, {}), Append(2, 21)});
  EXPECT_EQ(Found(), (Counts{{"G0", 1}}));
}

TEST_F(HistoryTest, TwoThatReadEachOtherAreG1c) {
  Committed({Read(1, {}), Append(1, 10), Read(2, {20})});
  Committed({Read(2, {}), Append(2, 20), Read(1, {10})});
  EXPECT_EQ(Found(), (Counts{{"G1c", 1}}));
}

TEST_F(HistoryTest, HalfOfACommitThatIsReadIsGSingle) {
  Committed({Read(1, {}), Append(1, 10), Read(2, {}), Append(2, 20)});
  Committed({Read(1, {10}), Read(2, {})});
  EXPECT_EQ(Found(), (Counts{{"G-single", 1}}));
}

TEST_F(HistoryTest, TwoReadersThatSeeTwoWritersInDifferentOrderAreGSingle) {
  Committed({Read(1, {}), Append(1, 10)});
  Committed({Read(2, {}), Append(2, 20)});
  Committed({Read(1, {10}), Read(2, {})});
  Committed({Read(1, {}), Read(2, {20})});
  EXPECT_EQ(Found(), (Counts{{"G-single", 1}}));
}

TEST_F(HistoryTest, ASnapshotOlderThanWhatHadEndedIsGSingle) {
  Committed({Read(1, {}), Append(1, 10)});
  Later();
  Committed({Read(1, {})});
  EXPECT_EQ(Found(), (Counts{{"G-single", 1}}));
}

TEST_F(HistoryTest, ASnapshotOlderThanWhatAnotherHadReadIsGSingle) {
  Committed({Read(1, {}), Append(1, 10)});
  Aborted({Read(1, {10})});
  Later();
  Committed({Read(2, {}), Append(2, 20)});
  Later();
  Aborted({Read(1, {}), Read(2, {20})});
  EXPECT_TRUE(Found().contains("G-single"));
}

TEST_F(HistoryTest, WriteSkewIsNoAnomalyOfSnapshotsButACycle) {
  Committed({Read(1, {}), Read(2, {}), Append(1, 10)});
  Committed({Read(1, {}), Read(2, {}), Append(2, 20)});
  EXPECT_EQ(Found(), Counts());
  EXPECT_TRUE(WriteSkew());
}

TEST_F(HistoryTest, TheReadOnlyAnomalyOfSnapshotsIsACycleToo) {  // Fekete, O'Neil, O'Neil, 2004
  Committed({Read(1, {}), Read(2, {}), Append(1, 10)});  // sees neither
  Committed({Read(2, {}), Append(2, 20)});
  Committed({Read(1, {}), Read(2, {20})});
  EXPECT_EQ(Found(), Counts());
  EXPECT_TRUE(WriteSkew());
}

// --- puts, deletes, and numbers ---

TEST_F(HistoryTest, ChaptersThatFollowEachOtherAreSound) {
  Numbered(0, 1, {Read(1, {}), Append(1, 10)});
  Later();
  Plain(2, Put(1, 20));
  Later();
  Numbered(2, 3, {Read(1, {20}), Append(1, 21), Delete(1), Read(1, {}), Save(), Put(1, 22),
                  Append(1, 23), Read(1, {22, 23}), GoBack(), Read(1, {})});
  Later();
  Numbered(3, 4, {Read(1, {}), Append(1, 24)});
  Later();
  Plain(5, Delete(1));
  Later();
  Numbered(5, 0, {Read(1, {})});
  Numbered(4, 0, {Read(1, {24})});
  EXPECT_EQ(Found(), (Counts{{"G-single", 1}})) << "the last began when a delete had ended";
  EXPECT_EQ(FoundByNumbers(true), (Counts{{"past", 1}}));
}

TEST_F(HistoryTest, AnAppendToWhatAPlainWriteReplacedIsALostUpdate) {
  Numbered(0, 1, {Read(1, {}), Append(1, 10)});
  Numbered(1, 3, {Read(1, {10}), Append(1, 11)});
  Plain(2, Put(1, 20));
  EXPECT_TRUE(Found().contains("lost update"));
  EXPECT_EQ(FoundByNumbers(), (Counts{{"first committer", 1}}));
}

TEST_F(HistoryTest, AnAppendToWhatAPlainWriteDeletedIsALostUpdate) {
  Numbered(0, 1, {Read(1, {}), Append(1, 10)});
  Numbered(1, 3, {Read(1, {10}), Append(1, 11)});
  Plain(2, Delete(1));
  EXPECT_TRUE(Found().contains("lost update"));
}

TEST_F(HistoryTest, ADeleteThatIsReadBesideAnOlderVersionIsGSingle) {
  Numbered(0, 1, {Read(1, {}), Append(1, 10), Read(2, {}), Append(2, 20)});
  Numbered(1, 2, {Delete(1), Read(2, {20}), Append(2, 21)});
  Numbered(2, 0, {Read(1, {}), Read(2, {20})});
  EXPECT_EQ(Found(), (Counts{{"G-single", 1}}));
  EXPECT_EQ(FoundByNumbers(), (Counts{{"snapshot", 1}}));
}

TEST_F(HistoryTest, APutOfAnAbortedTransactionThatIsReadIsG1a) {
  Aborted({Put(1, 10)});
  Committed({Read(1, {10})});
  EXPECT_TRUE(Found().contains("G1a"));
}

TEST_F(HistoryTest, PutsOfTwoTransactionsBesideEachOtherAreOneTooMany) {
  Numbered(0, 1, {Put(1, 10)});
  Numbered(0, 2, {Put(1, 20)});
  EXPECT_EQ(Found(), Counts()) << "nobody looked";
  EXPECT_EQ(FoundByNumbers(), (Counts{{"first committer", 1}}));
}

TEST_F(HistoryTest, APhantomIsOneTooManyWhenSerializable) {
  Plain(1, Put(1, 10));
  Numbered(0, 2, {Read(1, {}), Put(2, 20)});
  EXPECT_EQ(FoundByNumbers(false), Counts());
  EXPECT_EQ(FoundByNumbers(true), (Counts{{"first committer", 1}}));
}

TEST_F(HistoryTest, ARefusalNeedsAReason) {
  Plain(1, Put(1, 10));
  Refused(0, {Put(1, 11)});
  EXPECT_EQ(FoundByNumbers(), Counts());
  Refused(1, {Put(1, 12)});
  Refused(0, {Put(2, 20)});
  EXPECT_EQ(FoundByNumbers(), (Counts{{"refusal", 2}}));
}

TEST_F(HistoryTest, ANumberIsGivenOnce) {
  Plain(1, Put(1, 10));
  Plain(1, Put(2, 20));
  Numbered(5, 4, {Put(3, 30)});
  EXPECT_EQ(FoundByNumbers(), (Counts{{"number", 2}}));
}

}  // namespace
}  // namespace varve::testing
