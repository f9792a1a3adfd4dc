// SPDX-License-Identifier: Apache-2.0
#include "engine/footprint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "test/support/seed.h"

namespace varve {
namespace {

EncodedKeys Keys(const std::vector<std::string>& keys) {
  std::string bytes;
  std::vector<std::uint64_t> offsets{0};
  for (const std::string& key : keys) {
    bytes += key;
    offsets.push_back(bytes.size());
  }
  return {std::move(bytes), std::move(offsets)};
}

std::vector<std::string> All(const KeySet& set) {
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < set.size(); ++i) all.emplace_back(set[i]);
  return all;
}

// Of zero to five bytes, any of three, zero among them.
std::string AnyKey(SeededRandom* random) {
  std::string key(random->Next() % 6, '\0');
  for (char& byte : key) byte = "\0a\xff"[random->Next() % 3];
  return key;
}

TEST(KeySetTest, IsASetOfKeysInTheirOrder) {
  SeededRandom random(testing::TestSeed());
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  for (int life = 0; life < 50; ++life) {
    KeySet set;
    std::set<std::string> model;
    for (int step = 0; step < 4; ++step) {
      for (auto more = random.Next() % 100; more > 0; --more) {
        const auto key = AnyKey(&random);
        set.Add(key);
        model.insert(key);
      }
      set.Sort();
      EXPECT_EQ(All(set), std::vector<std::string>(model.begin(), model.end()));
      for (int i = 0; i < 50; ++i) {
        const auto key = AnyKey(&random);
        EXPECT_EQ(set.Contains(key), model.contains(key));
      }
    }
  }
}

TEST(KeySetTest, AFewKeysForEverTakeMemoryForAFew) {
  KeySet set;
  for (int i = 0; i < 1'000'000; ++i) set.Add("key " + std::to_string(i % 10));
  EXPECT_LE(set.bytes(), KeySet::BytesOf(2048, 2048 * 5));
  set.Sort();
  EXPECT_EQ(set.size(), 10);
  EXPECT_EQ(set.bytes(), KeySet::BytesOf(10, 50));
}

// Upserts and deletes of one table, cut into several batches at the same keys.
TEST(FootprintTest, WhatWasWrittenIsFoundWhicheverBatchItIsIn) {
  SeededRandom random(testing::TestSeed());
  SCOPED_TRACE(testing::SeedTrace(testing::TestSeed()));
  for (int life = 0; life < 300; ++life) {
    std::set<std::string> model;
    for (auto more = random.Next() % 60; more > 0; --more) model.insert(AnyKey(&random));
    KeysOfCommit written{{9}, {}};
    std::vector<std::string> kinds[2];
    const auto give = [&] {
      for (auto& kind : kinds) {
        if (!kind.empty()) written.tables.emplace_back(7, Keys(kind));
        kind.clear();
      }
    };
    for (const std::string& key : model) {
      kinds[random.Next() % 2].push_back(key);
      if (random.Next() % 8 == 0) give();
    }
    give();
    Footprint footprint;
    footprint.LendWritten(written);
    footprint.MakeReady();
    for (int i = 0; i < 100; ++i) {
      const auto key = AnyKey(&random);
      EXPECT_EQ(footprint.tables[7].Touches(key), model.contains(key));
    }
  }
}

TEST(FootprintTest, AClashIsTheFirstKeyThatBothHave) {
  Footprint footprint;
  footprint.tables[1].AddKeys(Keys({"read", "again"}));
  footprint.tables[2].AddRange({.lower = "b", .upper = "d"});
  footprint.MakeReady();
  const auto clash = [&](std::uint32_t table, const std::vector<std::string>& keys) {
    const auto found = FindClash(footprint, {{5}, {{table, Keys(keys)}}});
    return found ? found->key : "none";
  };
  EXPECT_EQ(clash(1, {"a", "read", "again"}), "read");
  EXPECT_EQ(clash(1, {"b", "reads"}), "none");
  EXPECT_EQ(clash(2, {"a", "d", "e"}), "none");
  EXPECT_EQ(clash(2, {"a", "c", "b"}), "c");
  EXPECT_EQ(clash(3, {"read", "c"}), "none");
}

// Also when it is added to what is there already.
TEST(FootprintTest, WhatWasReadIsCounted) {
  Footprint::OfTable table;
  EXPECT_EQ(table.bytes(), 0u);
  for (int i = 1; i <= 3; ++i) {
    Footprint::OfTable read;
    read.AddKeys(Keys({std::to_string(i) + std::string(99, 'k')}));
    read.AddRange({.lower = std::string(1000, 'l'), .upper = std::string(1000, 'u')});
    table.Add(std::move(read));
    EXPECT_GE(table.bytes(), static_cast<std::uint64_t>(i) * 2100);
    EXPECT_LE(table.bytes(), static_cast<std::uint64_t>(i) * 2600);
  }
  table.MakeReady();
  EXPECT_TRUE(table.Touches("2" + std::string(99, 'k')));
  EXPECT_TRUE(table.Touches("m"));
}

}  // namespace
}  // namespace varve
