// SPDX-License-Identifier: Apache-2.0
#include "test/model/life.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace varve::testing {
namespace {

constexpr std::size_t kHeldMost = 6;
constexpr int kWriters = 3;

std::uint64_t SeedOfStep(std::uint64_t seed, std::uint64_t number) {
  return seed * 0x9e3779b97f4a7c15ull + number;
}

TableRows After(TableRows rows, const RowList& upserts) {
  for (const auto& [key, row] : upserts) rows[key] = row;
  return rows;
}

TableRows Without(TableRows rows, const RowList& keys) {
  for (const auto& [key, unused] : keys) rows.erase(key);
  return rows;
}

RowList Listed(const TableRows& rows) { return {rows.begin(), rows.end()}; }

void RequireEqual(const RowList& found, const RowList& expected, const std::string& what) {
  Require(found == expected, fmt::format("{}: found{}, expected{}", what, Describe(found),
                                         Describe(expected)));
}

}  // namespace

Life::Life(std::uint64_t seed)
    : seed_(seed), random_(seed), chance_(std::make_unique<SeededRandom>(seed + 1)) {
  memtable_bytes_ = Below(2) == 0 ? 4096 : 1 << 20;
  Open();
  for (const auto* table : kTables) {
    Must(db_->CreateTable(table, SchemaOf(table), KeyOf(table)), "create");
  }
  after_.emplace_back();
}

void Life::Step(std::uint64_t number) {
  chance_ = std::make_unique<SeededRandom>(SeedOfStep(seed_, number));
  if (Below(20) == 0) clock_.Advance(static_cast<std::int64_t>(Below(2'000'000)) - 1'000'000);
  switch (Below(26)) {
    case 0: return Reopen();
    case 1: return CutPower();
    case 2: last_ = "flush"; return Must(db_->Flush(), last_);
    case 3: last_ = "background"; return executor_.RunAll();
    case 4: case 5: return Hold();
    case 6: return Release();
    case 7: case 8: case 9: return Delete();
    case 10: return WriteFromThreads();
    case 11: case 12: return Begin();
    case 13: case 14: case 15: return WriteInTransaction();
    case 16: case 17: return ReadInTransaction();
    case 18: case 19: return EndTransaction();
    case 20: return Mix();
    case 24:
    case 25:
      return Follow();
    case 22: return Below(4) == 0 ? Untag() : Tag();
    case 21: return Below(2) == 0 ? InsertMissing() : DeleteWhere();
    default: return Upsert();
  }
}

