// SPDX-License-Identifier: Apache-2.0
// Encrypted databases: they say what plain ones say, their files say nothing, a key that is no good
// is told and changes nothing, and keys can be let go of.
#include <arrow/scalar.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/executor.h"
#include "base/random.h"
#include "files/object_store.h"
#include "files/simulated_disk.h"
#include "manifest/manifest_codec.h"
#include "test/support/cipher_watch.h"
#include "test/support/rows.h"
#include "test/support/seed.h"
#include "test/support/test_keys.h"
#include "upkeep/flush.h"
#include "varve/database.h"
#include "varve/inspect.h"

namespace varve {
namespace {

using testing::Rows;
using testing::RowsBatch;
using testing::TestKeys;
using Contents = std::map<std::string, std::string>;

// What of every file below a folder, by path.
void ReadAll(SimulatedDisk* disk, const std::string& folder, Contents* contents) {
  const auto entries = disk->List(folder);
  ASSERT_TRUE(entries) << entries.error().message();
  for (const FileInfo& entry : *entries) {
    const auto path = JoinPath(folder, entry.name);
    if (entry.is_directory) {
      ReadAll(disk, path, contents);
    } else {
      (*contents)[path] = *disk->Peek(path);
    }
  }
}
Contents ContentsOf(SimulatedDisk* disk) {
  Contents contents;
  ReadAll(disk, "/db", &contents);
  return contents;
}

// The files as text, whether their bytes are as they are or in hexadecimal.
std::vector<std::string> FilesWith(const Contents& contents, const std::string& what) {
  std::vector<std::string> found;
  for (const auto& [path, bytes] : contents) {
    const bool there = path.find(what) != std::string::npos ||
                       bytes.find(what) != std::string::npos ||
                       bytes.find(ToHex(what)) != std::string::npos;
    if (there) found.push_back(path);
  }
  return found;
}

std::string Text(const Result<std::shared_ptr<arrow::RecordBatchReader>>& reader) {
  if (!reader) return reader.error().message();
  std::string text;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    const auto read = (*reader)->ReadNext(&batch);
    if (!read.ok()) return read.ToString();
    if (batch == nullptr) return text;
    for (std::int64_t row = 0; row < batch->num_rows(); ++row) {
      for (const auto& column : batch->columns()) {
        text += (*column->GetScalar(row))->ToString() + " ";
      }
      text += "\n";
    }
  }
}

// Everything that can be read of a snapshot's table, as text.
std::string Describe(const Snapshot& snapshot) {
  const std::string table = "t";
  std::string text;
  const auto schema = snapshot.Schema(table);
  if (!schema) return schema.error().message();
  text += Text(snapshot.Scan(table));
  text += Text(snapshot.Scan(table, {.reverse = true}));
  for (const char* filter : {"id = 17", "v > 'v5'", "id between 3 and 9 and v like '%1%'"}) {
    ScanOptions options{.filter = *ParseFilter(filter, *schema)};
    text += std::string(filter) + ":\n" + Text(snapshot.Scan(table, options));
    text += std::to_string(snapshot.Count(table, options)->rows) + " rows\n";
    text += std::to_string(snapshot.Explain(table, options)->sources.size()) + " sources\n";
  }
  text += std::to_string(snapshot.Count(table)->rows) + " rows\n";
  const auto range = *snapshot.MinMax(table, "id");
  if (range.min != nullptr) text += range.min->ToString() + " to " + range.max->ToString() + "\n";
  text += Text(snapshot.Changes(table, {0}));
  text += Text(snapshot.Changes(table, {snapshot.commit().value / 2}, {.before_images = true}));
  for (std::int64_t id = -1; id < 130; id += 3) {
    const auto row = snapshot.Get(table, RowsBatch({{id, ""}})->SelectColumns({0}).ValueOrDie());
    text += row ? (*row)->ToString() : row.error().message();
  }
  return text;
}

class EncryptionTest : public ::testing::Test {
 protected:
  Components World(SimulatedDisk* disk) {
    return {.files = disk, .clock = &clock_, .random = &random_, .executor = &executor_};
  }
  Result<std::unique_ptr<Database>> TryOpen(KeyProvider* keys, bool read_only = false) {
    return Database::Open("/db",
                          {.create_if_missing = !read_only,
                           .read_only = read_only,
                           .keys = keys,
                           .metrics_interval_ms = metrics_interval_ms_},
                          World(&disk_));
  }
  void Open(KeyProvider* keys) {
    db_.reset();
    auto db = TryOpen(keys);
    ASSERT_TRUE(db) << db.error().message();
    db_ = *std::move(db);
  }
  void Reopen(KeyProvider* keys) {
    ASSERT_TRUE(db_->Close());
    Open(keys);
  }
  void Make() {
    Open(&keys_);
    ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  }
  void Put(const Rows& rows) {
    const auto put = db_->Upsert("t", RowsBatch(rows));
    ASSERT_TRUE(put) << put.error().message();
  }
  void Delete(std::int64_t id) {
    ASSERT_TRUE(db_->Delete("t", RowsBatch({{id, ""}})->SelectColumns({0}).ValueOrDie()));
  }
  void Flush() {
    const Status flushed = db_->Flush();
    ASSERT_TRUE(flushed) << flushed.error().message();
  }
  Rows Read() { return testing::ReadRows(**db_->GetSnapshot()); }
  // Closes the database, if it is open.
  Verification Verify(KeyProvider* keys) {
    db_.reset();
    const auto verified = VerifyDatabase("/db", {.deep = true, .keys = keys}, World(&disk_));
    EXPECT_TRUE(verified) << verified.error().message();
    for (const auto& damage : verified->damages) {
      ADD_FAILURE() << damage.file << " at " << damage.offset << ": " << damage.message;
    }
    return *verified;
  }
  // Runs, deletes, older versions, changed columns, tags, times, a log with some commits.
  void LiveALittle();

