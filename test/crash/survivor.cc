// SPDX-License-Identifier: Apache-2.0
#include "test/crash/survivor.h"

#include <algorithm>
#include <iterator>

#include "varve/inspect.h"

namespace varve::testing {
namespace {

// The newest commit of each producer that is there is known, and is not made again.
void CheckProducers(Database* db, std::uint64_t visible, const Promises& promises,
                    const std::string& table, const Columns& columns) {
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> newest;  // sequence, commit
  for (const auto& [commit, producer] : promises.sent) {
    auto& last = newest[producer.id];
    if (commit <= visible) last = {producer.sequence, commit};
  }
  const auto send = [&](const std::string& id, std::uint64_t sequence) {
    return db->Upsert(table, BatchOf({{1, "made again"}}, columns),
                      {.producer = Producer{id, sequence}});
  };
  for (const auto& [id, mark] : newest) {
    const auto& [sequence, commit] = mark;
    const auto last = db->LastOf(id);
    ASSERT_TRUE(last) << last.error().message();
    ASSERT_EQ(last->has_value(), commit != 0) << id;
    if (!*last) continue;
    ASSERT_EQ((*last)->sequence, sequence);
    ASSERT_EQ((*last)->commit.value, commit);
    const auto retry = send(id, sequence);
    ASSERT_TRUE(retry) << retry.error().message();
    ASSERT_TRUE(retry->repeat);
    ASSERT_EQ(retry->commit.value, commit);
    const auto stale = send(id, sequence - 1);
    ASSERT_FALSE(stale);
    ASSERT_EQ(stale.error().reason(), ErrorReason::kStaleSequence) << stale.error().message();
  }
}

// When each commit was made, as was told before the cut, or is now. Of one that could not be read
// before it was flushed, no one is told.
using Times = std::vector<std::optional<WallTime>>;
Times TimesOf(const Database& db, std::uint64_t visible, const Promises& promises) {
  Times times(visible + 1);
  for (const Version& version : db.Versions()) times.at(version.commit.value) = version.time;
  for (const auto& [commit, time] : promises.times) {
    if (commit > visible) continue;
    EXPECT_EQ(times[commit].value_or(time), time) << "commit " << commit;
    times[commit] = time;
  }
  return times;
}

bool IsTagged(const Database& db, std::uint64_t commit) {
  return std::ranges::any_of(db.Tags(), [commit](const TagInfo& tag) {
    return tag.commit.value == commit;
  });
}

// The oldest commit that can be read.
std::uint64_t OldestOf(Database* db) {
  const auto info = db->Retire({.keep_micros = INT64_MAX / 2, .dry_run = true});
  EXPECT_TRUE(info) << info.error().message();
  return info ? info->oldest.value : 0;
}

// At the moment of each commit, and a little before it. A commit of unknown time may be found where
// no later one was made before the moment.
void CheckMoments(const Database& db, const Times& times, std::uint64_t oldest) {
  std::set<std::int64_t> moments;
  for (const auto& time : times) {
    if (time) moments.insert({time->micros, time->micros - 1});
  }
  for (const std::int64_t moment : moments) {
    std::uint64_t expected = times.size() - 1;
    while (expected > 0 && (!times[expected] || times[expected]->micros > moment)) --expected;
    const auto snapshot = db.GetSnapshot(WallTime{moment});
    if (const auto found = snapshot ? (*snapshot)->commit().value : 0;
        found > expected && found < times.size() && !times[found]) {
      continue;
    }
    // Before the oldest one a tag keeps a commit, but nobody knows its time, or a later one's.
    if (expected < oldest && IsTagged(db, expected) && snapshot) {
      ASSERT_EQ((*snapshot)->commit().value, expected) << "at " << moment;
    } else if (expected == 0 || expected < oldest) {
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

// Both tables as of each commit: a commit that wrote to both is there in both.
void CheckRows(const Database& db, std::uint64_t oldest, std::uint64_t visible,
               const Promises& promises) {
  for (std::uint64_t commit = 0; commit <= visible; ++commit) {
    SCOPED_TRACE("as of commit " + std::to_string(commit));
    const auto snapshot = db.GetSnapshot(CommitNumber{commit});
    if (commit < oldest && !IsTagged(db, commit)) {
      ASSERT_FALSE(snapshot);
      ASSERT_EQ(snapshot.error().kind(), ErrorKind::kNotFound) << snapshot.error().message();
      continue;
    }
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    const std::string& then = promises.called[commit];
    bool has_side = false;
    for (const std::string& table : (*snapshot)->Tables()) {
      if (table == kSide) {
        has_side = true;
      } else {  // made later: there, and empty
        ASSERT_TRUE(table == then || ReadTexts(**snapshot, table).empty()) << table;
      }
    }
    ASSERT_EQ(has_side ? ReadRows(**snapshot, kSide) : Rows(), promises.side[commit]);
    if (then.empty()) continue;  // dropped, perhaps not made again
    const auto schema = *(*snapshot)->Schema(then);
    ASSERT_TRUE(schema->Equals(SchemaOf(promises.columns[commit]))) << schema->ToString();
    ASSERT_EQ(ReadTexts(**snapshot, then), promises.after[commit]);
  }
}

// The follower goes on: with what it has, it has each commit up to the end of `after` once, in
// order, and nothing that is not there.
void CheckFollower(const Database& db, const std::string& table, const std::vector<Rows>& after,
                   Ledger* ledger) {
  ASSERT_LT(ledger->position, after.size()) << "it was given what is not there";
  auto cursor = FollowFrom(*ledger, table, db);
  ASSERT_TRUE(cursor) << cursor.error().message();
  const Status taken = TakeAll(cursor->get(), ledger);
  ASSERT_TRUE(taken) << taken.error().message();
  ASSERT_EQ(ledger->position, after.size() - 1);
  ASSERT_EQ(ledger->given, ChangesBetween(after));
}

// The tables there are; true when the first one has to be made.
void CheckTables(const Database& db, const Promises& promises, bool* missing) {
  bool table = false;
  bool side = false;
  for (const TableInfo& info : db.Tables()) (info.name == kSide ? side : table) = true;
  ASSERT_TRUE(table || !promises.created) << "an acknowledged table was lost";
  ASSERT_TRUE(side || !promises.has_side) << "an acknowledged table was lost";
  *missing = !table;
}

void CheckSound(SimulatedDisk* disk, const OpenOptions& options) {
  World world(98);
  const auto verified = VerifyDatabase(
      kLifePath, {.deep = true, .keys = options.keys}, world.components(disk));
  ASSERT_TRUE(verified) << verified.error().message();
  ASSERT_TRUE(verified->damages.empty())
      << verified->damages[0].file << " " << verified->damages[0].message;
}

}  // namespace

void CheckSurvivor(SimulatedDisk* disk, const OpenOptions& options, const Promises& promises) {
  using ::testing::Test;
  World world(99);
  OpenOptions reopen = options;
  reopen.create_if_missing = true;
  auto opened = Database::Open(kLifePath, reopen, world.components(disk));
  ASSERT_TRUE(opened) << "it must reopen: " << opened.error().message();
  auto db = *std::move(opened);
  const std::uint64_t visible = db->Stats().visible.value;
  ASSERT_GE(visible, promises.acknowledged) << "an acknowledged commit was lost";
  ASSERT_LT(visible, promises.after.size()) << "a commit that nobody made";
  const std::string name = promises.called[visible].empty() ? "t" : promises.called[visible];
  bool missing = false;
  CheckTables(*db, promises, &missing);
  if (Test::HasFatalFailure()) return;
  if (missing) {
    ASSERT_TRUE(db->CreateTable("t", RowsSchema(), {"id"}));
  }
  const std::uint64_t oldest = OldestOf(db.get());
  ASSERT_LE(oldest, promises.let_go);
  CheckRows(*db, oldest, visible, promises);
  const Columns& columns = promises.columns[visible];
  if (!Test::HasFatalFailure()) CheckProducers(db.get(), visible, promises, name, columns);
  if (Test::HasFatalFailure()) return;
  auto times = TimesOf(*db, visible, promises);
  CheckMoments(*db, times, oldest);
  CheckTags(*db, promises);
  std::vector<Rows> after(promises.after.begin(), promises.after.begin() + visible + 1);
  auto ledger = promises.ledger;
  if (ledger) CheckFollower(*db, name, after, &*ledger);
  if (Test::HasFatalFailure()) return;
  after.push_back(after.back());
  after.back()[1] = "after";
  after.back()[777] = "new";
  const auto put = db->Upsert(name, BatchOf({{1, "after"}, {777, "new"}}, columns));
  ASSERT_TRUE(put) << put.error().message();
  ASSERT_EQ(put->commit.value, visible + 1);
  times.push_back(db->Versions(1).at(0).time);
  const Status flushed = db->Flush();
  ASSERT_TRUE(flushed) << flushed.error().message();
  ASSERT_TRUE(db->Close());
  db.reset();
  CheckSound(disk, options);
  if (Test::HasFatalFailure()) return;
  auto again = Database::Open(kLifePath, options, world.components(disk));
  ASSERT_TRUE(again) << again.error().message();
  ASSERT_EQ(ReadTexts(**(*again)->GetSnapshot(), name), after.back());
  CheckProducers(again->get(), visible, promises, name, columns);
  CheckMoments(**again, times, oldest);
  CheckTags(**again, promises);
  if (ledger) CheckFollower(**again, name, after, &*ledger);
}

}  // namespace varve::testing
