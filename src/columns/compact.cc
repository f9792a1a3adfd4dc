// SPDX-License-Identifier: Apache-2.0
#include "columns/compact.h"

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <numeric>

#include "columns/array_cast.h"
#include "columns/take_rows.h"

namespace varve {
namespace {

using Data = std::shared_ptr<arrow::ArrayData>;

bool CanHoldUnused(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DICTIONARY || arrow::is_binary_view_like(type.id())) return true;
  if (type.id() == arrow::Type::EXTENSION) {
    return CanHoldUnused(*static_cast<const arrow::ExtensionType&>(type).storage_type());
  }
  return std::ranges::any_of(type.fields(),
                             [](const auto& field) { return CanHoldUnused(*field->type()); });
}

// Copies the text of the rows, unless most of the bytes are in use anyway.
arrow::Result<Data> CompactView(const Data& data) {
  auto plain = data->Copy();
  plain->type = arrow::binary_view();
  const arrow::BinaryViewArray views(plain);
  std::int64_t held = 0;
  for (std::size_t i = 2; i < data->buffers.size(); ++i) held += data->buffers[i]->size();
  std::int64_t used = 0;
  for (std::int64_t i = 0; i < views.length(); ++i) {
    const auto size = views.IsNull(i) ? 0 : static_cast<std::int64_t>(views.GetView(i).size());
    if (size > arrow::BinaryViewType::kInlineSize) used += size;
  }
  if (held <= 2 * used) return data;
  arrow::BinaryViewBuilder builder;
  ARROW_RETURN_NOT_OK(builder.Reserve(views.length()));
  for (std::int64_t i = 0; i < views.length(); ++i) {
    ARROW_RETURN_NOT_OK(views.IsNull(i) ? builder.AppendNull() : builder.Append(views.GetView(i)));
  }
  Data compact;
  ARROW_RETURN_NOT_OK(builder.FinishInternal(&compact));
  compact->type = data->type;
  return compact;
}

arrow::Result<Data> CompactDictionary(const Data& data) {
  if (data->dictionary->length <= data->length) return data;
  const auto& values = static_cast<const arrow::DictionaryType&>(*data->type).value_type();
  ARROW_ASSIGN_OR_RAISE(auto plain, CastArray(data, values));
  return CastArray(std::move(plain), data->type);
}

arrow::Result<Data> Compact(const Data& data) {
  const auto& type = data->type;
  if (!CanHoldUnused(*type)) return data;
  if (arrow::is_binary_view_like(type->id())) return CompactView(data);
  if (type->id() == arrow::Type::DICTIONARY) return CompactDictionary(data);
  if (type->id() == arrow::Type::EXTENSION) {
    auto storage = data->Copy();
    storage->type = static_cast<const arrow::ExtensionType&>(*type).storage_type();
    ARROW_ASSIGN_OR_RAISE(auto compact, Compact(storage));
    compact = compact->Copy();
    compact->type = type;
    return compact;
  }
  // Nested: taking all rows leaves children that hold just the elements of these rows.
  std::vector<std::int64_t> rows(static_cast<std::size_t>(data->length));
  std::iota(rows.begin(), rows.end(), 0);
  const arrow::Int64Array indices(data->length, arrow::Buffer::FromVector(std::move(rows)));
  ARROW_ASSIGN_OR_RAISE(auto taken, TakeRows(arrow::MakeArray(data), indices));
  auto compact = taken->data()->Copy();
  for (auto& child : compact->child_data) {
    ARROW_ASSIGN_OR_RAISE(child, Compact(child));
  }
  return compact;
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::RecordBatch>> CompactBatch(const arrow::RecordBatch& batch) {
  std::vector<Data> columns;
  for (int i = 0; i < batch.num_columns(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto column, Compact(batch.column_data(i)));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(batch.schema(), batch.num_rows(), std::move(columns));
}

}  // namespace varve