  TestKeys keys_;
  ManualClock clock_;
  SeededRandom random_{1};
  ManualExecutor executor_;
  SimulatedDisk disk_;
  std::uint64_t metrics_interval_ms_ = 0;
  std::unique_ptr<Database> db_;
};

// Several row groups and pieces from a few rows.
class SmallCuts {
 public:
  SmallCuts() : before_(CutsOfFlushes()) { CutsOfFlushes() = {20, 7}; }
  ~SmallCuts() { CutsOfFlushes() = before_; }

 private:
  const FlushCuts before_;
};

void EncryptionTest::LiveALittle() {
  const auto schema = arrow::schema({arrow::field("id", arrow::int64(), false),
                                     arrow::field("v", arrow::utf8())});
  ASSERT_TRUE(db_->CreateTable("t", schema, {"id"}));
  Rows rows;
  for (std::int64_t id = 0; id < 120; ++id) rows[id] = "v" + std::to_string(id * 7 % 120);
  ASSERT_NO_FATAL_FAILURE(Put(rows));
  clock_.Advance(1'000'000);
  ASSERT_NO_FATAL_FAILURE(Put({{3, "three"}, {200, "far"}}));
  ASSERT_NO_FATAL_FAILURE(Delete(5));
  ASSERT_NO_FATAL_FAILURE(Flush());
  ASSERT_TRUE(db_->Tag("first"));
  clock_.Advance(1'000'000);
  ASSERT_NO_FATAL_FAILURE(Put({{3, "four"}, {17, "seventeen"}}));
  ASSERT_NO_FATAL_FAILURE(Delete(200));
  ASSERT_TRUE(db_->AlterTable("t", {AddColumn{arrow::field("n", arrow::int32()),
                                              arrow::MakeScalar(std::int32_t{9})}}));
  clock_.Advance(1'000'000);
  WriteRequest update{.mode = WriteMode::kUpdate, .rows = RowsBatch({{9, "nine"}})};
  ASSERT_TRUE(db_->Write("t", update, {.producer = Producer{.id = "sensor", .sequence = 4}}));
  ASSERT_NO_FATAL_FAILURE(Flush());
  ASSERT_TRUE(db_->Write("t", {.mode = WriteMode::kUpdate, .rows = RowsBatch({{11, "eleven"}})}));
}

// Both live the same life; whatever is asked, now and as of each commit, before and after a reopen,
// the answer is the same.
TEST_F(EncryptionTest, AnEncryptedDatabaseSaysWhatAPlainOneSays) {
  const SmallCuts cuts;
  std::vector<std::string> said[2];
  for (const bool encrypted : {false, true}) {
    SimulatedDisk fresh;
    const Components world{
        .files = &fresh, .clock = &clock_, .random = &random_, .executor = &executor_};
    KeyProvider* const keys = encrypted ? &keys_ : nullptr;
    auto opened = Database::Open("/db", {.create_if_missing = true, .keys = keys}, world);
    ASSERT_TRUE(opened) << opened.error().message();
    db_ = *std::move(opened);
    ASSERT_NO_FATAL_FAILURE(LiveALittle());
    const auto note = [&] {
      for (std::uint64_t commit = 1; commit <= db_->Stats().visible.value; ++commit) {
        said[encrypted].push_back(Describe(**db_->GetSnapshot(CommitNumber{commit})));
      }
      said[encrypted].push_back(std::to_string((*db_->LastOf("sensor"))->sequence));
      said[encrypted].push_back(std::to_string(db_->Tags().front().commit.value));
    };
    note();
    ASSERT_TRUE(db_->Close());
    db_ = *Database::Open("/db", {.read_only = true, .keys = keys}, world);
    note();
    db_.reset();
    const auto verified = VerifyDatabase("/db", {.deep = true, .keys = keys}, world);
    ASSERT_TRUE(verified) << verified.error().message();
    EXPECT_TRUE(verified->damages.empty());
    said[encrypted].push_back(std::to_string(verified->rows));
  }
  ASSERT_EQ(said[0].size(), said[1].size());
  for (std::size_t i = 0; i < said[0].size(); ++i) ASSERT_EQ(said[1][i], said[0][i]) << i;
  EXPECT_NE(said[0][0].find("v7"), std::string::npos);
}

// --- nothing of it on disk ---

// Words that no program writes by itself, in every place where a user's words go.
const std::vector<std::string> kCanaries = {
    "canary-value-Zq8",   "canary-key-Wx3",     "canary_column_Kp5", "canary_added_Jm2",
    "canary_table_Hs7",   "canary_renamed_Ty4", "canary_tag_Ub6",    "canary-producer-Nf9",
    "canary-default-Lc1", "canary-deleted-Rd0", "canary-later-Gv5"};

class CanaryTest : public EncryptionTest {
 protected:
  static std::shared_ptr<arrow::RecordBatch> Birds(const std::string& key,
                                                   const std::string& value) {
    arrow::StringBuilder keys, values;
    EXPECT_TRUE(keys.Append(key).ok() && values.Append(value).ok());
    return arrow::RecordBatch::Make(
        arrow::schema({arrow::field("k", arrow::utf8(), false),
                       arrow::field("canary_column_Kp5", arrow::utf8())}),
        1, {*keys.Finish(), *values.Finish()});
  }
  void Look() {
    const Contents contents = ContentsOf(&disk_);
    for (const auto& canary : kCanaries) {
      for (const auto& file : FilesWith(contents, canary)) seen_[canary].push_back(file);
    }
    const auto metrics = contents.find("/db/metrics.prom");
    if (metrics != contents.end()) published_ += metrics->second;
    looked_ += contents.size();
  }
  // Looks at the files after each step; the executor does nothing by itself.
  void Live(KeyProvider* keys) {
    metrics_interval_ms_ = 1000;
    Open(keys);
    const auto batch = Birds("canary-key-Wx3", "canary-value-Zq8");
    ASSERT_TRUE(db_->CreateTable("canary_table_Hs7", batch->schema(), {"k"}));
    ASSERT_TRUE(db_->Upsert("canary_table_Hs7", batch,
                            {.producer = Producer{"canary-producer-Nf9", 1}}));
    ASSERT_TRUE(db_->Upsert("canary_table_Hs7", Birds("canary-deleted-Rd0", "x")));
    Look();
    ASSERT_NO_FATAL_FAILURE(Flush());
    Look();
    ASSERT_TRUE(db_->Delete("canary_table_Hs7", Birds("canary-deleted-Rd0", "")));
    ASSERT_TRUE(db_->Tag("canary_tag_Ub6"));
    ASSERT_TRUE(db_->AlterTable(
        "canary_table_Hs7",
        {AddColumn{arrow::field("canary_added_Jm2", arrow::utf8()),
                   arrow::MakeScalar(std::string("canary-default-Lc1"))}}));
    ASSERT_TRUE(db_->RenameTable("canary_table_Hs7", "canary_renamed_Ty4"));
    Look();
    ASSERT_TRUE(db_->Write("canary_renamed_Ty4",
                           {.mode = WriteMode::kUpdate,
                            .rows = Birds("canary-key-Wx3", "canary-later-Gv5")}));
    // As if killed in the middle of a flush: what it was writing stays.
    disk_.FailEvent(disk_.events() + 9, Error(ErrorKind::kUnavailable, "cut", ErrorReason::kIo));
    (void)db_->Flush();
    Look();
    disk_.KillProcess();
    db_.reset();
    Look();
    Open(keys);
    ASSERT_NO_FATAL_FAILURE(Flush());
    Look();
    const auto compacted = db_->Compact("canary_renamed_Ty4");
    ASSERT_TRUE(compacted) << compacted.error().message();
    Look();
    ASSERT_TRUE(db_->DropTable("canary_renamed_Ty4"));
    ASSERT_TRUE(db_->Close());
    db_.reset();
    Look();
  }

