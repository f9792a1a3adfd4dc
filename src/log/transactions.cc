// SPDX-License-Identifier: Apache-2.0
#include "log/transactions.h"

#include <fmt/format.h>

#include <cstddef>
#include <new>
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
  const auto before = static_cast<std::ptrdiff_t>(open.records.size());
  try {
    for (const auto& record : records) {
      open.records.push_back({std::string(record.bytes), record.kind});
    }
  } catch (const std::bad_alloc&) {
    open.records.erase(open.records.begin() + before, open.records.end());
    throw;
  }
  open.bytes = bytes;
  return {};
}

Result<Transactions::Map::node_type> Transactions::Take(LogTransaction transaction) {
  std::lock_guard lock(mutex_);
  VARVE_ASSIGN(const auto found, Find(transaction));
  if (found->second.records.empty()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("transaction {} holds no record: add one, or abort it",
                            transaction.value));
  }
  return open_.extract(found);
}

void Transactions::PutBack(Map::node_type open) {
  std::lock_guard lock(mutex_);
  open_.insert(std::move(open));
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
