// SPDX-License-Identifier: Apache-2.0
#include "base/memory_budget.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace varve {
namespace {

constexpr auto kReads = MemoryHolder::kReads;
constexpr auto kSealed = MemoryHolder::kSealed;

TEST(MemoryBudgetTest, WhatIsBookedIsHeldUntilItIsGivenBack) {
  const auto budget = std::make_shared<MemoryBudget>(100);
  {
    Booking one(budget, kReads, 30);
    Booking two(budget, kSealed, 50);
    one.Set(40);
    EXPECT_EQ(budget->held(kReads).bytes, 40u);
    EXPECT_EQ(budget->all().bytes, 90u);
    one.Set(10);
  }
  EXPECT_EQ(budget->all().bytes, 0u);
  EXPECT_EQ(budget->held(kReads).peak, 40u);
  EXPECT_EQ(budget->all().peak, 90u);
}

TEST(MemoryBudgetTest, ABookingThatIsMovedIsCountedOnce) {
  const auto budget = std::make_shared<MemoryBudget>(100);
  Booking first(budget, kReads, 30);
  Booking second = std::move(first);
  EXPECT_EQ(budget->all().bytes, 30u);
  second.MoveTo(kSealed);
  EXPECT_EQ(budget->held(kReads).bytes, 0u);
  EXPECT_EQ(budget->held(kSealed).bytes, 30u);
  first = Booking(budget, kReads, 5);
  second = std::move(first);
  EXPECT_EQ(budget->all().bytes, 5u);
}

TEST(MemoryBudgetTest, WhatIsLackingIsWhatPassesTheBudget) {
  const auto budget = std::make_shared<MemoryBudget>(100);
  const Booking held(budget, kReads, 70);
  EXPECT_EQ(budget->Lacking(30), 0u);
  EXPECT_EQ(budget->Lacking(50), 20u);
}

TEST(MemoryBudgetTest, EveryHolderHasANameOfItsOwn) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < kMemoryHolders; ++i) {
    const auto name = NameOf(static_cast<MemoryHolder>(i));
    EXPECT_FALSE(name.empty());
    for (const auto before : names) EXPECT_NE(before, name);
    names.push_back(name);
  }
  EXPECT_EQ(NameOf(static_cast<MemoryHolder>(kMemoryHolders)), "");
}

TEST(MemoryBudgetTest, ManyThreadsLeaveNothingBooked) {
  const auto budget = std::make_shared<MemoryBudget>(100);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t n = 0; n < 20'000; ++n) {
        Booking booked(budget, kReads, n % 7);
        booked.Set(n % 11);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(budget->all().bytes, 0u);
  EXPECT_EQ(budget->held(kReads).bytes, 0u);
  EXPECT_LE(budget->all().peak, 40u);
}

}  // namespace
}  // namespace varve
