// SPDX-License-Identifier: Apache-2.0
// What a life reads of a snapshot: its tables, their columns, their rows in many ways, how many
// they are and between which values they lie.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

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
  if (fleeting_) std::erase(names, kFleetingName);
  std::vector<std::string> wanted;
  for (const auto& [name, table] : expected) wanted.push_back(name);
  Require(names == wanted, fmt::format("the tables as of commit {} are {}, expected {}", commit,
                                       fmt::join(names, ", "), fmt::join(wanted, ", ")));
  for (const auto& [name, table] : expected) {
    RequireShape(snapshot, name, *table->shape);
    CheckAllRows(snapshot, name, *table);
    CheckScan(snapshot, name, *table);
    switch (Below(6)) {
      case 0: CheckCount(snapshot, name, *table); break;
      case 1: CheckMinMax(snapshot, name, *table); break;
      default: break;
    }
    CheckGet(snapshot, name, *table);
    CheckChanges(snapshot, name, *table);
  }
}

void Life::CheckAllRows(const Snapshot& snapshot, const std::string& name,
                        const Table& expected) {
  auto all = Must(snapshot.Scan(name), "scan");
  RequireEqual(ReadAll(*expected.shape, all.get()), Listed(expected.rows), Of(name, snapshot));
}

// Of an unordered scan some parts are read by tasks.
RowList Life::ReadRows(const TableScan& scan, arrow::RecordBatchReader* reader) {
  return ReadAll(*scan.shape, reader, [&] {
    if (scan.unordered && Below(4) == 0) executor_.RunOne();
  });
}

void Life::CheckScan(const Snapshot& snapshot, const std::string& name, const Table& expected) {
  const auto scan = PickScan(*expected.shape, chance_.get());
  auto reader = Must(snapshot.Scan(name, OptionsOf(scan, *expected.shape)), Describe(scan));
  RequireRows(scan, expected, ReadRows(scan, reader.get()), Of(name, snapshot));
}

void Life::CheckCount(const Snapshot& snapshot, const std::string& name, const Table& expected) {
  auto scan = PickScan(*expected.shape, chance_.get());
  scan.reverse = scan.unordered = false;
  auto options = OptionsOf(scan, *expected.shape);
  options.columns.reset();
  const std::uint64_t all = scan.wanted.Of(expected.rows).size();
  const auto most = std::min(all, scan.limit.value_or(all));
  const auto count = Must(snapshot.Count(name, options), Describe(scan));
  Require(count.rows == most && count.rows_scanned <= most,
          fmt::format("{}{}: counted {}, of which {} scanned, expected {}", Of(name, snapshot),
                      Describe(scan), count.rows, count.rows_scanned, most));
}

void Life::CheckMinMax(const Snapshot& snapshot, const std::string& name, const Table& expected) {
  const Shape& shape = *expected.shape;
  const auto wanted = Below(3) == 0 ? Wanted() : PickWanted(shape, chance_.get());
  const auto& column = shape.columns[Below(shape.columns.size())];
  std::set<Value> values;
  for (const auto& row : wanted.Of(expected.rows)) values.insert(ValueOf(shape, row, column));
  values.erase(Value());
  const auto what = fmt::format("{}{}: the range of {}", Of(name, snapshot), Describe(wanted),
                                column.name);
  const auto found = Must(
      snapshot.MinMax(name, column.name, {.filter = FilterOf(shape, wanted.condition),
                                          .range = KeyRangeOf(shape, wanted.range)}),
      what);
  const auto min = ValueOf(column, found.min), max = ValueOf(column, found.max);
  const auto least = values.empty() ? Value() : *values.begin();
  const auto greatest = values.empty() ? Value() : *values.rbegin();
  Require(min == least && max == greatest,
          fmt::format("{} is {} to {}, expected {} to {}", what, Text(min), Text(max),
                      Text(least), Text(greatest)));
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
