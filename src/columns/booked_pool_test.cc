// SPDX-License-Identifier: Apache-2.0
#include "columns/booked_pool.h"

#include <arrow/buffer.h>
#include <arrow/memory_pool.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace varve {
namespace {

constexpr auto kReads = MemoryHolder::kReads;

class BookedPoolTest : public ::testing::Test {
 protected:
  std::uint64_t booked() const { return budget_->held(kReads).bytes; }

  std::shared_ptr<MemoryBudget> budget_ = std::make_shared<MemoryBudget>(1 << 20);
  std::shared_ptr<arrow::MemoryPool> pool_ = NewBookedPool(budget_, kReads);
};

TEST_F(BookedPoolTest, WhatIsTakenIsBookedUntilItIsFreed) {
  std::shared_ptr<arrow::Buffer> kept;
  {
    std::unique_ptr<arrow::ResizableBuffer> buffer =
        *arrow::AllocateResizableBuffer(1000, pool_.get());
    EXPECT_EQ(booked(), static_cast<std::uint64_t>(buffer->capacity()));
    ASSERT_TRUE(buffer->Resize(100'000).ok());
    EXPECT_GE(booked(), 100'000u);
    ASSERT_TRUE(buffer->Resize(10, /*shrink_to_fit=*/true).ok());
    EXPECT_LE(booked(), 64u);
    kept = std::move(buffer);
  }
  EXPECT_EQ(booked(), static_cast<std::uint64_t>(kept->capacity()));
  kept.reset();
  EXPECT_EQ(booked(), 0u);
  EXPECT_EQ(pool_->bytes_allocated(), 0);
}

// As rows that are kept when the database they were read from is gone.
TEST_F(BookedPoolTest, ABufferMayOutliveThePool) {
  std::shared_ptr<arrow::Buffer> kept = *arrow::AllocateBuffer(1000, pool_.get());
  const std::shared_ptr<arrow::Buffer> empty = *arrow::AllocateBuffer(0, pool_.get());
  pool_.reset();
  EXPECT_GE(booked(), 1000u);
  kept->mutable_data()[999] = 7;
  kept.reset();
  EXPECT_EQ(booked(), 0u);
}

}  // namespace
}  // namespace varve
