// SPDX-License-Identifier: Apache-2.0
// What the reference lets chance choose: tables, changes of columns, rows and conditions.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "test/model/reference.h"

namespace varve::testing {
namespace {

// Of some tables there are few: their rows have many versions, in a life of so few steps.
constexpr std::uint64_t kKeys = 24;
constexpr std::uint64_t kFewKeys = 3;
constexpr std::uint64_t kNumbers = 8;
constexpr std::size_t kColumnsMost = 6;
constexpr std::int64_t kLarge = std::int64_t{1} << 40;  // no int32
constexpr const char* kWords[] = {"", "ant", "antler", "bee", "b_e", "%", "\xc3\xa9t\xc3\xa9"};
constexpr const char* kColumnNames[] = {"v", "n", "w", "x", "id", "a"};
using Truth = std::optional<bool>;

std::string PickWord(Random* chance) { return kWords[chance->Below(std::size(kWords))]; }
Kind PickKind(Random* chance) { return static_cast<Kind>(chance->Below(6)); }

bool IsText(Kind kind) { return kind == Kind::kText || kind == Kind::kLargeText; }

// Floats are exact in halves, doubles need not be.
Value PickValue(const Column& column, Random* chance) {
  if (!column.required && chance->Below(5) == 0) return {};
  const auto number = static_cast<std::int64_t>(chance->Below(kNumbers));
  switch (column.kind) {
    case Kind::kInt32: return number;
    case Kind::kInt64: return chance->Below(8) == 0 ? number + kLarge : number;
    case Kind::kFloat: return static_cast<double>(number) / 2;
    case Kind::kDouble: return static_cast<double>(number) / 2 + (number > 5 ? 0.1 : 0);
    default: return PickWord(chance) + std::string(chance->Below(40), '.');
  }
}

Key PickKey(const Shape& shape, Random* chance) {
  if (!shape.composite) return {static_cast<std::int64_t>(chance->Below(shape.keys)), ""};
  const auto firsts = std::max<std::uint64_t>(shape.keys / 4, 1);
  return {static_cast<std::int64_t>(chance->Below(firsts)), PickWord(chance)};
}

// Also the least and the greatest key that there can be, and a part of a composite one.
Bound PickBound(const Shape& shape, Random* chance) {
  const bool composite = shape.composite;
  Bound bound{.key = PickKey(shape, chance),
              .first_alone = composite && chance->Below(2) == 0,
              .inclusive = chance->Below(2) == 0};
  using Int32 = std::numeric_limits<std::int32_t>;
  using Int64 = std::numeric_limits<std::int64_t>;
  const auto extreme = chance->Below(20);
  if (extreme == 0) bound.key.a = composite ? Int32::min() : Int64::min();
  if (extreme == 1) bound.key.a = composite ? Int32::max() : Int64::max();
  return bound;
}

bool Has(const Shape& shape, const std::string& name) {
  return std::ranges::find(shape.columns, name, &Column::name) != shape.columns.end();
}

void Add(Shape* shape, std::string name, Kind kind, int key_place = -1) {
  shape->columns.push_back({.id = shape->next_id++,
                            .name = std::move(name),
                            .kind = kind,
                            .required = key_place >= 0,
                            .key_place = key_place,
                            .before = {}});
}

Shape KeyShape(bool composite, Random* chance) {
  Shape shape;
  shape.composite = composite;
  shape.keys = chance->Below(4) == 0 ? kFewKeys : kKeys;
  if (composite) {
    Add(&shape, "b", Kind::kText, 1);
    Add(&shape, "v", Kind::kText);
    Add(&shape, "a", Kind::kInt32, 0);
  } else {
    Add(&shape, "id", Kind::kInt64, 0);
    Add(&shape, "v", Kind::kText);
  }
  return shape;
}

// A name that no column has; there is one.
std::string PickFreeName(const Shape& shape, Random* chance) {
  for (auto i = chance->Below(std::size(kColumnNames)); i < std::size(kColumnNames); ++i) {
    if (!Has(shape, kColumnNames[i])) return kColumnNames[i];
  }
  std::string name = "y";
  while (Has(shape, name)) name += "y";
  return name;
}

ColumnStep PickAdd(const Shape& shape, Random* chance) {
  Column column{.id = 0, .name = PickFreeName(shape, chance), .kind = PickKind(chance),
                .required = chance->Below(3) == 0, .key_place = -1, .before = {}};
  column.before = PickValue(column, chance);
  return {.what = ColumnStep::kAdd, .name = column.name, .column = column};
}

// What the kind becomes without losing a value.
Kind Wider(Kind kind) {
  switch (kind) {
    case Kind::kInt32: return Kind::kInt64;
    case Kind::kFloat: return Kind::kDouble;
    case Kind::kText: return Kind::kLargeText;
    default: return kind;
  }
}

ColumnStep PickWiden(const Column& column, Random* chance) {
  Column wide = column;
  if (chance->Below(4) > 0) wide.kind = Wider(wide.kind);
  if (chance->Below(2) == 0) wide.required = false;
  return {.what = ColumnStep::kWiden, .name = column.name, .column = wide};
}

ColumnStep PickStep(const Shape& shape, Random* chance) {
  const auto& column = shape.columns[chance->Below(shape.columns.size())];
  const auto what = chance->Below(4);
  if (what == 0) {
    return {.what = ColumnStep::kRename, .name = column.name, .to = PickFreeName(shape, chance)};
  }
  if (what < 3 && column.key_place < 0) {
    if (what == 1) return PickWiden(column, chance);
    return {.what = ColumnStep::kDrop, .name = column.name};
  }
  if (shape.columns.size() < kColumnsMost) return PickAdd(shape, chance);
  return {.what = ColumnStep::kRename, .name = column.name, .to = PickFreeName(shape, chance)};
}

const Column& KeyColumn(const Shape& shape) {
  return *std::ranges::find(shape.columns, 0, &Column::key_place);
}

Condition PickKeyCondition(const Shape& shape, Random* chance) {
  const auto low = static_cast<std::int64_t>(chance->Below(shape.keys));
  const auto high = low + static_cast<std::int64_t>(chance->Below(shape.keys / 2 + 1));
  const auto& name = KeyColumn(shape).name;
  return {fmt::format("{} >= {} and {} < {}", name, low, name, high),
          [=](const Key& key, const Row&) { return Truth(key.a >= low && key.a < high); }};
}

// The truth of a test of a value that is not null.
using Holds = std::function<bool(const Value&)>;
Condition OfValue(std::size_t place, std::string text, Holds holds) {
  return {std::move(text), [place, holds = std::move(holds)](const Key&, const Row& row) {
            const Value& value = row[place];
            return std::holds_alternative<std::monostate>(value) ? Truth() : Truth(holds(value));
          }};
}

double Number(const Value& value) {
  const auto* whole = std::get_if<std::int64_t>(&value);
  return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value);
}

Condition PickNumberCondition(const std::string& name, std::size_t place, Random* chance) {
  const auto number = static_cast<std::int64_t>(chance->Below(kNumbers));
  const auto bound = static_cast<double>(number);
  switch (chance->Below(4)) {
    case 0:
      return OfValue(place, fmt::format("{} in ({}, {})", name, number, number + 2),
                     [=](const Value& value) {
                       return Number(value) == bound || Number(value) == bound + 2;
                     });
    case 1:
      return OfValue(place, fmt::format("{} + 1 > {}", name, number),
                     [=](const Value& value) { return Number(value) + 1 > bound; });
    case 2:
      return OfValue(place, fmt::format("{} <= {}", name, number),
                     [=](const Value& value) { return Number(value) <= bound; });
    default:
      return OfValue(place, fmt::format("{} = {}", name, number),
                     [=](const Value& value) { return Number(value) == bound; });
  }
}

Condition PickTextCondition(const std::string& name, std::size_t place, Random* chance) {
  if (chance->Below(4) == 0) {
    return OfValue(place, fmt::format("{} = 'bee'", name),
                   [](const Value& value) { return std::get<std::string>(value) == "bee"; });
  }
  const char* prefix = chance->Below(2) == 0 ? "ant" : "b";
  return OfValue(place, fmt::format("{} like '{}%'", name, prefix), [=](const Value& value) {
    return std::get<std::string>(value).starts_with(prefix);
  });
}

Condition PickSimple(const Shape& shape, Random* chance) {
  std::vector<const Column*> values;
  for (const Column& column : shape.columns) {
    if (column.key_place < 0) values.push_back(&column);
  }
  if (values.empty() || chance->Below(3) == 0) return PickKeyCondition(shape, chance);
  const std::size_t place = chance->Below(values.size());
  const auto& [name, kind] = std::tie(values[place]->name, values[place]->kind);
  if (chance->Below(5) == 0) {
    return {name + " is null", [=](const Key&, const Row& row) {
              return Truth(std::holds_alternative<std::monostate>(row[place]));
            }};
  }
  return IsText(kind) ? PickTextCondition(name, place, chance)
                      : PickNumberCondition(name, place, chance);
}

}  // namespace

