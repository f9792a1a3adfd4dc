// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "format_cell.h"
#include "former_table.h"
#include "parse_cell.h"
#include "point_in_time.h"

namespace varve::cli {
namespace {

// What JSON writes without quotes or brackets: 42, true, null.
bool IsWord(JsonKind kind) {
  return kind == JsonKind::kNull || kind == JsonKind::kBool || kind == JsonKind::kNumber;
}

// One KEY argument as the values of the key columns.
Outcome<std::vector<JsonValue>> ParseKey(const Table& table, const std::string& argument) {
  const std::size_t width = table.key.size();
  const auto type = PlainType(table.schema->GetFieldByName(table.key[0])->type());
  const std::vector text{JsonValue{JsonKind::kString, argument, {}, {}}};
  auto value = ParseJson(argument);
  if (value && width == 1 && IsString(*type) && IsWord(value->kind)) return text;
  if (!value) {
    if (width == 1 && !IsNested(*type)) return text;
    return WrongUsage(fmt::format("KEY {}: {}; a key of {} is a JSON value for each of {}",
                                  argument, value.error(), table.name, fmt::join(table.key, ",")));
  }
  std::vector<JsonValue> values = std::move(value->items);
  if (value->kind != JsonKind::kArray) values = {*std::move(value)};
  if (values.size() != width) {
    return WrongUsage(fmt::format("KEY {}: expected {} values for {} ({}), found {}", argument,
                                  width, table.name, fmt::join(table.key, ","), values.size()));
  }
  return values;
}

}  // namespace

std::shared_ptr<arrow::Schema> Table::KeySchema() const {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (const std::string& column : key) fields.push_back(schema->GetFieldByName(column));
  return arrow::schema(std::move(fields));
}

Done Table::CheckColumns(const std::vector<std::string>& names) const {
  for (auto it = names.begin(); it != names.end(); ++it) {
    if (schema->GetFieldByName(*it) == nullptr) {
      return WrongUsage(fmt::format("table {} has no column {}; it has {}", name, *it,
                                    fmt::join(schema->field_names(), ", ")));
    }
    if (std::find(names.begin(), it, *it) != it) {
      return WrongUsage("column " + *it + " is named twice");
    }
  }
  return {};
}

Outcome<Table> FindTable(const Database& database, const std::string& name, const AsOf& as_of) {
  Table table;
  table.name = name;
  CLI_ASSIGN(table.snapshot, SnapshotAt(database, as_of));
  auto schema = table.snapshot->Schema(name);
  if (!schema && schema.error().kind() == ErrorKind::kNotFound) {
    const auto tables = table.snapshot->Tables();
    const auto known = tables.empty() ? fmt::format("no table {}: the database has no tables", name)
                                      : fmt::format("no table {}; the database has {}", name,
                                                    fmt::join(tables, ", "));
    return NotFound(known + DescribeFormerTable(database, name, table.snapshot->commit()));
  }
  if (!schema) return std::unexpected(std::move(schema).error());
  table.schema = *std::move(schema);
  CLI_ASSIGN(table.key, table.snapshot->Key(name));
  return table;
}

Outcome<std::shared_ptr<arrow::Schema>> ParseSchemaFlag(const std::string& text) {
  auto schema = ParseSchema(text);
  if (schema) return *std::move(schema);
  return std::unexpected(Failure(schema.error()));
}

Outcome<std::shared_ptr<const arrow::compute::Expression>> ParseWhere(const std::string& text,
                                                                      const Table& table) {
  auto filter = ParseFilter(text, table.schema);
  if (filter) return *std::move(filter);
  return std::unexpected(Failure(filter.error(), kExitUsage));
}

std::string Columns(const arrow::Schema& schema) {
  return Counted(static_cast<std::uint64_t>(schema.num_fields()), "column");
}

Json DescribeColumns(const arrow::Schema& schema) {
  Json columns = Json::array();
  for (const auto& field : schema.fields()) {
    columns.push_back({{"name", field->name()},
                       {"type", field->type()->ToString()},
                       {"nullable", field->nullable()}});
  }
  return columns;
}

Outcome<std::shared_ptr<arrow::RecordBatch>> ParseKeys(const Table& table,
                                                       const std::vector<std::string>& arguments) {
  const auto schema = table.KeySchema();
  std::vector<std::unique_ptr<arrow::ArrayBuilder>> builders;
  for (const auto& field : schema->fields()) {
    CLI_ARROW(auto builder, arrow::MakeBuilder(PlainType(field->type())));
    builders.push_back(std::move(builder));
  }
  for (const std::string& argument : arguments) {
    CLI_ASSIGN(const auto values, ParseKey(table, argument));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto type = PlainType(schema->field(static_cast<int>(i))->type());
      if (auto problem = AppendParsedJson(*type, values[i], builders[i].get())) {
        return WrongUsage(fmt::format("KEY {}: column {}: {}", argument, table.key[i], *problem));
      }
    }
  }
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (std::size_t i = 0; i < builders.size(); ++i) {
    std::shared_ptr<arrow::Array> plain;
    CLI_ARROW_TRY(builders[i]->Finish(&plain));
    CLI_ARROW(auto column, RestoreColumn(plain, schema->field(static_cast<int>(i))->type()));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, static_cast<std::int64_t>(arguments.size()),
                                  std::move(columns));
}

}  // namespace varve::cli
