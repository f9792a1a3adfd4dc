// SPDX-License-Identifier: Apache-2.0
#include "files/sparse_bytes.h"

#include <gtest/gtest.h>

#include "files/files_test_worlds.h"

namespace varve {
namespace {

// One random change, done to both.
void Change(SparseBytes* bytes, std::string* model, Random* random) {
  const auto offset = random->Below(20'000);
  const auto size = random->Below(9'000);
  if (random->Below(5) == 0) {
    bytes->Resize(offset);
    model->resize(offset);
    return;
  }
  const std::string piece(size, static_cast<char>(random->Below(3)));
  bytes->WriteAt(offset, piece);
  if (size > 0 && model->size() < offset + size) model->resize(offset + size);
  if (size > 0) model->replace(offset, size, piece);
}

TEST(SparseBytes, AreAStringThatIsCheapToCopy) {
  const auto seed = TestSeed();
  SCOPED_TRACE("VARVE_TEST_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  std::vector<std::pair<SparseBytes, std::string>> copies(1);
  for (int step = 0; step < 2'000; ++step) {
    auto copy = copies[random.Below(copies.size())];
    Change(&copy.first, &copy.second, &random);
    if (copies.size() < 20) copies.emplace_back();
    copies[random.Below(copies.size())] = copy;
    const auto& checked = copies[random.Below(copies.size())];
    ASSERT_TRUE(checked.first.ToString() == checked.second) << "step " << step;
  }
}

TEST(SparseBytes, ZerosAreFoundWhereverTheOtherByteIs) {
  EXPECT_TRUE(IsAllZeros(""));
  EXPECT_TRUE(IsAllZeros(std::string(100, '\0')));
  for (int at = 0; at < 100; ++at) {
    std::string bytes(100, '\0');
    bytes[at] = 1;
    EXPECT_FALSE(IsAllZeros(bytes));
  }
}

}  // namespace
}  // namespace varve
