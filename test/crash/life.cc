// SPDX-License-Identifier: Apache-2.0
#include "test/crash/life.h"

#include <algorithm>
#include <iterator>

#include "varve/inspect.h"

namespace varve::testing {
namespace {

constexpr char kPath[] = "/db";

std::shared_ptr<arrow::RecordBatch> Keys(const std::vector<std::int64_t>& ids) {
  Rows rows;
  for (const std::int64_t id : ids) rows[id] = "";
  return *RowsBatch(rows)->SelectColumns({0});
}

std::shared_ptr<arrow::RecordBatch> BatchOf(const Rows& rows, const std::string& values) {
  return *RowsBatch(rows)->RenameColumns({"id", values});
}

// The producer's newest commit that is there is known, and is not made again.
void CheckProducer(Database* db, std::uint64_t visible, const Promises& promises,
                   const std::string& table, const std::string& values) {
  const auto last = db->LastOf("p");
  ASSERT_TRUE(last) << last.error().message();
  const auto after = promises.sequences.upper_bound(visible);
  ASSERT_EQ(last->has_value(), after != promises.sequences.begin());
  if (!*last) return;
  const auto& [commit, sequence] = *std::prev(after);
  ASSERT_EQ((*last)->sequence, sequence);
  const auto retry = db->Upsert(table, BatchOf({{1, "made again"}}, values),
                                {.producer = Producer{"p", sequence}});
  ASSERT_TRUE(retry) << retry.error().message();
  ASSERT_TRUE(retry->repeat);
  ASSERT_EQ(retry->commit.value, commit);
}

// When each commit was made. One whose call was cut short is the last, and not flushed.
std::vector<WallTime> TimesOf(const Database& db, std::uint64_t visible,
                              const Promises& promises) {
  std::vector<WallTime> times(1);
  for (std::uint64_t commit = 1; commit <= visible; ++commit) {
    const auto known = promises.times.find(commit);
    if (known != promises.times.end()) {
      times.push_back(known->second);
    } else {
      EXPECT_EQ(commit, visible);
      times.push_back(db.Versions(1).at(0).time);
    }
  }
  return times;
}

// At the moment of each commit, and a little before it.
void CheckMoments(const Database& db, const std::vector<WallTime>& times) {
  std::set<std::int64_t> moments;
  for (std::size_t commit = 1; commit < times.size(); ++commit) {
    moments.insert({times[commit].micros, times[commit].micros - 1});
  }
  for (const std::int64_t moment : moments) {
    std::uint64_t expected = times.size() - 1;
    while (expected > 0 && times[expected].micros > moment) --expected;
    const auto snapshot = db.GetSnapshot(WallTime{moment});
    if (expected == 0) {
      ASSERT_FALSE(snapshot);
      ASSERT_EQ(snapshot.error().kind(), ErrorKind::kNotFound) << snapshot.error().message();
    } else {
      ASSERT_TRUE(snapshot) << snapshot.error().message();
      ASSERT_EQ((*snapshot)->commit().value, expected) << "at " << moment;
    }
  }
}

void CheckTags(const Database& db, const Promises& promises) {
  std::map<std::string, std::uint64_t> found;
  for (const TagInfo& tag : db.Tags()) {
    ASSERT_TRUE(promises.tags.contains(tag.name)) << tag.name;
    found[tag.name] = tag.commit.value;
    const auto snapshot = db.GetSnapshot(TagName{tag.name});
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    ASSERT_EQ((*snapshot)->commit(), tag.commit);
  }
  for (const auto& [name, allowed] : promises.tags) {
    const auto at = found.find(name);
    ASSERT_TRUE(allowed.contains(at == found.end() ? std::nullopt : std::optional(at->second)))
        << "tag " << name;
  }
}

}  // namespace

void Life::Keep(const Status& status) {
  if (status) return;
  failed_ = true;
  // Only the disk may end a script: anything else is a bug of ours.
  EXPECT_TRUE(errors_expected_ || disk_->crashed()) << status.error().message();
  EXPECT_EQ(status.error().kind(), ErrorKind::kUnavailable) << status.error().message();
}

void Life::Open() {
  if (failed_) return;
  auto db = Database::Open(kPath, options_, world_.components(disk_));
  if (db) {
    db_ = *std::move(db);
  } else {
    Keep(std::unexpected(db.error()));
  }
}

void Life::Create() {
  if (failed_) return;
  const Status created = db_->CreateTable("t", RowsSchema(), {"id"});
  Keep(created);
  if (created) promises_.created = true;
}

std::shared_ptr<arrow::RecordBatch> Life::Batch(const Rows& rows) const {
  return BatchOf(rows, values());
}

void Life::Promise(Rows next, const std::string& name, const std::string& values) {
  promises_.after.push_back(std::move(next));
  promises_.called.push_back(name);
  promises_.values.push_back(values);
}

void Life::Changed(const Result<CommitNumber>& commit) {
  if (!commit) return Keep(std::unexpected(commit.error()));
  EXPECT_EQ(commit->value, promises_.after.size() - 1);
  promises_.acknowledged = commit->value;
  promises_.times[commit->value] = db_->Versions(1).at(0).time;
}

void Life::Rename(const std::string& to) {
  if (failed_) return;
  const std::string from = name();
  Promise(promises_.after.back(), to, values());
  Changed(db_->RenameTable(from, to));
}

void Life::Drop() {
  if (failed_) return;
  const std::string from = name();
  Promise({}, "", "v");
  promises_.created = false;
  Changed(db_->DropTable(from));
}

void Life::RenameValues(const std::string& to) {
  if (failed_) return;
  const std::string from = values();
  Promise(promises_.after.back(), name(), to);
  Changed(db_->AlterTable(name(), {RenameColumn{from, to}}));
}

void Life::Write(Rows next, const WriteRequest& request, const CommitOptions& options) {
  const std::string table = name().empty() ? "t" : name();
  Promise(std::move(next), table, values());
  const auto commit = promises_.after.size() - 1;
  if (options.producer) promises_.sequences[commit] = options.producer->sequence;
  const auto info = db_->Write(table, request, options);
  if (!info) return Keep(std::unexpected(info.error()));
  EXPECT_EQ(info->commit.value, commit);
  promises_.times[commit] = db_->Versions(1).at(0).time;
  if (options.ack == AckLevel::kDurable) promises_.acknowledged = commit;
}

void Life::Put(const Rows& rows, AckLevel ack) {
  if (failed_) return;
  Rows next = promises_.after.back();
  for (const auto& [id, value] : rows) next[id] = value;
  Write(std::move(next), {.rows = Batch(rows)}, {.ack = ack});
}

void Life::PutOnce(const Rows& rows, AckLevel ack) {
  if (failed_) return;
  const auto& before = promises_.sequences;
  const Producer producer{"p", before.empty() ? 1 : before.rbegin()->second + 1};
  Rows next = promises_.after.back();
  for (const auto& [id, value] : rows) next[id] = value;
  Write(std::move(next), {.rows = Batch(rows)}, {.ack = ack, .producer = producer});
}

void Life::PutMissing(const Rows& rows) {
  if (failed_) return;
  Rows next = promises_.after.back();
  next.insert(rows.begin(), rows.end());
  Write(std::move(next), {.mode = WriteMode::kInsertMissing, .rows = Batch(rows)});
}

void Life::EraseRange(std::int64_t from, std::int64_t to) {
  if (failed_) return;
  Rows next = promises_.after.back();
  next.erase(next.lower_bound(from), next.lower_bound(to));
  Write(std::move(next), {.mode = WriteMode::kDeleteWhere,
                          .range = {.lower = Keys({from}), .upper = Keys({to})}});
}

void Life::Erase(const std::vector<std::int64_t>& ids) {
  if (failed_) return;
  Rows next = promises_.after.back();
  for (const std::int64_t id : ids) next.erase(id);
  Write(std::move(next), {.mode = WriteMode::kDelete, .rows = Keys(ids)});
}

void Life::Flush() {
  if (failed_) return;
  const Status flushed = db_->Flush();
  Keep(flushed);
  if (flushed) promises_.acknowledged = promises_.after.size() - 1;
}

void Life::Tag(const std::string& name, std::uint64_t commit) {
  if (failed_) return;
  auto& allowed = promises_.tags[name];
  if (allowed.empty()) allowed.insert(std::nullopt);
  allowed.insert(commit);
  const auto tag = db_->Tag(name, CommitNumber{commit}, {.replace = true});
  if (!tag) return Keep(std::unexpected(tag.error()));
  allowed = {commit};
}

void Life::Untag(const std::string& name) {
  if (failed_) return;
  auto& allowed = promises_.tags[name];
  allowed.insert(std::nullopt);
  const auto tag = db_->Untag(name);
  if (!tag) return Keep(std::unexpected(tag.error()));
  allowed = {std::nullopt};
}

void Life::MoveClock(std::int64_t micros) { world_.clock.Advance(micros); }

void Life::RunTasks() { world_.executor.RunAll(); }

void Life::Close() {
  if (failed_) return;
  const Status closed = db_->Close();
  Keep(closed);
  if (closed) promises_.acknowledged = promises_.after.size() - 1;
  db_.reset();
}

void Life::Kill() {
  if (failed_) return;
  db_.reset();
  failed_ = disk_->crashed();  // the last thing it did was cut
  if (!failed_) disk_->KillProcess();
}

void CheckSurvivor(SimulatedDisk* disk, const OpenOptions& options, const Promises& promises) {
  World world(99);
  OpenOptions reopen = options;
  reopen.create_if_missing = true;
  auto opened = Database::Open(kPath, reopen, world.components(disk));
  ASSERT_TRUE(opened) << "it must reopen: " << opened.error().message();
  auto db = *std::move(opened);
  const std::uint64_t visible = db->Stats().visible.value;
  ASSERT_GE(visible, promises.acknowledged) << "an acknowledged commit was lost";
  ASSERT_LT(visible, promises.after.size()) << "a commit that nobody made";
  const bool has_table = !db->Tables().empty();
  const std::string name = promises.called[visible].empty() ? "t" : promises.called[visible];
  ASSERT_TRUE(has_table || !promises.created) << "an acknowledged table was lost";
  if (!has_table) {
    ASSERT_TRUE(db->CreateTable("t", RowsSchema(), {"id"}));
  }
  for (std::uint64_t commit = 0; commit <= visible; ++commit) {
    const auto snapshot = db->GetSnapshot(CommitNumber{commit});
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    const std::string& then = promises.called[commit];
    for (const std::string& table : (*snapshot)->Tables()) {  // made later: there, and empty
      ASSERT_TRUE(table == then || ReadRows(**snapshot, table).empty()) << table;
    }
    if (then.empty()) continue;  // dropped, perhaps not made again
    const auto schema = *(*snapshot)->Schema(then);
    ASSERT_EQ(schema->field(1)->name(), promises.values[commit]) << "as of commit " << commit;
    ASSERT_EQ(ReadRows(**snapshot, then), promises.after[commit]) << "as of commit " << commit;
  }
  const std::string& values = promises.values[visible];
  CheckProducer(db.get(), visible, promises, name, values);
  if (::testing::Test::HasFatalFailure()) return;
  auto times = TimesOf(*db, visible, promises);
  CheckMoments(*db, times);
  CheckTags(*db, promises);
  if (::testing::Test::HasFatalFailure()) return;
  Rows expected = promises.after[visible];
  const auto put = db->Upsert(name, BatchOf({{1, "after"}, {777, "new"}}, values));
  ASSERT_TRUE(put) << put.error().message();
  ASSERT_EQ(put->commit.value, visible + 1);
  times.push_back(db->Versions(1).at(0).time);
  expected[1] = "after";
  expected[777] = "new";
  const Status flushed = db->Flush();
  ASSERT_TRUE(flushed) << flushed.error().message();
  ASSERT_TRUE(db->Close());
  db.reset();
  const auto verified = VerifyDatabase(kPath, {.deep = true}, world.components(disk));
  ASSERT_TRUE(verified) << verified.error().message();
  ASSERT_TRUE(verified->damages.empty())
      << verified->damages[0].file << " " << verified->damages[0].message;
  auto again = Database::Open(kPath, options, world.components(disk));
  ASSERT_TRUE(again) << again.error().message();
  ASSERT_EQ(ReadRows(**(*again)->GetSnapshot(), name), expected);
  CheckProducer(again->get(), visible, promises, name, values);
  CheckMoments(**again, times);
  CheckTags(**again, promises);
}

std::uint64_t CountEvents(const Script& script, const OpenOptions& options) {
  SimulatedDisk disk;
  Life life(&disk, options);
  script(life);
  EXPECT_FALSE(life.failed());
  return disk.events();
}

}  // namespace varve::testing
