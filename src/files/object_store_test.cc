// SPDX-License-Identifier: Apache-2.0
// What the object-store interface promises, over every implementation of Files.
#include "files/object_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "base/random.h"
#include "files/files_test_worlds.h"

namespace varve {
namespace {

class StoreContract : public ::testing::TestWithParam<WorldKind> {
 protected:
  Files* files() { return world_->files(); }
  ObjectStore* store() { return store_.get(); }
  std::string root() const { return JoinPath(world_->root(), "db"); }

  std::string Content(const std::string& name) {
    const auto bytes = store()->Get(name);
    return bytes ? *bytes : std::string(ToString(bytes.error().kind()));
  }
  std::string Names(const std::string& prefix = "", const std::string& start_after = "") {
    const auto found = store()->List(prefix, start_after);
    if (!found) return std::string(ToString(found.error().kind()));
    std::string names;
    for (const auto& object : *found) names += object.name + " ";
    return names;
  }
  std::size_t Leftovers() {
    const auto found = files()->List(JoinPath(root(), "tmp"));
    return found ? found->size() : 0;
  }

 private:
  std::unique_ptr<World> world_ = GetParam().make();
  SeededRandom random_{1};
  std::unique_ptr<ObjectStore> store_ = NewFolderStore(world_->files(), root(), &random_);
};

TEST_P(StoreContract, OpeningChangesNothingAndAMissingFolderIsEmpty) {
  EXPECT_EQ(Names(), "");
  EXPECT_EQ(Names("runs/"), "");
  EXPECT_EQ(files()->Info(root()).error().kind(), ErrorKind::kNotFound);
}

TEST_P(StoreContract, PutReplacesAndPutIfAbsentDoesNot) {
  ASSERT_TRUE(store()->PutIfAbsent("manifest/1", "one"));
  const auto refused = store()->PutIfAbsent("manifest/1", "two");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kConflict);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kAlreadyExists);
  EXPECT_NE(refused.error().message().find("manifest/1"), std::string::npos);
  EXPECT_EQ(Content("manifest/1"), "one");
  ASSERT_TRUE(store()->Put("manifest/1", "three"));
  EXPECT_EQ(Content("manifest/1"), "three");
  EXPECT_EQ(Leftovers(), 0u);
}

TEST_P(StoreContract, AbsentObjectsAreNotFoundByName) {
  ASSERT_TRUE(store()->Put("a/b", ""));
  for (const std::string name : {"x", "a/x", "y/x", "a"}) {
    EXPECT_EQ(Content(name), "NotFound") << name;
    EXPECT_EQ(store()->Head(name).error().kind(), ErrorKind::kNotFound) << name;
    EXPECT_EQ(store()->OpenReader(name).error().kind(), ErrorKind::kNotFound) << name;
    EXPECT_NE(store()->Get(name).error().message().find("object " + name), std::string::npos);
  }
}

TEST_P(StoreContract, NamesOutsideTheGrammarAreInvalid) {
  for (const std::string name : {"", "/a", "a/", "a//b", "../a", "a/../b", "a/.", "tmp", "tmp/a",
                                 "a b", "a\\b", "\xc3\xa4", "a\n"}) {
    EXPECT_EQ(store()->Put(name, "x").error().kind(), ErrorKind::kInvalid) << name;
    EXPECT_EQ(store()->PutIfAbsent(name, "x").error().kind(), ErrorKind::kInvalid) << name;
    EXPECT_EQ(store()->NewWriter(name).error().kind(), ErrorKind::kInvalid) << name;
    EXPECT_EQ(store()->Get(name).error().kind(), ErrorKind::kInvalid) << name;
    EXPECT_EQ(store()->Head(name).error().kind(), ErrorKind::kInvalid) << name;
    EXPECT_EQ(store()->Delete(name).error().kind(), ErrorKind::kInvalid) << name;
  }
  EXPECT_TRUE(store()->Put("a..b/.c/-_Z9.parquet", "x"));
  EXPECT_EQ(store()->List("../").error().kind(), ErrorKind::kInvalid);
}

