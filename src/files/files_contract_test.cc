// SPDX-License-Identifier: Apache-2.0
// What every implementation of Files promises; each test runs against all of them.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "files/files_test_worlds.h"

namespace varve {
namespace {

using Reason = ErrorReason;
using Kind = ErrorKind;

class FilesContract : public ::testing::TestWithParam<WorldKind> {
 protected:
  Files* files() { return world_->files(); }
  std::string At(const std::string& name) { return JoinPath(world_->root(), name); }

  std::unique_ptr<File> Open(const std::string& name, OpenMode mode) {
    auto file = files()->Open(At(name), mode);
    EXPECT_TRUE(file) << file.error().message();
    return file ? *std::move(file) : nullptr;
  }
  void Make(const std::string& name, const std::string& bytes) {
    const auto file = Open(name, OpenMode::kCreate);
    ASSERT_TRUE(file->WriteAt(0, bytes));
    ASSERT_TRUE(file->Sync());
  }
  std::string Content(const std::string& name) {
    const auto bytes = ReadWholeFile(files(), At(name));
    return bytes ? *bytes : std::string(ToString(bytes.error().kind()));
  }
  std::string Names(const std::string& directory = "") {
    std::string names;
    const auto found = files()->List(At(directory));
    if (!found) return std::string(ToString(found.error().kind()));
    for (const auto& info : *found) names += info.name + (info.is_directory ? "/ " : " ");
    return names;
  }
  template <typename T>
  void ExpectError(const Result<T>& result, Kind kind, Reason reason, std::string_view text = "") {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind(), kind) << result.error().message();
    EXPECT_EQ(result.error().reason(), reason) << result.error().message();
    EXPECT_NE(result.error().message().find(text), std::string::npos) << result.error().message();
  }

 private:
  std::unique_ptr<World> world_ = GetParam().make();
};

TEST_P(FilesContract, BytesComeBackAsWritten) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "hello, lake"));
  ASSERT_TRUE(file->WriteAt(7, "mud!"));
  EXPECT_EQ(*file->Size(), 11u);
  EXPECT_EQ(Content("a"), "hello, mud!");
  EXPECT_EQ(file->path(), At("a"));
}

TEST_P(FilesContract, ReadsGiveLessOnlyAtTheEnd) {
  Make("a", "0123456789");
  const auto file = Open("a", OpenMode::kRead);
  char into[20];
  EXPECT_EQ(*file->ReadAt(8, 20, into), 2u);
  EXPECT_EQ(std::string(into, 2), "89");
  EXPECT_EQ(*file->ReadAt(10, 1, into), 0u);
  EXPECT_EQ(*file->ReadAt(1'000'000, 5, into), 0u);
  EXPECT_EQ(*file->ReadAt(3, 0, into), 0u);
}

TEST_P(FilesContract, HolesAndGrownPartsAreZeros) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(5000, "x"));
  EXPECT_EQ(Content("a"), std::string(5000, '\0') + "x");
  ASSERT_TRUE(file->Truncate(3));
  ASSERT_TRUE(file->Truncate(5001));
  EXPECT_EQ(Content("a"), std::string(5001, '\0'));
}

TEST_P(FilesContract, LargeWritesCrossAllInnerBorders) {
  std::string bytes(3'000'001, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 / 7);
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(4095, bytes));
  EXPECT_EQ(Content("a"), std::string(4095, '\0') + bytes);
}

TEST_P(FilesContract, CreateRefusesWhatExists) {
  Make("a", "old");
  ExpectError(files()->Open(At("a"), OpenMode::kCreate), Kind::kConflict, Reason::kAlreadyExists,
              At("a"));
  EXPECT_EQ(Content("a"), "old");
}

TEST_P(FilesContract, AbsentPathsAreNotFound) {
  ExpectError(files()->Open(At("no"), OpenMode::kRead), Kind::kNotFound, Reason::kNone, At("no"));
  ExpectError(files()->Open(At("no"), OpenMode::kReadWrite), Kind::kNotFound, Reason::kNone);
  ExpectError(files()->Open(At("no/a"), OpenMode::kCreate), Kind::kNotFound, Reason::kNone);
  ExpectError(files()->Info(At("no")), Kind::kNotFound, Reason::kNone);
  ExpectError(files()->List(At("no")), Kind::kNotFound, Reason::kNone);
  ExpectError(files()->Remove(At("no")), Kind::kNotFound, Reason::kNone);
  ExpectError(files()->Rename(At("no"), At("b")), Kind::kNotFound, Reason::kNone);
  ExpectError(files()->Link(At("no"), At("b")), Kind::kNotFound, Reason::kNone);
  ExpectError(files()->SyncDirectory(At("no")), Kind::kNotFound, Reason::kNone);
}