  std::map<std::string, std::vector<std::string>> seen_;  // where each canary was
  std::string published_;                                 // all metrics that there were
  std::size_t looked_ = 0;
};

TEST_F(CanaryTest, NoWordOfAUserIsInAnyFileOfAnEncryptedDatabase) {
  ASSERT_NO_FATAL_FAILURE(Live(&keys_));
  EXPECT_GT(looked_, 50u);
  for (const auto& [canary, files] : seen_) ADD_FAILURE() << canary << " is in " << files.front();
  EXPECT_NE(published_.find("varve_table_rows{table=\"id 1\"} "), std::string::npos);
  const Contents contents = ContentsOf(&disk_);
  // Nor a key, of the provider's or of a file.
  EXPECT_TRUE(FilesWith(contents, TestKeys::Bytes("april")).empty());
  std::size_t runs = 0;
  for (const auto& [path, bytes] : contents) {
    if (!path.ends_with(".parquet")) continue;
    ++runs;
    EXPECT_TRUE(bytes.starts_with("PARE") && bytes.ends_with("PARE")) << path;
    const auto key = DataKeyOf(path, &keys_, World(&disk_));
    ASSERT_TRUE(key) << key.error().message();
    EXPECT_TRUE(FilesWith(contents, *key).empty());
  }
  EXPECT_GE(runs, 3u);
}

// The same life shows each of the words where it is not encrypted: so they would be found.
TEST_F(CanaryTest, EveryWordIsSeenInAPlainDatabase) {
  ASSERT_NO_FATAL_FAILURE(Live(nullptr));
  for (const auto& canary : kCanaries) EXPECT_FALSE(seen_[canary].empty()) << canary;
  EXPECT_NE(published_.find("{table=\"canary_renamed_Ty4\"}"), std::string::npos);
}

// Two databases of the same words have no block of bytes in common beyond what every file has.
TEST_F(CanaryTest, TheSameRowsAreOtherBytesEachTime) {
  ASSERT_NO_FATAL_FAILURE(Live(&keys_));
  const auto first = ContentsOf(&disk_);
  for (const auto& [path, bytes] : first) {
    if (!path.ends_with(".parquet")) continue;
    for (const auto& [other, other_bytes] : first) {
      if (path >= other || !other.ends_with(".parquet")) continue;
      for (std::size_t at = 16; at + 16 < bytes.size() / 2; at += 16) {
        ASSERT_EQ(other_bytes.find(bytes.substr(at, 16)), std::string::npos) << path << " " << at;
      }
    }
  }
}

// --- keys that are no good ---

class BadKeyTest : public EncryptionTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Open(&keys_));
    ASSERT_NO_FATAL_FAILURE(LiveALittle());
    ASSERT_TRUE(db_->Close());
    db_.reset();
    files_ = ContentsOf(&disk_);
  }
  // Every way of opening says this and changes nothing.
  void ExpectRefused(KeyProvider* keys, ErrorKind kind, ErrorReason reason,
                     const std::string& says) {
    const auto expect = [&](const Error& error, const char* how) {
      EXPECT_EQ(error.kind(), kind) << how << ": " << error.message();
      EXPECT_EQ(error.reason(), reason) << how << ": " << error.message();
      EXPECT_NE(error.message().find(says), std::string::npos) << how << ": " << error.message();
    };
    const std::uint64_t events = disk_.events();
    for (const bool read_only : {false, true}) {
      const auto opened = TryOpen(keys, read_only);
      ASSERT_FALSE(opened);
      expect(opened.error(), read_only ? "reading" : "writing");
    }
    const auto verified = VerifyDatabase("/db", {.deep = true, .keys = keys}, World(&disk_));
    ASSERT_FALSE(verified) << verified->damages.size() << " damages";
    expect(verified.error(), "verify");
    for (std::uint64_t event = events; event < disk_.events(); ++event) {
      ADD_FAILURE() << disk_.trace()[event].operation << " " << disk_.trace()[event].path;
    }
    EXPECT_EQ(ContentsOf(&disk_), files_);
  }

  Contents files_;
};

