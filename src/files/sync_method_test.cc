// SPDX-License-Identifier: Apache-2.0
// What every implementation of File promises of durable writes while nothing fails, for each way to
// make them durable. simulated_sync_test.cc has what is left after a power cut.
#include <gtest/gtest.h>

#include <thread>
#include <tuple>
#include <vector>

#include "base/aligned_buffer.h"
#include "files/files_test_worlds.h"

namespace varve {
namespace {

using WorldAndMethod = std::tuple<WorldKind, SyncMethod>;

std::string NameOf(const ::testing::TestParamInfo<WorldAndMethod>& info) {
  std::string name(ToString(std::get<SyncMethod>(info.param)));
  std::erase(name, '-');
  return std::get<WorldKind>(info.param).name + name;
}

class SyncMethodContract : public ::testing::TestWithParam<WorldAndMethod> {
 protected:
  void SetUp() override {
    Make("f");
    const auto used = file_->UseSyncMethod(method());
    // Some real file systems keep their files in memory alone, and offer less.
    const bool may_refuse = std::get<WorldKind>(GetParam()).name == "Posix";
    if (!used && may_refuse) GTEST_SKIP() << used.error().message();
    ASSERT_TRUE(used) << used.error().message();
  }
  static SyncMethod method() { return std::get<SyncMethod>(GetParam()); }
  Files* files() { return world_->files(); }
  std::string At(const std::string& name) { return JoinPath(world_->root(), name); }

  void Make(const std::string& name) {
    auto file = files()->Open(At(name), OpenMode::kCreate);
    ASSERT_TRUE(file) << file.error().message();
    file_ = *std::move(file);
  }
  void WriteDurably(std::uint64_t offset, std::string_view bytes) {
    const auto written = file_->WriteDurably(offset, bytes);
    ASSERT_TRUE(written) << written.error().message();
  }
  // Where direct I/O wants it.
  AlignedBuffer Blocks(int count, char byte) {
    AlignedBuffer blocks;
    std::memset(blocks.Extend(count * kDirectBlock), byte, count * kDirectBlock);
    return blocks;
  }
  // As a reader with a descriptor of its own sees it.
  std::string Content(const std::string& name = "f") {
    const auto bytes = ReadWholeFile(files(), At(name));
    return bytes ? *bytes : bytes.error().message();
  }

