// SPDX-License-Identifier: Apache-2.0
// What only the real disk can show: modes, other processes, forks.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>

#include "base/aligned_buffer.h"
#include "base/out_of_memory.h"
#include "files/files_test_worlds.h"
#include "test/support/failing_memory.h"

namespace varve {
namespace {

class PosixFilesTest : public ::testing::Test {
 protected:
  Files* files() { return PosixFiles(); }
  std::string At(const std::string& name) { return JoinPath(world_.root(), name); }
  mode_t ModeOf(const std::string& name) {
    struct stat facts;
    EXPECT_EQ(::stat(At(name).c_str(), &facts), 0);
    return facts.st_mode & 07777;
  }
  bool CanLock(LockMode mode = LockMode::kExclusive) {
    return files()->Lock(At("LOCK"), mode).has_value();
  }
  // Open in this process, with O_DIRECT, and not for other programs.
  int DirectDescriptorsOf(const std::string& name) {
    int found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry.path(), gone) != At(name)) continue;
      const int descriptor = std::stoi(entry.path().filename());
      EXPECT_TRUE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
      found += (::fcntl(descriptor, F_GETFL) & O_DIRECT) != 0;
    }
    return found;
  }
  // The exit code of `body`, run in a child.
  static int InChild(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  PosixWorld world_;
};

// A child that holds a lock until it is told to go.
class Holder {
 public:
  Holder(const std::string& path, LockMode mode) {
    int ready[2];
    EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const auto lock = PosixFiles()->Lock(path, mode);
      [[maybe_unused]] const auto put = ::write(ready[1], lock ? "1" : "0", 1);
      for (;;) ::pause();
    }
    char answer = '0';
    EXPECT_EQ(::read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, '1');
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() { Kill(); }
  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  std::string pid() const { return std::to_string(pid_); }

 private:
  pid_t pid_ = 0;
};

TEST_F(PosixFilesTest, ModesDoNotDependOnTheUmask) {
  for (const mode_t mask : {0000, 0777}) {
    const auto old = ::umask(mask);
    const auto name = "m" + std::to_string(mask);
    EXPECT_TRUE(files()->CreateDirectories(At(name)));
    EXPECT_TRUE(files()->Open(At(name + "/f"), OpenMode::kCreate));
    EXPECT_TRUE(files()->Lock(At(name + "/LOCK"), LockMode::kExclusive));
    ::umask(old);
    EXPECT_EQ(ModeOf(name), 0700u);
    EXPECT_EQ(ModeOf(name + "/f"), 0600u);
    EXPECT_EQ(ModeOf(name + "/LOCK"), 0644u);
  }
}

// What root makes in a user's folder is that user's: or he could not open his database any more.
TEST_F(PosixFilesTest, WhatRootMakesBelongsToTheOwnerOfTheFolder) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  constexpr uid_t kUser = 12345;
  constexpr gid_t kGroup = 23456;
  ASSERT_TRUE(files()->CreateDirectories(At("his")));
  ASSERT_EQ(::chown(At("his").c_str(), kUser, kGroup), 0);
  ASSERT_TRUE(files()->CreateDirectories(At("his/folder/inner")));
  ASSERT_TRUE(files()->Open(At("his/folder/f"), OpenMode::kCreate));
  ASSERT_TRUE(files()->Lock(At("his/folder/LOCK"), LockMode::kExclusive));
  for (const char* name : {"his/folder", "his/folder/inner", "his/folder/f", "his/folder/LOCK"}) {
    struct stat facts;
    ASSERT_EQ(::stat(At(name).c_str(), &facts), 0) << name;
    EXPECT_EQ(facts.st_uid, kUser) << name;
    EXPECT_EQ(facts.st_gid, kGroup) << name;
  }
  ASSERT_TRUE(files()->CreateDirectories(At("roots")));
  struct stat facts;
  ASSERT_EQ(::stat(At("roots").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_uid, 0u);
}

TEST_F(PosixFilesTest, DescriptorsDoNotReachOtherPrograms) {
  const auto file = files()->Open(At("f"), OpenMode::kCreate);
  const auto lock = files()->Lock(At("LOCK"), LockMode::kExclusive);
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (target != At("f") && target != At("LOCK")) continue;
    const int descriptor = std::stoi(entry.path().filename());
    EXPECT_TRUE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) << target;
  }
}