void Life::Open() {
  const Components world{
      .files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
  db_ = Must(Database::Open("/db", {.create_if_missing = true,
                                    .memtable_bytes_max = memtable_bytes_,
                                    .log_segment_bytes_max = 256 << 10},
                            world),
             "open");
}

void Life::ForgetSnapshots() {
  held_.clear();
  open_.clear();
}

void Life::Reopen() {
  last_ = "close and open";
  ForgetSnapshots();
  Must(db_->Close(), "close");
  db_.reset();
  EndFollowers();
  Open();
}

void Life::CutPower() {
  const auto survival = kAllSurvivals[Below(std::size(kAllSurvivals))];
  last_ = fmt::format("power cut, {}", ToString(survival));
  ForgetSnapshots();
  db_.reset();
  EndFollowers();
  if (Below(3) == 0) {
    disk_.KillProcess();
  } else {
    disk_.Crash(survival, chance_.get());
  }
  Open();
}

void Life::Commit(const std::string& what, const std::string& table, Result<CommitInfo> info,
                  TableRows next) {
  last_ = what;
  const auto made = Must(std::move(info), what);
  Require(made.commit.value == after_.size(),
          fmt::format("{} is commit {}, expected {}", what, made.commit.value, after_.size()));
  auto tables = Newest();
  tables[table] = std::move(next);
  after_.push_back(std::move(tables));
  NoteTimes();
}

// Of the newest commits; one of several at once is not told when it was flushed meanwhile.
void Life::NoteTimes() {
  for (const Version& version : db_->Versions(kWriters)) {
    times_.emplace(version.commit.value, version.time);
  }
}

void Life::Upsert() {
  const auto table = PickTable(chance_.get());
  const auto rows = PickRows(table, chance_.get());
  const auto ack = static_cast<AckLevel>(Below(3));
  auto info = db_->Upsert(table, MakeBatch(table, rows), {.ack = ack});
  for (const auto& [key, row] : rows) written_[{table, key}] = after_.size();
  Commit(fmt::format("upsert into {}:{}", table, Describe(rows)), table, std::move(info),
         After(Newest().contains(table) ? Newest().at(table) : TableRows(), rows));
  if (ack != AckLevel::kDurable) Must(db_->Sync(), "sync");
}

void Life::Delete() {
  const auto table = PickTable(chance_.get());
  const auto keys = PickRows(table, chance_.get());
  auto info = db_->Delete(table, MakeBatch(table, keys));
  for (const auto& [key, row] : keys) written_[{table, key}] = after_.size();
  Commit(fmt::format("delete from {}:{}", table, Describe(keys)), table, std::move(info),
         Without(Newest().contains(table) ? Newest().at(table) : TableRows(), keys));
}

void Life::Mix() {
  const auto table = PickTable(chance_.get());
  const auto rows = PickRows(table, chance_.get());
  auto next = Newest().contains(table) ? Newest().at(table) : TableRows();
  arrow::BooleanBuilder deletes;
  for (const auto& [key, row] : rows) {
    const bool erase = Below(2) == 0;
    Require(deletes.Append(erase).ok(), "memory");
    if (erase) {
      next.erase(key);
    } else {
      next[key] = row;
    }
    written_[{table, key}] = after_.size();
  }
  const auto bits = Take(deletes.Finish(), "deletes");
  auto info = db_->Write(table, {.rows = MakeBatch(table, rows),
                                 .deletes = std::static_pointer_cast<arrow::BooleanArray>(bits)});
  Commit(fmt::format("mix into {}:{}", table, Describe(rows)), table, std::move(info),
         std::move(next));
}

void Life::CommitLooked(const std::string& what, const std::string& table, const CommitInfo& info,
                        const RowList& written, TableRows next) {
  last_ = what;
  Require(info.rows == written.size(), fmt::format("{} wrote {} rows, expected {}", what,
                                                   info.rows, written.size()));
  if (written.empty()) return Require(info.commit.value == newest(), what + " made a commit");
  for (const auto& [key, row] : written) written_[{table, key}] = after_.size();
  Commit(what, table, info, std::move(next));
}

void Life::InsertMissing() {
  const auto table = PickTable(chance_.get());
  const auto rows = PickRows(table, chance_.get());
  auto next = Newest().contains(table) ? Newest().at(table) : TableRows();
  TableRows missing;
  for (const auto& [key, row] : rows) {
    if (!next.contains(key)) missing[key] = row;
  }
  const auto what = fmt::format("insert what is missing into {}:{}", table, Describe(rows));
  const auto info = Must(db_->Write(table, {.mode = WriteMode::kInsertMissing,
                                            .rows = MakeBatch(table, rows)}),
                         what);
  const auto written = Listed(missing);
  CommitLooked(what, table, info, written, After(std::move(next), written));
}

void Life::DeleteWhere() {
  const auto table = PickTable(chance_.get());
  const auto condition = PickCondition(table, chance_.get());
  auto next = Newest().contains(table) ? Newest().at(table) : TableRows();
  const auto what = fmt::format("delete from {} where {}", table, condition.text);
  const auto filter = Must(ParseFilter(condition.text, SchemaOf(table)), what);
  const auto info =
      Must(db_->Write(table, {.mode = WriteMode::kDeleteWhere, .filter = filter}), what);
  const auto written = Listed(Where(next, condition));
  CommitLooked(what, table, info, written, Without(std::move(next), written));
}

// Which commit came first only they can say.
void Life::WriteFromThreads() {
  last_ = "writes from threads";
  struct Write {
    std::string table;
    RowList rows;
    Result<CommitInfo> info;
  };
  std::vector<Write> writes;
  for (int i = 0; i < kWriters; ++i) {
    const auto table = PickTable(chance_.get());
    writes.push_back({table, PickRows(table, chance_.get()), CommitInfo{}});
  }
  std::vector<std::thread> threads;
  for (auto& write : writes) {
    threads.emplace_back([this, &write] {
      write.info = db_->Upsert(write.table, MakeBatch(write.table, write.rows));
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& write : writes) Must(write.info, last_);
  std::ranges::sort(writes, {}, [](const Write& write) { return write.info->commit; });
  for (auto& write : writes) {
    for (const auto& [key, row] : write.rows) written_[{write.table, key}] = after_.size();
    auto next = After(Newest().contains(write.table) ? Newest().at(write.table) : TableRows(),
                      write.rows);
    Commit(last_, write.table, std::move(write.info), std::move(next));
  }
}

void Life::Tag() {
  const auto name = fmt::format("tag{}", Below(4));
  const bool replace = Below(2) == 0;
  const auto commit = Below(after_.size());
  last_ = fmt::format("tag commit {} as {}{}", commit, name, replace ? ", moving it" : "");
  const auto tag = db_->Tag(name, CommitNumber{commit}, {.replace = replace});
  if (commit == 0) {
    return Require(!tag && tag.error().kind() == ErrorKind::kNotFound, "no commit got a tag");
  }
  if (tags_.contains(name) && !replace) {
    return Require(!tag && tag.error().kind() == ErrorKind::kConflict, "a tag was taken over");
  }
  Must(tag, last_);
  tags_[name] = commit;
}

void Life::Untag() {
  const auto name = fmt::format("tag{}", Below(4));
  last_ = "untag " + name;
  const auto tag = db_->Untag(name);
  if (tags_.erase(name) > 0) {
    Must(tag, last_);
  } else {
    Require(!tag && tag.error().kind() == ErrorKind::kNotFound, "what was not there had a tag");
  }
}

void Life::Hold() {
  last_ = "take a snapshot";
  if (held_.size() == kHeldMost) return;
  auto snapshot = Must(db_->GetSnapshot(), last_);
  Require(snapshot->commit().value == newest(), "a snapshot is not as of the newest commit");
  held_.push_back({std::move(snapshot), newest()});
}

void Life::Release() {
  last_ = "release a snapshot";
  if (held_.empty()) return;
  held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(Below(held_.size())));
}

void Life::CheckAll() {
  CheckSnapshot(*Must(db_->GetSnapshot(), "snapshot"), newest());
  for (const auto& [snapshot, commit] : held_) CheckSnapshot(*snapshot, commit);
  const auto commit = Below(after_.size());
  CheckSnapshot(*Must(db_->GetSnapshot(CommitNumber{commit}), "as of"), commit);
  CheckMoments();
  CheckTags();
}

// The newest commit that was not made after the moment; clocks go back here.
void Life::CheckMoments() {
  for (int i = 0; i < 4 && !times_.empty(); ++i) {
    auto at = times_.begin();
    std::advance(at, Below(times_.size()));
    const WallTime moment{at->second.micros + static_cast<std::int64_t>(Below(3)) - 1};
    auto expected = newest();
    while (expected > 0 && times_.contains(expected) && times_[expected] > moment) --expected;
    if (expected > 0 && !times_.contains(expected)) continue;
    const auto snapshot = db_->GetSnapshot(moment);
    if (expected == 0) {
      Require(!snapshot && snapshot.error().kind() == ErrorKind::kNotFound, "too old a moment");
    } else {
      CheckSnapshot(*Must(snapshot, "as of a moment"), expected);
    }
  }
}

void Life::CheckTags() {
  std::map<std::string, std::uint64_t> found;
  for (const TagInfo& tag : db_->Tags()) found[tag.name] = tag.commit.value;
  Require(found == tags_, "tags differ");
  for (const auto& [name, commit] : tags_) {
    CheckSnapshot(*Must(db_->GetSnapshot(TagName{name}), "as of " + name), commit);
  }
}

void Life::CheckSnapshot(const Snapshot& snapshot, std::uint64_t commit) {
  Require(snapshot.commit().value == commit, "a snapshot's commit changed");
  for (const auto* table : kTables) {
    const auto at = At(commit).find(table);
    const auto expected = at == At(commit).end() ? TableRows() : at->second;
    CheckScans(snapshot, table, expected);
    CheckGet(snapshot, table, expected);
    CheckChanges(snapshot, table);
  }
}

void Life::CheckScans(const Snapshot& snapshot, const std::string& table,
                      const TableRows& expected) {
  auto all = Must(snapshot.Scan(table), "scan");
  RequireEqual(ReadAll(table, all.get()), Listed(expected),
               fmt::format("table {} as of commit {}", table, snapshot.commit().value));
  const auto condition = PickCondition(table, chance_.get());
  ScanOptions options{
      .filter = Must(ParseFilter(condition.text, SchemaOf(table)), condition.text),
      .reverse = Below(2) == 0,
      .batch_rows_max = 1 + static_cast<std::int64_t>(Below(5))};
  auto some = Listed(Where(expected, condition));
  if (options.reverse) std::ranges::reverse(some);
  if (Below(2) == 0) {
    options.limit = Below(10);
    some.resize(std::min<std::size_t>(some.size(), *options.limit));
  }
  auto reader = Must(snapshot.Scan(table, options), condition.text);
  RequireEqual(ReadAll(table, reader.get()), some,
               fmt::format("table {} as of commit {} where {}", table, snapshot.commit().value,
                           condition.text));
}

void Life::CheckGet(const Snapshot& snapshot, const std::string& table,
                    const TableRows& expected) {
  const auto keys = PickRows(table, chance_.get());
  RowList found;
  for (const auto& [key, unused] : keys) {
    const auto at = expected.find(key);
    if (at != expected.end()) found.emplace_back(*at);
  }
  const auto rows = Must(snapshot.Get(table, MakeBatch(table, keys)), "get");
  RequireEqual(ReadBatch(table, *rows), found, fmt::format("get from {}:{}", table,
                                                           Describe(keys)));
}

}  // namespace varve::testing
