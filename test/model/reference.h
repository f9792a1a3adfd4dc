// SPDX-License-Identifier: Apache-2.0
// What a database should hold: one map of rows per table, for every commit that there was.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"

namespace varve::testing {

// The key of "plain" is `a`, an int64, alone; that of "pairs" is (a int32, b utf8).
struct Key {
  std::int64_t a = 0;
  std::string b;
  auto operator<=>(const Key&) const = default;
};
struct Row {
  std::optional<std::string> v;
  std::optional<std::int64_t> n;
  bool operator==(const Row&) const = default;
};
using TableRows = std::map<Key, Row>;
using Tables = std::map<std::string, TableRows>;

inline constexpr const char* kTables[] = {"plain", "pairs"};

// Rows to write: a table's, in the order of a batch. Keys may come twice.
using RowList = std::vector<std::pair<Key, Row>>;

std::string PickTable(Random* chance);
Key PickKey(const std::string& table, Random* chance);
RowList PickRows(const std::string& table, Random* chance);

// A condition on rows, as text for ParseFilter and as what it means: true, false or null.
struct Condition {
  std::string text;
  std::function<std::optional<bool>(const Key&, const Row&)> holds;
};
Condition PickCondition(const std::string& table, Random* chance);

TableRows Where(const TableRows& rows, const Condition& condition);
std::string Describe(const RowList& rows);

}  // namespace varve::testing
