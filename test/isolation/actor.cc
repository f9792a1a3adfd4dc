// SPDX-License-Identifier: Apache-2.0
#include "test/isolation/actor.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <cstring>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace varve::testing {
namespace {

using Kind = Operation::Kind;

constexpr std::int64_t kHotKeys = 5;
constexpr std::int64_t kListMost = 24;  // then another key takes its place
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
constexpr std::string_view kTables[] = {"even", "odd"};

std::string_view TableOf(std::int64_t key) { return kTables[key % 2]; }

std::shared_ptr<arrow::Schema> ListSchema() {
  static const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("list", arrow::binary())});
  return schema;
}

std::shared_ptr<arrow::RecordBatch> ListBatch(std::int64_t key, const std::vector<Value>& list) {
  arrow::Int64Builder ids;
  arrow::BinaryBuilder lists;
  EXPECT_TRUE(ids.Append(key).ok());
  EXPECT_TRUE(lists.Append(reinterpret_cast<const char*>(list.data()),
                           static_cast<int>(list.size() * sizeof(Value))).ok());
  return arrow::RecordBatch::Make(ListSchema(), 1, {*ids.Finish(), *lists.Finish()});
}

std::shared_ptr<arrow::RecordBatch> KeyOf(std::int64_t key) {
  static const auto schema = arrow::schema({ListSchema()->field(0)});
  arrow::Int64Builder ids;
  EXPECT_TRUE(ids.Append(key).ok());
  return arrow::RecordBatch::Make(schema, 1, {*ids.Finish()});
}

std::vector<Value> ListAt(const arrow::RecordBatch& batch, std::int64_t row) {
  const auto bytes = static_cast<const arrow::BinaryArray&>(*batch.column(1)).GetView(row);
  std::vector<Value> list(bytes.size() / sizeof(Value));
  std::memcpy(list.data(), bytes.data(), bytes.size());
  return list;
}

}  // namespace

void MakeTables(Database* db) {
  for (const auto table : kTables) {
    const auto made = db->CreateTable(std::string(table), ListSchema(), {"id"},
                                      {.if_not_exists = true});
    ASSERT_TRUE(made) << made.error().message();
  }
}

void Actor::Step() {
  if (open_ == nullptr) return chance_.Below(8) == 0 ? WritePlainly() : Begin();
  if (chance_.Below(pace_) != 0) return;
  if (steps_left_ == 0) return End();
  --steps_left_;
  switch (chance_.Below(17)) {
    case 0: return Replace(PickKey());
    case 1: case 2: case 3: case 4: Read(PickKey()); return;
    case 5: case 6: return ReadRange();
    case 7: case 8: return Save();
    case 9: case 10: return GoBack();
    default: return AppendTo(PickKey());
  }
}

std::int64_t Actor::PickKey() {
  return first_key_ + static_cast<std::int64_t>(chance_.Below(kHotKeys));
}

void Actor::Begin() {
  now_ = {.began = ++world_->events};
  auto begun = world_->db->Begin({.isolation = world_->isolation});
  ASSERT_TRUE(begun) << begun.error().message();
  open_ = *std::move(begun);
  now_.snapshot = open_->snapshot().value;
  first_key_ = world_->appended / kListMost;
  pace_ = slow_ ? std::uint64_t{1} << chance_.Below(7) : 1;
  steps_left_ = 1 + chance_.Below(6);
}

std::vector<Value> Actor::Read(std::int64_t key) {
  const auto found = open_->Get(TableOf(key), KeyOf(key));
  EXPECT_TRUE(found) << found.error().message();
  auto list = (*found)->num_rows() == 0 ? std::vector<Value>() : ListAt(**found, 0);
  now_.operations.push_back({Kind::kRead, key, list, 0});
  return list;
}

// Also keys that are not there, and come: phantoms.
void Actor::ReadRange() {
  const auto past = first_key_ + kHotKeys;
  const auto parity = static_cast<std::int64_t>(chance_.Below(2));
  auto reader = open_->Scan(kTables[parity],
                            {.range = {.lower = KeyOf(first_key_), .upper = KeyOf(past)}});
  ASSERT_TRUE(reader) << reader.error().message();
  const auto table = (*reader)->ToTable();
  ASSERT_TRUE(table.ok()) << table.status().ToString();
  const auto rows = *(*table)->CombineChunksToBatch();
  std::int64_t row = 0;
  for (auto key = first_key_; key < past; ++key) {
    if (key % 2 != parity) continue;
    std::vector<Value> list;
    const auto& ids = static_cast<const arrow::Int64Array&>(*rows->column(0));
    if (row < rows->num_rows() && ids.Value(row) == key) list = ListAt(*rows, row++);
    now_.operations.push_back({Kind::kRead, key, std::move(list), 0});
  }
  ASSERT_EQ(row, rows->num_rows());
}

