// SPDX-License-Identifier: Apache-2.0
#include "test/model/batches.h"

namespace varve::testing {
namespace {

template <typename Builder, typename Value>
void Append(Builder* builder, const std::optional<Value>& value) {
  const auto status = value ? builder->Append(*value) : builder->AppendNull();
  Require(status.ok(), status.ToString());
}

template <typename Array>
auto At(const arrow::RecordBatch& batch, const std::string& name, std::int64_t row) {
  const auto column = std::static_pointer_cast<Array>(batch.GetColumnByName(name));
  return column == nullptr || column->IsNull(row) ? std::nullopt
                                                  : std::optional(column->GetView(row));
}

}  // namespace

std::shared_ptr<arrow::Schema> SchemaOf(const std::string& table) {
  const auto v = arrow::field("v", arrow::utf8());
  const auto n = arrow::field("n", arrow::int64());
  if (table == "plain") return arrow::schema({arrow::field("id", arrow::int64(), false), v, n});
  return arrow::schema({arrow::field("b", arrow::utf8(), false), v,
                        arrow::field("a", arrow::int32(), false), n});
}

std::vector<std::string> KeyOf(const std::string& table) {
  if (table == "plain") return {"id"};
  return {"a", "b"};
}

std::shared_ptr<arrow::RecordBatch> MakeBatch(const std::string& table, const RowList& rows) {
  arrow::Int64Builder ids, n;
  arrow::Int32Builder a;
  arrow::StringBuilder b, v;
  for (const auto& [key, row] : rows) {
    Append(&ids, std::optional(key.a));
    Append(&a, std::optional(static_cast<std::int32_t>(key.a)));
    Append(&b, std::optional(key.b));
    Append(&v, row.v);
    Append(&n, row.n);
  }
  const auto done = [](auto* builder) { return Take(builder->Finish(), "a column"); };
  const auto count = static_cast<std::int64_t>(rows.size());
  if (table == "plain") {
    return arrow::RecordBatch::Make(SchemaOf(table), count, {done(&ids), done(&v), done(&n)});
  }
  return arrow::RecordBatch::Make(SchemaOf(table), count,
                                  {done(&b), done(&v), done(&a), done(&n)});
}

RowList ReadBatch(const std::string& table, const arrow::RecordBatch& batch) {
  RowList rows;
  for (std::int64_t i = 0; i < batch.num_rows(); ++i) {
    Key key;
    if (table == "plain") {
      key.a = At<arrow::Int64Array>(batch, "id", i).value_or(0);
    } else {
      key.a = At<arrow::Int32Array>(batch, "a", i).value_or(0);
      key.b = At<arrow::StringArray>(batch, "b", i).value_or("");
    }
    Row row;
    if (const auto v = At<arrow::StringArray>(batch, "v", i)) row.v = std::string(*v);
    if (const auto n = At<arrow::Int64Array>(batch, "n", i)) row.n = *n;
    rows.emplace_back(std::move(key), std::move(row));
  }
  return rows;
}

RowList ReadAll(const std::string& table, arrow::RecordBatchReader* reader) {
  RowList rows;
  while (true) {
    const auto batch = Take(reader->Next(), "a scan");
    if (batch == nullptr) return rows;
    auto more = ReadBatch(table, *batch);
    rows.insert(rows.end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
  }
}

}  // namespace varve::testing
