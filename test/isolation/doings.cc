// SPDX-License-Identifier: Apache-2.0
#include "test/isolation/doings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace varve::testing {
namespace {

using Keys = std::map<std::int64_t, Doings>;
using Kind = Operation::Kind;

// What was read stays read.
void GoBack(const Keys& to, Keys* keys) {
  for (auto& [key, doings] : *keys) {
    const auto at = to.find(key);
    doings.fresh = at != to.end() && at->second.fresh;
    doings.wrote = at == to.end() ? List() : at->second.wrote;
  }
}

void Read(const Operation& read, DoingsOfTransaction* all) {
  auto& key = all->keys[read.key];
  key.asked = true;
  if (!key.fresh && !key.read) {
    key.read = read.list;
    return;
  }
  const auto expected = key.Left();
  if (read.list == expected) return;
  all->misread.push_back(fmt::format("read {} of key {}, after which it was {}", read.list,
                                     read.key, expected));
}

void Replace(List list, Doings* key) {
  key->fresh = true;
  key->wrote = std::move(list);
}

}  // namespace

List Doings::Left() const {
  List list = fresh ? List() : read.value_or(List());
  list.insert(list.end(), wrote.begin(), wrote.end());
  return list;
}

DoingsOfTransaction Follow(const RecordedTransaction& transaction) {
  DoingsOfTransaction all;
  std::vector<Keys> saved;
  for (const auto& operation : transaction.operations) {
    switch (operation.kind) {
      case Kind::kRead: Read(operation, &all); break;
      case Kind::kAppend: all.keys[operation.key].wrote.push_back(operation.value); break;
      case Kind::kPut: Replace({operation.value}, &all.keys[operation.key]); break;
      case Kind::kDelete: Replace({}, &all.keys[operation.key]); break;
      case Kind::kSavepoint: saved.push_back(all.keys); break;
      case Kind::kRollback: GoBack(saved.back(), &all.keys); break;
    }
  }
  return all;
}

}  // namespace varve::testing
