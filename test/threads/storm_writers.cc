// SPDX-License-Identifier: Apache-2.0
// Those who change something: rows, tables, and what is in memory and what in files.
#include <gtest/gtest.h>

#include <iterator>
#include <utility>

#include "test/threads/storm.h"

namespace varve::testing {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr AckLevel kAcks[] = {AckLevel::kBuffered, AckLevel::kWritten, AckLevel::kDurable};

BatchPtr KeyOf(std::int64_t id) {
  arrow::Int64Builder ids;
  EXPECT_TRUE(ids.Append(id).ok());
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("id", arrow::int64(), false)}), 1,
                                  {*ids.Finish()});
}

// Some rows for a table of any columns of the kinds that ChangeOnce adds.
BatchPtr SomeRows(const std::shared_ptr<arrow::Schema>& schema, Random& random) {
  const std::int64_t rows = 1 + static_cast<std::int64_t>(random.Below(20));
  const auto first = static_cast<std::int64_t>(random.Below(200));
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    if (field->type()->id() == arrow::Type::STRING) {
      arrow::StringBuilder texts;
      for (std::int64_t i = 0; i < rows; ++i) EXPECT_TRUE(texts.Append("loose").ok());
      columns.push_back(*texts.Finish());
    } else {
      arrow::Int64Builder numbers;
      for (std::int64_t i = 0; i < rows; ++i) EXPECT_TRUE(numbers.Append(first + i).ok());
      columns.push_back(*numbers.Finish());
    }
  }
  return arrow::RecordBatch::Make(schema, rows, std::move(columns));
}

}  // namespace

void Storm::Write(Writer* me, Random& random) {
  bool open = true;
  for (std::uint32_t i = 1; i <= settings_.commits && open; ++i) {
    open = WriteOne(me, i, random);
    CountCommit();
  }
  while (!me->late.empty()) AwaitOldest(me);
}

bool Storm::WriteOne(Writer* me, std::uint64_t number, Random& random) {
  const std::int64_t pair = me->first_key + 2 * static_cast<std::int64_t>(random.Below(kPairs));
  auto& story = me->stories[pair];
  const auto before = story.empty() ? std::nullopt : story.back().value;
  const std::string value = std::to_string(number);
  WriteRequest request{.rows = RowsBatch({{pair, value}, {pair + 1, value}})};
  std::optional<std::string> after = value;
  switch (random.Below(9)) {
    case 0:
      request.mode = WriteMode::kDelete;
      after.reset();
      break;
    case 1:
      request = {.mode = WriteMode::kDeleteWhere,
                 .range = {.lower = KeyOf(pair), .upper = KeyOf(pair + 2)}};
      after.reset();
      break;
    case 2:
      request.mode = WriteMode::kInsertMissing;
      if (before) after = before;
      break;
    case 3:
      request.mode = WriteMode::kUpdateExisting;
      if (!before) after.reset();
      break;
    default:
      break;
  }
  CommitOptions options{.ack = kAcks[random.Below(std::size(kAcks))],
                        .profile = random.Below(2) == 0};
  if (random.Below(2) == 0) options.producer = Producer{me->name, number};
  story.push_back({.value = std::move(after)});
  Left& left = story.back();
  if (random.Below(3) != 0) return Acknowledge(&left, db_->Write("t", request, options));
  me->late.push_back({&left, db_->WriteAsync("t", request, options)});
  return me->late.size() < 4 || AwaitOldest(me);
}

bool Storm::Acknowledge(Left* left, const Result<CommitInfo>& info) {
  left->acknowledged = info.has_value();
  if (info) return true;
  EXPECT_EQ(info.error().reason(), ErrorReason::kClosed) << info.error().message();
  return false;
}

bool Storm::AwaitOldest(Writer* me) {
  Late late = std::move(me->late.front());
  me->late.pop_front();
  return Acknowledge(late.left, late.info.get());
}

// Into every table but "t", whatever its columns are at this moment.
void Storm::WriteLoosely(Random& random) {
  while (AwaitCommits(1)) {
    for (const TableInfo& table : db_->Tables()) {
      if (table.name == "t") continue;
      const auto info = db_->Upsert(table.name, SomeRows(table.schema, random),
                                    {.ack = kAcks[random.Below(std::size(kAcks))]});
      if (!info && !MayGoOn(info.error())) return;
    }
  }
}

void Storm::Transact(Random& random) {
  while (AwaitCommits(1) && TransactOnce(random)) {
  }
}

