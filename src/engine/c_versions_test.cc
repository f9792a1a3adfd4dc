// SPDX-License-Identifier: Apache-2.0
// What varve_db.h changes about tables, what it does without waiting, and varve_db_versions.h.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/c_database_fixture.h"
#include "varve_db_versions.h"

namespace varve {
namespace {

using testing::CDatabase;
using testing::Rows;
using testing::RowsBatch;

// What the callbacks of one test were told, by any threads.
struct Told {
  static void Done(void* context, int code, const varve_db_commit* commit,
                   const varve_error* error) {
    auto* const told = static_cast<Told*>(context);
    EXPECT_EQ(code == VARVE_LOG_OK, commit != nullptr);
    EXPECT_EQ(code != VARVE_LOG_OK, error != nullptr);
    EXPECT_EQ(varve_log_error_code(error), code);
    const std::lock_guard lock(told->mutex);
    told->codes.push_back(code);
    if (commit != nullptr) told->commits.push_back(commit->commit);
    if (error != nullptr) told->messages.emplace_back(varve_log_error_message(error));
  }
  std::mutex mutex;
  std::vector<int> codes;
  std::vector<std::uint64_t> commits;
  std::vector<std::string> messages;
};

class CVersions : public CDatabase {
 protected:
  static varve_db_as_of AtCommit(std::uint64_t commit) {
    varve_db_as_of as_of = {};
    as_of.size = sizeof as_of;
    as_of.kind = VARVE_DB_AT_COMMIT;
    as_of.commit = commit;
    return as_of;
  }
  static varve_db_as_of AtTime(std::int64_t micros) {
    varve_db_as_of as_of = {};
    as_of.size = sizeof as_of;
    as_of.kind = VARVE_DB_AT_TIME;
    as_of.time_micros = micros;
    return as_of;
  }
  static varve_db_as_of AtTag(const char* tag) {
    varve_db_as_of as_of = {};
    as_of.size = sizeof as_of;
    as_of.kind = VARVE_DB_AT_TAG;
    as_of.tag = tag;
    return as_of;
  }
  Rows ScanAsOf(const varve_db_as_of* as_of) {
    varve_db_snapshot* snapshot = nullptr;
    Ok(varve_db_snapshot_as_of(db_, as_of, &snapshot, &error_));
    return ScanOf(snapshot);
  }
  // And frees the snapshot.
  Rows ScanOf(varve_db_snapshot* snapshot, const char* table = "t") {
    if (snapshot == nullptr) return {};
    ArrowArrayStream stream;
    Ok(varve_db_scan(snapshot, table, nullptr, &stream, &error_));
    varve_db_snapshot_free(snapshot);
    const auto reader = *arrow::ImportRecordBatchReader(&stream);
    return testing::Drain(reader.get());
  }
  std::vector<varve_db_version> Versions(std::uint64_t limit,
                                         std::map<std::uint64_t, std::string>* tags = nullptr) {
    struct Context {
      std::vector<varve_db_version> versions;
      std::map<std::uint64_t, std::string> tags;
    } context;
    const auto each = [](void* to, const varve_db_version* version) {
      auto* const all = static_cast<Context*>(to);
      all->versions.push_back(*version);
      for (std::size_t i = 0; i < version->tags_size; ++i) {
        all->tags[version->commit] += std::string(version->tags[i]) + " ";
      }
      return 0;
    };
    Ok(varve_db_versions(db_, limit, each, &context, &error_));
    if (tags != nullptr) *tags = context.tags;
    return context.versions;
  }
  int WriteThen(const Rows& rows, Told* told, int mode = VARVE_DB_UPSERT, const char* table = "t") {
    varve_db_write_options options = {};
    options.size = sizeof options;
    options.level = VARVE_LOG_DURABLE;
    options.mode = mode;
    Exported batch(rows);
    const int code = varve_db_write_then(db_, table, &batch.array, &batch.schema, &options,
                                         told == nullptr ? nullptr : &Told::Done, told, &error_);
    EXPECT_EQ(batch.array.release, nullptr) << "the rows were not taken";
    EXPECT_EQ(batch.schema.release, nullptr) << "the schema was not taken";
    return code;
  }
  int Change(const varve_db_column_change& change, std::uint64_t* commit = nullptr) {
    const varve_db_column_change* const changes[] = {&change};
    return varve_db_alter_table(db_, "t", changes, 1, commit, &error_);
  }
  static varve_db_column_change Of(int kind) {
    varve_db_column_change change = {};
    change.size = sizeof change;
    change.kind = kind;
    return change;
  }
};

TEST_F(CVersions, VersionsAreReadByCommitMomentAndTag) {
  Ok(Upsert({{1, "a"}}));
  Ok(Upsert({{1, "b"}}));
  Ok(varve_db_flush(db_, &error_));
  Ok(Upsert({{1, "c"}}));
  const auto versions = Versions(0);
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].commit, 3u);
  EXPECT_EQ(versions[0].flushed, 0u);
  EXPECT_EQ(versions[1].commit, 2u);
  EXPECT_EQ(versions[1].flushed, 1u);
  EXPECT_EQ(versions[1].runs, 2u) << "newest and older versions";
  EXPECT_EQ(versions[1].rows, 2u);
  EXPECT_EQ(Versions(1).size(), 1u);
  EXPECT_EQ(ScanAsOf(nullptr), (Rows{{1, "c"}}));
  const auto first = AtCommit(1), moment = AtTime(versions[1].time_micros);
  EXPECT_EQ(ScanAsOf(&first), (Rows{{1, "a"}}));
  EXPECT_EQ(ScanAsOf(&moment), (Rows{{1, "b"}}));
  varve_db_tag_info made = {};
  Ok(varve_db_tag(db_, "good", &first, 0, &made, &error_));
  EXPECT_EQ(made.commit, 1u);
  EXPECT_LE(made.time_micros, versions[1].time_micros);
  EXPECT_GE(made.made_micros, versions[0].time_micros);
  const auto good = AtTag("good");
  EXPECT_EQ(ScanAsOf(&good), (Rows{{1, "a"}}));
  std::map<std::uint64_t, std::string> tags;
  Versions(0, &tags);
  EXPECT_EQ(tags, (std::map<std::uint64_t, std::string>{{1, "good "}}));
}