TEST_P(FilesContract, AFileIsNoFolderAndAFolderNoFile) {
  Make("a", "x");
  ASSERT_TRUE(files()->CreateDirectories(At("d")));
  ExpectError(files()->Open(At("d"), OpenMode::kRead), Kind::kUnavailable, Reason::kIo);
  ExpectError(files()->List(At("a")), Kind::kUnavailable, Reason::kIo);
  ExpectError(files()->Open(At("a/b"), OpenMode::kRead), Kind::kUnavailable, Reason::kIo);
  ExpectError(files()->Remove(At("d")), Kind::kUnavailable, Reason::kIo);
  ExpectError(files()->SyncDirectory(At("a")), Kind::kUnavailable, Reason::kIo);
  ExpectError(files()->CreateDirectories(At("a")), Kind::kUnavailable, Reason::kIo);
  ExpectError(files()->CreateDirectories(At("a/b")), Kind::kUnavailable, Reason::kIo);
}

TEST_P(FilesContract, AFileOpenedForReadingRefusesChanges) {
  Make("a", "x");
  const auto file = Open("a", OpenMode::kRead);
  ExpectError(file->WriteAt(0, "y"), Kind::kUnavailable, Reason::kIo);
  ExpectError(file->Truncate(0), Kind::kUnavailable, Reason::kIo);
  EXPECT_EQ(Content("a"), "x");
}

TEST_P(FilesContract, RenameReplaces) {
  Make("a", "new");
  Make("b", "old");
  ASSERT_TRUE(files()->Rename(At("a"), At("b")));
  EXPECT_EQ(Names(), "b ");
  EXPECT_EQ(Content("b"), "new");
}

TEST_P(FilesContract, RenameReachesOtherFoldersAndMovesFolders) {
  ASSERT_TRUE(files()->CreateDirectories(At("d/e")));
  Make("a", "x");
  ASSERT_TRUE(files()->Rename(At("a"), At("d/e/b")));
  ASSERT_TRUE(files()->Rename(At("d/e"), At("f")));
  EXPECT_EQ(Names(), "d/ f/ ");
  EXPECT_EQ(Content("f/b"), "x");
  ExpectError(files()->Rename(At("f"), At("f/g")), Kind::kUnavailable, Reason::kIo);
  ExpectError(files()->Rename(At("d"), At("f/b")), Kind::kUnavailable, Reason::kIo);
  ExpectError(files()->Rename(At("f/b"), At("d")), Kind::kUnavailable, Reason::kIo);
  ExpectError(files()->Rename(At("d"), At("f")), Kind::kUnavailable, Reason::kIo);
}

TEST_P(FilesContract, RenameOntoItselfChangesNothing) {
  Make("a", "x");
  ASSERT_TRUE(files()->Link(At("a"), At("b")));
  ASSERT_TRUE(files()->Rename(At("a"), At("a")));
  ASSERT_TRUE(files()->Rename(At("a"), At("b")));
  EXPECT_EQ(Names(), "a b ");
}

TEST_P(FilesContract, LinkGivesASecondNameAndNeverReplaces) {
  Make("a", "x");
  Make("taken", "old");
  ASSERT_TRUE(files()->Link(At("a"), At("b")));
  ASSERT_TRUE(Open("a", OpenMode::kReadWrite)->WriteAt(0, "y"));
  EXPECT_EQ(Content("b"), "y");
  ASSERT_TRUE(files()->Remove(At("a")));
  EXPECT_EQ(Content("b"), "y");
  ExpectError(files()->Link(At("b"), At("taken")), Kind::kConflict, Reason::kAlreadyExists,
              At("taken"));
  EXPECT_EQ(Content("taken"), "old");
}

TEST_P(FilesContract, AnOpenFileOutlivesItsName) {
  Make("a", "still here");
  const auto file = Open("a", OpenMode::kReadWrite);
  ASSERT_TRUE(files()->Remove(At("a")));
  char into[10];
  EXPECT_EQ(*file->ReadAt(0, 10, into), 10u);
  EXPECT_EQ(std::string(into, 10), "still here");
  ASSERT_TRUE(file->WriteAt(0, "X"));
  EXPECT_EQ(Names(), "");
}

