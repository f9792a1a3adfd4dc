// SPDX-License-Identifier: Apache-2.0
// Manifests of very many runs: checkpoints come by size, and an edit costs what it changes.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "manifest/manifest.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_fixture.h"
#include "manifest/manifest_lines.h"

namespace varve {
namespace {

using namespace varve::testing;

class ManifestSizeTest : public ManifestTest {
 protected:
  // All in one object.
  void AddRuns(std::uint64_t first, std::uint64_t count) {
    std::vector<Edit> edits;
    for (std::uint64_t id = first; id < first + count; ++id) edits.push_back(NewRun(id));
    Commit(edits);
    next_ = first + count;
  }
  void AddOne() { Commit({NewRun(next_++)}); }
  bool IsCheckpoint(std::uint64_t number) {
    return store_.objects.at(ManifestName(number)).find("\"checkpoint\":true") !=
           std::string::npos;
  }
  std::vector<std::uint64_t> CheckpointsFrom(std::uint64_t number) {
    std::vector<std::uint64_t> found;
    for (; number <= manifest_->state()->number; ++number) {
      if (IsCheckpoint(number)) found.push_back(number);
    }
    return found;
  }
  // Opens it again, and counts.
  std::uint64_t ObjectsRead() {
    const auto before = StateText();
    store_.gets = 0;
    Reopen();
    EXPECT_EQ(StateText(), before);
    return static_cast<std::uint64_t>(store_.gets);
  }
  std::vector<std::string> Verify() {
    std::vector<std::string> found;
    Manifest::Counts counts;
    const auto sink = [&](const std::string& object, std::uint64_t, const std::string& what) {
      found.push_back(object + ": " + what);
    };
    const auto state = Manifest::Verify(&store_, sink, &counts);
    if (state && found.empty()) {
      EXPECT_EQ(Text(**state), StateText());
    }
    return found;
  }
  Error OpenError() {
    auto opened = Manifest::Open(&store_);
    EXPECT_FALSE(opened);
    return opened ? Error(ErrorKind::kInternal, "it opens") : opened.error();
  }

