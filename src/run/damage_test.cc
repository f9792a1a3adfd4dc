// SPDX-License-Identifier: Apache-2.0
// Damaged, cut, missing and unwritable files: always an error that says where, never wrong rows.
#include <gtest/gtest.h>

#include <arrow/record_batch.h>

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/result.h"
#include "run/merge.h"
#include "run/object_sink.h"
#include "run/run_test_world.h"
#include "test/support/mend_crc.h"

namespace varve {
namespace {

using namespace varve::testing;

// A store in which a test may change what is stored.
class DamageTest : public ::testing::Test {
 protected:
  explicit DamageTest(bool encrypted = false) {
    world_.encrypted = encrypted;
    for (std::uint64_t commit = 1; commit <= 4; ++commit) {
      model_.RandomCommit(&random_, commit, 12, 30, Into(&memtable_));
    }
    meta_ = *world_.Write(memtable_, 8);
  }
  // Opens the run and reads every column of every version. The first error, if any.
  Status ReadAll() {
    VARVE_ASSIGN(const auto run, world_.Open(ModelSchema(), meta_));
    return ReadAll(run->NewCursor({0, 1, 2, 3}, {}).get());
  }
  // The same through the cursor of changes.
  Status ReadWindow(const CommitWindow& window) {
    VARVE_ASSIGN(const auto run, world_.Open(ModelSchema(), meta_));
    return ReadAll(run->NewCursor({0, 1, 2, 3}, {}, window).get());
  }
  Status ReadAll(VersionCursor* cursor) {
    VARVE_TRY(cursor->Next());
    while (cursor->valid()) {
      versions_.push_back({std::string(cursor->key()), cursor->commit()});
      if (cursor->kind() == RowKind::kUpsert) {
        const auto& want = model_.versions().at(versions_.back().first);
        ExpectRow(*cursor->batch(), cursor->row(), *want.at(cursor->commit()), {0, 1, 2, 3});
      }
      VARVE_TRY(cursor->Next());
    }
    return {};
  }
  void Replace(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(world_.store()->Put(name, bytes));
  }
  void ExpectDamage(const Status& status) {
    ASSERT_FALSE(status);
    ASSERT_EQ(status.error().kind(), ErrorKind::kCorruption) << status.error().message();
    ASSERT_NE(status.error().message().find("data/t/"), std::string::npos)
        << status.error().message();
  }

  void ExpectEveryFlipFound();

  RunWorld world_;
  SeededRandom random_{TestSeed()};
  VersionModel model_;
  Memtable memtable_{ModelSchema()};
  RunMeta meta_;
  std::vector<std::pair<std::string, std::uint64_t>> versions_;
};

class EncryptedDamageTest : public DamageTest {
 protected:
  EncryptedDamageTest() : DamageTest(/*encrypted=*/true) {}
};

void DamageTest::ExpectEveryFlipFound() {
  ASSERT_TRUE(ReadAll());
  ASSERT_FALSE(meta_.deletes.name.empty());
  for (const auto& object : {meta_.data, meta_.deletes}) {
    const std::string good = world_.Bytes(object.name);
    for (std::size_t at = 0; at < good.size(); ++at) {
      SCOPED_TRACE(object.name + " byte " + std::to_string(at));
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
      Replace(object.name, bad);
      ASSERT_NO_FATAL_FAILURE(ExpectDamage(ReadAll()));
      ASSERT_NO_FATAL_FAILURE(ExpectDamage(ReadWindow({0, 4})));
      (void)ReadWindow({2, 3});  // may not come across it; what it gives is right
    }
    Replace(object.name, good);
  }
  ASSERT_TRUE(ReadAll());
  ASSERT_TRUE(ReadWindow({2, 3}));
}

TEST_F(DamageTest, EveryFlippedByteIsFound) { ExpectEveryFlipFound(); }

TEST_F(EncryptedDamageTest, EveryFlippedByteIsFound) { ExpectEveryFlipFound(); }

// Whoever changes bytes and makes the checksums of their blocks agree.
class ForgedPagesTest : public DamageTest {
 protected:
  explicit ForgedPagesTest(bool encrypted = false) : DamageTest(encrypted) {}

