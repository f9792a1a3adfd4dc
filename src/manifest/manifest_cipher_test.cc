// SPDX-License-Identifier: Apache-2.0
// Encrypted manifests: the same states as plain ones, damage told from keys, keys let go of.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "manifest/manifest_cipher.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_fixture.h"
#include "test/support/test_keys.h"

namespace varve {
namespace {

using namespace varve::testing;

AddRunEdit SecretRun(std::uint64_t id) {
  RunMeta run = SmallRun(id);
  run.data.file_key = std::string(32, static_cast<char>('a' + id));
  return {std::make_shared<const RunMeta>(run)};
}
AddTimesEdit SecretTimes(std::uint64_t first, std::uint64_t last) {
  AddTimesEdit edit = TimesOf(first, last);
  edit.times.file_key = std::string(32, 't');
  return edit;
}

class ManifestCipherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Manifest::Create(&store_, kDatabase, {1}, &keys_));
    Open();
    Commit({NewTable(1, "orders"), SecretRun(1), SecretRun(2), AdvanceTo(7), SecretTimes(1, 7)});
    Commit({NewTag("secret-tag", 7), SecretRun(3)});
  }
  void Open() {
    auto opened = Manifest::Open(&store_, &keys_);
    ASSERT_TRUE(opened) << opened.error().message();
    manifest_ = *std::move(opened);
  }
  void Commit(const std::vector<Edit>& edits) {
    const auto committed = manifest_->Commit(edits, {2});
    ASSERT_TRUE(committed) << committed.error().message();
  }
  Error OpenError(KeyProvider* keys) {
    const auto opened = Manifest::Open(&store_, keys);
    EXPECT_FALSE(opened);
    return opened ? Error(ErrorKind::kInternal, "it opened") : opened.error();
  }
  Result<std::shared_ptr<const ManifestState>> Verify(Manifest::Counts* counts,
                                                      std::vector<std::string>* damages) {
    return Manifest::Verify(
        &store_,
        [&](const std::string& object, std::uint64_t, const std::string& what) {
          damages->push_back(object + ": " + what);
        },
        counts, &keys_);
  }

  TestKeys keys_;
  ScriptedStore store_;
  std::unique_ptr<Manifest> manifest_;
};

TEST_F(ManifestCipherTest, TheStateComesBackWithTheKeysOfItsFiles) {
  const auto before = Text(*manifest_->state());
  Open();
  const auto state = manifest_->state();
  EXPECT_EQ(Text(*state), before);
  EXPECT_EQ(state->FindTable(1)->runs[1]->data.file_key, std::string(32, 'c'));
  EXPECT_EQ(state->versions[0].times->file_key, std::string(32, 't'));
  Manifest::Counts counts;
  std::vector<std::string> damages;
  const auto verified = Verify(&counts, &damages);
  ASSERT_TRUE(verified);
  EXPECT_EQ(Text(**verified), before);
  EXPECT_TRUE(damages.empty());
  EXPECT_EQ(counts.objects, 3u);
  EXPECT_EQ(counts.without_key, 0u);
}

TEST_F(ManifestCipherTest, NothingOfItIsReadable) {
  for (const auto& [name, bytes] : store_.objects) {
    EXPECT_TRUE(IsEncryptedManifest(bytes));
    for (const char* word : {"orders", "secret-tag", "add_run", "file_key", "cccccccc"}) {
      EXPECT_EQ(bytes.find(word), std::string::npos) << name;
    }
  }
}