TEST_F(BadKeyTest, NoKeyAMissingAWrongAndAnExpiredOneAreToldApartAndNothingIsChanged) {
  ExpectRefused(nullptr, ErrorKind::kNotFound, ErrorReason::kMissingKey, "no keys were given");
  TestKeys other("may");
  ExpectRefused(&other, ErrorKind::kNotFound, ErrorReason::kMissingKey, "key 'april'");
  TestKeys wrong;
  wrong.Set("april", std::string(32, 'w'));
  ExpectRefused(&wrong, ErrorKind::kInvalid, ErrorReason::kWrongKey, "another one");
  keys_.Expire("april");
  ExpectRefused(&keys_, ErrorKind::kInvalid, ErrorReason::kExpiredKey, "has expired");
  keys_.Renew("april");
  Open(&keys_);
  EXPECT_EQ(Verify(&keys_).damages.size(), 0u);
}

// A key that no manifest needs any more, but the log.
TEST_F(BadKeyTest, AKeyThatOnlyTheLogNeedsIsNeeded) {
  Open(&keys_);
  keys_.RotateTo("may");
  ASSERT_TRUE(db_->Tag("now"));  // a manifest under the new key; the log stays as it is
  ASSERT_TRUE(db_->Close());
  db_.reset();
  files_ = ContentsOf(&disk_);
  keys_.Drop("april");
  ExpectRefused(&keys_, ErrorKind::kNotFound, ErrorReason::kMissingKey, "segment");
  keys_.Add("april");
  keys_.Expire("april");
  ExpectRefused(&keys_, ErrorKind::kInvalid, ErrorReason::kExpiredKey, "segment");
}

