// SPDX-License-Identifier: Apache-2.0
#include "files/unleased_store.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/random.h"
#include "files/files.h"
#include "files/object_store.h"
#include "files/simulated_disk.h"

namespace varve {
namespace {

TEST(UnleasedStoreTest, WhatIsMissingMayHaveBeenLetGoOf) {
  const auto files = NewMemoryFiles();
  SeededRandom random(1);
  const auto folder = NewFolderStore(files.get(), "/db", &random);
  const auto store = NewUnleasedStore(folder.get());
  const std::string run = "data/t/00000000000000000001.parquet";
  ASSERT_TRUE(store->Put(run, "rows"));
  const auto reader = *store->OpenReader(run);
  char bytes[4];
  ASSERT_TRUE(reader->ReadAt(0, 4, bytes));
  EXPECT_EQ(std::string(bytes, 4), "rows");
  ASSERT_TRUE(folder->Delete(run));
  for (const auto& error :
       {store->OpenReader(run).error(), store->Get(run).error(), store->GetRange(run, 0, 1).error(),
        store->Get("times/00000000000000000001").error()}) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
    EXPECT_NE(error.message().find("reads without a lease"), std::string::npos) << error.message();
  }
  EXPECT_EQ(store->Get("manifest/00000000000000000001").error().kind(), ErrorKind::kNotFound);
}

}  // namespace
}  // namespace varve