TEST_F(PosixFilesTest, TheHolderInAnotherProcessIsNamed) {
  const Holder holder(At("LOCK"), LockMode::kExclusive);
  const auto refused = files()->Lock(At("LOCK"), LockMode::kExclusive);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kLocked);
  const auto expected = At("LOCK") + " is held by process " + holder.pid() + " (";
  EXPECT_TRUE(refused.error().message().starts_with(expected)) << refused.error().message();
}

// The holder's name is written into the file.
TEST_F(PosixFilesTest, ALockThatIsRefusedMemoryIsNotHeld) {
  for (const auto mode : {LockMode::kExclusive, LockMode::kShared}) {
    bool refused = true;
    for (int n = 1; refused; ++n) {
      {
        const testing::FailingAllocation allocation(n);
        (void)OrOutOfMemory([&] { return files()->Lock(At("LOCK"), mode); });
        refused = allocation.hit();
      }
      ASSERT_TRUE(CanLock()) << "after allocation " << n;
    }
  }
}

TEST_F(PosixFilesTest, ALinkIsNoLockAndWhatItNamesIsLeftAlone) {
  ASSERT_TRUE(files()->Open(At("important"), OpenMode::kCreate).value()->WriteAt(0, "keep this"));
  std::filesystem::create_symlink(At("important"), At("LOCK"));
  EXPECT_FALSE(CanLock());
  EXPECT_FALSE(CanLock(LockMode::kShared));
  EXPECT_EQ(std::filesystem::file_size(At("important")), 9u);
}

TEST_F(PosixFilesTest, AReaderInAnotherProcessKeepsWritersOutAndReadersIn) {
  EXPECT_TRUE(CanLock());  // makes the file
  const Holder holder(At("LOCK"), LockMode::kShared);
  EXPECT_FALSE(CanLock());
  EXPECT_TRUE(CanLock(LockMode::kShared));
}

TEST_F(PosixFilesTest, AKilledHolderHoldsNothing) {
  Holder holder(At("LOCK"), LockMode::kExclusive);
  EXPECT_FALSE(CanLock());
  holder.Kill();
  EXPECT_TRUE(CanLock());
}

TEST_F(PosixFilesTest, AForkedChildHoldsNothingAndReleasesNothing) {
  auto lock = files()->Lock(At("LOCK"), LockMode::kExclusive);
  ASSERT_TRUE(lock);
  EXPECT_EQ(InChild([&] {
              if (CanLock()) return 1;  // the parent's, still
              lock->reset();
              return CanLock() ? 2 : 0;
            }), 0);
  EXPECT_EQ(InChild([&] { return CanLock() ? 1 : 0; }), 0);
}

TEST_F(PosixFilesTest, AForkedChildDoesNotKeepTheLockAfterItsParentLetGo) {
  auto lock = files()->Lock(At("LOCK"), LockMode::kExclusive);
  ASSERT_TRUE(lock);
  const Holder child(At("other"), LockMode::kExclusive);  // a child that lives on
  lock->reset();
  EXPECT_TRUE(CanLock());
}

TEST_F(PosixFilesTest, AForkedChildDoesNotKeepTheLockOfAParentThatWasKilled) {
  int alive[2], ready[2];
  ASSERT_EQ(::pipe(alive), 0);
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    ::close(alive[1]);
    const auto lock = files()->Lock(At("LOCK"), LockMode::kExclusive);
    const bool is_child = ::fork() == 0;
    char byte = lock ? '1' : '0';
    [[maybe_unused]] const auto put = is_child ? ::write(ready[1], &byte, 1) : 0;
    [[maybe_unused]] const auto got = ::read(alive[0], &byte, 1);  // until the test is over
    ::_exit(0);
  }
  char answer = '0';
  EXPECT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, '1');
  EXPECT_FALSE(CanLock());
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  EXPECT_TRUE(CanLock());
  for (const int end : {alive[0], alive[1], ready[0], ready[1]}) ::close(end);
}