TEST_F(CVersions, TagsAreListedMovedAndTakenAway) {
  Ok(Upsert({{1, "a"}}));
  Ok(Upsert({{1, "b"}}));
  const auto first = AtCommit(1);
  Ok(varve_db_tag(db_, "b", &first, 0, nullptr, &error_));
  Ok(varve_db_tag(db_, "a", nullptr, 0, nullptr, &error_));
  EXPECT_NE(Refused(varve_db_tag(db_, "b", nullptr, 0, nullptr, &error_), VARVE_LOG_CONFLICT,
                    VARVE_LOG_ALREADY_EXISTS)
                .find("'b'"),
            std::string::npos);
  Ok(varve_db_tag(db_, "b", nullptr, 1, nullptr, &error_));
  std::vector<std::pair<std::string, std::uint64_t>> found;
  const auto each = [](void* to, const varve_db_tag_info* tag) {
    static_cast<decltype(found)*>(to)->emplace_back(tag->name, tag->commit);
    return 0;
  };
  Ok(varve_db_tags(db_, each, &found, &error_));
  EXPECT_EQ(found, (decltype(found){{"a", 2}, {"b", 2}}));
  found.clear();
  const auto first_only = [](void* to, const varve_db_tag_info* tag) {
    static_cast<decltype(found)*>(to)->emplace_back(tag->name, tag->commit);
    return 1;
  };
  Ok(varve_db_tags(db_, first_only, &found, &error_));
  EXPECT_EQ(found.size(), 1u);
  varve_db_tag_info was = {};
  Ok(varve_db_untag(db_, "b", &was, &error_));
  EXPECT_EQ(was.commit, 2u);
  EXPECT_NE(Refused(varve_db_untag(db_, "b", &was, &error_), VARVE_LOG_NOT_FOUND).find("tags: a"),
            std::string::npos);
  Refused(varve_db_tag(db_, "7", nullptr, 0, nullptr, &error_), VARVE_LOG_INVALID);
}

