// SPDX-License-Identifier: Apache-2.0
#include "log/transactions.h"

#include <fmt/format.h>

#include <utility>

#include "base/result.h"
#include "log/unit_codec.h"

namespace varve {

LogTransaction Transactions::Begin() {
  std::lock_guard lock(mutex_);
  const LogTransaction transaction{next_++};
  open_[transaction].bytes = PlainUnitBytes({});
  return transaction;
}

Result<Transactions::Map::iterator> Transactions::Find(LogTransaction transaction) {
  const auto found = open_.find(transaction);
  if (found != open_.end()) return found;
  return Fail(ErrorKind::kNotFound,
              fmt::format("transaction {} is not open: it was committed or aborted, or never begun",
                          transaction.value));
}

Status Transactions::Add(LogTransaction transaction, LogRecords records) {
  std::lock_guard lock(mutex_);
  VARVE_ASSIGN(const auto found, Find(transaction));
  auto& open = found->second;
  const auto bytes = open.bytes + PlainUnitBytes(records) - PlainUnitBytes({});
  if (bytes > kUnitBytesMax) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("transaction {} would have {} bytes, at most {}; nothing was added to "
                            "it",
                            transaction.value, bytes, kUnitBytesMax));
  }
  for (const auto& record : records) {
    open.records.push_back({std::string(record.bytes), record.kind});
  }
  open.bytes = bytes;
  return {};
}

Result<Transactions::Open> Transactions::Take(LogTransaction transaction) {
  std::lock_guard lock(mutex_);
  VARVE_ASSIGN(const auto found, Find(transaction));
  if (found->second.records.empty()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("transaction {} holds no record: add one, or abort it",
                            transaction.value));
  }
  auto open = std::move(found->second);
  open_.erase(found);
  return open;
}

void Transactions::PutBack(LogTransaction transaction, Open open) {
  std::lock_guard lock(mutex_);
  open_.emplace(transaction, std::move(open));
}

Status Transactions::Forget(LogTransaction transaction) {
  std::lock_guard lock(mutex_);
  VARVE_ASSIGN(const auto found, Find(transaction));
  open_.erase(found);
  return {};
}

void Transactions::ForgetAll() {
  std::lock_guard lock(mutex_);
  open_.clear();
}

std::uint64_t Transactions::count() const {
  std::lock_guard lock(mutex_);
  return open_.size();
}

}  // namespace varve