ShapePtr FirstShape(const std::string& name, Random* chance) {
  Shape shape = KeyShape(name == "pairs", chance);
  Add(&shape, "n", Kind::kInt64);
  return std::make_shared<const Shape>(std::move(shape));
}

ShapePtr PickShape(Random* chance) {
  Shape shape = KeyShape(chance->Below(2) == 0, chance);
  for (auto more = chance->Below(3); more > 0; --more) {
    Add(&shape, PickFreeName(shape, chance), PickKind(chance));
  }
  return std::make_shared<const Shape>(std::move(shape));
}

std::vector<ColumnStep> PickSteps(const Shape& shape, Random* chance) {
  std::vector<ColumnStep> steps;
  Table table{.id = 0, .shape = std::make_shared<Shape>(shape), .rows = {}};
  for (auto left = 1 + chance->Below(3); left > 0; --left) {
    steps.push_back(PickStep(*table.shape, chance));
    table = *Altered(table, {steps.back()});
  }
  return steps;
}

ColumnStep PickWrongStep(const Shape& shape, Random* chance) {
  const auto& key = KeyColumn(shape);
  switch (chance->Below(4)) {
    case 0: return {.what = ColumnStep::kDrop, .name = key.name};
    case 1: return {.what = ColumnStep::kDrop, .name = "nothing"};
    case 2:
      return {.what = ColumnStep::kRename, .name = shape.columns.back().name, .to = key.name};
    default: {
      Column column{.id = 0, .name = "must", .kind = Kind::kInt32, .required = true,
                    .key_place = -1, .before = {}};  // null for the rows that are there
      return {.what = ColumnStep::kAdd, .name = column.name, .column = column};
    }
  }
}