TEST_F(PosixFilesTest, ADiskThatIsFullIsNoSpace) {
  EXPECT_EQ(InChild([&] {
              ::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{10'000, 10'000};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
              const auto file = files()->Open(At("f"), OpenMode::kCreate);
              const auto put = (*file)->WriteAt(0, std::string(20'000, 'x'));
              if (put) return 2;
              if (put.error().reason() != ErrorReason::kNoSpace) return 3;
              return *(*file)->Size() == 10'000 ? 0 : 4;
            }), 0);
}

TEST_F(PosixFilesTest, ADiskThatIsFullIsNoSpaceForDurableWritesToo) {
  AlignedBuffer blocks;
  blocks.AppendZeros(5 * kDirectBlock);
  for (const auto method : kAllSyncMethods) {
    EXPECT_EQ(InChild([&] {
                ::signal(SIGXFSZ, SIG_IGN);
                const rlimit limit{10'000, 10'000};
                if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
                const auto name = At(std::string(ToString(method)));
                const auto file = files()->Open(name, OpenMode::kCreate);
                if (!(*file)->UseSyncMethod(method)) return 0;
                const auto put = (*file)->WriteDurably(0, blocks.view());
                if (put) return 2;
                if (put.error().reason() != ErrorReason::kNoSpace) return 3;
                return *(*file)->Size() == 10'000 ? 0 : 4;
              }), 0) << ToString(method);
  }
}

TEST_F(PosixFilesTest, DirectWritesHaveADescriptorForAsLongAsTheyAreTheMethod) {
  const auto file = *files()->Open(At("f"), OpenMode::kCreate);
  EXPECT_EQ(DirectDescriptorsOf("f"), 0);
  const auto used = file->UseSyncMethod(SyncMethod::kDirectDsync);
  if (!used) GTEST_SKIP() << used.error().message();
  EXPECT_EQ(DirectDescriptorsOf("f"), 1);
  ASSERT_TRUE(file->UseSyncMethod(SyncMethod::kDirectDsync));
  EXPECT_EQ(DirectDescriptorsOf("f"), 1);
  ASSERT_TRUE(file->UseSyncMethod(SyncMethod::kDsync));
  EXPECT_EQ(DirectDescriptorsOf("f"), 0);
}

TEST_F(PosixFilesTest, AMethodThatIsRefusedLeavesTheOneBefore) {
  const auto file = *files()->Open(At("f"), OpenMode::kCreate);
  EXPECT_EQ(InChild([&] {
              const rlimit none{0, 0};  // no more descriptors
              if (::setrlimit(RLIMIT_NOFILE, &none) != 0) return 1;
              const auto used = file->UseSyncMethod(SyncMethod::kDirectDsync);
              if (used) return 2;
              if (used.error().kind() != ErrorKind::kUnavailable) return 3;
              return file->WriteDurably(0, "still works") ? 0 : 4;
            }), 0);
  EXPECT_EQ(*ReadWholeFile(files(), At("f")), "still works");
}

TEST_F(PosixFilesTest, FilesOfOneFolderAreOnOneDevice) {
  ASSERT_TRUE(files()->Open(At("f"), OpenMode::kCreate));
  struct stat facts;
  ASSERT_EQ(::stat(At("f").c_str(), &facts), 0);
  EXPECT_EQ(files()->Info(At("f"))->device, facts.st_dev);
  EXPECT_EQ(files()->Info(At(""))->device, facts.st_dev);
  EXPECT_EQ(files()->List(At(""))->at(0).device, facts.st_dev);
}

TEST_F(PosixFilesTest, AForbiddenFolderIsPermission) {
  ASSERT_EQ(::chmod(At("").c_str(), 0500), 0);
  EXPECT_EQ(InChild([&] {
              if (::geteuid() == 0 && ::setuid(65534) != 0) return 1;  // root may do everything
              const auto made = files()->Open(At("f"), OpenMode::kCreate);
              return !made && made.error().reason() == ErrorReason::kPermission ? 0 : 2;
            }), 0);
}

TEST_F(PosixFilesTest, RelativePathsWork) {
  ASSERT_EQ(InChild([&] {
              if (::chdir(At("").c_str()) != 0) return 1;
              if (!files()->CreateDirectories("d/e")) return 2;
              if (!files()->Open("d/e/f", OpenMode::kCreate)) return 3;
              return files()->SyncDirectory(ParentPath("d")) ? 0 : 4;
            }), 0);
  EXPECT_TRUE(files()->Info(At("d/e/f")));
}

}  // namespace
}  // namespace varve
