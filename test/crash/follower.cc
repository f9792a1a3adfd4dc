// SPDX-License-Identifier: Apache-2.0
#include "test/crash/follower.h"

#include <algorithm>
#include <ostream>
#include <utility>

namespace varve::testing {
namespace {

std::optional<std::string> ValueAt(const arrow::Array& values, std::int64_t row) {
  if (values.IsNull(row)) return std::nullopt;
  return static_cast<const arrow::StringArray&>(values).GetString(row);
}

}  // namespace

void PrintTo(const Change& change, std::ostream* out) {
  *out << change.kind << " of " << change.id << ": " << change.before.value_or("nothing") << " to "
       << change.value.value_or("nothing");
}

Result<std::unique_ptr<ChangeCursor>> FollowFrom(const Ledger& ledger, const std::string& table,
                                                 const Database& db) {
  return db.FollowChanges(table, CommitNumber{ledger.position},
                          {.before_images = true, .batch_rows_max = 2});
}

Status TakeAll(ChangeCursor* cursor, Ledger* ledger) {
  const auto first = ledger->given.upper_bound(ledger->position);
  std::map<std::uint64_t, std::vector<Change>> parts(first, ledger->given.end());
  ledger->given.erase(first, ledger->given.end());
  while (true) {
    auto batch = cursor->Next(0);
    if (!batch) return std::unexpected(std::move(batch).error());
    if (*batch == nullptr) break;
    EXPECT_LE((*batch)->num_rows(), 2);
    const auto& commits = static_cast<const arrow::UInt64Array&>(*(*batch)->column(0));
    const auto& kinds = static_cast<const arrow::StringArray&>(*(*batch)->column(1));
    const auto& ids = static_cast<const arrow::Int64Array&>(*(*batch)->column(2));
    for (std::int64_t i = 0; i < (*batch)->num_rows(); ++i) {
      const std::uint64_t commit = commits.Value(i);
      EXPECT_GT(commit, ledger->position) << "came again";
      EXPECT_TRUE(ledger->given.empty() || ledger->given.rbegin()->first <= commit)
          << "commit " << commit << " came late";
      ledger->given[commit].push_back({kinds.GetString(i), ids.Value(i),
                                       ValueAt(*(*batch)->column(3), i),
                                       ValueAt(*(*batch)->column(4), i)});
    }
    ledger->position = cursor->position().value;  // saved with what came
  }
  ledger->position = cursor->position().value;
  for (const auto& [commit, part] : parts) {
    const std::vector<Change>& whole = ledger->given[commit];
    EXPECT_TRUE(whole.size() >= part.size() && std::equal(part.begin(), part.end(), whole.begin()))
        << "commit " << commit << " came again as another one";
  }
  return {};
}

std::map<std::uint64_t, std::vector<Change>> ChangesBetween(const std::vector<Rows>& after) {
  std::map<std::uint64_t, std::vector<Change>> changes;
  for (std::uint64_t commit = 1; commit < after.size(); ++commit) {
    const Rows& was = after[commit - 1];
    const Rows& is = after[commit];
    Rows keys = was;
    keys.insert(is.begin(), is.end());
    for (const auto& [id, any] : keys) {
      const auto before = was.find(id);
      const auto now = is.find(id);
      if (now == is.end()) {
        changes[commit].push_back({"delete", id, std::nullopt, before->second});
      } else if (before == was.end()) {
        changes[commit].push_back({"insert", id, now->second, std::nullopt});
      } else if (before->second != now->second) {
        changes[commit].push_back({"update", id, now->second, before->second});
      }
    }
  }
  return changes;
}

}  // namespace varve::testing
