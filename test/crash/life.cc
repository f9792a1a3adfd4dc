// SPDX-License-Identifier: Apache-2.0
#include "test/crash/life.h"

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/result.h"
#include "test/crash/survivor.h"

namespace varve::testing {
namespace {

std::shared_ptr<arrow::RecordBatch> Keys(const std::vector<std::int64_t>& ids) {
  Rows rows;
  for (const std::int64_t id : ids) rows[id] = "";
  return *RowsBatch(rows)->SelectColumns({0});
}

Rows With(Rows rows, const Rows& more) {
  for (const auto& [id, value] : more) rows[id] = value;
  return rows;
}

}  // namespace

Status ProcessFiles::CheckAlive() const {
  if (alive_) return {};
  return Fail(ErrorKind::kUnavailable, "the process is dead", ErrorReason::kIo);
}

Result<std::unique_ptr<File>> ProcessFiles::Open(const std::string& path, OpenMode mode) {
  VARVE_TRY(CheckAlive());
  return files()->Open(path, mode);
}
Result<std::vector<FileInfo>> ProcessFiles::List(const std::string& path) {
  VARVE_TRY(CheckAlive());
  return files()->List(path);
}
Status ProcessFiles::CreateDirectories(const std::string& path) {
  VARVE_TRY(CheckAlive());
  return files()->CreateDirectories(path);
}
Status ProcessFiles::Rename(const std::string& from, const std::string& to) {
  VARVE_TRY(CheckAlive());
  return files()->Rename(from, to);
}
Status ProcessFiles::Link(const std::string& from, const std::string& to) {
  VARVE_TRY(CheckAlive());
  return files()->Link(from, to);
}
Status ProcessFiles::Remove(const std::string& path) {
  VARVE_TRY(CheckAlive());
  return files()->Remove(path);
}
Status ProcessFiles::SyncDirectory(const std::string& path) {
  VARVE_TRY(CheckAlive());
  return files()->SyncDirectory(path);
}

Promises Promises::AfterProcessDeath() const {
  Promises promises = *this;
  promises.acknowledged = std::max(acknowledged, written);
  return promises;
}

void Promises::Forget(std::uint64_t commit) {
  after.resize(commit + 1);
  side.resize(commit + 1);
  called.resize(commit + 1);
  columns.resize(commit + 1);
  sent.erase(sent.upper_bound(commit), sent.end());
  times.erase(times.upper_bound(commit), times.end());
}

Rows EventOf(const std::string& producer, std::uint64_t sequence) {
  const std::int64_t id = 1000 * producer[0] + static_cast<std::int64_t>(sequence);
  return {{id, producer + std::to_string(sequence)}};
}

Life::~Life() {
  dying_ = true;  // what is still on its way is nobody's any more
  EndProcess();
}

void Life::Keep(const Status& status) {
  if (status) return;
  failed_ = true;
  // Only the disk may end a script: anything else is a bug of ours.
  EXPECT_TRUE(errors_expected_ || disk_->crashed()) << status.error().message();
  EXPECT_EQ(status.error().kind(), ErrorKind::kUnavailable) << status.error().message();
}

void Life::Observe() {
  if (db_ == nullptr) return;
  const DatabaseStats stats = db_->Stats();
  EXPECT_LE(stats.visible, stats.durable);
  EXPECT_LE(stats.durable, stats.commit);
  promises_.acknowledged = std::max(promises_.acknowledged, stats.durable.value);
  promises_.written = std::max(promises_.written, promises_.acknowledged);
}

void Life::Acknowledged(std::uint64_t commit, AckLevel ack) {
  if (ack != AckLevel::kBuffered) promises_.written = std::max(promises_.written, commit);
  if (ack == AckLevel::kDurable) promises_.acknowledged = std::max(promises_.acknowledged, commit);
  Observe();
}

// Of what can be read.
void Life::NoteTimes() {
  for (const Version& version : db_->Versions()) {
    const auto [at, added] = promises_.times.emplace(version.commit.value, version.time);
    EXPECT_EQ(at->second, version.time) << "commit " << version.commit.value;
  }
}

void Life::Open() {
  if (failed_) return;
  auto db = Database::Open(kLifePath, options_, world_.components(&process_));
  if (!db) return Keep(std::unexpected(db.error()));
  db_ = *std::move(db);
  const std::uint64_t visible = db_->Stats().visible.value;
  EXPECT_GE(visible, promises_.written);
  EXPECT_LE(visible, tried());
  promises_.Forget(std::min(visible, tried()));
  Observe();
}

void Life::Create() {
  if (failed_) return;
  const Status created = db_->CreateTable("t", RowsSchema(), {"id"});
  Keep(created);
  if (created) promises_.created = true;
}

void Life::CreateSide() {
  if (failed_) return;
  const Status created = db_->CreateTable(kSide, RowsSchema(), {"id"});
  Keep(created);
  if (created) promises_.has_side = true;
}

std::shared_ptr<arrow::RecordBatch> Life::Batch(const Rows& rows) const {
  return BatchOf(rows, columns());
}

void Life::Promise(Rows next, Rows side, const std::string& name, const Columns& columns) {
  promises_.after.push_back(std::move(next));
  promises_.side.push_back(std::move(side));
  promises_.called.push_back(name);
  promises_.columns.push_back(columns);
}

void Life::Promise(Rows next) {
  Promise(std::move(next), promises_.side.back(), name().empty() ? "t" : name(), columns());
}

void Life::Changed(const Result<CommitNumber>& commit) {
  if (!commit) return Keep(std::unexpected(commit.error()));
  EXPECT_EQ(commit->value, tried());
  NoteTimes();
  Acknowledged(tried(), AckLevel::kDurable);
}

void Life::Rename(const std::string& to) {
  if (failed_) return;
  const std::string from = name();
  Promise(promises_.after.back(), promises_.side.back(), to, columns());
  Changed(db_->RenameTable(from, to));
}

void Life::Drop() {
  if (failed_) return;
  const std::string from = name();
  Promise({}, promises_.side.back(), "", Columns());
  promises_.created = false;
  Changed(db_->DropTable(from));
}

void Life::Alter(Rows next, const Columns& columns, const ColumnChange& change) {
  const auto table = name();
  Promise(std::move(next), promises_.side.back(), table, columns);
  Changed(db_->AlterTable(table, {change}));
}

void Life::RenameValues(const std::string& to) {
  if (failed_) return;
  auto renamed = columns();
  const auto from = std::exchange(renamed.values, to);
  Alter(promises_.after.back(), renamed, RenameColumn{from, to});
}

void Life::AddNumber(const std::string& name, std::int32_t value) {
  if (failed_) return;
  auto more = columns();
  more.numbers.push_back({name});
  Alter(WithNumber(promises_.after.back(), name, value), more,
        AddColumn{FieldOf(more.numbers.back()), arrow::MakeScalar(value)});
}

void Life::WidenNumber(const std::string& name) {
  if (failed_) return;
  auto widened = columns();
  const auto number = std::ranges::find(widened.numbers, name, &Columns::Number::name);
  number->wide = true;
  Alter(promises_.after.back(), widened, WidenColumn{FieldOf(*number)});
}

void Life::DropNumber(const std::string& name) {
  if (failed_) return;
  auto fewer = columns();
  std::erase_if(fewer.numbers, [&](const auto& number) { return number.name == name; });
  Alter(WithoutNumber(promises_.after.back(), name), fewer, DropColumn{name});
}

void Life::Write(Rows next, const WriteRequest& request, const CommitOptions& options) {
  Promise(std::move(next));
  if (options.producer) promises_.sent[tried()] = *options.producer;
  const auto info = db_->Write(name(), request, options);
  if (!info) return Keep(std::unexpected(info.error()));
  EXPECT_EQ(info->commit.value, tried());
  EXPECT_FALSE(info->repeat);
  NoteTimes();
  Acknowledged(tried(), options.ack);
}

void Life::WriteThen(Rows next, const WriteRequest& request, const CommitOptions& options) {
  Promise(std::move(next));
  if (options.producer) promises_.sent[tried()] = *options.producer;
  db_->WriteThen(name(), request, options, Through(tried(), options.ack));
  if (!failed_) NoteTimes();
}

CommitCallback Life::Through(std::uint64_t commit, AckLevel ack) {
  return [this, commit, ack](const Result<CommitInfo>& info) {
    if (dying_) return;
    if (!info) return Keep(std::unexpected(info.error()));
    EXPECT_EQ(info->commit.value, commit);
    EXPECT_FALSE(info->repeat);
    if (ack != AckLevel::kBuffered) promises_.written = std::max(promises_.written, commit);
    if (ack != AckLevel::kDurable) return;
    promises_.acknowledged = std::max(promises_.acknowledged, commit);
  };
}

void Life::Put(const Rows& rows, AckLevel ack) {
  if (failed_) return;
  Write(With(promises_.after.back(), rows), {.rows = Batch(rows)}, {.ack = ack});
}

void Life::PutThen(const Rows& rows, AckLevel ack) {
  if (failed_) return;
  WriteThen(With(promises_.after.back(), rows), {.rows = Batch(rows)}, {.ack = ack});
}

Producer Life::Next(const std::string& id) const {
  std::uint64_t last = 0;
  for (const auto& [commit, producer] : promises_.sent) {
    if (producer.id == id) last = producer.sequence;
  }
  return {id, last + 1};
}

void Life::PutOnce(const Rows& rows, AckLevel ack) {
  if (failed_) return;
  Write(With(promises_.after.back(), rows), {.rows = Batch(rows)},
        {.ack = ack, .producer = Next("p")});
}

void Life::Send(const std::string& producer, AckLevel ack) {
  if (failed_) return;
  const Producer next = Next(producer);
  const Rows event = EventOf(producer, next.sequence);
  Write(With(promises_.after.back(), event), {.mode = WriteMode::kInsert, .rows = Batch(event)},
        {.ack = ack, .producer = next});
}

void Life::SendThen(const std::string& producer, AckLevel ack) {
  if (failed_) return;
  const Producer next = Next(producer);
  const Rows event = EventOf(producer, next.sequence);
  WriteThen(With(promises_.after.back(), event), {.rows = Batch(event)},
            {.ack = ack, .producer = next});
}

void Life::SendAgain(const std::string& producer, AckLevel ack) {
  if (failed_) return;
  const auto newest = std::find_if(promises_.sent.rbegin(), promises_.sent.rend(),
                                   [&](const auto& sent) { return sent.second.id == producer; });
  const auto& [commit, sent] = *newest;
  const auto info =
      db_->Write(name(), {.rows = Batch({{1, "made again"}})}, {.ack = ack, .producer = sent});
  if (!info) return Keep(std::unexpected(info.error()));
  EXPECT_TRUE(info->repeat);
  EXPECT_EQ(info->commit.value, commit);
  Acknowledged(commit, ack);
}

void Life::PutMissing(const Rows& rows) {
  if (failed_) return;
  Rows next = promises_.after.back();
  next.insert(rows.begin(), rows.end());
  Write(std::move(next), {.mode = WriteMode::kInsertMissing, .rows = Batch(rows)});
}

void Life::Update(const Rows& rows, const std::vector<std::string>& names, AckLevel ack) {
  if (failed_) return;
  const Rows& before = promises_.after.back();
  const bool all = std::ranges::all_of(rows, [&](const auto& row) {
    return before.contains(row.first);
  });
  std::vector<int> set = {0};
  for (const auto& name : names) set.push_back(SchemaOf(columns())->GetFieldIndex(name));
  Write(Updated(before, rows, names, columns()),
        {.mode = all ? WriteMode::kUpdate : WriteMode::kUpdateExisting,
         .rows = *Batch(rows)->SelectColumns(set)},
        {.ack = ack});
}

void Life::EraseRange(std::int64_t from, std::int64_t to) {
  if (failed_) return;
  Rows next = promises_.after.back();
  next.erase(next.lower_bound(from), next.lower_bound(to));
  Write(std::move(next),
        {.mode = WriteMode::kDeleteWhere, .range = {.lower = Keys({from}), .upper = Keys({to})}});
}

void Life::Erase(const std::vector<std::int64_t>& ids, AckLevel ack) {
  if (failed_) return;
  Rows next = promises_.after.back();
  for (const std::int64_t id : ids) next.erase(id);
  Write(std::move(next), {.mode = WriteMode::kDelete, .rows = Keys(ids)}, {.ack = ack});
}

void Life::Restore(const AsOf& as_of, std::uint64_t commit, AckLevel ack) {
  if (failed_) return;
  Promise(promises_.after.at(commit));
  const auto info = db_->RestoreTable(name(), as_of, {}, {.ack = ack});
  if (!info) return Keep(std::unexpected(info.error()));
  EXPECT_EQ(info->as_of.value, commit);
  EXPECT_EQ(info->commit.commit.value, tried());
  NoteTimes();
  Acknowledged(tried(), ack);
}

void Life::Flush() {
  if (failed_) return;
  const Status flushed = db_->Flush();
  Keep(flushed);
  if (flushed) Acknowledged(tried(), AckLevel::kDurable);
}

void Life::Rekey() {
  if (failed_) return;
  const auto needed = db_->Rekey();
  Keep(needed ? Status() : std::unexpected(needed.error()));
  if (needed) Acknowledged(tried(), AckLevel::kDurable);
}

void Life::Compact() {
  if (failed_) return;
  const auto compacted = db_->Compact();
  Keep(compacted ? Status() : std::unexpected(compacted.error()));
  if (compacted) Acknowledged(tried(), AckLevel::kDurable);
}

void Life::Retire() {
  if (failed_) return;
  promises_.let_go = tried();
  const auto retired = db_->Retire({.keep_micros = 0});
  Keep(retired ? Status() : std::unexpected(retired.error()));
}

void Life::Sync() {
  if (failed_) return;
  const Status synced = db_->Sync();
  Keep(synced);
  if (synced) Acknowledged(tried(), AckLevel::kDurable);
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

void Life::RunTasks() {
  world_.executor.RunAll();
  Observe();
}

void Life::EndProcess() {
  held_elsewhere_.reset();
  elsewhere_.reset();
  cursor_.reset();
  works_.clear();
  db_.reset();
}

void Life::Close() {
  if (failed_) return;
  const Status closed = db_->Close();
  Keep(closed);
  if (closed) promises_.acknowledged = promises_.written = tried();
  EndProcess();
}

void Life::Kill() {
  if (failed_) return;
  EndProcess();
  failed_ = disk_->crashed();  // the last thing it did was cut
  if (!failed_) disk_->KillProcess();
}

void Life::Die() {
  if (failed_) return;
  Observe();
  failed_ = disk_->crashed();  // and nobody has noticed yet
  if (failed_) return;
  dying_ = true;
  process_.SetAlive(false);
  disk_->KillProcess();
  EndProcess();
  process_.SetAlive(true);
  dying_ = false;
}

void Life::Follow() {
  if (failed_) return;
  if (!promises_.ledger) promises_.ledger.emplace();
  auto cursor = FollowFrom(*promises_.ledger, name(), *db_);
  if (!cursor) return Keep(std::unexpected(cursor.error()));
  cursor_ = *std::move(cursor);
}

void Life::Poll() {
  if (failed_) return;
  const Status taken = TakeAll(cursor_.get(), &*promises_.ledger);
  Acknowledged(promises_.ledger->position, AckLevel::kDurable);  // a follower believed it
  Keep(taken);
}

void Life::LookElsewhere() {
  if (failed_) return;
  if (elsewhere_ == nullptr) {
    auto db = Database::Open(kLifePath, {.read_only = true, .keys = options_.keys},
                             world_.components(&process_));
    if (!db) return Keep(std::unexpected(db.error()));
    elsewhere_ = *std::move(db);
  }
  const auto snapshot = elsewhere_->GetSnapshot();
  if (!snapshot) return Keep(std::unexpected(snapshot.error()));
  const std::uint64_t commit = (*snapshot)->commit().value;
  EXPECT_GE(commit, promises_.written);
  EXPECT_LE(commit, tried());
  promises_.written = std::max(promises_.written, commit);
  promises_.acknowledged = std::max(promises_.acknowledged, commit);
  CheckElsewhere(**snapshot);
}

void Life::CheckElsewhere(const Snapshot& snapshot) {
  const std::uint64_t commit = snapshot.commit().value;
  const auto stream = snapshot.Scan(promises_.called[commit]);
  if (!stream) return Keep(std::unexpected(stream.error()));
  const auto table = (*stream)->ToTable();
  if (!table.ok()) {
    return Keep(Fail(ErrorKind::kUnavailable, "elsewhere: " + table.status().ToString()));
  }
  arrow::TableBatchReader rows(**table);
  EXPECT_EQ(Drain(&rows), promises_.after[commit]) << "commit " << commit;
}

void Life::HoldElsewhere() {
  if (failed_) return;
  auto snapshot = elsewhere_->GetSnapshot();
  if (!snapshot) return Keep(std::unexpected(snapshot.error()));
  held_elsewhere_ = *std::move(snapshot);
}

void Life::LookAtHeld() {
  if (!failed_) CheckElsewhere(*held_elsewhere_);
}

void Life::EndElsewhere() {
  if (failed_) return;
  held_elsewhere_.reset();
  const Status closed = elsewhere_->Close();
  elsewhere_.reset();
  Keep(closed);
}

std::uint64_t CountEvents(const Script& script, const OpenOptions& options) {
  SimulatedDisk disk;
  Life life(&disk, options);
  script(life);
  EXPECT_FALSE(life.failed());
  return disk.events();
}

}  // namespace varve::testing