// With the keys, without, and with another: damage is damage.
TEST_F(ManifestCipherTest, EveryFlippedByteIsDamageWhateverTheKeys) {
  TestKeys other;
  other.Set("april", std::string(32, 'x'));
  for (const std::uint64_t number : {2, 3}) {
    std::string& bytes = store_.objects.at(ManifestName(number));
    const std::string good = bytes;
    for (std::size_t at = 0; at < good.size(); ++at) {
      bytes[at] = static_cast<char>(good[at] ^ (1 << at % 8));
      ASSERT_EQ(OpenError(&keys_).kind(), ErrorKind::kCorruption) << at;
      for (KeyProvider* keys : {&other, static_cast<TestKeys*>(nullptr)}) {
        const auto plain = DecryptManifest(keys, bytes, number);
        ASSERT_FALSE(plain);
        ASSERT_EQ(plain.error().kind(), ErrorKind::kCorruption) << at;
      }
      bytes = good;
    }
    for (std::size_t cut = 1; cut <= good.size(); cut += 7) {
      bytes = good.substr(0, good.size() - cut);
      ASSERT_EQ(OpenError(&keys_).kind(), ErrorKind::kCorruption) << cut;
    }
    bytes = good;
  }
  Open();
}

TEST_F(ManifestCipherTest, AnObjectUnderAnotherNumberIsDamage) {
  store_.objects[ManifestName(4)] = store_.objects.at(ManifestName(3));
  EXPECT_EQ(OpenError(&keys_).kind(), ErrorKind::kCorruption);
}

// What object `number` says of the one before it.
class ManifestForkTest : public ManifestCipherTest {
 protected:
  std::uint32_t PreviousOf(std::uint64_t number) {
    const auto plain = DecryptManifest(&keys_, store_.objects.at(ManifestName(number)), number);
    EXPECT_TRUE(plain);
    return DecodeManifest(plain->bytes, number)->header.previous_crc32c;
  }
  // Object 4 of a backup that went on by itself, under the same keys.
  std::string ObjectOfFork() {
    ScriptedStore fork;
    fork.objects = store_.objects;
    const auto other = *Manifest::Open(&fork, &keys_);
    EXPECT_TRUE(other->Commit({NewTag("forked", 7)}, {3}));
    return fork.objects.at(ManifestName(4));
  }
};

TEST_F(ManifestForkTest, EachObjectIsKnownToTheNextByAChecksumOfItsOwn) {
  Commit({NewTag("more", 7)});
  EXPECT_NE(PreviousOf(2), PreviousOf(3));
  EXPECT_NE(PreviousOf(3), PreviousOf(4));
  Open();
  Commit({NewTag("still-more", 7)});  // as well after Open
  EXPECT_NE(PreviousOf(4), PreviousOf(5));
}

TEST_F(ManifestForkTest, AnObjectOfAForkIsRefusedAndNamed) {
  const std::string forked = ObjectOfFork();
  Commit({NewTag("more", 7)});
  Commit({NewTag("still-more", 7)});
  store_.objects.at(ManifestName(4)) = forked;
  const Error error = OpenError(&keys_);
  EXPECT_EQ(error.kind(), ErrorKind::kCorruption);
  EXPECT_NE(error.message().find("not of this history"), std::string::npos) << error.message();
  Manifest::Counts counts;
  std::vector<std::string> damages;
  ASSERT_TRUE(Verify(&counts, &damages));
  ASSERT_EQ(damages.size(), 1u);
  EXPECT_TRUE(damages[0].starts_with(ManifestName(5))) << damages[0];
  EXPECT_NE(damages[0].find("object 4 before it"), std::string::npos) << damages[0];
}

TEST_F(ManifestForkTest, OtherBytesAreNotMadeDurable) {
  const std::string forked = ObjectOfFork();
  Commit({NewTag("more", 7)});
  std::string& bytes = store_.objects.at(ManifestName(4));
  const std::string good = bytes;
  for (const bool reopened : {false, true}) {
    if (reopened) Open();
    EXPECT_TRUE(manifest_->MakeDurable());
    bytes = forked;
    EXPECT_EQ(manifest_->MakeDurable().error().kind(), ErrorKind::kCorruption);
    for (const std::size_t from_end : {1, 4, 5, 20, 100}) {
      bytes = good;
      bytes[bytes.size() - from_end] ^= 1;
      const auto made = manifest_->MakeDurable();
      ASSERT_FALSE(made) << from_end;
      EXPECT_EQ(made.error().kind(), ErrorKind::kCorruption);
    }
    bytes = good;
  }
}

