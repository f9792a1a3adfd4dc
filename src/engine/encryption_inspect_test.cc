// SPDX-License-Identifier: Apache-2.0
// What tools show of the files of an encrypted database: with its keys all, without them which key.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/simulated_disk.h"
#include "test/support/rows.h"
#include "test/support/test_keys.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::RowsBatch;
using testing::TestKeys;

class InspectEncryptedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto db = Database::Open("/db", {.create_if_missing = true, .keys = &keys_}, world_);
    ASSERT_TRUE(db) << db.error().message();
    ASSERT_TRUE((*db)->CreateTable("t", testing::RowsSchema(), {"id"}));
    ASSERT_TRUE((*db)->Upsert("t", RowsBatch({{1, "a"}, {2, "b"}})));
    ASSERT_TRUE((*db)->Delete("t", RowsBatch({{2, ""}})->SelectColumns({0}).ValueOrDie()));
    ASSERT_TRUE((*db)->Flush());
    ASSERT_TRUE((*db)->Upsert("t", RowsBatch({{3, "c"}})));
    ASSERT_TRUE((*db)->Close());
    ReadFiles("/db");
  }
  void ReadFiles(const std::string& folder) {
    const auto entries = disk_.List(folder);
    ASSERT_TRUE(entries) << entries.error().message();
    for (const FileInfo& entry : *entries) {
      const auto path = JoinPath(folder, entry.name);
      if (entry.is_directory) {
        ReadFiles(path);
      } else {
        contents_[path] = *disk_.Peek(path);
      }
    }
  }

  TestKeys keys_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  SimulatedDisk disk_;
  const Components world_{
      .files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
  std::map<std::string, std::string> contents_;  // of every file, by path
};

TEST_F(InspectEncryptedTest, FilesAreShownWithKeysAndAskForThemWithout) {
  std::map<FileKind, int> shown;
  std::string all;
  std::vector<std::string> secrets = {TestKeys::Bytes("april")};
  for (const auto& [path, bytes] : contents_) {
    std::string text;
    const auto line = [&](std::string_view one) { text += std::string(one) + "\n"; };
    const auto kind = InspectFile(path, line, world_, &keys_);
    ASSERT_TRUE(kind) << path << ": " << kind.error().message();
    if (*kind == FileKind::kUnknown) continue;
    ++shown[*kind];
    const bool has_key = *kind == FileKind::kRun || *kind == FileKind::kTimes;
    if (has_key) {
      const auto key = DataKeyOf(path, &keys_, world_);
      ASSERT_TRUE(key) << key.error().message();
      EXPECT_EQ(key->size(), 32u);
      secrets.push_back(*key);
    }
    all += text;
    const auto without = InspectFile(path, [](std::string_view) {}, world_);
    if (*kind == FileKind::kLogSegment) continue;  // its frames are shown without
    ASSERT_FALSE(without) << path;
    EXPECT_EQ(without.error().reason(), ErrorReason::kMissingKey) << without.error().message();
  }
  EXPECT_EQ(shown.size(), 4u);
  EXPECT_NE(all.find("data_file_key=(secret)"), std::string::npos);
  EXPECT_NE(all.find("encrypted with key 'april'"), std::string::npos);
  for (const auto& secret : secrets) {
    EXPECT_EQ(all.find(secret), std::string::npos);
    EXPECT_EQ(all.find(ToHex(secret)), std::string::npos);
  }
}

TEST_F(InspectEncryptedTest, ARunUnderACipherWithoutTagsIsNotShown) {
  int runs = 0;
  for (const auto& [path, bytes] : contents_) {
    if (!path.ends_with(".parquet")) continue;
    ++runs;
    const auto length = LoadLittle<std::uint32_t>(bytes.data() + bytes.size() - 8);
    // The kind of the algorithm, in Thrift's compact protocol: AES_GCM_V1, and AES_GCM_CTR_V1.
    const std::size_t at = bytes.size() - 8 - length + 1;
    ASSERT_EQ(bytes[at], '\x1c');
    ASSERT_TRUE((*disk_.Open(path, OpenMode::kReadWrite))->WriteAt(at, "\x2c"));
    const auto kind = InspectFile(path, [](std::string_view) {}, world_, &keys_);
    ASSERT_FALSE(kind);
    EXPECT_EQ(kind.error().kind(), ErrorKind::kCorruption);
    EXPECT_NE(kind.error().message().find("AES_GCM_CTR_V1"), std::string::npos)
        << kind.error().message();
  }
  EXPECT_GE(runs, 2);  // rows, and deletes
}

}  // namespace
}  // namespace varve