RowList PickRows(const Shape& shape, Random* chance) {
  RowList rows;
  for (auto left = 1 + chance->Below(6); left > 0; --left) {
    Row row;
    for (const Column& column : shape.columns) {
      if (column.key_place < 0) row.push_back(PickValue(column, chance));
    }
    rows.emplace_back(PickKey(shape, chance), std::move(row));
  }
  return rows;
}

ShapePtr PickPart(const Shape& shape, Random* chance) {
  Shape part = shape;
  std::erase_if(part.columns, [&](const Column& column) {
    return column.key_place < 0 && chance->Below(2) == 0;
  });
  const auto first = chance->Below(part.columns.size());
  std::ranges::rotate(part.columns, part.columns.begin() + static_cast<std::ptrdiff_t>(first));
  return std::make_shared<const Shape>(std::move(part));
}

Range PickRange(const Shape& shape, Random* chance) {
  Range range;
  if (chance->Below(6) > 0) range.lower = PickBound(shape, chance);
  if (!range.lower || chance->Below(6) > 0) range.upper = PickBound(shape, chance);
  // Seldom nothing can lie within.
  const bool swapped = range.lower && range.upper && range.upper->key < range.lower->key;
  if (swapped && chance->Below(6) > 0) std::swap(range.lower, range.upper);
  return range;
}

Condition PickCondition(const Shape& shape, Random* chance) {
  auto one = PickSimple(shape, chance);
  const auto how = chance->Below(4);
  if (how == 3) return one;
  if (how == 2) {
    return {fmt::format("not ({})", one.text), [one](const Key& key, const Row& row) -> Truth {
              const auto truth = one.holds(key, row);
              return truth ? Truth(!*truth) : truth;
            }};
  }
  auto other = PickSimple(shape, chance);
  const bool both = how == 0;
  return {fmt::format("({}) {} ({})", one.text, both ? "and" : "or", other.text),
          [=](const Key& key, const Row& row) -> Truth {
            const auto a = one.holds(key, row);
            const auto b = other.holds(key, row);
            if (a && b) return both ? *a && *b : *a || *b;
            const auto known = a ? a : b;  // decides only when it is the stronger one
            return known && *known != both ? known : std::nullopt;
          }};
}

}  // namespace varve::testing
