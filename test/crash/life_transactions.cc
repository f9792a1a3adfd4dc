// SPDX-License-Identifier: Apache-2.0
// The transactions of a life.
#include <utility>

#include "test/crash/life.h"
#include "test/crash/survivor.h"

namespace varve::testing {
namespace {

void Apply(const Changes& changes, const std::string& table, Rows* rows) {
  const auto of_table = changes.find(table);
  if (of_table == changes.end()) return;
  for (const auto& [id, value] : of_table->second) {
    rows->erase(id);
    if (value) rows->emplace(id, *value);
  }
}

}  // namespace

void Life::Begin(const std::string& work) {
  if (failed_) return;
  auto begun = db_->Begin();
  if (!begun) return Keep(std::unexpected(begun.error()));
  works_[work].transaction = *std::move(begun);
}

void Life::PutIn(const std::string& work, const std::string& table, const Rows& rows) {
  if (failed_) return;
  Work& in = works_.at(work);
  for (const auto& [id, value] : rows) in.changes[table][id] = value;
  Keep(in.transaction->Upsert(table, RowsBatch(rows)));
}

void Life::EraseIn(const std::string& work, const std::string& table, std::int64_t id) {
  if (failed_) return;
  Work& in = works_.at(work);
  in.changes[table][id] = std::nullopt;
  Keep(in.transaction->Delete(table, *RowsBatch({{id, ""}})->SelectColumns({0})));
}

void Life::Savepoint(const std::string& work) {
  if (failed_) return;
  Work& in = works_.at(work);
  const auto savepoint = in.transaction->Savepoint();
  if (!savepoint) return Keep(std::unexpected(savepoint.error()));
  in.savepoints.emplace_back(*savepoint, in.changes);
}

void Life::GoBack(const std::string& work) {
  if (failed_) return;
  Work& in = works_.at(work);
  in.changes = in.savepoints.back().second;
  Keep(in.transaction->RollbackTo(in.savepoints.back().first));
}

void Life::PromiseChanges(const Changes& changes) {
  Rows next = promises_.after.back();
  Rows side = promises_.side.back();
  Apply(changes, name(), &next);
  Apply(changes, kSide, &side);
  Promise(std::move(next), std::move(side), name(), columns());
}

void Life::Commit(const std::string& work, AckLevel ack) {
  if (failed_) return;
  const auto in = works_.extract(work);
  PromiseChanges(in.mapped().changes);
  const auto info = in.mapped().transaction->Commit({.ack = ack});
  if (!info) return Keep(std::unexpected(info.error()));
  EXPECT_EQ(info->commit.value, tried());
  NoteTimes();
  Acknowledged(tried(), ack);
}

void Life::CommitThen(const std::string& work, AckLevel ack) {
  if (failed_) return;
  const auto in = works_.extract(work);
  PromiseChanges(in.mapped().changes);
  in.mapped().transaction->CommitThen({.ack = ack}, Through(tried(), ack));
  if (!failed_) NoteTimes();
}

void Life::Refused(const std::string& work) {
  if (failed_) return;
  const auto in = works_.extract(work);
  const auto info = in.mapped().transaction->Commit();
  EXPECT_FALSE(info) << "it is commit " << info->commit.value;
  if (info || info.error().kind() == ErrorKind::kConflict) return Observe();
  Keep(std::unexpected(info.error()));
}

void Life::Abort(const std::string& work) {
  if (failed_) return;
  works_.at(work).transaction->Abort();
  works_.erase(work);
}

}  // namespace varve::testing