void Actor::AppendTo(std::int64_t key) {
  auto list = Read(key);
  const Value value = ++world_->values;
  list.push_back(value);
  const auto written = open_->Upsert(TableOf(key), ListBatch(key, list));
  ASSERT_TRUE(written) << written.error().message();
  now_.operations.push_back({Kind::kAppend, key, {}, value});
}

// Without a look at what is there.
void Actor::Replace(std::int64_t key) {
  Status written;
  if (chance_.Below(2) == 0) {
    written = open_->Delete(TableOf(key), KeyOf(key));
    now_.operations.push_back({Kind::kDelete, key, {}, 0});
  } else {
    const Value value = ++world_->values;
    written = open_->Upsert(TableOf(key), ListBatch(key, {value}));
    now_.operations.push_back({Kind::kPut, key, {}, value});
  }
  ASSERT_TRUE(written) << written.error().message();
}

void Actor::Save() {
  if (savepoint_) return;
  const auto saved = open_->Savepoint();
  ASSERT_TRUE(saved) << saved.error().message();
  savepoint_ = *saved;
  now_.operations.push_back({Kind::kSavepoint, 0, {}, 0});
}

void Actor::GoBack() {
  if (!savepoint_) return;
  const auto back = open_->RollbackTo(*savepoint_);
  ASSERT_TRUE(back) << back.error().message();
  now_.operations.push_back({Kind::kRollback, 0, {}, 0});
}

AckLevel Actor::PickAck() {
  constexpr AckLevel kLevels[] = {AckLevel::kBuffered, AckLevel::kWritten, AckLevel::kDurable,
                                  AckLevel::kDurable};
  return kLevels[chance_.Below(std::size(kLevels))];
}

void Actor::End() {
  if (chance_.Below(12) == 0) return Abandon();
  const auto ack = PickAck();
  const auto transaction = std::move(open_);
  if (chance_.Below(6) != 0) return transaction->CommitThen({.ack = ack}, Told(ack));
  const auto info = transaction->Commit({.ack = ack});
  Told(ack)(info);
}

// A put or a delete without a transaction. It is refused by nobody, and nobody's snapshot matters.
void Actor::WritePlainly() {
  now_ = {.began = ++world_->events, .plain = true};
  first_key_ = world_->appended / kListMost;
  const auto key = PickKey();
  const bool deletes = chance_.Below(2) == 0;
  const Value value = deletes ? 0 : ++world_->values;
  now_.operations.push_back({deletes ? Kind::kDelete : Kind::kPut, key, {}, value});
  const auto ack = PickAck();
  const WriteRequest request{.mode = deletes ? WriteMode::kDelete : WriteMode::kUpsert,
                             .rows = deletes ? KeyOf(key) : ListBatch(key, {value})};
  world_->db->WriteThen(TableOf(key), request, {.ack = ack}, Told(ack));
}

// The transaction is recorded now; it ends when it is told, by whatever thread.
CommitCallback Actor::Told(AckLevel ack) {
  if (world_->in_flight++ > 0) ++world_->beside_others;
  RecordedTransaction* const transaction = Record();
  if (ack != AckLevel::kDurable) unsettled_.push_back(transaction);
  return [this, transaction, ack](const Result<CommitInfo>& info) {
    --world_->in_flight;
    Note(transaction, info, ack);
  };
}

void Actor::Note(RecordedTransaction* transaction, const Result<CommitInfo>& info,
                 AckLevel ack) {
  if (info) {
    const bool wrote = info->rows > 0;
    transaction->committed = true;
    if (wrote) {
      transaction->commit = info->commit.value;
      ++world_->appended;
    } else {
      EXPECT_EQ(info->commit.value, transaction->snapshot);
    }
    if (wrote && ack != AckLevel::kDurable) return;  // who begins next need not see it
  } else {
    EXPECT_EQ(info.error().kind(), ErrorKind::kConflict) << info.error().message();
    transaction->refused = true;
    ++world_->conflicts;
  }
  transaction->ended = ++world_->events;
}

RecordedTransaction* Actor::Record() {
  open_.reset();
  savepoint_.reset();
  now_.ended = kNever;
  history_.push_back(std::move(now_));
  return &history_.back();
}

void Actor::Abandon() {
  if (open_ != nullptr) Record()->ended = ++world_->events;
}

void Actor::Settle() {
  std::erase_if(unsettled_, [&](RecordedTransaction* transaction) {
    const bool told = transaction->committed || transaction->refused;
    if (told && transaction->ended == kNever) transaction->ended = ++world_->events;
    return told;
  });
}

History Actor::TakeHistory() {
  return {std::make_move_iterator(history_.begin()), std::make_move_iterator(history_.end())};
}

}  // namespace varve::testing