TEST_F(ManifestCipherTest, KeysThatAreNoGoodAreToldApart) {
  EXPECT_EQ(OpenError(nullptr).reason(), ErrorReason::kMissingKey);
  TestKeys other("may");
  EXPECT_EQ(OpenError(&other).reason(), ErrorReason::kMissingKey);
  other.Set("april", std::string(32, 'x'));
  EXPECT_EQ(OpenError(&other).reason(), ErrorReason::kWrongKey);
  keys_.Expire("april");
  EXPECT_EQ(OpenError(&keys_).reason(), ErrorReason::kExpiredKey);
  const auto committed = manifest_->Commit({NewTag("more", 7)}, {2});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().reason(), ErrorReason::kExpiredKey);
  keys_.Renew("april");
  Commit({NewTag("more", 7)});  // nothing was published: the number is free
}

TEST_F(ManifestCipherTest, NothingPlainBecomesPartOfIt) {
  EXPECT_EQ(manifest_->Commit({NewRun(9)}, {2}).error().kind(), ErrorKind::kInvalid);
  EXPECT_EQ(manifest_->Commit({AdvanceTo(9), TimesOf(8, 9)}, {2}).error().kind(),
            ErrorKind::kInvalid);
  ScriptedStore plain;
  ASSERT_TRUE(Manifest::Create(&plain, kDatabase, {1}));
  const auto manifest = *Manifest::Open(&plain);
  EXPECT_EQ(manifest->Commit({NewTable(1, "t"), SecretRun(9)}, {2}).error().kind(),
            ErrorKind::kInvalid);
  EXPECT_TRUE(manifest->Commit({NewTable(1, "t"), NewRun(9)}, {2}));
}

TEST_F(ManifestCipherTest, FromTheFirstObjectUnderANewKeyOnOldKeysAreNotNeeded) {
  keys_.RotateTo("may");
  Commit({AdvanceTo(8)});
  Commit({AdvanceTo(9)});
  keys_.Drop("april");
  const auto before = Text(*manifest_->state());
  Open();
  EXPECT_EQ(Text(*manifest_->state()), before);
  Manifest::Counts counts;
  std::vector<std::string> damages;
  const auto verified = Verify(&counts, &damages);
  ASSERT_TRUE(verified) << verified.error().message();
  EXPECT_EQ(Text(**verified), before);
  EXPECT_EQ(counts.without_key, 3u);
  EXPECT_TRUE(damages.empty());
  store_.objects.at(ManifestName(2))[300] ^= 1;  // is looked at all the same
  ASSERT_TRUE(Verify(&counts, &damages));
  EXPECT_EQ(damages.size(), 1u);
  keys_.Drop("may");
  const auto refused = Verify(&counts, &damages);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason(), ErrorReason::kMissingKey);
}

TEST_F(ManifestCipherTest, TimesAreReadWithTheirKeyAlone) {
  const CommitTimes times({7}, {{10}, {20}, {15}});
  const auto object = *WriteTimes(&store_, times, /*encrypted=*/true);
  EXPECT_EQ(object.file_key.size(), 32u);
  EXPECT_EQ((*ReadTimes(&store_, {9}, object))->At({8}).micros, 20);
  for (const auto& key : {std::string(), std::string(32, 'x')}) {
    TimesObject other = object;
    other.file_key = key;
    const auto read = ReadTimes(&store_, {9}, other);
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().kind(), ErrorKind::kInternal);
  }
  std::string& bytes = store_.objects.at(TimesName({9}));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] ^= 4;
    ASSERT_EQ(ReadTimes(&store_, {9}, object).error().kind(), ErrorKind::kCorruption) << at;
    bytes[at] ^= 4;
  }
  const auto plain = *WriteTimes(&store_, times);
  TimesObject with_key = plain;
  with_key.file_key = object.file_key;
  EXPECT_EQ(ReadTimes(&store_, {9}, with_key).error().kind(), ErrorKind::kCorruption);
}

}  // namespace
}  // namespace varve