TEST_P(StoreContract, RangesAreExactOrCorruption) {
  ASSERT_TRUE(store()->Put("o", "0123456789"));
  EXPECT_EQ(*store()->GetRange("o", 3, 4), "3456");
  EXPECT_EQ(*store()->GetRange("o", 10, 0), "");
  const auto past = store()->GetRange("o", 8, 3);
  ASSERT_FALSE(past);
  EXPECT_EQ(past.error().kind(), ErrorKind::kCorruption);
  for (const std::string part : {"object o ", "expected 3 bytes at offset 8", "of 10 bytes"}) {
    EXPECT_NE(past.error().message().find(part), std::string::npos) << past.error().message();
  }
  EXPECT_EQ(store()->GetRange("o", UINT64_MAX, 2).error().kind(), ErrorKind::kCorruption);
  EXPECT_EQ(store()->GetRange("o", 1, UINT64_MAX).error().kind(), ErrorKind::kCorruption);
}

TEST_P(StoreContract, AnObjectCutUnderItsReaderIsCorruption) {
  ASSERT_TRUE(store()->Put("o", "0123456789"));
  const auto reader = store()->OpenReader("o");
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->size(), 10u);
  ASSERT_TRUE((*files()->Open(store()->Describe("o"), OpenMode::kReadWrite))->Truncate(5));
  char into[10];
  EXPECT_EQ((*reader)->ReadAt(0, 10, into).error().kind(), ErrorKind::kCorruption);
  EXPECT_TRUE((*reader)->ReadAt(1, 4, into));
  EXPECT_EQ(std::string(into, 4), "1234");
}

TEST_P(StoreContract, AReaderReadsByName) {
  ASSERT_TRUE(store()->Put("o", "old"));
  const auto reader = *store()->OpenReader("o");
  char into[3];
  ASSERT_TRUE(reader->ReadAt(0, 3, into));
  ASSERT_TRUE(store()->Put("o", "new"));
  ASSERT_TRUE(reader->ReadAt(0, 3, into));
  EXPECT_EQ(std::string(into, 3), "new");
  ASSERT_TRUE(store()->Delete("o"));
  const auto gone = reader->ReadAt(0, 3, into);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind(), ErrorKind::kNotFound);
  EXPECT_NE(gone.error().message().find("object o"), std::string::npos);
}

TEST_P(StoreContract, AWriterPublishesAtFinishAndNotBefore) {
  std::string all;
  const auto writer = *store()->NewWriter("runs/1.parquet");
  for (const int size : {0, 5, 700'000, 400'000, 3'000'000, 1}) {
    const std::string piece(size, static_cast<char>('a' + size % 26));
    ASSERT_TRUE(writer->Append(piece));
    all += piece;
  }
  EXPECT_EQ(Names(), "");
  ASSERT_TRUE(writer->Finish());
  EXPECT_EQ(Leftovers(), 0u);
  EXPECT_TRUE(Content("runs/1.parquet") == all);
  EXPECT_EQ(writer->Append("x").error().reason(), ErrorReason::kClosed);
  EXPECT_EQ(writer->Finish().error().reason(), ErrorReason::kClosed);
}

TEST_P(StoreContract, ADroppedWriterLeavesNothing) {
  auto writer = *store()->NewWriter("runs/1");
  ASSERT_TRUE(writer->Append(std::string(2'000'000, 'x')));
  EXPECT_EQ(Leftovers(), 1u);
  writer.reset();
  EXPECT_EQ(Leftovers(), 0u);
  EXPECT_EQ(Names(), "");
}

TEST_P(StoreContract, AWriterThatComesSecondIsAConflict) {
  auto writer = *store()->NewWriter("runs/1");
  ASSERT_TRUE(writer->Append("late"));
  ASSERT_TRUE(store()->Put("runs/1", "early"));
  EXPECT_EQ(writer->Finish().error().reason(), ErrorReason::kAlreadyExists);
  writer.reset();
  EXPECT_EQ(Content("runs/1"), "early");
  EXPECT_EQ(Leftovers(), 0u);
}

