// SPDX-License-Identifier: Apache-2.0
#include "base/shared_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "test/support/seed.h"

namespace varve {
namespace {

using List = SharedList<int>;

std::vector<int> Values(const List& list) { return {list.begin(), list.end()}; }

TEST(SharedListTest, IsAsAVectorWhateverIsDoneToIt) {
  const auto seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  List list;
  std::vector<int> model;
  std::vector<std::pair<List, std::vector<int>>> copies;
  for (int step = 0; step < 6000; ++step) {
    const auto at = static_cast<std::ptrdiff_t>(random.Below(model.size() + 1));
    const auto place = std::next(list.begin(), at);
    const std::uint64_t what = random.Below(10);
    if (what < 5 || at == std::ssize(model)) {
      list.Insert(place, step);
      model.insert(model.begin() + at, step);
    } else if (what < 7) {
      list.Erase(place);
      model.erase(model.begin() + at);
    } else if (what < 9) {
      list.Replace(place, -step);
      model[static_cast<std::size_t>(at)] = -step;
    }
    ASSERT_EQ(list.size(), model.size());
    if (step % 200 != 0) continue;
    if (random.Below(2) == 0) list.Share();
    copies.emplace_back(list, model);
    ASSERT_EQ(Values(list), model) << step;
    if (!model.empty()) {
      EXPECT_EQ(list.front(), model.front());
      EXPECT_EQ(list.back(), model.back());
      EXPECT_EQ(list[model.size() / 2], model[model.size() / 2]);
      EXPECT_EQ(*std::prev(list.end()), model.back());
      EXPECT_TRUE(std::equal(std::make_reverse_iterator(list.end()),
                             std::make_reverse_iterator(list.begin()), model.rbegin()));
    }
  }
  for (const auto& [copy, was] : copies) ASSERT_EQ(Values(copy), was);
}

TEST(SharedListTest, ACopyThatIsChangedSharesAllButOneChunk) {
  List list;
  for (int i = 0; i < 100'000; ++i) list.push_back(i);
  list.Share();
  EXPECT_LE(list.chunks(), 100'000 / List::kChunkMax + 1);
  List copy = list;
  copy.Replace(copy.PartitionPoint([](int value) { return value < 70'000; }), -1);
  copy.push_back(100'000);
  std::size_t own = 0;
  for (std::size_t i = 0; i < copy.chunks(); ++i) own += copy.chunk(i) != list.chunk(i) ? 1 : 0;
  EXPECT_EQ(own, 2u);
  EXPECT_EQ(list[70'000], 70'000);
  EXPECT_EQ(copy[70'000], -1);
}

TEST(SharedListTest, FindsWhereAValueBelongs) {
  List list;
  for (int i = 0; i < 3000; ++i) list.push_back(2 * i);
  for (const int value : {-1, 0, 1, 1022, 1023, 1024, 1025, 5998}) {
    const auto at = list.PartitionPoint([&](int other) { return other < value; });
    ASSERT_NE(at, list.end());
    EXPECT_EQ(*at, std::max(0, (value + 1) / 2 * 2));
  }
  EXPECT_EQ(list.PartitionPoint([](int) { return true; }), list.end());
  EXPECT_EQ(List().PartitionPoint([](int) { return true; }), List().end());
}

}  // namespace
}  // namespace varve
