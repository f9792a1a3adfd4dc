// SPDX-License-Identifier: Apache-2.0
#include "line_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace varve::cli {
namespace {

using Units = std::vector<std::vector<std::string>>;

// A stream that gives one piece for each read.
class LineBatchesTest : public ::testing::Test {
 protected:
  void Stream(std::vector<std::string> pieces) { pieces_ = std::move(pieces); }

  void Open(std::uint64_t lines_per_unit, std::uint64_t line_bytes_max = 1 << 20) {
    per_unit_ = lines_per_unit;
    batches_.emplace(
        [this](char* to, std::size_t bytes) -> Outcome<std::size_t> {
          if (pieces_.empty()) return std::size_t{0};
          const std::string piece = pieces_.front().substr(0, bytes);
          pieces_.front().erase(0, piece.size());
          if (pieces_.front().empty()) pieces_.erase(pieces_.begin());
          std::memcpy(to, piece.data(), piece.size());
          return piece.size();
        },
        lines_per_unit, line_bytes_max);
  }

  // The units of the next batch; none at the end and at an error, which is kept.
  Units Next() {
    Units units;
    auto batch = batches_->Next();
    if (!batch) {
      error_ = batch.error().error.message();
      return units;
    }
    first_line_ = batch->first_line;
    bytes_read_ = batch->bytes_read;
    for (std::size_t i = 0; i < batch->lines.size(); ++i) {
      if (i % per_unit_ == 0) units.emplace_back();
      units.back().emplace_back(batch->lines[i].bytes);
    }
    return units;
  }

  std::vector<std::string> All() {
    std::vector<std::string> lines;
    for (Units units = Next(); !units.empty(); units = Next()) {
      for (const auto& unit : units) lines.insert(lines.end(), unit.begin(), unit.end());
    }
    return lines;
  }

  std::string error_;
  std::uint64_t first_line_ = 0;
  std::uint64_t bytes_read_ = 0;

 private:
  std::vector<std::string> pieces_;
  std::uint64_t per_unit_ = 1;
  std::optional<LineBatches> batches_;
};

TEST_F(LineBatchesTest, LinesComeWithoutTheirNewlines) {
  Stream({"a\n\nb", "c\r\n", "\xff\0"});
  Open(1);
  EXPECT_EQ(All(), (std::vector<std::string>{"a", "", "bc\r", "\xff"}));
}

TEST_F(LineBatchesTest, ALastLineNeedsNoNewlineAndNothingIsNoLine) {
  Stream({"a\nb"});
  Open(1);
  EXPECT_EQ(All(), (std::vector<std::string>{"a", "b"}));
  Stream({"a\n"});
  Open(1);
  EXPECT_EQ(All(), (std::vector<std::string>{"a"}));
  Stream({});
  Open(1);
  EXPECT_EQ(All(), std::vector<std::string>());
}

TEST_F(LineBatchesTest, AWholeUnitDoesNotWaitForMore) {
  Stream({"1\n2\n3", "\n4\n", "5\n", "6"});
  Open(2);
  EXPECT_EQ(Next(), (Units{{"1", "2"}}));
  EXPECT_EQ(Next(), (Units{{"3", "4"}}));
  EXPECT_EQ(first_line_, 3u);
  EXPECT_EQ(bytes_read_, 8u);
  EXPECT_EQ(Next(), (Units{{"5", "6"}}));
  EXPECT_EQ(Next(), Units());
}

TEST_F(LineBatchesTest, OnlyTheLastUnitIsShort) {
  Stream({"1\n2\n3\n4\n5\n"});
  Open(3);
  EXPECT_EQ(Next(), (Units{{"1", "2", "3"}}));
  EXPECT_EQ(Next(), (Units{{"4", "5"}}));
}

TEST_F(LineBatchesTest, LinesMayBeLongerThanAnyBuffer) {
  const std::string large(300'000, 'x');
  Stream({"a\n" + large, large + "\nb\n"});
  Open(1);
  EXPECT_EQ(All(), (std::vector<std::string>{"a", large + large, "b"}));
}

TEST_F(LineBatchesTest, ALineThatIsTooLongIsNamedAfterThoseBeforeIt) {
  Stream({"a\nbb\n", "123456789\nc\n"});
  Open(1, 8);
  EXPECT_EQ(All(), (std::vector<std::string>{"a", "bb"}));
  EXPECT_NE(error_.find("line 3: longer than 8 bytes"), std::string::npos) << error_;
  Stream({"12345678\n", "123456789"});
  Open(1, 8);
  EXPECT_EQ(All(), (std::vector<std::string>{"12345678"}));
  EXPECT_NE(error_.find("line 2"), std::string::npos) << error_;
}

}  // namespace
}  // namespace varve::cli