TEST_P(StoreContract, ListIsSortedByFullNameAndFiltered) {
  for (const std::string name : {"runs/b/2", "runs/b-1", "runs/b.1", "manifest/2", "manifest/10",
                                 "manifest/1", "CURRENT"}) {
    ASSERT_TRUE(store()->Put(name, name));
  }
  auto open = store()->NewWriter("x");  // its temporary file is no object
  EXPECT_EQ(Names(), "CURRENT manifest/1 manifest/10 manifest/2 runs/b-1 runs/b.1 runs/b/2 ");
  EXPECT_EQ(Names("manifest/1"), "manifest/1 manifest/10 ");
  EXPECT_EQ(Names("manifest/", "manifest/1"), "manifest/10 manifest/2 ");
  EXPECT_EQ(Names("runs/b/"), "runs/b/2 ");
  EXPECT_EQ(Names("nothing/here"), "");
  const auto info = store()->List("CURRENT")->front();
  EXPECT_EQ(info.size, 7u);
  EXPECT_EQ(info.modified, store()->Head("CURRENT")->modified);
}

TEST_P(StoreContract, DeleteIsFineWhenAbsent) {
  ASSERT_TRUE(store()->Delete("a/b"));
  ASSERT_TRUE(store()->Put("a/b", "x"));
  ASSERT_TRUE(store()->Delete("a/b"));
  ASSERT_TRUE(store()->Delete("a/b"));
  EXPECT_EQ(Content("a/b"), "NotFound");
}

TEST_P(StoreContract, DescribeIsThePath) {
  EXPECT_EQ(store()->Describe("runs/1"), root() + "/runs/1");
}

TEST_P(StoreContract, LeftoversOfACrashStandInNobodysWay) {
  ASSERT_TRUE(store()->Put("a", "x"));
  auto left = store()->NewWriter("b");
  SeededRandom again(1);  // the same temporary names
  const auto other = NewFolderStore(files(), root(), &again);
  ASSERT_TRUE(other->PutIfAbsent("c", "y"));
  EXPECT_EQ(Leftovers(), 1u);
  ASSERT_TRUE(RemoveLeftovers(files(), root()));
  EXPECT_EQ(Leftovers(), 0u);
  EXPECT_EQ(Names(), "a c ");
  EXPECT_TRUE(RemoveLeftovers(files(), JoinPath(root(), "nothing")));
}

TEST_P(StoreContract, OfManyWhoPutIfAbsentOneWins) {
  std::atomic<int> winners = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto put = store()->PutIfAbsent("m/" + std::to_string(i), std::to_string(t));
        if (put) ++winners;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(winners, 20);
  EXPECT_EQ(Leftovers(), 0u);
}

// A process of few descriptors, while it lives.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t count) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit few{count, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  ~FewDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }

 private:
  rlimit before_;
};

TEST_P(StoreContract, ReadersMayBeMoreThanDescriptors) {
  constexpr int kObjects = 300;
  const FewDescriptors few(kObjects - 50);
  std::vector<std::unique_ptr<ObjectReader>> readers;
  for (int i = 0; i < kObjects; ++i) {
    const std::string name = "runs/" + std::to_string(i);
    ASSERT_TRUE(store()->Put(name, name));
    auto reader = store()->OpenReader(name);
    ASSERT_TRUE(reader) << reader.error().message();
    readers.push_back(*std::move(reader));
  }
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      SeededRandom random(t);
      for (int i = 0; i < 2000; ++i) {
        const auto n = random.Below(kObjects);
        const std::string name = "runs/" + std::to_string(n);
        std::string into(name.size(), ' ');
        if (!readers[n]->ReadAt(0, into.size(), into.data()) || into != name) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(All, StoreContract, AllWorlds(), NameOfWorld);

}  // namespace
}  // namespace varve
