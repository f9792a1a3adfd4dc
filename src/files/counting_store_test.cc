// SPDX-License-Identifier: Apache-2.0
#include "files/counting_store.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "files/files.h"
#include "files/simulated_disk.h"

namespace varve {
namespace {

class CountingStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<Files> files_ = NewMemoryFiles();
  SeededRandom random_{1};
  std::unique_ptr<ObjectStore> folder_ = NewFolderStore(files_.get(), "/db", &random_);
  Metrics metrics_;
  std::unique_ptr<ObjectStore> store_ = NewCountingStore(folder_.get(), &metrics_);
};

TEST_F(CountingStoreTest, CountsByWhatTheObjectsAre) {
  ASSERT_TRUE(store_->PutIfAbsent("manifest/1", "12345"));
  EXPECT_FALSE(store_->PutIfAbsent("manifest/1", "12345"));
  ASSERT_TRUE(store_->Put("times/1", "123"));
  auto writer = store_->NewWriter("data/t/1.parquet");
  ASSERT_TRUE((*writer)->Append("1234"));
  EXPECT_EQ(metrics_.Read("store_puts_total/run"), 0u) << "nothing is there yet";
  ASSERT_TRUE((*writer)->Append("5678"));
  ASSERT_TRUE((*writer)->Finish());
  EXPECT_EQ(metrics_.Read("store_puts_total/manifest"), 1u);
  EXPECT_EQ(metrics_.Read("store_put_bytes_total/manifest"), 5u);
  EXPECT_EQ(metrics_.Read("store_put_bytes_total/times"), 3u);
  EXPECT_EQ(metrics_.Read("store_puts_total/run"), 1u);
  EXPECT_EQ(metrics_.Read("store_put_bytes_total/run"), 8u);
}

TEST_F(CountingStoreTest, CountsWhatIsReadAndDeleted) {
  ASSERT_TRUE(store_->Put("data/t/1.parquet", "12345678"));
  char bytes[4];
  auto reader = store_->OpenReader("data/t/1.parquet");
  ASSERT_TRUE((*reader)->ReadAt(2, 4, bytes));
  EXPECT_EQ((*reader)->size(), 8u);
  ASSERT_TRUE(store_->Get("data/t/1.parquet"));
  ASSERT_TRUE(store_->GetRange("data/t/1.parquet", 0, 3));
  EXPECT_FALSE(store_->Get("data/t/2.parquet"));
  EXPECT_EQ(metrics_.Read("store_reads_total/run"), 3u);
  EXPECT_EQ(metrics_.Read("store_read_bytes_total/run"), 15u);
  ASSERT_TRUE(store_->Delete("data/t/1.parquet"));
  EXPECT_EQ(metrics_.Read("store_deletes_total"), 1u);
  EXPECT_EQ(metrics_.Read("store_failures_total"), 0u) << "what is not there is no failure";
}

}  // namespace
}  // namespace varve