TEST_P(FilesContract, ListIsSortedAndInfoAgrees) {
  Make("b", "12345");
  Make("a", "");
  Make("B", "1");
  ASSERT_TRUE(files()->CreateDirectories(At("c")));
  EXPECT_EQ(Names(), "B a b c/ ");
  const auto info = files()->Info(At("b"));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->name, "b");
  EXPECT_EQ(info->size, 5u);
  EXPECT_FALSE(info->is_directory);
  EXPECT_GT(info->modified.micros, 1'600'000'000'000'000);
  EXPECT_TRUE(files()->Info(At("c"))->is_directory);
}

TEST_P(FilesContract, CreateDirectoriesMakesParentsAndMayBeRepeated) {
  ASSERT_TRUE(files()->CreateDirectories(At("x/y/z")));
  ASSERT_TRUE(files()->CreateDirectories(At("x/y/z")));
  ASSERT_TRUE(files()->CreateDirectories(At("x/y/w/")));
  ASSERT_TRUE(files()->SyncDirectory(At("x/y")));
  EXPECT_EQ(Names("x/y"), "w/ z/ ");
}

TEST_P(FilesContract, AnExclusiveLockExcludesAll) {
  auto held = files()->Lock(At("LOCK"), LockMode::kExclusive);
  ASSERT_TRUE(held);
  ExpectError(files()->Lock(At("LOCK"), LockMode::kExclusive), Kind::kUnavailable,
              Reason::kLocked, At("LOCK") + " is held by this process");
  ExpectError(files()->Lock(At("LOCK"), LockMode::kShared), Kind::kUnavailable, Reason::kLocked);
  EXPECT_GT(std::stoi(Content("LOCK")), 0);
  held->reset();
  EXPECT_TRUE(files()->Lock(At("LOCK"), LockMode::kExclusive));
}

TEST_P(FilesContract, SharedLocksCoexistAndExcludeAnExclusiveOne) {
  Make("LOCK", "");
  auto first = files()->Lock(At("LOCK"), LockMode::kShared);
  auto second = files()->Lock(At("LOCK"), LockMode::kShared);
  ASSERT_TRUE(first && second);
  first->reset();
  ExpectError(files()->Lock(At("LOCK"), LockMode::kExclusive), Kind::kUnavailable,
              Reason::kLocked);
  second->reset();
  EXPECT_TRUE(files()->Lock(At("LOCK"), LockMode::kExclusive));
}

TEST_P(FilesContract, ASharedLockOfNothingMakesNothing) {
  EXPECT_TRUE(files()->Lock(At("LOCK"), LockMode::kShared));
  EXPECT_EQ(Names(), "");
}

TEST_P(FilesContract, OneLockIsKnownByEveryNameOfItsFile) {
  Make("LOCK", "");
  ASSERT_TRUE(files()->Link(At("LOCK"), At("other")));
  const auto held = files()->Lock(At("LOCK"), LockMode::kExclusive);
  ASSERT_TRUE(held);
  ExpectError(files()->Lock(At("other"), LockMode::kExclusive), Kind::kUnavailable,
              Reason::kLocked);
}

TEST_P(FilesContract, ThreadsMayShareOneFile) {
  const auto file = Open("a", OpenMode::kCreate);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&file, t] {
      for (int i = t; i < 400; i += 4) {
        ASSERT_TRUE(file->WriteAt(i * 100ull, std::string(100, static_cast<char>('a' + t))));
        ASSERT_TRUE(file->Size());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto bytes = Content("a");
  ASSERT_EQ(bytes.size(), 40'000u);
  for (std::size_t i = 0; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], 'a' + i / 100 % 4);
}

INSTANTIATE_TEST_SUITE_P(All, FilesContract, AllWorlds(), NameOfWorld);

TEST(Paths, JoinAndParent) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  const std::map<std::string, std::string> parents = {
      {"a/b", "a"}, {"a", "."}, {"/a", "/"}, {"/", "/"}, {"a/b/", "a"}, {"a//b", "a"}, {".", "."}};
  for (const auto& [path, parent] : parents) EXPECT_EQ(ParentPath(path), parent) << path;
}

}  // namespace
}  // namespace varve