// Raises the counter by one, unless it is given up or another was faster.
bool Storm::TransactOnce(Random& random) {
  const bool serializable = random.Below(2) == 0;
  const auto begun =
      db_->Begin({.isolation = serializable ? Isolation::kSerializable : Isolation::kSnapshot});
  if (!begun) return MayGoOn(begun.error());
  Transaction& in = **begun;
  const auto now = in.Get("t", KeyOf(kCounter));
  if (!now) return MayGoOn(now.error());
  const auto& values = static_cast<const arrow::StringArray&>(*(*now)->column(1));
  const std::string next = std::to_string(std::stoll(values.GetString(0)) + 1);
  const auto savepoint = in.Savepoint();
  if (!savepoint) return MayGoOn(savepoint.error());
  if (const auto put = in.Upsert("t", RowsBatch({{kCounter, "lost"}})); !put) {
    return MayGoOn(put.error());
  }
  if (const auto back = in.RollbackTo(*savepoint); !back) return MayGoOn(back.error());
  if (const auto put = in.Upsert("t", RowsBatch({{kCounter, next}})); !put) {
    return MayGoOn(put.error());
  }
  if (random.Below(4) == 0) {
    const auto reader = in.Scan("t", {.range = {.lower = KeyOf(kCounter)}});
    if (!reader) return MayGoOn(reader.error());
    EXPECT_EQ(Drain(reader->get()), (Rows{{kCounter, next}}));
  }
  if (random.Below(8) == 0) return true;  // and it is aborted
  const auto info = random.Below(2) == 0 ? in.Commit() : in.CommitAsync().get();
  if (!info) return MayGoOn(info.error());
  counted_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Storm::ChangeTables(Random& random) {
  for (std::uint64_t number = 1; AwaitCommits(8) && ChangeOnce(number, random); ++number) {
  }
}

bool Storm::ChangeOnce(std::uint64_t number, Random& random) {
  const std::string column = "c" + std::to_string(number);
  const std::string table = random.Below(2) == 0 ? "u" : "w";
  const std::string other = table == "u" ? "w" : "u";
  const auto told = [](const auto& result) { return result || MayGoOn(result.error()); };
  switch (random.Below(7)) {
    case 0:
      return told(db_->AlterTable(table, {AddColumn{arrow::field(column, arrow::int64())}}));
    case 1:
      for (const TableInfo& info : db_->Tables()) {
        if (info.name != table || info.schema->num_fields() < 3) continue;
        return told(db_->AlterTable(table, {DropColumn{info.schema->fields().back()->name()}}));
      }
      return true;
    case 2:
      return told(db_->AlterTable(table, {RenameColumn{"v", column}}));
    case 3:
      return told(db_->RenameTable(table, other));
    case 4:
      return told(db_->DropTable(table));
    case 5:
      return told(db_->RestoreTable(table, CommitNumber{db_->Stats().visible.value / 2}));
    default:
      return told(db_->CreateTable(table, RowsSchema(), {"id"}, {.if_not_exists = true}));
  }
}

// What an operator does, and who cancels what others do.
void Storm::Tend(Random& random) {
  for (std::uint64_t number = 0; AwaitCommits(3); ++number) {
    TendOnce(number, random);
    if (closing() && !db_->GetSnapshot()) return;
  }
}

void Storm::TendOnce(std::uint64_t number, Random& random) {
  const std::string tag = "tag" + std::to_string(random.Below(3));
  const auto told = [](const auto& result) { return result || MayGoOn(result.error()); };
  switch (number % 7) {
    case 0:
      told(db_->Flush());
      break;
    case 1:
      told(db_->Tag(tag, {}, {.replace = random.Below(2) == 0}));
      break;
    case 2:
      told(db_->Untag(tag));
      break;
    case 3:
      told(db_->Sync());
      break;
    case 4: {
      const DatabaseStats stats = db_->Stats();
      EXPECT_LE(stats.visible, stats.commit);
      EXPECT_LE(db_->Versions(10).size(), 10u);
      EXPECT_LE(db_->Tags().size(), 3u);
      told(db_->LastOf("w0"));
      break;
    }
    case 5: {
      const std::lock_guard lock(offers_mutex_);
      if (offered_cursor_ != nullptr) offered_cursor_->Cancel();
      break;
    }
    default: {
      const std::lock_guard lock(offers_mutex_);
      offered_scan_.request_stop();
      break;
    }
  }
}

}  // namespace varve::testing
