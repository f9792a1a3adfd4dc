// SPDX-License-Identifier: Apache-2.0
#include "test/model/batches.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve::testing {
namespace {

using TypePtr = std::shared_ptr<arrow::DataType>;
using ArrayPtr = std::shared_ptr<arrow::Array>;

TypePtr TypeOf(Kind kind) {
  switch (kind) {
    case Kind::kInt32: return arrow::int32();
    case Kind::kInt64: return arrow::int64();
    case Kind::kFloat: return arrow::float32();
    case Kind::kDouble: return arrow::float64();
    case Kind::kText: return arrow::utf8();
    case Kind::kLargeText: return arrow::large_utf8();
  }
  throw Broken("no such kind");
}

std::shared_ptr<arrow::Field> FieldOf(const Column& column) {
  return arrow::field(column.name, TypeOf(column.kind), !column.required);
}

// `As` is what the builder takes.
template <typename Builder, typename Held, typename As = Held>
ArrayPtr Build(const std::vector<Value>& values) {
  Builder builder;
  for (const Value& value : values) {
    const auto* held = std::get_if<Held>(&value);
    const auto status =
        held ? builder.Append(static_cast<As>(*held)) : builder.AppendNull();
    Require(status.ok(), status.ToString());
  }
  return Take(builder.Finish(), "a column");
}

ArrayPtr ArrayOf(Kind kind, const std::vector<Value>& values) {
  switch (kind) {
    case Kind::kInt32: return Build<arrow::Int32Builder, std::int64_t, std::int32_t>(values);
    case Kind::kInt64: return Build<arrow::Int64Builder, std::int64_t>(values);
    case Kind::kFloat: return Build<arrow::FloatBuilder, double, float>(values);
    case Kind::kDouble: return Build<arrow::DoubleBuilder, double>(values);
    case Kind::kText: return Build<arrow::StringBuilder, std::string>(values);
    case Kind::kLargeText: return Build<arrow::LargeStringBuilder, std::string>(values);
  }
  throw Broken("no such kind");
}

template <typename Array, typename Held>
std::vector<Value> Read(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  std::vector<Value> values(static_cast<std::size_t>(array.length()));
  for (std::int64_t i = 0; i < array.length(); ++i) {
    if (!array.IsNull(i)) values[static_cast<std::size_t>(i)] = Held(typed.GetView(i));
  }
  return values;
}

std::vector<Value> ValuesOf(Kind kind, const arrow::Array& array) {
  switch (kind) {
    case Kind::kInt32: return Read<arrow::Int32Array, std::int64_t>(array);
    case Kind::kInt64: return Read<arrow::Int64Array, std::int64_t>(array);
    case Kind::kFloat: return Read<arrow::FloatArray, double>(array);
    case Kind::kDouble: return Read<arrow::DoubleArray, double>(array);
    case Kind::kText: return Read<arrow::StringArray, std::string>(array);
    case Kind::kLargeText: return Read<arrow::LargeStringArray, std::string>(array);
  }
  throw Broken("no such kind");
}

Value KeyPart(const Key& key, int place) {
  return place == 0 ? Value(key.a) : Value(key.b);
}

}  // namespace

std::shared_ptr<arrow::Schema> SchemaOf(const Shape& shape) {
  arrow::FieldVector fields;
  for (const Column& column : shape.columns) fields.push_back(FieldOf(column));
  return arrow::schema(std::move(fields));
}

std::vector<std::string> KeyOf(const Shape& shape) {
  std::vector<std::string> names(shape.composite ? 2 : 1);
  for (const Column& column : shape.columns) {
    if (column.key_place >= 0) names[static_cast<std::size_t>(column.key_place)] = column.name;
  }
  return names;
}

ColumnChange ChangeOf(const ColumnStep& step) {
  switch (step.what) {
    case ColumnStep::kDrop: return DropColumn{step.name};
    case ColumnStep::kRename: return RenameColumn{step.name, step.to};
    case ColumnStep::kWiden: return WidenColumn{FieldOf(step.column)};
    case ColumnStep::kAdd: break;
  }
  AddColumn add{FieldOf(step.column)};
  if (!std::holds_alternative<std::monostate>(step.column.before)) {
    add.value = Take(ArrayOf(step.column.kind, {step.column.before})->GetScalar(0), "a default");
  }
  return add;
}