  std::uint64_t next_ = 1;
};

TEST_F(ManifestSizeTest, AStateOfManyRunsIsWrittenWhenTheEditsCameToAsMuch) {
  Commit({NewTable(1, "t")});
  AddRuns(1, 5000);
  while (!IsCheckpoint(manifest_->state()->number)) AddOne();
  EXPECT_EQ(manifest_->state()->number, kCheckpointEvery) << "5,000 runs came since object 1";
  const std::uint64_t bytes = store_.objects.at(ManifestName(kCheckpointEvery)).size();
  std::uint64_t since = 0;
  do {
    AddOne();
    since += store_.objects.at(ManifestName(manifest_->state()->number)).size();
  } while (!IsCheckpoint(manifest_->state()->number));
  const std::uint64_t number = manifest_->state()->number;
  EXPECT_EQ(number % kCheckpointEvery, 0u);
  EXPECT_GE(number - kCheckpointEvery, 5000u / 34) << "a line each, and 32 for the object";
  EXPECT_LE(number - kCheckpointEvery, 5000u / 33 + 2 * kCheckpointEvery);
  EXPECT_LE(bytes, 100 * since) << "what is written is in proportion to the edits";
  AddOne();
  EXPECT_EQ(ObjectsRead(), 2u);
  EXPECT_EQ(Verify(), std::vector<std::string>());
}

TEST_F(ManifestSizeTest, WhoeverOpensGoesOnCountingWhereTheWriterBeforeWas) {
  Commit({NewTable(1, "t")});
  AddRuns(1, 3000);
  for (int reopen = 0; reopen < 2; ++reopen) {
    while (manifest_->state()->number < 400u * static_cast<std::uint64_t>(reopen + 1)) {
      AddOne();
      if (reopen == 1 && manifest_->state()->number % 20 == 0) Reopen();
    }
  }
  const auto checkpoints = CheckpointsFrom(2);
  ASSERT_GE(checkpoints.size(), 4u);
  EXPECT_LE(manifest_->state()->number - checkpoints.back(), 4000u / 33 + kCheckpointEvery);
  for (std::size_t i = 2; i < checkpoints.size(); ++i) {
    const std::uint64_t step = checkpoints[i] - checkpoints[i - 1];
    EXPECT_GE(step, 3000u / 33) << checkpoints[i];
    EXPECT_LE(step, 4000u / 33 + kCheckpointEvery) << checkpoints[i];
  }
}

// What an older varve could take for more than it is says that it is newer; the rest it can read.
TEST_F(ManifestSizeTest, ObjectsWhoseNumberDoesNotTellTheCheckpointHaveANewFormat) {
  Commit({NewTable(1, "t")});
  AddRuns(1, 3000);
  while (manifest_->state()->number < 200) AddOne();
  std::uint64_t newest = 1;
  for (std::uint64_t number = 2; number <= 200; ++number) {
    const auto& bytes = store_.objects.at(ManifestName(number));
    const auto object = DecodeManifest(bytes, number);
    ASSERT_TRUE(object) << object.error().message();
    const bool told = newest == CheckpointBefore(number) &&
                      (object->header.checkpoint || !IsCheckpointNumber(number));
    EXPECT_EQ(object->header.checkpoint_before, told ? 0 : newest) << number;
    EXPECT_EQ(bytes.find(told ? "\"format\":1," : "\"format\":3,") != std::string::npos, true);
    if (object->header.checkpoint) newest = number;
  }
  EXPECT_EQ(CheckpointsFrom(1), (std::vector<std::uint64_t>{1, 32, 128}));
}

TEST_F(ManifestSizeTest, ObjectsBeforeTheCheckpointBeforeTheNewestAreRemoved) {
  Commit({NewTable(1, "t")});
  AddRuns(1, 3000);
  while (CheckpointsFrom(2).size() < 3) AddOne();
  const auto checkpoints = CheckpointsFrom(2);
  AddOne();
  const auto all = store_.objects;
  for (const bool reopened : {false, true}) {
    store_.objects = all;
    if (reopened) Reopen();
    ASSERT_TRUE(manifest_->RemoveOld());
    EXPECT_EQ(store_.objects.begin()->first, ManifestName(checkpoints[1]));
    EXPECT_EQ(store_.objects.size(), manifest_->state()->number - checkpoints[1] + 1);
  }
  // A crash after some of the deletes.
  for (std::uint64_t left = 1; left <= checkpoints[1]; left += 7) {
    store_.objects = all;
    store_.objects.erase(store_.objects.begin(), store_.objects.find(ManifestName(left)));
    EXPECT_EQ(ObjectsRead(), 2u);
    EXPECT_EQ(Verify(), std::vector<std::string>()) << left;
  }
  // More than RemoveOld takes: then something is lost, though it opens.
  store_.objects = all;
  store_.objects.erase(store_.objects.begin(),
                       store_.objects.find(ManifestName(checkpoints[1] + 1)));
  EXPECT_EQ(ObjectsRead(), 2u);
  ASSERT_EQ(Verify().size(), 1u);
  EXPECT_TRUE(Verify()[0].starts_with(ManifestName(checkpoints[1]) + ": "));
}

TEST_F(ManifestSizeTest, AnObjectThatIsMissingOrOutOfPlaceIsFound) {
  Commit({NewTable(1, "t")});
  AddRuns(1, 3000);
  while (manifest_->state()->number < 100) AddOne();
  ASSERT_EQ(CheckpointsFrom(2), std::vector<std::uint64_t>{32});
  const auto sound = store_.objects;
  for (const std::uint64_t missing : {32, 33, 64, 65, 99}) {
    store_.objects.erase(ManifestName(missing));
    EXPECT_EQ(OpenError().kind(), ErrorKind::kCorruption);
    EXPECT_NE(OpenError().message().find(ManifestName(missing)), std::string::npos) << missing;
    ASSERT_FALSE(Verify().empty());
    EXPECT_TRUE(Verify()[0].starts_with(ManifestName(missing))) << missing;
    store_.objects = sound;
  }
  // One that says another checkpoint is before it, under right checksums.
  const auto name = ManifestName(100);
  LineReader lines(sound.at(name), 100);
  LineWriter forged(100);
  while (!lines.done()) {
    std::string text(lines.Next().value());
    const auto at = text.find("\"checkpoint_before\":32");
    if (at != std::string::npos) text.replace(at, 22, "\"checkpoint_before\":64");
    forged.Add(text);
  }
  store_.objects[name] = forged.Take();
  EXPECT_EQ(OpenError().kind(), ErrorKind::kCorruption);
  EXPECT_NE(OpenError().message().find("found object 32"), std::string::npos);
  ASSERT_EQ(Verify().size(), 1u);
  EXPECT_TRUE(Verify()[0].starts_with(name + ": "));
}

// What Open reads of 100,000 runs at the worst moment, when a checkpoint is due: the counts do not
// depend on the machine.
TEST_F(ManifestSizeTest, OpeningAHundredThousandRunsReadsAtMostTwiceTheirLines) {
  constexpr std::uint64_t kRuns = 100'000;
  Commit({NewTable(1, "t")});
  while (next_ <= kRuns) AddRuns(next_, 5000);
  while (manifest_->state()->number < kCheckpointEvery) AddOne();
  ASSERT_TRUE(IsCheckpoint(kCheckpointEvery));
  do {
    AddOne();
  } while (!IsCheckpoint(manifest_->state()->number));
  const std::uint64_t newest = manifest_->state()->number;
  store_.objects.erase(ManifestName(newest));
  std::uint64_t bytes = 0;
  for (std::uint64_t number = kCheckpointEvery; number < newest; ++number) {
    bytes += store_.objects.at(ManifestName(number)).size();
  }
  store_.gets = 0;
  Reopen();
  ASSERT_EQ(static_cast<std::uint64_t>(store_.gets), newest - kCheckpointEvery);
  EXPECT_LE(store_.gets, 104'000 / 33 + 2 * static_cast<int>(kCheckpointEvery));
  EXPECT_LE(bytes, 65u << 20);
  EXPECT_GE(manifest_->state()->FindTable(1)->runs.size(), kRuns);
}

// A flush beside 100,000 runs: its state shares all but a few hundred of them with the one before.
TEST_F(ManifestSizeTest, AnEditSharesWhatItDoesNotChange) {
  Commit({NewTable(1, "t")});
  for (int i = 0; i < 10; ++i) AddRuns(next_, 2000);
  const auto before = manifest_->state();
  AddOne();
  Commit({HideRunEdit{1, 7, {10}}, MoveRunEdit{1, 9000, 2}});
  Commit({RemoveRunEdit{1, 12'345}, MoveRunEdit{1, 9000, 0}});
  const auto after = manifest_->state();
  const auto& old = before->FindTable(1)->runs;
  const auto& now = after->FindTable(1)->runs;
  std::size_t same = 0;
  for (std::size_t i = 0; i < now.chunks(); ++i) {
    for (std::size_t j = 0; j < old.chunks(); ++j) same += now.chunk(i) == old.chunk(j) ? 1 : 0;
  }
  EXPECT_GE(same + 5, old.chunks());
  EXPECT_EQ(now.size(), 20'000u);
  EXPECT_EQ(old.size(), 20'000u);
  EXPECT_EQ((*before->FindTable(1)->FindRun(7))->hidden_from, 0u);
  EXPECT_EQ((*after->FindTable(1)->FindRun(7))->hidden_from, 10u);
  EXPECT_EQ(after->FindTable(1)->FindRun(12'345), now.end());
  EXPECT_EQ((*after->FindTable(1)->FindRun(9000))->level, 0u);
  std::uint64_t rows = 0;
  for (const auto& run : now) rows += run->data.rows + run->deletes.rows;
  EXPECT_EQ(after->FindTable(1)->run_rows, rows);
}

// Keys may be large, and all of them are in a checkpoint: such a state goes on by edits.
TEST_F(ManifestSizeTest, AStateThatIsTooLargeForOneObjectGoesOnByEdits) {
  manifest_->set_object_bytes_max(20'000);
  Commit({NewTable(1, "t")});
  while (manifest_->state()->number < 3 * kCheckpointEvery) AddOne();
  EXPECT_EQ(CheckpointsFrom(2), std::vector<std::uint64_t>({kCheckpointEvery}));
  ObjectsRead();
  EXPECT_EQ(Verify(), std::vector<std::string>());
}

}  // namespace
}  // namespace varve
