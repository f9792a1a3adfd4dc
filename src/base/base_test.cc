// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <future>
#include <latch>
#include <optional>
#include <string>
#include <type_traits>

#include "base/ahead.h"
#include "base/aligned_buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/result.h"

namespace varve {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, MatchesThePublishedVectors) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string rising;
  for (int i = 0; i < 32; ++i) rising.push_back(static_cast<char>(i));
  EXPECT_EQ(Crc32c(rising), 0x46dd794eu);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
}

TEST(Crc32c, OfAWholeIsThatOfItsPartsInTurn) {
  const std::string text = "acknowledged means kept";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))), Crc32c(text));
  }
}

TEST(Bytes, HexGoesThereAndBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  std::string back;
  ASSERT_TRUE(FromHex(ToHex(bytes), &back));
  EXPECT_EQ(back, bytes);
  EXPECT_FALSE(FromHex("abc", &back));
  EXPECT_FALSE(FromHex("zz", &back));
}

bool IsAligned(const AlignedBuffer& buffer) {
  return reinterpret_cast<std::uintptr_t>(buffer.data()) % AlignedBuffer::kAlignment == 0;
}

TEST(AlignedBuffer, IsAStringThatStandsAtABlock) {
  AlignedBuffer buffer;
  std::string model;
  for (int i = 0; i < 3'000; ++i) {
    const std::string piece(i % 37, static_cast<char>('a' + i % 26));
    buffer.Append(piece);
    buffer.AppendZeros(i % 3);
    model += piece + std::string(i % 3, '\0');
    ASSERT_TRUE(IsAligned(buffer)) << i;
    ASSERT_LE(buffer.size(), buffer.capacity());
    ASSERT_EQ(buffer.capacity() % AlignedBuffer::kAlignment, 0u);
  }
  EXPECT_TRUE(buffer.view() == model);
}

TEST(AlignedBuffer, GrowsByDoublingAndKeepsItsStorage) {
  AlignedBuffer buffer;
  int growths = 0;
  for (std::size_t i = 0; i < (4u << 20); i += 1000) {
    const auto before = buffer.capacity();
    buffer.Extend(1000);
    growths += buffer.capacity() != before;
  }
  EXPECT_LE(growths, 12);
  const char* const storage = buffer.data();
  buffer.Clear();
  EXPECT_TRUE(buffer.empty());
  buffer.Resize(4u << 20);
  EXPECT_EQ(buffer.data(), storage);
}

TEST(AlignedBuffer, ExtendGivesTheNewBytesToFill) {
  AlignedBuffer buffer;
  buffer.Append("head");
  std::memcpy(buffer.Extend(4), "tail", 4);
  EXPECT_EQ(buffer.view(), "headtail");
  buffer.Resize(6);
  EXPECT_EQ(buffer.view(), "headta");
  buffer.Reserve(1u << 20);
  EXPECT_EQ(buffer.view(), "headta");
}

TEST(AlignedBuffer, MovesWithoutCopyingAndLeavesAnEmptyOne) {
  AlignedBuffer first;
  first.Append("bytes");
  const char* const storage = first.data();
  AlignedBuffer second = std::move(first);
  EXPECT_EQ(second.data(), storage);
  EXPECT_EQ(first.capacity(), 0u);
  first.Append("new life");
  first = std::move(second);
  EXPECT_EQ(first.view(), "bytes");
  EXPECT_EQ(first.data(), storage);
  EXPECT_TRUE(second.empty());
}

TEST(SeededRandom, RepeatsFromItsSeedAndOnlyFromIt) {
  SeededRandom a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const auto value = a.Next();
    EXPECT_EQ(value, b.Next());
    differs |= value != c.Next();
  }
  EXPECT_TRUE(differs);
}