std::vector<ColumnChange> ChangesOf(const std::vector<ColumnStep>& steps) {
  std::vector<ColumnChange> changes;
  for (const ColumnStep& step : steps) changes.push_back(ChangeOf(step));
  return changes;
}

KeyRange KeyRangeOf(const Shape& shape, const Range& range) {
  Shape key = shape;
  std::erase_if(key.columns, [](const Column& column) { return column.key_place < 0; });
  std::ranges::sort(key.columns, {}, &Column::key_place);
  const auto row = [&](const std::optional<Bound>& bound) -> std::shared_ptr<arrow::RecordBatch> {
    if (!bound) return nullptr;
    Shape given = key;
    if (bound->first_alone) given.columns.resize(1);
    return MakeBatch(given, {{bound->key, {}}});
  };
  return {.lower = row(range.lower),
          .upper = row(range.upper),
          .lower_inclusive = !range.lower || range.lower->inclusive,
          .upper_inclusive = range.upper && range.upper->inclusive};
}

std::shared_ptr<const arrow::compute::Expression> FilterOf(
    const Shape& shape, const std::optional<Condition>& condition) {
  if (!condition) return nullptr;
  return Must(ParseFilter(condition->text, SchemaOf(shape)), condition->text);
}

Value ValueOf(const Column& column, const std::shared_ptr<arrow::Scalar>& scalar) {
  if (scalar == nullptr) return {};
  Require(scalar->is_valid && scalar->type->Equals(TypeOf(column.kind)),
          fmt::format("a value of '{}' is {} ({})", column.name, scalar->ToString(),
                      scalar->type->ToString()));
  return ValuesOf(column.kind, *Take(arrow::MakeArrayFromScalar(*scalar, 1), "a value"))[0];
}

std::shared_ptr<arrow::RecordBatch> MakeBatch(const Shape& shape, const RowList& rows) {
  arrow::ArrayVector columns;
  std::size_t place = 0;  // of a value
  for (const Column& column : shape.columns) {
    std::vector<Value> values;
    for (const auto& [key, row] : rows) {
      values.push_back(column.key_place < 0 ? row[place] : KeyPart(key, column.key_place));
    }
    if (column.key_place < 0) ++place;
    columns.push_back(ArrayOf(column.kind, values));
  }
  return arrow::RecordBatch::Make(SchemaOf(shape), static_cast<std::int64_t>(rows.size()),
                                  std::move(columns));
}

RowList ReadBatch(const Shape& shape, const arrow::RecordBatch& batch, const std::string& prefix) {
  RowList rows(static_cast<std::size_t>(batch.num_rows()));
  for (const Column& column : shape.columns) {
    const bool is_value = column.key_place < 0;
    const auto name = (is_value ? prefix : "") + column.name;
    const auto array = batch.GetColumnByName(name);
    Require(array != nullptr && array->type()->Equals(TypeOf(column.kind)),
            fmt::format("column '{}' is {}", name, array ? array->type()->ToString() : "missing"));
    auto values = ValuesOf(column.kind, *array);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      auto& [key, row] = rows[i];
      if (is_value) {
        row.push_back(std::move(values[i]));
      } else if (column.key_place == 0) {
        key.a = std::get<std::int64_t>(values[i]);
      } else {
        key.b = std::get<std::string>(values[i]);
      }
    }
  }
  return rows;
}

RowList ReadAll(const Shape& shape, arrow::RecordBatchReader* reader,
                const std::function<void()>& between) {
  RowList rows;
  while (true) {
    between();
    const auto batch = Take(reader->Next(), "a scan");
    if (batch == nullptr) return rows;
    auto more = ReadBatch(shape, *batch);
    rows.insert(rows.end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
  }
}

}  // namespace varve::testing