TEST_F(CVersions, AVersionThatIsNotThereIsNotFound) {
  Ok(Upsert({{1, "a"}}));
  varve_db_snapshot* snapshot = nullptr;
  for (const varve_db_as_of& as_of : {AtCommit(9), AtTime(1), AtTag("none")}) {
    Refused(varve_db_snapshot_as_of(db_, &as_of, &snapshot, &error_), VARVE_LOG_NOT_FOUND);
    EXPECT_EQ(snapshot, nullptr);
    Refused(varve_db_restore_table(db_, "t", &as_of, nullptr, nullptr, &error_),
            VARVE_LOG_NOT_FOUND);
    Refused(varve_db_tag(db_, "x", &as_of, 0, nullptr, &error_), VARVE_LOG_NOT_FOUND);
  }
  auto both = AtCommit(1);
  both.tag = "good";
  EXPECT_NE(Refused(varve_db_snapshot_as_of(db_, &both, &snapshot, &error_), VARVE_LOG_INVALID)
                .find("`tag`"),
            std::string::npos);
  auto none = AtTag(nullptr);
  Refused(varve_db_snapshot_as_of(db_, &none, &snapshot, &error_), VARVE_LOG_INVALID);
  none.kind = 7;
  Refused(varve_db_snapshot_as_of(db_, &none, &snapshot, &error_), VARVE_LOG_INVALID);
  none = AtCommit(1);
  none.size = 0;
  Refused(varve_db_snapshot_as_of(db_, &none, &snapshot, &error_), VARVE_LOG_INVALID);
  Refused(varve_db_versions(db_, 0, nullptr, nullptr, &error_), VARVE_LOG_INVALID);
  Refused(varve_db_tags(nullptr, nullptr, nullptr, &error_), VARVE_LOG_INVALID);
}

TEST_F(CVersions, ATableGoesBackAndForth) {
  Ok(Upsert({{1, "a"}, {2, "b"}}));
  Ok(Upsert({{2, "B"}, {3, "c"}}));
  const auto first = AtCommit(1);
  varve_db_restore_options options = {};
  options.size = sizeof options;
  options.level = VARVE_LOG_DURABLE;
  options.dry_run = 1;
  varve_db_restored restored = {};
  Ok(varve_db_restore_table(db_, "t", &first, &options, &restored, &error_));
  EXPECT_EQ(restored.rows_written, 1u);
  EXPECT_EQ(restored.rows_deleted, 1u);
  EXPECT_EQ(restored.commit.commit, 0u);
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}, {2, "B"}, {3, "c"}}));
  options.dry_run = 0;
  options.producer = "operator";
  options.sequence = 1;
  Ok(varve_db_restore_table(db_, "t", &first, &options, &restored, &error_));
  EXPECT_EQ(restored.as_of, 1u);
  EXPECT_EQ(restored.commit.commit, 3u);
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}, {2, "b"}}));
  Ok(varve_db_restore_table(db_, "t", &first, &options, &restored, &error_));
  EXPECT_EQ(restored.commit.repeat, 1u);
  const auto second = AtCommit(2);
  Ok(varve_db_restore_table(db_, "t", &second, nullptr, nullptr, &error_));
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}, {2, "B"}, {3, "c"}}));
  Refused(varve_db_restore_table(db_, "none", &second, nullptr, nullptr, &error_),
          VARVE_LOG_NOT_FOUND);
  options.level = 9;
  Refused(varve_db_restore_table(db_, "t", &second, &options, nullptr, &error_), VARVE_LOG_INVALID);
}

TEST_F(CVersions, TablesAreDroppedAndRenamed) {
  Ok(Upsert({{1, "a"}}));
  std::uint64_t commit = 0;
  Ok(varve_db_rename_table(db_, "t", "u", &commit, &error_));
  EXPECT_EQ(commit, 2u);
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  EXPECT_EQ(ScanOf(snapshot, "u"), (Rows{{1, "a"}}));
  MakeTable("t");
  Refused(varve_db_rename_table(db_, "u", "t", &commit, &error_), VARVE_LOG_CONFLICT,
          VARVE_LOG_ALREADY_EXISTS);
  Ok(varve_db_drop_table(db_, "u", &commit, &error_));
  EXPECT_EQ(commit, 3u);
  Refused(varve_db_drop_table(db_, "u", nullptr, &error_), VARVE_LOG_NOT_FOUND);
  Refused(varve_db_drop_table(db_, nullptr, nullptr, &error_), VARVE_LOG_INVALID);
  const auto before = AtCommit(2);
  Ok(varve_db_snapshot_as_of(db_, &before, &snapshot, &error_));
  EXPECT_EQ(ScanOf(snapshot, "u"), (Rows{{1, "a"}})) << "older versions have it";
}