TEST_F(BadKeyTest, AnExpiredKeyMakesNoDatabase) {
  TestKeys expired;
  expired.Expire("april");
  TestKeys without;
  without.Drop("april");
  TestKeys small;
  small.Set("april", "too small");
  for (KeyProvider* keys : {&expired, &without, &small}) {
    SimulatedDisk disk;
    const auto made =
        Database::Open("/new", {.create_if_missing = true, .keys = keys}, World(&disk));
    ASSERT_FALSE(made);
    EXPECT_EQ(disk.events(), 0u) << made.error().message();
  }
}

TEST_F(BadKeyTest, APlainDatabaseIsNotOpenedWithKeys) {
  SimulatedDisk plain;
  const auto world = World(&plain);
  { ASSERT_TRUE(Database::Open("/db", {.create_if_missing = true}, world)); }
  const std::uint64_t before = plain.Fingerprint();
  for (const bool read_only : {false, true}) {
    const auto opened =
        Database::Open("/db", {.create_if_missing = !read_only, .read_only = read_only,
                               .keys = &keys_}, world);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind(), ErrorKind::kInvalid);
    EXPECT_NE(opened.error().message().find("not encrypted"), std::string::npos);
  }
  EXPECT_EQ(plain.Fingerprint(), before);
}

// The same for a key that the manifest alone needs.
TEST_F(BadKeyTest, AKeyThatOnlyTheManifestNeedsIsNeeded) {
  Open(&keys_);
  keys_.RotateTo("may");
  ASSERT_TRUE(db_->Tag("now"));
  ASSERT_TRUE(db_->Close());
  db_.reset();
  files_ = ContentsOf(&disk_);
  TestKeys april;
  ExpectRefused(&april, ErrorKind::kNotFound, ErrorReason::kMissingKey, "manifest");
}

// Whoever can write to the folder, and read what is not secret, puts files of his own there: a
// manifest that follows the newest to the byte, and a segment of this very log.
TEST_F(BadKeyTest, APlainManifestInAnEncryptedDatabaseIsRefused) {
  const auto store = NewFolderStore(&disk_, "/db", &random_);
  ManifestState state = *(*Manifest::Open(store.get(), &keys_))->state();
  const auto newest = *disk_.Peek("/db/" + ManifestName(state.number));
  ++state.number;
  disk_.Poke("/db/" + ManifestName(state.number),
             EncodeManifest(state, {UntagEdit{"first"}}, Crc32c(newest), {1},
                            CheckpointPlace::ByNumber(state.number)));
  const auto opened = TryOpen(&keys_);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message().find("not encrypted"), std::string::npos);
}

// Of the same random numbers both databases have the same id.
TEST_F(EncryptionTest, APlainSegmentInAnEncryptedDatabaseIsRefused) {
  SimulatedDisk plain;
  for (SimulatedDisk* disk : {&plain, &disk_}) {
    SeededRandom random(77);
    auto world = World(disk);
    world.random = &random;
    KeyProvider* const keys = disk == &plain ? nullptr : &keys_;
    auto db = *Database::Open("/db", {.create_if_missing = true, .keys = keys}, world);
    ASSERT_TRUE(db->CreateTable("t", testing::RowsSchema(), {"id"}));
    ASSERT_TRUE(db->Upsert("t", RowsBatch({{1, disk == &plain ? "forged" : "true"}})));
    ASSERT_TRUE(db->Close());
  }
  std::size_t segments = 0;
  for (const auto& [path, bytes] : ContentsOf(&plain)) {
    if (!path.ends_with(".log")) continue;
    ++segments;
    disk_.Poke(path, bytes);
  }
  ASSERT_EQ(segments, 1u);
  const auto opened = TryOpen(&keys_);
  ASSERT_FALSE(opened) << Describe(**(*opened)->GetSnapshot());
  EXPECT_NE(opened.error().message().find("not encrypted"), std::string::npos);
}

