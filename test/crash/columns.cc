// SPDX-License-Identifier: Apache-2.0
#include "test/crash/columns.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace varve::testing {
namespace {

// The parts of a row's text.
struct Cells {
  std::string text;
  std::vector<std::pair<std::string, std::int64_t>> numbers;

  std::optional<std::int64_t> Find(const std::string& name) const {
    const auto at = std::ranges::find(numbers, name, &std::pair<std::string, std::int64_t>::first);
    return at == numbers.end() ? std::nullopt : std::optional(at->second);
  }
};

Cells CellsOf(const std::string& row) {
  Cells cells{.text = row.substr(0, row.find(';')), .numbers = {}};
  for (auto at = row.find(';'); at != row.npos; at = row.find(';', at + 1)) {
    const auto equals = row.find('=', at);
    cells.numbers.emplace_back(row.substr(at + 1, equals - at - 1),
                               std::stoll(row.substr(equals + 1)));
  }
  return cells;
}

std::string TextOf(const Cells& cells) {
  std::string row = cells.text;
  for (const auto& [name, number] : cells.numbers) row += ";" + name + "=" + std::to_string(number);
  return row;
}

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> NumbersOf(const Rows& rows, const std::string& name) {
  Builder builder;
  for (const auto& [id, row] : rows) {
    const auto number = CellsOf(row).Find(name);
    const auto added = number ? builder.Append(static_cast<Value>(*number)) : builder.AppendNull();
    EXPECT_TRUE(added.ok());
  }
  return *builder.Finish();
}

std::int64_t NumberAt(const arrow::Array& values, std::int64_t row) {
  if (values.type_id() == arrow::Type::INT64) {
    return static_cast<const arrow::Int64Array&>(values).Value(row);
  }
  return static_cast<const arrow::Int32Array&>(values).Value(row);
}

std::string TextAt(const arrow::RecordBatch& batch, std::int64_t row) {
  Cells cells{.text = static_cast<const arrow::StringArray&>(*batch.column(1)).GetString(row),
              .numbers = {}};
  for (int i = 2; i < batch.num_columns(); ++i) {
    if (batch.column(i)->IsNull(row)) continue;
    cells.numbers.emplace_back(batch.column_name(i), NumberAt(*batch.column(i), row));
  }
  return TextOf(cells);
}

}  // namespace

std::vector<std::string> Columns::names() const {
  std::vector<std::string> all = {"id", values};
  for (const Number& number : numbers) all.push_back(number.name);
  return all;
}

std::shared_ptr<arrow::Field> FieldOf(const Columns::Number& number) {
  return arrow::field(number.name, number.wide ? arrow::int64() : arrow::int32());
}

std::shared_ptr<arrow::Schema> SchemaOf(const Columns& columns) {
  auto fields = RowsSchema()->fields();
  fields[1] = fields[1]->WithName(columns.values);
  for (const auto& number : columns.numbers) fields.push_back(FieldOf(number));
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::RecordBatch> BatchOf(const Rows& rows, const Columns& columns) {
  Rows texts;
  for (const auto& [id, row] : rows) texts[id] = CellsOf(row).text;
  auto arrays = RowsBatch(texts)->columns();
  for (const auto& [name, wide] : columns.numbers) {
    arrays.push_back(wide ? NumbersOf<arrow::Int64Builder, std::int64_t>(rows, name)
                          : NumbersOf<arrow::Int32Builder, std::int32_t>(rows, name));
  }
  return arrow::RecordBatch::Make(SchemaOf(columns), static_cast<std::int64_t>(rows.size()),
                                  std::move(arrays));
}

Rows ReadTexts(const Snapshot& snapshot, const std::string& table) {
  Rows rows;
  const auto reader = snapshot.Scan(table);
  EXPECT_TRUE(reader) << reader.error().message();
  while (reader) {
    const auto batch = (*reader)->Next();
    EXPECT_TRUE(batch.ok()) << batch.status().ToString();
    if (!batch.ok() || *batch == nullptr) break;
    const auto& ids = static_cast<const arrow::Int64Array&>(*(*batch)->column(0));
    for (std::int64_t row = 0; row < ids.length(); ++row) {
      EXPECT_TRUE(rows.empty() || rows.rbegin()->first < ids.Value(row)) << ids.Value(row);
      rows[ids.Value(row)] = TextAt(**batch, row);
    }
  }
  return rows;
}

Rows Updated(Rows rows, const Rows& from, const std::vector<std::string>& names,
             const Columns& columns) {
  const auto is_set = [&](const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  for (const auto& [id, row] : from) {
    const auto at = rows.find(id);
    if (at == rows.end()) continue;
    const Cells before = CellsOf(at->second), set = CellsOf(row);
    Cells after{.text = is_set(columns.values) ? set.text : before.text, .numbers = {}};
    for (const auto& [name, wide] : columns.numbers) {
      const auto number = (is_set(name) ? set : before).Find(name);
      if (number) after.numbers.emplace_back(name, *number);
    }
    at->second = TextOf(after);
  }
  return rows;
}

Rows WithNumber(Rows rows, const std::string& name, std::int64_t value) {
  for (auto& [id, row] : rows) row += ";" + name + "=" + std::to_string(value);
  return rows;
}

Rows WithoutNumber(Rows rows, const std::string& name) {
  for (auto& [id, row] : rows) {
    auto cells = CellsOf(row);
    std::erase_if(cells.numbers, [&](const auto& number) { return number.first == name; });
    row = TextOf(cells);
  }
  return rows;
}

}  // namespace varve::testing