  // The data object with a byte changed at `at`, four more behind it, and the same checksums.
  std::string Forged(std::size_t at, char change) {
    std::string block = good_.substr(0, meta_.data.data_bytes);
    EXPECT_LT(block.size(), kChecksumBlockBytes);
    const std::uint32_t crc = Crc32c(block);
    block[at] = static_cast<char>(block[at] ^ change);
    const std::size_t room = at + 12 < block.size() ? at + 6 : at - 8;
    return testing::WithCrc32c(block, room, crc) + good_.substr(block.size());
  }
  // What reading all of it ends with, by scan, lookup, and cursor of changes.
  std::array<Status, 3> ReadEach() {
    const auto run = world_.Open(memtable_, meta_);
    const auto drain = [](VersionCursor* cursor) -> Status {
      VARVE_TRY(cursor->Next());
      while (cursor->valid()) VARVE_TRY(cursor->Next());
      return {};
    };
    const auto scan = run->NewCursor({0, 1, 2, 3}, {});
    const auto window = run->NewCursor({0, 1, 2, 3}, {}, CommitWindow{0, 4});
    return {drain(scan.get()), drain(window.get()), Lookups(*run)};
  }
  Status Lookups(const OpenRun& run) {
    std::vector<std::string_view> keys;
    for (const auto& [key, versions] : model_.versions()) keys.push_back(key);
    VARVE_TRY(run.Get(keys, 4, {0, 1, 2, 3}));
    return {};
  }