// What a provider throws ends nothing but the call; nothing is lost by it.
TEST_F(BadKeyTest, AProviderThatFailsMeanwhileLosesNothing) {
  Open(&keys_);
  const Rows more = {{500, "more"}};
  ASSERT_NO_FATAL_FAILURE(ASSERT_TRUE(db_->Write(
      "t", {.mode = WriteMode::kUpdateExisting, .rows = RowsBatch({{1, "one"}})})));
  keys_.ThrowFromNowOn(true);
  const Status flushed = db_->Flush();
  ASSERT_FALSE(flushed);
  EXPECT_NE(flushed.error().message().find("threw"), std::string::npos);
  keys_.ThrowFromNowOn(false);
  keys_.Expire("april");
  EXPECT_EQ(db_->Flush().error().reason(), ErrorReason::kExpiredKey);
  EXPECT_EQ(db_->Rekey().error().reason(), ErrorReason::kExpiredKey);
  keys_.Renew("april");
  const auto before = Describe(**db_->GetSnapshot());
  ASSERT_NO_FATAL_FAILURE(Flush());
  Reopen(&keys_);
  EXPECT_EQ(Describe(**db_->GetSnapshot()), before);
}

// --- rotation ---

class RotationTest : public EncryptionTest {
 protected:
  static Contents DataOf(const Contents& contents) {
    Contents data;
    for (const auto& [path, bytes] : contents) {
      if (path.find("/data/") != std::string::npos || path.find("/times/") != std::string::npos) {
        data[path] = bytes;
      }
    }
    return data;
  }
  std::vector<std::string> Rekey() {
    const auto needed = db_->Rekey();
    EXPECT_TRUE(needed) << needed.error().message();
    return needed ? *needed : std::vector<std::string>();
  }
};

TEST_F(RotationTest, AfterARotationOldFilesAreReadWithTheOldKeyAndNewOnesAreUnderTheNew) {
  ASSERT_NO_FATAL_FAILURE(Make());
  ASSERT_NO_FATAL_FAILURE(Put({{1, "a"}}));
  ASSERT_NO_FATAL_FAILURE(Flush());
  keys_.RotateTo("may");
  ASSERT_NO_FATAL_FAILURE(Put({{2, "b"}}));
  ASSERT_NO_FATAL_FAILURE(Flush());
  Reopen(&keys_);
  EXPECT_EQ(Read(), (Rows{{1, "a"}, {2, "b"}}));
  EXPECT_EQ(Verify(&keys_).manifests_without_key, 0u);
}

TEST_F(RotationTest, RekeyLetsGoOfTheOldKeyAndWritesNoDataAnew) {
  ASSERT_NO_FATAL_FAILURE(Open(&keys_));
  ASSERT_NO_FATAL_FAILURE(LiveALittle());
  ASSERT_NO_FATAL_FAILURE(Flush());
  const auto said = Describe(**db_->GetSnapshot());
  const auto before = DataOf(ContentsOf(&disk_));
  keys_.RotateTo("may");
  EXPECT_EQ(Rekey(), (std::vector<std::string>{"may"}));
  EXPECT_EQ(DataOf(ContentsOf(&disk_)), before);
  keys_.Drop("april");
  EXPECT_EQ(Describe(**db_->GetSnapshot()), said);
  Reopen(&keys_);
  EXPECT_EQ(Describe(**db_->GetSnapshot()), said);
  EXPECT_GT(Verify(&keys_).manifests_without_key, 0u);
  Open(&keys_);  // and life goes on
  ASSERT_TRUE(db_->Write("t", {.mode = WriteMode::kUpdate, .rows = RowsBatch({{1, "on"}})}));
  Reopen(&keys_);
  ASSERT_NO_FATAL_FAILURE(Flush());
  keys_.RotateTo("june");
  EXPECT_EQ(Rekey(), (std::vector<std::string>{"june"}));
  keys_.Drop("may");
  Reopen(&keys_);
  EXPECT_EQ(db_->Tags().front().name, "first");
  EXPECT_EQ((*db_->LastOf("sensor"))->sequence, 4u);
}