TEST_F(CVersions, ColumnsAreAddedWidenedRenamedAndDropped) {
  Ok(Upsert({{1, "a"}}));
  ArrowSchema field;
  ASSERT_TRUE(arrow::ExportField(*arrow::field("n", arrow::int32()), &field).ok());
  arrow::Int32Builder seven;
  ASSERT_TRUE(seven.Append(7).ok());
  ArrowArray value;
  ASSERT_TRUE(arrow::ExportArray(**seven.Finish(), &value).ok());
  auto add = Of(VARVE_DB_ADD_COLUMN);
  add.field = &field;
  add.value = &value;
  std::uint64_t commit = 0;
  Ok(Change(add, &commit));
  EXPECT_EQ(commit, 2u);
  EXPECT_EQ(field.release, nullptr) << "the field was not taken";
  EXPECT_EQ(value.release, nullptr) << "the value was not taken";
  ArrowSchema wide_field;
  ASSERT_TRUE(arrow::ExportField(*arrow::field("n", arrow::int64()), &wide_field).ok());
  auto widen = Of(VARVE_DB_WIDEN_COLUMN), rename = Of(VARVE_DB_RENAME_COLUMN),
       drop = Of(VARVE_DB_DROP_COLUMN);
  widen.field = &wide_field;
  rename.name = "n";
  rename.to = "number";
  drop.name = "v";
  const varve_db_column_change* const all[] = {&widen, &rename, &drop};
  Ok(varve_db_alter_table(db_, "t", all, 3, &commit, &error_));
  EXPECT_EQ(commit, 3u) << "one commit";
  varve_db_snapshot* snapshot = nullptr;
  Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
  ArrowArrayStream stream;
  Ok(varve_db_scan(snapshot, "t", nullptr, &stream, &error_));
  varve_db_snapshot_free(snapshot);
  const auto rows = *(*arrow::ImportRecordBatchReader(&stream))->ToTable();
  EXPECT_EQ(rows->schema()->ToString(), "id: int64 not null\nnumber: int64");
  EXPECT_EQ((*rows->column(1)->GetScalar(0))->ToString(), "7");
}

TEST_F(CVersions, ATimeToLiveIsSetAndDropped) {
  ArrowSchema field;
  ASSERT_TRUE(arrow::ExportField(*arrow::field("at", arrow::int64()), &field).ok());
  auto add = Of(VARVE_DB_ADD_COLUMN);
  add.field = &field;
  auto set = Of(VARVE_DB_SET_TTL);
  set.name = "at";
  set.ttl_micros = 5'000'000;
  set.unit = 2;  // seconds
  const varve_db_column_change* const both[] = {&add, &set};
  std::uint64_t commit = 0;
  Ok(varve_db_alter_table(db_, "t", both, 2, &commit, &error_));
  const arrow::ArrayVector columns = {*arrow::MakeArrayFromScalar(arrow::Int64Scalar(1), 2),
                                      *arrow::MakeArrayFromScalar(arrow::StringScalar("v"), 2),
                                      *arrow::MakeArrayFromScalar(arrow::Int64Scalar(0), 2)};
  const auto rows = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::int64(), false), arrow::field("v", arrow::utf8()),
                     arrow::field("at", arrow::int64())}),
      2, columns);  // one key, of 1970
  ArrowArray array;
  ArrowSchema schema;
  ASSERT_TRUE(arrow::ExportRecordBatch(*rows, &array, &schema).ok());
  Ok(varve_db_upsert(db_, "t", &array, &schema, VARVE_LOG_DURABLE, nullptr, &error_));
  const auto count = [&] {
    varve_db_snapshot* snapshot = nullptr;
    Ok(varve_db_snapshot_take(db_, nullptr, &snapshot, &error_));
    ArrowArrayStream stream;
    Ok(varve_db_scan(snapshot, "t", nullptr, &stream, &error_));
    varve_db_snapshot_free(snapshot);
    return (*(*arrow::ImportRecordBatchReader(&stream))->ToTable())->num_rows();
  };
  EXPECT_EQ(count(), 0);
  Ok(Change(Of(VARVE_DB_DROP_TTL)));
  EXPECT_EQ(count(), 1);
  set.unit = 4;
  EXPECT_NE(Refused(Change(set), VARVE_LOG_INVALID).find("expected 0 to 3"), std::string::npos);
  auto drop = Of(VARVE_DB_DROP_COLUMN);
  drop.name = "at";
  drop.ttl_micros = 1;
  EXPECT_NE(Refused(Change(drop), VARVE_LOG_INVALID).find("`ttl_micros` is set"),
            std::string::npos);
}