  const std::unique_ptr<World> world_ = std::get<WorldKind>(GetParam()).make();
  std::unique_ptr<File> file_;
};

TEST_P(SyncMethodContract, ADurableWriteIsAWrite) {
  WriteDurably(0, "hello, lake");
  WriteDurably(7, "mud!");
  EXPECT_EQ(Content(), "hello, mud!");
  WriteDurably(20, "far");
  EXPECT_EQ(Content(), std::string("hello, mud!\0\0\0\0\0\0\0\0\0far", 23));
  WriteDurably(20, "");
  EXPECT_EQ(*file_->Size(), 23u);
  EXPECT_TRUE(file_->Sync());
}

TEST_P(SyncMethodContract, WholeBlocksFillAndGrowAFile) {
  const auto first = Blocks(3, 'a'), second = Blocks(2, 'b');
  WriteDurably(0, first.view());
  WriteDurably(2 * kDirectBlock, second.view());
  EXPECT_TRUE(Content() == std::string(2 * kDirectBlock, 'a') + std::string(2 * kDirectBlock, 'b'));
}

TEST_P(SyncMethodContract, LargeWritesCrossAllInnerBorders) {
  auto bytes = Blocks(800, 0);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes.data()[i] = static_cast<char>(i * 31 / 7);
  WriteDurably(kDirectBlock, bytes.view());
  EXPECT_TRUE(Content() == std::string(kDirectBlock, '\0') + std::string(bytes.view()));
  WriteDurably(100, bytes.view().substr(1));
  EXPECT_TRUE(Content().substr(100, bytes.size() - 1) == bytes.view().substr(1));
}

// Pages that a reader holds, pages that a writer left dirty, and writes past both of them.
TEST_P(SyncMethodContract, BufferedAndDurableWritesAndReadersAgree) {
  const auto seed = TestSeed();
  SCOPED_TRACE("VARVE_TEST_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  constexpr int kBlocks = 16;
  std::string model(kBlocks * kDirectBlock, '\0');
  ASSERT_TRUE(file_->WriteAt(0, model));
  for (int step = 0; step < 300; ++step) {
    const auto blocks = Blocks(1 + random.Below(4), static_cast<char>('a' + random.Below(26)));
    auto offset = random.Below(kBlocks - 3) * kDirectBlock;
    auto bytes = blocks.view();
    if (random.Below(3) == 0) {
      offset += random.Below(kDirectBlock - 1);
      bytes = bytes.substr(0, 1 + random.Below(bytes.size() - kDirectBlock + 1));
    }
    const auto written = random.Below(2) == 0 ? file_->WriteAt(offset, bytes)
                                              : file_->WriteDurably(offset, bytes);
    ASSERT_TRUE(written) << written.error().message();
    model.replace(offset, bytes.size(), bytes);
    ASSERT_TRUE(Content() == model) << step;
  }
}

TEST_P(SyncMethodContract, AFileOpenedForReadingRefusesDurableWrites) {
  const auto reader = files()->Open(At("f"), OpenMode::kRead);
  ASSERT_TRUE((*reader)->UseSyncMethod(method()));
  const auto block = Blocks(1, 'x');
  for (const auto bytes : {std::string_view("x"), block.view()}) {
    const auto refused = (*reader)->WriteDurably(0, bytes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason(), ErrorReason::kIo);
  }
  EXPECT_EQ(Content(), "");
}

TEST_P(SyncMethodContract, TheMethodMayChangeAndTheFileMayHaveMoved) {
  const auto block = Blocks(1, 'x');
  Make("temporary");
  const auto moved = std::move(file_);
  ASSERT_TRUE(files()->Rename(At("temporary"), At("g")));
  Make("temporary");  // another file
  ASSERT_TRUE(moved->UseSyncMethod(method()));
  ASSERT_TRUE(moved->WriteDurably(0, block.view()));
  ASSERT_TRUE(moved->UseSyncMethod(SyncMethod::kFdatasync));
  ASSERT_TRUE(moved->WriteDurably(kDirectBlock, block.view()));
  EXPECT_TRUE(Content("g") == std::string(2 * kDirectBlock, 'x'));
  EXPECT_EQ(Content("temporary"), "");
}

TEST_P(SyncMethodContract, ThreadsMayShareOneFile) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      const auto block = Blocks(1, static_cast<char>('a' + t));
      for (int i = t; i < 40; i += 4) {
        ASSERT_TRUE(file_->WriteDurably(i * kDirectBlock, block.view()));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto bytes = Content();
  ASSERT_EQ(bytes.size(), 40 * kDirectBlock);
  for (std::size_t i = 0; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], 'a' + i / kDirectBlock % 4);
}

INSTANTIATE_TEST_SUITE_P(All, SyncMethodContract,
                         ::testing::Combine(AllWorlds(), ::testing::ValuesIn(kAllSyncMethods)),
                         NameOf);

// A wrapper, say of a test, that knows of none but Sync.
class PlainFile final : public File {
 public:
  Result<std::uint64_t> ReadAt(std::uint64_t, std::uint64_t, char*) override { return 0; }
  Status WriteAt(std::uint64_t, std::string_view) override { return Note("write "); }
  Status Sync() override { return Note("sync "); }
  Result<std::uint64_t> Size() override { return 0; }
  Status Truncate(std::uint64_t) override { return {}; }
  const std::string& path() const override { return path_; }
  const std::string& calls() const { return calls_; }

 private:
  Status Note(const char* call) {
    calls_ += call;
    return {};
  }
  const std::string path_ = "plain";
  std::string calls_;
};

TEST(SyncMethods, AFileThatKnowsNoneSyncsAfterEachDurableWrite) {
  PlainFile file;
  ASSERT_TRUE(file.UseSyncMethod(SyncMethod::kFdatasync));
  ASSERT_TRUE(file.WriteDurably(0, "x"));
  EXPECT_EQ(file.calls(), "write sync ");
  const auto refused = file.UseSyncMethod(SyncMethod::kDsync);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "use dsync for plain: not offered");
}

TEST(SyncMethods, EachHasANameOfItsOwn) {
  std::string names;
  for (const auto method : kAllSyncMethods) names += std::string(ToString(method)) + " ";
  EXPECT_EQ(names, "fdatasync fsync dsync direct-dsync ");
}

}  // namespace
}  // namespace varve