// Whatever there is, and is not, when it is called; and when it is called for nothing.
TEST_F(RotationTest, RekeyDoesAtAnyTime) {
  ASSERT_NO_FATAL_FAILURE(Open(&keys_));
  int month = 0;
  const auto rekey = [&] {
    const std::string old = *keys_.CurrentKeyId();
    const std::string id = "month " + std::to_string(++month);
    keys_.RotateTo(id);
    EXPECT_EQ(Rekey(), (std::vector<std::string>{id}));
    EXPECT_EQ(Rekey(), (std::vector<std::string>{id}));
    keys_.Drop(old);
    Reopen(&keys_);
  };
  rekey();  // no table
  ASSERT_TRUE(db_->CreateTable("t", testing::RowsSchema(), {"id"}));
  rekey();  // no row
  ASSERT_NO_FATAL_FAILURE(Put({{1, "only in the log"}}));
  rekey();
  ASSERT_NO_FATAL_FAILURE(Put({{2, "b"}}));
  ASSERT_NO_FATAL_FAILURE(Flush());
  ASSERT_NO_FATAL_FAILURE(Put({{3, "c"}}));
  executor_.RunAll();  // a segment stands ready, under the key before
  rekey();
  EXPECT_EQ(Read(), (Rows{{1, "only in the log"}, {2, "b"}, {3, "c"}}));
  EXPECT_EQ(db_->Stats().commit.value, 3u);
  Verify(&keys_);
}

// What a compaction makes of encrypted runs is encrypted, each file under a key of its own.
TEST_F(RotationTest, CompactedRunsAreEncryptedToo) {
  ASSERT_NO_FATAL_FAILURE(Open(&keys_));
  ASSERT_NO_FATAL_FAILURE(LiveALittle());
  ASSERT_NO_FATAL_FAILURE(Flush());
  const auto say = [&] {
    const auto snapshot = *db_->GetSnapshot();
    return Text(snapshot->Scan("t")) + Text(snapshot->Changes("t", {0}, {.before_images = true}));
  };
  const auto said = say();
  const auto before = DataOf(ContentsOf(&disk_));
  keys_.RotateTo("may");
  ASSERT_TRUE(db_->Compact("t"));
  EXPECT_EQ(Rekey(), (std::vector<std::string>{"may"}));
  keys_.Drop("april");
  Reopen(&keys_);
  EXPECT_EQ(say(), said);
  std::size_t made = 0;
  for (const auto& [path, bytes] : DataOf(ContentsOf(&disk_))) {
    if (before.contains(path) || !path.ends_with(".parquet")) continue;
    ++made;
    EXPECT_TRUE(bytes.starts_with("PARE")) << path;
    EXPECT_TRUE(path.starts_with("/db/data/0000000001/")) << path;
  }
  EXPECT_GE(made, 1u);
  Verify(&keys_);
}

TEST_F(RotationTest, APlainDatabaseHasNoKeyToChange) {
  ASSERT_NO_FATAL_FAILURE(Open(nullptr));
  EXPECT_EQ(db_->Rekey().error().kind(), ErrorKind::kInvalid);
}

// Power goes at each event of a rotation; with both keys all is there, and a later call completes.
TEST_F(RotationTest, ACrashInARotationLosesNothing) {
  ASSERT_NO_FATAL_FAILURE(Make());
  ASSERT_NO_FATAL_FAILURE(Put({{1, "a"}}));
  ASSERT_NO_FATAL_FAILURE(Flush());
  ASSERT_NO_FATAL_FAILURE(Put({{2, "b"}}));
  ASSERT_TRUE(db_->Close());
  db_.reset();
  keys_.RotateTo("may");
  std::uint64_t event = 1;
  for (bool whole = false; !whole; ++event) {
    ASSERT_LT(event, 500u);
    const auto disk = disk_.Clone();
    disk->CrashAtEvent(disk->events() + event);
    {
      auto db = Database::Open("/db", {.keys = &keys_}, World(disk.get()));
      whole = db && (*db)->Rekey() && !disk->crashed();
    }
    for (const Survival survival : kAllSurvivals) {
      SCOPED_TRACE("event " + std::to_string(event) + ", " + std::string(ToString(survival)));
      const auto left = disk->Clone();
      left->Crash(survival, &random_);
      left->CrashAtEvent(0);
      auto db = Database::Open("/db", {.keys = &keys_}, World(left.get()));
      ASSERT_TRUE(db) << db.error().message();
      ASSERT_EQ(testing::ReadRows(**(*db)->GetSnapshot()), (Rows{{1, "a"}, {2, "b"}}));
      const auto needed = (*db)->Rekey();
      ASSERT_TRUE(needed) << needed.error().message();
      ASSERT_EQ(*needed, (std::vector<std::string>{"may"}));
      ASSERT_TRUE((*db)->Close());
      TestKeys may("may");
      ASSERT_TRUE(Database::Open("/db", {.keys = &may}, World(left.get())));
    }
  }
  EXPECT_GT(event, 20u);
}