TEST_F(CVersions, AChangeThatIsNoneIsRefusedAndTakenAllTheSame) {
  Ok(Upsert({{1, "a"}}));
  ArrowSchema field;
  ASSERT_TRUE(arrow::ExportField(*arrow::field("n", arrow::int32()), &field).ok());
  auto wrong = Of(VARVE_DB_DROP_COLUMN);
  wrong.name = "v";
  wrong.field = &field;
  EXPECT_NE(Refused(Change(wrong), VARVE_LOG_INVALID).find("change 0: `field` is set"),
            std::string::npos);
  EXPECT_EQ(field.release, nullptr);
  wrong = Of(VARVE_DB_ADD_COLUMN);
  Refused(Change(wrong), VARVE_LOG_INVALID);
  wrong.field = &field;  // released
  Refused(Change(wrong), VARVE_LOG_INVALID);
  Refused(Change(Of(VARVE_DB_RENAME_COLUMN)), VARVE_LOG_INVALID);
  Refused(Change(Of(9)), VARVE_LOG_INVALID);
  auto missing = Of(VARVE_DB_DROP_COLUMN);
  missing.name = "w";
  EXPECT_NE(Refused(Change(missing), VARVE_LOG_NOT_FOUND).find("'w'"), std::string::npos);
  auto key = Of(VARVE_DB_DROP_COLUMN);
  key.name = "id";
  Refused(Change(key), VARVE_LOG_INVALID);
  ASSERT_TRUE(arrow::ExportField(*arrow::field("n", arrow::int32()), &field).ok());
  arrow::Int32Builder two;
  ASSERT_TRUE(two.AppendValues({7, 8}).ok());
  ArrowArray value;
  ASSERT_TRUE(arrow::ExportArray(**two.Finish(), &value).ok());
  auto add = Of(VARVE_DB_ADD_COLUMN);
  add.field = &field;
  add.value = &value;
  EXPECT_NE(Refused(Change(add), VARVE_LOG_INVALID).find("2 values"), std::string::npos);
  EXPECT_EQ(value.release, nullptr);
  Refused(varve_db_alter_table(db_, "t", nullptr, 1, nullptr, &error_), VARVE_LOG_INVALID);
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}}));
  EXPECT_EQ(Versions(0).at(0).commit, 1u) << "nothing was committed";
}

TEST_F(CVersions, WritesThatNobodyWaitsForAreToldOnceEach) {
  Told told;
  Rows expected;
  for (std::int64_t i = 0; i < 200; ++i) {
    Ok(WriteThen({{i, "x"}}, &told));
    expected[i] = "x";
  }
  Ok(varve_db_close(db_, &error_));
  ASSERT_EQ(told.commits.size(), 200u) << "close waits for all";
  std::sort(told.commits.begin(), told.commits.end());
  for (std::uint64_t i = 0; i < 200; ++i) EXPECT_EQ(told.commits[i], i + 1);
  Ok(WriteThen({{1, "late"}}, &told));
  ASSERT_EQ(told.messages.size(), 1u) << "told before it returned";
  EXPECT_EQ(VARVE_LOG_REASON(told.codes.back()), VARVE_LOG_CLOSED);
  varve_db_free(db_);
  Open();
  EXPECT_EQ(ScanAt(nullptr), expected);
}

TEST_F(CVersions, WhatIsRefusedIsToldOrGivenNeverBoth) {
  Told told;
  Ok(Upsert({{1, "a"}}));
  Ok(WriteThen({{1, "x"}}, &told, VARVE_DB_INSERT));
  ASSERT_EQ(told.codes.size(), 1u);
  EXPECT_EQ(VARVE_LOG_REASON(told.codes[0]), VARVE_LOG_ALREADY_EXISTS);
  EXPECT_NE(told.messages[0].find("key 1"), std::string::npos);
  Ok(WriteThen({{1, "x"}}, &told, VARVE_DB_UPSERT, "none"));
  ASSERT_EQ(told.codes.size(), 2u);
  EXPECT_EQ(VARVE_LOG_KIND(told.codes[1]), VARVE_LOG_NOT_FOUND);
  Refused(WriteThen({{1, "x"}}, &told, 77), VARVE_LOG_INVALID);
  Refused(WriteThen({{1, "x"}}, &told, VARVE_DB_UPSERT, nullptr), VARVE_LOG_INVALID);
  Refused(WriteThen({{1, "x"}}, nullptr), VARVE_LOG_INVALID);
  EXPECT_EQ(told.codes.size(), 2u);
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "a"}}));
}

