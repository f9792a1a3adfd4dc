// SPDX-License-Identifier: Apache-2.0
// What a life reads of a snapshot: its tables, their columns, and their rows in four ways.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "test/model/life.h"

namespace varve::testing {
namespace {

void RequireEqual(const RowList& found, const RowList& expected, const std::string& what) {
  Require(found == expected, fmt::format("{}: found{}, expected{}", what, Describe(found),
                                         Describe(expected)));
}

std::string Of(const std::string& name, const Snapshot& snapshot) {
  return fmt::format("table {} as of commit {}", name, snapshot.commit().value);
}

void RequireShape(const Snapshot& snapshot, const std::string& name, const Shape& shape) {
  const auto schema = Must(snapshot.Schema(name), "schema");
  const auto expected = SchemaOf(shape);
  Require(schema->Equals(*expected),
          fmt::format("{} has the columns {}, expected {}", Of(name, snapshot), schema->ToString(),
                      expected->ToString()));
  Require(Must(snapshot.Key(name), "key") == KeyOf(shape), Of(name, snapshot) + " has another key");
}

}  // namespace

void Life::CheckAsOf(const AsOf& as_of, std::uint64_t commit, const std::string& what) {
  CheckSnapshot(*Must(db_->GetSnapshot(as_of), what), commit, reference_.At(commit));
}

void Life::CheckSnapshot(const Snapshot& snapshot, std::uint64_t commit, const Tables& expected) {
  Require(snapshot.commit().value == commit, "a snapshot's commit changed");
  auto names = snapshot.Tables();
  std::ranges::sort(names);
  std::vector<std::string> wanted;
  for (const auto& [name, table] : expected) wanted.push_back(name);
  Require(names == wanted, fmt::format("the tables as of commit {} are {}, expected {}", commit,
                                       fmt::join(names, ", "), fmt::join(wanted, ", ")));
  for (const auto& [name, table] : expected) {
    RequireShape(snapshot, name, *table->shape);
    CheckScan(snapshot, name, *table);
    CheckFilter(snapshot, name, *table);
    CheckGet(snapshot, name, *table);
    CheckChanges(snapshot, name, *table);
  }
}

void Life::CheckScan(const Snapshot& snapshot, const std::string& name, const Table& expected) {
  auto all = Must(snapshot.Scan(name), "scan");
  RequireEqual(ReadAll(*expected.shape, all.get()), Listed(expected.rows), Of(name, snapshot));
}

void Life::CheckFilter(const Snapshot& snapshot, const std::string& name, const Table& expected) {
  const auto condition = PickCondition(*expected.shape, chance_.get());
  ScanOptions options{
      .filter = Must(ParseFilter(condition.text, SchemaOf(*expected.shape)), condition.text),
      .reverse = Below(2) == 0,
      .batch_rows_max = 1 + static_cast<std::int64_t>(Below(5))};
  auto some = Listed(Where(expected.rows, condition));
  if (options.reverse) std::ranges::reverse(some);
  if (Below(2) == 0) {
    options.limit = Below(10);
    some.resize(std::min<std::size_t>(some.size(), *options.limit));
  }
  auto reader = Must(snapshot.Scan(name, options), condition.text);
  RequireEqual(ReadAll(*expected.shape, reader.get()), some,
               fmt::format("{} where {}", Of(name, snapshot), condition.text));
}

void Life::CheckGet(const Snapshot& snapshot, const std::string& name, const Table& expected) {
  const auto keys = PickRows(*expected.shape, chance_.get());
  RowList found;
  for (const auto& [key, unused] : keys) {
    const auto at = expected.rows.find(key);
    if (at != expected.rows.end()) found.emplace_back(*at);
  }
  const auto rows = Must(snapshot.Get(name, MakeBatch(*expected.shape, keys)), "get");
  RequireEqual(ReadBatch(*expected.shape, *rows), found,
               fmt::format("get from {}:{}", Of(name, snapshot), Describe(keys)));
}

}  // namespace varve::testing
