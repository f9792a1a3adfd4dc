// SPDX-License-Identifier: Apache-2.0
#include "manifest/commit_times.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "manifest/scripted_store.h"
#include "test/support/seed.h"

namespace varve::testing {
namespace {

constexpr std::int64_t kNoon = 1'795'176'000'000'000;

CommitTimes Small() {
  return {{7}, {{kNoon}, {kNoon + 1}, {kNoon - 1'000'000}, {kNoon + 5'000'000}}};
}

Error DecodeError(std::string_view bytes) {
  auto decoded = CommitTimes::Decode(bytes);
  EXPECT_FALSE(decoded);
  return decoded ? Error(ErrorKind::kInternal, "not refused") : decoded.error();
}

// The checksum made right again, so that what is left to refuse is what the bytes say.
std::string Forged(std::string bytes) {
  bytes.resize(bytes.size() - 4);
  AppendLittle(&bytes, Crc32c(bytes));
  return bytes;
}

TEST(CommitTimes, TheNewestCommitNotAfterAMomentIsTheAnswer) {
  const auto times = Small();
  EXPECT_EQ(times.NewestAt({kNoon - 1'000'001}), std::nullopt);
  EXPECT_EQ(times.NewestAt({kNoon - 1'000'000}), CommitNumber{9});
  EXPECT_EQ(times.NewestAt({kNoon}), CommitNumber{9});  // the clock went back after 8
  EXPECT_EQ(times.NewestAt({kNoon + 4'999'999}), CommitNumber{9});
  EXPECT_EQ(times.NewestAt({kNoon + 5'000'000}), CommitNumber{10});
  EXPECT_EQ(times.Earliest().micros, kNoon - 1'000'000);
  EXPECT_EQ(times.last().value, 10u);
}

// The example of docs/format.md, which pins format 1 to the byte.
TEST(CommitTimes, TheFormatIsTheDocumentedOne) {
  EXPECT_EQ(ToHex(Small().Encode()),
            "564152564554494d"
            "01000000"
            "00000000"
            "0700000000000000"
            "0400000000000000"
            "0010cafbb3600600"
            "02"
            "81897a"
            "80b6dc05"
            "5f00a8c4");
}

TEST(CommitTimes, AnyTimesComeBack) {
  const auto seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<WallTime> times;
    for (auto count = random.Below(50) + 1; count > 0; --count) {
      times.push_back({static_cast<std::int64_t>(random.Next() >> random.Below(64))});
    }
    const CommitTimes before({random.Below(1000) + 1}, times);
    const auto after = CommitTimes::Decode(before.Encode());
    ASSERT_TRUE(after) << after.error().message();
    ASSERT_EQ(after->first(), before.first());
    ASSERT_EQ(after->last(), before.last());
    for (auto commit = after->first(); commit <= after->last(); ++commit.value) {
      ASSERT_EQ(after->At(commit), before.At(commit));
    }
  }
}

TEST(CommitTimes, EveryFlippedByteAndEveryCutIsFound) {
  const auto sound = Small().Encode();
  for (std::size_t at = 0; at < sound.size(); ++at) {
    for (const int bit : {0, 3, 7}) {
      auto bytes = sound;
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
      EXPECT_EQ(DecodeError(bytes).kind(), ErrorKind::kCorruption) << at;
    }
    EXPECT_EQ(DecodeError(sound.substr(0, at)).kind(), ErrorKind::kCorruption) << at;
  }
  EXPECT_EQ(DecodeError(sound + '\0').kind(), ErrorKind::kCorruption);
}

TEST(CommitTimes, ForgedOnesAreRefused) {
  const auto with = [](std::size_t offset, std::uint64_t value) {
    auto bytes = Small().Encode();
    StoreLittle(bytes.data() + offset, value);
    return Forged(bytes);
  };
  EXPECT_EQ(DecodeError(with(16, 0)).kind(), ErrorKind::kCorruption);  // first
  EXPECT_EQ(DecodeError(with(16, UINT64_MAX)).kind(), ErrorKind::kCorruption);
  for (const std::uint64_t count : {0ull, 3ull, 5ull, 1ull << 60, ~0ull}) {
    EXPECT_EQ(DecodeError(with(24, count)).kind(), ErrorKind::kCorruption) << count;
  }
  EXPECT_EQ(DecodeError(with(8, 0)).kind(), ErrorKind::kCorruption);
  EXPECT_EQ(DecodeError(with(8, 1ull << 32 | 1)).kind(), ErrorKind::kCorruption);
  EXPECT_EQ(DecodeError(with(8, 2)).reason(), ErrorReason::kUnsupportedFormat);
  // A varint that has no end, and one of more than 64 bits.
  const auto head = CommitTimes({1}, {{0}, {0}}).Encode().substr(0, 40);
  EXPECT_EQ(DecodeError(Forged(head + "\x80....")).kind(), ErrorKind::kCorruption);
  EXPECT_EQ(DecodeError(Forged(head + std::string(9, '\x80') + "\x02....")).kind(),
            ErrorKind::kCorruption);
}

TEST(CommitTimes, AnObjectThatTheManifestDoesNotNameIsNotRead) {
  ScriptedStore store;
  const auto object = WriteTimes(&store, Small());
  ASSERT_TRUE(object);
  ASSERT_TRUE(ReadTimes(&store, {10}, *object));
  const auto refused = [&](const TimesObject& other) {
    const auto read = ReadTimes(&store, {10}, other);
    return !read && read.error().kind() == ErrorKind::kCorruption &&
           read.error().message().find("store:times/00000000000000000010") == 0;
  };
  for (const auto change : std::initializer_list<void (*)(TimesObject*)>{
           [](TimesObject* o) { --o->first.value; }, [](TimesObject* o) { ++o->min_time.micros; },
           [](TimesObject* o) { ++o->bytes; }, [](TimesObject* o) { o->crc32c ^= 1; }}) {
    auto other = *object;
    change(&other);
    EXPECT_TRUE(refused(other));
  }
  auto later = *object;  // in a backup an object may begin with earlier commits
  ++later.first.value;
  EXPECT_FALSE(refused(later));
  // Another flush's object under this name, sound in itself.
  store.objects[TimesName({10})] =
      CommitTimes({7}, {{kNoon}, {kNoon + 1}, {kNoon - 1'000'000}, {kNoon + 5'000'001}}).Encode();
  EXPECT_TRUE(refused(*object));
  store.objects.erase(TimesName({10}));
  EXPECT_TRUE(refused(*object));
  store.get_error = Error(ErrorKind::kUnavailable, "the cable is out", ErrorReason::kIo);
  EXPECT_EQ(ReadTimes(&store, {10}, *object).error().kind(), ErrorKind::kUnavailable);
}

TEST(CommitTimes, ATornTryUnderTheSameNameIsReplaced) {
  ScriptedStore store;
  store.put_faults.push_back({.done = true, .error = Error(ErrorKind::kUnavailable, "cable")});
  EXPECT_FALSE(WriteTimes(&store, Small()));
  const auto object = WriteTimes(&store, Small());
  ASSERT_TRUE(object) << object.error().message();
  EXPECT_TRUE(ReadTimes(&store, {10}, *object));
}

TEST(CommitTimes, DumpNamesEachCommit) {
  std::vector<std::string> lines;
  ASSERT_TRUE(
      DumpTimes(Small().Encode(), [&](std::string_view line) { lines.emplace_back(line); }));
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[1], "commit 7 2026-11-20T12:00:00.000000Z");
  EXPECT_EQ(DumpTimes("VARVETIM", [](std::string_view) {}).error().kind(), ErrorKind::kCorruption);
}

}  // namespace
}  // namespace varve::testing