TEST_F(CVersions, TransactionsCommitWithoutWaiting) {
  Told told;
  varve_db_transaction* winner = nullptr;
  varve_db_transaction* loser = nullptr;
  Ok(varve_db_begin(db_, VARVE_DB_SNAPSHOT, &winner, &error_));
  Ok(varve_db_begin(db_, VARVE_DB_SNAPSHOT, &loser, &error_));
  for (auto* const transaction : {winner, loser}) {
    Exported rows(Rows{{1, transaction == winner ? "won" : "lost"}});
    Ok(varve_db_transaction_upsert(transaction, "t", &rows.array, &rows.schema, &error_));
  }
  Refused(varve_db_transaction_commit_then(winner, 9, &Told::Done, &told, &error_),
          VARVE_LOG_INVALID);
  Refused(varve_db_transaction_commit_then(winner, VARVE_LOG_DURABLE, nullptr, nullptr, &error_),
          VARVE_LOG_INVALID);
  Ok(varve_db_transaction_commit_then(winner, VARVE_LOG_DURABLE, &Told::Done, &told, &error_));
  Ok(varve_db_transaction_commit_then(loser, VARVE_LOG_DURABLE, &Told::Done, &told, &error_));
  Ok(varve_db_transaction_commit_then(winner, VARVE_LOG_DURABLE, &Told::Done, &told, &error_));
  varve_db_transaction_free(winner);
  varve_db_transaction_free(loser);
  Ok(varve_db_sync(db_, &error_));
  EXPECT_EQ(ScanAt(nullptr), (Rows{{1, "won"}}));
  Ok(varve_db_close(db_, &error_));
  ASSERT_EQ(told.codes.size(), 3u);
  EXPECT_EQ(told.commits, (std::vector<std::uint64_t>{1}));
  int conflicts = 0, closed = 0;
  for (const int code : told.codes) {
    conflicts += VARVE_LOG_KIND(code) == VARVE_LOG_CONFLICT;
    closed += VARVE_LOG_REASON(code) == VARVE_LOG_CLOSED;
  }
  EXPECT_EQ(conflicts, 1);
  EXPECT_EQ(closed, 1) << "the winner had ended";
}

// As the header says: one database, any threads at once.
TEST_F(CVersions, ThreadsShareADatabase) {
  constexpr int kThreads = 4, kEach = 50;
  std::atomic<int> failures = 0;
  Told told;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        varve_db_write_options options = {};
        options.size = sizeof options;
        options.level = VARVE_LOG_DURABLE;
        Exported batch(Rows{{thread * 1000 + i, "x"}});
        failures += varve_db_write_then(db_, "t", &batch.array, &batch.schema, &options,
                                        &Told::Done, &told, nullptr) != VARVE_LOG_OK;
        varve_db_snapshot* snapshot = nullptr;
        failures += varve_db_snapshot_as_of(db_, nullptr, &snapshot, nullptr) != VARVE_LOG_OK;
        std::uint64_t rows = 0;
        failures += varve_db_count(snapshot, "t", nullptr, &rows, nullptr) != VARVE_LOG_OK ||
                    rows != varve_db_snapshot_commit(snapshot);
        varve_db_snapshot_free(snapshot);
        const std::string name = "tag" + std::to_string(thread);
        const int tagged = varve_db_tag(db_, name.c_str(), nullptr, 1, nullptr, nullptr);
        failures += tagged != VARVE_LOG_OK && VARVE_LOG_KIND(tagged) != VARVE_LOG_NOT_FOUND;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  Ok(varve_db_close(db_, &error_));
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(told.commits.size(), static_cast<std::size_t>(kThreads * kEach));
}

}  // namespace
}  // namespace varve