  const std::string good_ = world_.Bytes(meta_.data.name);
};

class ForgedEncryptedPagesTest : public ForgedPagesTest {
 protected:
  ForgedEncryptedPagesTest() : ForgedPagesTest(/*encrypted=*/true) {}
};

TEST_F(ForgedPagesTest, AreReadOrAreDamageAndNothingElse) {
  std::uint64_t damaged = 0;
  for (std::size_t at = 4; at < meta_.data.data_bytes; at += 7) {
    SCOPED_TRACE(at);
    Replace(meta_.data.name, Forged(at, static_cast<char>(1 << at % 8)));
    for (const Status& status : ReadEach()) {
      if (status) continue;
      ASSERT_NO_FATAL_FAILURE(ExpectDamage(status));
      ++damaged;
    }
    Findings(*world_.Open(memtable_, meta_), true);  // goes on to the end
  }
  EXPECT_GT(damaged, 50u);
}

TEST_F(ForgedEncryptedPagesTest, AreDamageThatNamesFileAndRowGroup) {
  for (std::size_t at = 4; at < meta_.data.data_bytes; at += 17) {
    SCOPED_TRACE(at);
    Replace(meta_.data.name, Forged(at, '\x55'));
    const auto read = ReadEach();
    ASSERT_NO_FATAL_FAILURE(ExpectDamage(read[0]));
    EXPECT_NE(read[0].error().message().find("row group "), std::string::npos)
        << read[0].error().message();
    for (const Status& status : read) {  // a lookup may need none of these bytes
      if (status) continue;
      ASSERT_NO_FATAL_FAILURE(ExpectDamage(status));
    }
    for (const bool deep : {false, true}) {
      const auto found = Findings(*world_.Open(memtable_, meta_), deep);
      ASSERT_GE(found.size(), 1u);
      EXPECT_TRUE(found[0].starts_with(meta_.data.name + "@")) << found[0];
    }
  }
}

// With AES_GCM_CTR_V1 the pages would be taken without a tag.
TEST_F(EncryptedDamageTest, AnotherCipherOrAPrefixInTheFooterIsDamage) {
  const RunMeta meta = meta_;
  const std::string good = world_.Bytes(meta_.data.name);
  const auto length = LoadLittle<std::uint32_t>(good.data() + good.size() - 8);
  const std::size_t at = good.size() - 8 - length;
  // In Thrift's compact protocol: the algorithm, of the first kind, and 8 bytes unique to the file.
  ASSERT_EQ(good.substr(at, 4), "\x1c\x1c\x28\x08");
  const auto refused = [&](const std::string& bytes) {
    Replace(meta.data.name, bytes);
    meta_.data.bytes = bytes.size();
    meta_.data.tail_crc32c = Crc32c(std::string_view(bytes).substr(meta.data.data_bytes));
    ASSERT_NO_FATAL_FAILURE(ExpectDamage(ReadAll()));
    EXPECT_NE(ReadAll().error().message().find("AES_GCM_V1"), std::string::npos)
        << ReadAll().error().message();
  };
  std::string other = good;
  other[at + 1] = '\x2c';  // of the second kind
  refused(other);
  std::string prefix = good;  // the same bytes to bind to, cut into prefix and the rest
  prefix.replace(at + 2, 10, "\x18\x04" + good.substr(at + 4, 4) + "\x18\x04" +
                                 good.substr(at + 8, 4));
  StoreLittle(prefix.data() + prefix.size() - 8, length + 2);
  refused(prefix);
  std::string supplied = good;
  supplied.insert(at + 12, "\x11");
  StoreLittle(supplied.data() + supplied.size() - 8, length + 1);
  refused(supplied);
}

TEST_F(DamageTest, AFileOfAnotherSizeIsRefused) {
  const std::string good = world_.Bytes(meta_.data.name);
  for (const std::string& bad : {good.substr(0, good.size() / 2), good.substr(0, 3),
                                 std::string(), good + "x"}) {
    Replace(meta_.data.name, bad);
    ASSERT_NO_FATAL_FAILURE(ExpectDamage(ReadAll()));
  }
}

TEST_F(DamageTest, AMissingFileIsCorruption) {
  ASSERT_TRUE(world_.store()->Delete(meta_.deletes.name));
  ExpectDamage(ReadAll());
}

TEST_F(DamageTest, AFileRemovedUnderAnOpenRunIsCorruption) {
  const auto run = world_.Open(memtable_, meta_);
  ASSERT_TRUE(world_.store()->Delete(meta_.data.name));
  ExpectDamage(run->NewCursor({0}, {})->Next());
}

TEST_F(DamageTest, AManifestThatSaysSomethingElseIsRefused) {
  const RunMeta good = meta_;
  meta_.data.rows += 1;
  ExpectDamage(ReadAll());
  meta_ = good;
  meta_.data.data_bytes = meta_.data.bytes - 4;
  ExpectDamage(ReadAll());
  meta_ = good;
  std::swap(meta_.data, meta_.deletes);
  ExpectDamage(ReadAll());
}

TEST_F(DamageTest, VerifyNamesObjectAndOffsetOfDamageThatComesAfterOpen) {
  const auto run = world_.Open(memtable_, meta_);
  EXPECT_EQ(Findings(*run, true), std::vector<std::string>());
  const std::string good = world_.Bytes(meta_.data.name);
  std::string bad = good;
  bad[10] ^= 1;
  Replace(meta_.data.name, bad);
  const auto damaged = Findings(*run, false);
  ASSERT_EQ(damaged.size(), 1u);
  EXPECT_EQ(damaged[0].find(meta_.data.name + "@0: "), 0u) << damaged[0];
  bad = good;
  bad[good.size() - 20] ^= 1;
  Replace(meta_.data.name, bad);
  const auto tail = Findings(*run, false);
  ASSERT_EQ(tail.size(), 1u);
  const std::string offset = std::to_string(meta_.data.data_bytes);
  EXPECT_EQ(tail[0].find(meta_.data.name + "@" + offset + ": "), 0u) << tail[0];
}

TEST_F(DamageTest, DeepVerifyFindsAManifestThatDoesNotFitTheRows) {
  const RunMeta good = meta_;
  const auto deep = [&] { return Findings(*world_.Open(memtable_, meta_), true).size(); };
  meta_.max_key = meta_.min_key;
  EXPECT_GT(deep(), 0u);
  meta_ = good;
  meta_.max_commit -= 1;
  EXPECT_GT(deep(), 0u);
  meta_ = good;
  meta_.distinct_keys = !meta_.distinct_keys;
  EXPECT_EQ(deep() > 0, meta_.distinct_keys);
  meta_ = good;
  meta_.min_key.clear();
  EXPECT_GT(deep(), 0u);
}

TEST_F(DamageTest, AFailedWriteLeavesNoObject) {
  SimulatedDisk disk;
  SeededRandom names(1);
  const auto store = NewFolderStore(&disk, "root", &names);
  const auto write = [&] {
    const auto cursor = memtable_.NewCursor({0, 1, 2, 3}, {});
    return WriteRun(store.get(), *ModelSchema(), cursor.get(),
                    {.data_name = "d/1", .deletes_name = "d/2", .row_group_rows = 8});
  };
  for (std::uint64_t event = 1;; ++event) {
    const std::uint64_t before = disk.events();
    disk.FailEvent(before + event,
                   Error(ErrorKind::kUnavailable, "disk full", ErrorReason::kNoSpace));
    const auto meta = write();
    if (meta) {
      if (disk.events() - before < event) break;  // the event did not come up
      // A failure that the store could make good.
    } else {
      EXPECT_EQ(meta.error().kind(), ErrorKind::kUnavailable);
      const auto left = store->List("d/");
      EXPECT_TRUE(!left || left->empty()) << event << ": " << meta.error().message();
    }
    for (const char* name : {"d/1", "d/2"}) ASSERT_TRUE(store->Delete(name));
  }
}

}  // namespace
}  // namespace varve