TEST(Executor, ThePoolRunsEverythingBeforeItEnds) {
  std::atomic<int> ran = 0;
  {
    ThreadPool pool(2);
    for (int i = 0; i < 1000; ++i) pool.Submit([&ran] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

TEST(Executor, ThePoolRunsWhatIsDueBeforeWhatWasSubmitted) {
  std::string order;
  {
    std::latch all_are_there(1);
    ThreadPool pool(1);
    pool.Submit([&] { all_are_there.wait(); });
    for (int i = 0; i < 3; ++i) pool.Submit([&] { order += 's'; });
    pool.SubmitAfter(0, [&] { order += 'd'; });
    pool.SubmitAfter(3'600'000'000, [&] { order += 'l'; });
    all_are_there.count_down();
  }
  EXPECT_EQ(order, "dsss");
}

TEST(Executor, TheManualOneRunsOnlyWhenAsked) {
  ManualExecutor executor;
  int ran = 0;
  executor.Submit([&] { ++ran; });
  EXPECT_EQ(ran, 0);
  EXPECT_TRUE(executor.RunOne());
  EXPECT_FALSE(executor.RunOne());
  EXPECT_EQ(ran, 1);
}

Result<int> Half(int value) {
  if (value % 2 != 0) return Fail(ErrorKind::kInvalid, "odd");
  return value / 2;
}
Result<int> Quarter(int value) {
  VARVE_ASSIGN(const int half, Half(value));
  VARVE_TRY(Half(half));
  return half / 2;
}

TEST(Ahead, GivesWhatTheTaskMadeOnce) {
  ManualExecutor executor;
  Ahead<int> ahead(&executor);
  EXPECT_FALSE(ahead.Take());
  EXPECT_TRUE(ahead.Ask([] { return Result<int>(7); }));
  EXPECT_FALSE(ahead.Ask([] { return Result<int>(8); }));
  EXPECT_TRUE(executor.RunOne());
  EXPECT_FALSE(ahead.Ask([] { return Result<int>(8); }));  // nobody took it
  const auto made = ahead.Take();
  ASSERT_TRUE(made);
  EXPECT_EQ(**made, 7);
  EXPECT_FALSE(ahead.Take());
}

TEST(Ahead, WorkThatNobodyBeganIsTakenBack) {
  ManualExecutor executor;
  int begun = 0;
  {
    Ahead<int> ahead(&executor);
    ahead.Ask([&] { return Result<int>(++begun); });
    EXPECT_FALSE(ahead.Take());
    EXPECT_TRUE(executor.RunOne());  // late: it finds nothing to do
    EXPECT_FALSE(ahead.Take());
    ahead.Ask([&] { return Result<int>(++begun); });
  }
  EXPECT_TRUE(executor.RunOne());  // of one that is gone
  EXPECT_EQ(begun, 0);
}

TEST(Ahead, WorkThatIsRefusedMemoryGivesAnError) {
  ManualExecutor executor;
  Ahead<int> ahead(&executor);
  ahead.Ask([]() -> Result<int> { throw std::bad_alloc(); });
  EXPECT_TRUE(executor.RunOne());
  const auto made = ahead.Take();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->error().kind(), ErrorKind::kUnavailable);
}

TEST(Ahead, WhoTakesWaitsForTheTaskThatWorks) {
  ThreadPool threads(1);
  std::promise<void> begun;
  Ahead<std::uint32_t> ahead(&threads);
  ahead.Ask([&] {
    begun.set_value();
    std::string bytes(4u << 20, 'a');  // long work
    return Result<std::uint32_t>(Crc32c(bytes));
  });
  begun.get_future().wait();
  EXPECT_TRUE(ahead.Take());
}

TEST(Ahead, WhoEndsWaitsForTheTaskThatWorks) {
  ThreadPool threads(2);
  std::int64_t sum = 0;  // of the task while it works: ThreadSanitizer looks on
  for (int round = 0; round < 500; ++round) {
    Ahead<std::int64_t> ahead(&threads);
    ahead.Ask([&] { return Result<std::int64_t>(++sum); });
    if (round % 3 != 0) continue;
    if (const auto made = ahead.Take()) {
      EXPECT_EQ(**made, sum);
    }
  }
}

// Whether there is a value never becomes one.
template <typename From>
constexpr bool kMakesBool = std::is_constructible_v<Result<bool>, From>;
static_assert(!kMakesBool<Result<int>> && !kMakesBool<Result<int>&> && !kMakesBool<const Status&>);
static_assert(!kMakesBool<const std::expected<int, Error>&> && !kMakesBool<std::optional<int>>);
static_assert(kMakesBool<Result<bool>> && kMakesBool<Result<bool>&> && kMakesBool<bool>);
static_assert(kMakesBool<std::unexpected<Error>>);
static_assert(std::is_constructible_v<Result<long>, Result<int>&>);

TEST(Result, TheMacrosUnwrapAndPassOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).error().message(), "odd");
  EXPECT_EQ(Quarter(5).error().kind(), ErrorKind::kInvalid);
}

}  // namespace
}  // namespace varve
