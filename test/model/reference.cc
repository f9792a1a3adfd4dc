// SPDX-License-Identifier: Apache-2.0
#include "test/model/reference.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve::testing {
namespace {

// The columns that are no key; their places are those in a row.
std::vector<const Column*> ValuesOf(const Shape& shape) {
  std::vector<const Column*> values;
  for (const Column& column : shape.columns) {
    if (column.key_place < 0) values.push_back(&column);
  }
  return values;
}

void Make(const ColumnStep& step, Shape* shape) {
  auto& columns = shape->columns;
  const auto at = std::ranges::find(columns, step.name, &Column::name);
  switch (step.what) {
    case ColumnStep::kAdd:
      columns.push_back(step.column);
      columns.back().id = shape->next_id++;
      return;
    case ColumnStep::kDrop: columns.erase(at); return;
    case ColumnStep::kRename: at->name = step.to; return;
    case ColumnStep::kWiden:
      at->kind = step.column.kind;
      at->required = step.column.required;
  }
}

}  // namespace

Value ValueOf(const Shape& shape, const std::pair<Key, Row>& row, const Column& column) {
  if (column.key_place == 0) return row.first.a;
  if (column.key_place == 1) return row.first.b;
  const auto values = ValuesOf(shape);
  const auto at = std::ranges::find(values, column.id, &Column::id) - values.begin();
  return row.second[static_cast<std::size_t>(at)];
}

std::string Text(const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&value)) return fmt::format("{}", *real);
  if (const auto* text = std::get_if<std::string>(&value)) return fmt::format("'{}'", *text);
  return "null";
}

TableRows Under(const Table& table, const Shape& shape) {
  const auto from = ValuesOf(*table.shape);
  std::vector<std::pair<std::ptrdiff_t, const Column*>> places;  // in `from`
  for (const Column* column : ValuesOf(shape)) {
    const auto at = std::ranges::find(from, column->id, &Column::id);
    places.emplace_back(at == from.end() ? -1 : at - from.begin(), column);
  }
  TableRows rows;
  for (const auto& [key, row] : table.rows) {
    Row& shown = rows[key];
    for (const auto& [place, column] : places) {
      shown.push_back(place < 0 ? column->before : row[static_cast<std::size_t>(place)]);
    }
  }
  return rows;
}

void Reference::Create(const std::string& name, ShapePtr shape) {
  auto table = std::make_shared<Table>();
  table->id = next_id_++;
  table->shape = std::move(shape);
  for (Tables& tables : after_) tables.try_emplace(name, table);
}

TablePtr Reference::TableAs(std::uint64_t commit, std::uint32_t id, const ShapePtr& shape) const {
  const auto at = FindTable(At(commit), id);
  if (at != At(commit).end() && at->second->shape == shape) return at->second;
  auto table = std::make_shared<Table>();
  table->id = id;
  table->shape = shape;
  if (at != At(commit).end()) table->rows = Under(*at->second, *shape);
  return table;
}

Tables::const_iterator FindTable(const Tables& tables, std::uint32_t id) {
  return std::ranges::find_if(tables, [&](const auto& table) { return table.second->id == id; });
}

Tables WithRows(const Tables& tables, const std::string& name, TableRows rows) {
  auto changed = tables;
  auto& table = changed.at(name);
  table = std::make_shared<Table>(Table{table->id, table->shape, std::move(rows)});
  return changed;
}

TablePtr Altered(const Table& table, const std::vector<ColumnStep>& steps) {
  auto altered = std::make_shared<Table>(table);
  for (const ColumnStep& step : steps) {
    auto shape = std::make_shared<Shape>(*altered->shape);
    Make(step, shape.get());
    altered->rows = Under(*altered, *shape);
    altered->shape = std::move(shape);
  }
  return altered;
}

std::optional<RowList> Refitted(const Shape& from, const RowList& rows, const Shape& to) {
  RowList refitted(rows.size());
  for (const Column& column : to.columns) {
    const auto at = std::ranges::find(from.columns, column.name, &Column::name);
    if (at == from.columns.end() || at->kind != column.kind) return {};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Value value = ValueOf(from, rows[i], *at);
      auto& [key, row] = refitted[i];
      if (column.key_place < 0) {
        row.push_back(value);
      } else if (std::holds_alternative<std::monostate>(value)) {
        return {};
      } else if (column.key_place == 0) {
        key.a = std::get<std::int64_t>(value);
      } else {
        key.b = std::get<std::string>(value);
      }
    }
  }
  return refitted;
}

void SetPart(const Shape& part, const Row& values, const Shape& shape, Row* row) {
  const auto from = ValuesOf(part);
  const auto to = ValuesOf(shape);
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto at = std::ranges::find(to, from[i]->id, &Column::id) - to.begin();
    (*row)[static_cast<std::size_t>(at)] = values[i];
  }
}

bool LacksRequired(const Shape& shape, const Row& row) {
  const auto columns = ValuesOf(shape);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i]->required && std::holds_alternative<std::monostate>(row[i])) return true;
  }
  return false;
}

RowList Listed(const TableRows& rows) { return {rows.begin(), rows.end()}; }

bool Within(const Range& range, const Key& key) {
  const auto beside = [&](const Bound& bound) {
    return bound.first_alone ? key.a <=> bound.key.a : key <=> bound.key;
  };
  if (range.lower) {
    const auto order = beside(*range.lower);
    if (order < 0 || (order == 0 && !range.lower->inclusive)) return false;
  }
  if (range.upper) {
    const auto order = beside(*range.upper);
    if (order > 0 || (order == 0 && !range.upper->inclusive)) return false;
  }
  return true;
}

std::string Describe(const RowList& rows) {
  std::string text;
  for (const auto& [key, row] : rows) {
    text += fmt::format(" ({},'{}':", key.a, key.b);
    for (const Value& value : row) text += " " + Text(value);
    text += ")";
  }
  return text.empty() ? " none" : text;
}

std::string Describe(const Range& range) {
  const auto text = [](const Bound& bound, const char* order) {
    const auto rest = bound.first_alone ? std::string() : fmt::format(",'{}'", bound.key.b);
    return fmt::format(" {}{} ({}{})", order, bound.inclusive ? "=" : "", bound.key.a, rest);
  };
  return (range.lower ? text(*range.lower, ">") : std::string()) +
         (range.upper ? text(*range.upper, "<") : std::string());
}

std::string Describe(const std::vector<ColumnStep>& steps) {
  std::string text;
  for (const ColumnStep& step : steps) {
    text += text.empty() ? "" : ", ";
    switch (step.what) {
      case ColumnStep::kAdd:
        text += fmt::format("add {} (kind {}, {} before)", step.name,
                            static_cast<int>(step.column.kind), Text(step.column.before));
        break;
      case ColumnStep::kDrop: text += "drop " + step.name; break;
      case ColumnStep::kRename: text += fmt::format("rename {} to {}", step.name, step.to); break;
      case ColumnStep::kWiden:
        text += fmt::format("widen {} (kind {}{})", step.name, static_cast<int>(step.column.kind),
                            step.column.required ? ", required" : "");
    }
  }
  return text;
}

}  // namespace varve::testing
