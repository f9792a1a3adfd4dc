// SPDX-License-Identifier: Apache-2.0
// What a database should hold: for every commit that there was, its tables, each with its columns
// and one map of rows. It knows nothing of how the engine keeps them: where columns change, every
// row is written anew.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/random.h"

namespace varve::testing {

enum class Kind : std::uint8_t { kInt32, kInt64, kFloat, kDouble, kText, kLargeText };
using Value = std::variant<std::monostate, std::int64_t, double, std::string>;  // the first: null

struct Column {
  std::uint32_t id = 0;  // its own in its table for ever, whatever its name
  std::string name;
  Kind kind = Kind::kInt64;
  bool required = false;
  int key_place = -1;  // in the key; -1: a value
  Value before;        // what rows from before there was this column show
  bool operator==(const Column&) const = default;
};

// The columns of a table. The key is an int64 alone, or, composite, (int32, text).
struct Shape {
  bool composite = false;
  std::uint64_t keys = 0;  // that chance takes its keys from, about
  std::vector<Column> columns;
  std::uint32_t next_id = 1;
};
using ShapePtr = std::shared_ptr<const Shape>;

struct Key {
  std::int64_t a = 0;
  std::string b;
  auto operator<=>(const Key&) const = default;
};
using Row = std::vector<Value>;  // of the columns that are no key, in order
using TableRows = std::map<Key, Row>;

// An end of a range of keys: a key, or of a composite one its first column alone.
struct Bound {
  Key key;
  bool first_alone = false;
  bool inclusive = true;
};
struct Range {
  std::optional<Bound> lower, upper;
};
bool Within(const Range& range, const Key& key);

struct Table {
  std::uint32_t id = 0;  // its own for ever, in the order of making
  ShapePtr shape;
  TableRows rows;
};
using TablePtr = std::shared_ptr<const Table>;
using Tables = std::map<std::string, TablePtr>;

// Rows to write: a table's, in the order of a batch. Keys may come twice.
using RowList = std::vector<std::pair<Key, Row>>;

RowList Listed(const TableRows& rows);

// All commits so far, from the one before the first on. Tables of others stay as they are.
class Reference {
 public:
  const Tables& At(std::uint64_t commit) const { return after_[commit]; }
  const Tables& Newest() const { return after_.back(); }
  std::uint64_t newest() const { return after_.size() - 1; }
  // The next one.
  void Commit(Tables tables) { after_.push_back(std::move(tables)); }
  // The commits after this one are gone. Tables stay: they are durable as soon as they are made.
  void CutBack(std::uint64_t commit) { after_.resize(commit + 1); }
  // No commit: as of each one at which nobody had the name, the table is there and empty.
  void Create(const std::string& name, ShapePtr shape);
  // The table of this id as of a commit, with its rows as they show under these columns.
  TablePtr TableAs(std::uint64_t commit, std::uint32_t id, const ShapePtr& shape) const;

 private:
  std::vector<Tables> after_ = std::vector<Tables>(1);
  std::uint32_t next_id_ = 1;
};

// Where a table is; the end when it is not there.
Tables::const_iterator FindTable(const Tables& tables, std::uint32_t id);
// The same tables, but for the rows of one.
Tables WithRows(const Tables& tables, const std::string& name, TableRows rows);

// One change of columns.
struct ColumnStep {
  enum What : std::uint8_t { kAdd, kDrop, kRename, kWiden } what;
  std::string name;    // of the column now; of one to add, its name
  std::string to = {};  // kRename
  Column column = {};  // kAdd, kWiden: as it becomes
};
std::string Describe(const std::vector<ColumnStep>& steps);
// The table with the changes made, one after the other, in each of its rows.
TablePtr Altered(const Table& table, const std::vector<ColumnStep>& steps);

// The rows of a table as they show under other columns of it.
TableRows Under(const Table& table, const Shape& shape);
// Rows of one shape under columns that another one has, by their names. Nothing when one is not
// there, has another type, or is of the key and null.
std::optional<RowList> Refitted(const Shape& from, const RowList& rows, const Shape& to);
Value ValueOf(const Shape& shape, const std::pair<Key, Row>& row, const Column& column);
// Sets the columns of `part` in a row of `shape`.
void SetPart(const Shape& part, const Row& values, const Shape& shape, Row* row);
bool LacksRequired(const Shape& shape, const Row& row);

ShapePtr FirstShape(const std::string& name, Random* chance);
ShapePtr PickShape(Random* chance);
// What AlterTable must take.
std::vector<ColumnStep> PickSteps(const Shape& shape, Random* chance);
// What it must refuse, whatever comes before.
ColumnStep PickWrongStep(const Shape& shape, Random* chance);
RowList PickRows(const Shape& shape, Random* chance);
// The key columns and some others, in any order.
ShapePtr PickPart(const Shape& shape, Random* chance);
Range PickRange(const Shape& shape, Random* chance);

// A condition on rows, as text for ParseFilter and as what it means: true, false or null.
struct Condition {
  std::string text;
  std::function<std::optional<bool>(const Key&, const Row&)> holds;
};
Condition PickCondition(const Shape& shape, Random* chance);

std::string Text(const Value& value);
std::string Describe(const RowList& rows);
std::string Describe(const Range& range);

}  // namespace varve::testing