// --- damage ---

// Whichever byte of an object is changed: verify says in which file, and nobody reads on.
TEST_F(EncryptionTest, EveryFlippedByteOfEveryObjectIsFound) {
  ASSERT_NO_FATAL_FAILURE(Make());
  ASSERT_NO_FATAL_FAILURE(Put({{1, "a"}, {2, "b"}}));
  ASSERT_NO_FATAL_FAILURE(Delete(2));
  ASSERT_NO_FATAL_FAILURE(Flush());
  ASSERT_TRUE(db_->Close());
  db_.reset();
  std::map<std::string, std::size_t> flipped;
  for (const auto& [path, bytes] : ContentsOf(&disk_)) {
    const std::string kind = path.substr(4, path.find('/', 4) - 4);
    if (kind != "manifest" && kind != "data" && kind != "times") continue;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      std::string bad = bytes;
      bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
      disk_.Poke(path, bad);
      const auto verified = VerifyDatabase("/db", {.keys = &keys_}, World(&disk_));
      ASSERT_TRUE(verified) << path << " " << at << ": " << verified.error().message();
      ASSERT_FALSE(verified->damages.empty()) << path << " " << at;
      const auto& damage = verified->damages.front();
      ASSERT_NE((damage.file + damage.message).find(path), std::string::npos) << at;
      ++flipped[kind];
    }
    disk_.Poke(path, bytes);
  }
  EXPECT_GT(flipped["manifest"], 1000u);
  EXPECT_GT(flipped["data"], 1000u);
  EXPECT_GT(flipped["times"], 50u);
  Verify(&keys_);
}

// A byte of the log: found, or of what nobody was promised; never rows that were not written.
TEST_F(EncryptionTest, AFlippedByteOfTheLogIsNeverReadAsARow) {
  ASSERT_NO_FATAL_FAILURE(Make());
  for (std::int64_t id = 1; id <= 6; ++id) ASSERT_NO_FATAL_FAILURE(Put({{id, "row"}}));
  db_.reset();
  disk_.KillProcess();
  SeededRandom random(testing::TestSeed());
  std::size_t found = 0;
  for (const auto& [path, bytes] : ContentsOf(&disk_)) {
    if (!path.ends_with(".log")) continue;
    const std::size_t used = bytes.find_last_not_of('\0') + 1;
    for (std::size_t at = 0; at < used; at += 1 + random.Below(16)) {
      const auto disk = disk_.Clone();
      std::string bad = bytes;
      bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
      disk->Poke(path, bad);
      const auto db = Database::Open("/db", {.read_only = true, .keys = &keys_}, World(disk.get()));
      if (!db) {
        ++found;
        ASSERT_TRUE(db.error().kind() == ErrorKind::kCorruption ||
                    db.error().reason() == ErrorReason::kUnsupportedFormat)
            << at << ": " << db.error().message();
        continue;
      }
      for (const auto& [id, value] : testing::ReadRows(**(*db)->GetSnapshot())) {
        ASSERT_EQ(value, "row");
        ASSERT_TRUE(id >= 1 && id <= 6);
      }
    }
  }
  EXPECT_GT(found, 100u);
}

// --- keys and nonces ---

// What varve encrypts itself; Parquet's own modules have random nonces.
TEST_F(EncryptionTest, NoTwoTextsAreEncryptedUnderOneKeyAndNonce) {
  const testing::CipherWatch watch;
  ASSERT_NO_FATAL_FAILURE(Open(&keys_));
  ASSERT_NO_FATAL_FAILURE(LiveALittle());
  disk_.FailEvent(disk_.events() + 12, Error(ErrorKind::kUnavailable, "cut", ErrorReason::kIo));
  (void)db_->Flush();
  db_.reset();
  disk_.KillProcess();
  ASSERT_NO_FATAL_FAILURE(Open(&keys_));
  ASSERT_NO_FATAL_FAILURE(Flush());
  keys_.RotateTo("may");
  ASSERT_TRUE(db_->Rekey());
  EXPECT_GT(watch.texts(), 30u);
  EXPECT_GT(watch.keys(), 15u);
  for (const auto& reuse : watch.reuses()) ADD_FAILURE() << reuse;
}

}  // namespace
}  // namespace varve
