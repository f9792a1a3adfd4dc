// SPDX-License-Identifier: Apache-2.0
#include "columns/sample_values.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/builder.h>
#include <arrow/extension_type.h>
#include <arrow/type.h>

#include <vector>

namespace varve {
namespace {

constexpr std::int64_t kElements = 2;  // of each list

}  // namespace

arrow::Result<std::shared_ptr<arrow::ArrayData>> SampleValues(
    const std::shared_ptr<arrow::DataType>& type, std::int64_t rows) {
  const auto children = [&](std::int64_t length) -> arrow::Result<arrow::ArrayDataVector> {
    arrow::ArrayDataVector data;
    for (const auto& field : type->fields()) {
      ARROW_ASSIGN_OR_RAISE(auto child, SampleValues(field->type(), length));
      data.push_back(std::move(child));
    }
    return data;
  };
  switch (type->id()) {
    case arrow::Type::STRUCT: {
      ARROW_ASSIGN_OR_RAISE(auto fields, children(rows));
      return arrow::ArrayData::Make(type, rows, {nullptr}, std::move(fields), 0);
    }
    case arrow::Type::FIXED_SIZE_LIST: {
      const auto size = static_cast<const arrow::FixedSizeListType&>(*type).list_size();
      ARROW_ASSIGN_OR_RAISE(auto values, children(rows * size));
      return arrow::ArrayData::Make(type, rows, {nullptr}, std::move(values), 0);
    }
    case arrow::Type::LIST:
    case arrow::Type::MAP: {
      ARROW_ASSIGN_OR_RAISE(auto values, children(rows * kElements));
      std::vector<std::int32_t> offsets;
      for (std::int64_t i = 0; i <= rows; ++i) {
        offsets.push_back(static_cast<std::int32_t>(i * kElements));
      }
      auto buffer = arrow::Buffer::FromVector(std::move(offsets));
      return arrow::ArrayData::Make(type, rows, {nullptr, std::move(buffer)}, std::move(values), 0);
    }
    case arrow::Type::EXTENSION: {
      const auto& storage = static_cast<const arrow::ExtensionType&>(*type).storage_type();
      ARROW_ASSIGN_OR_RAISE(auto data, SampleValues(storage, rows));
      data = data->Copy();
      data->type = type;
      return data;
    }
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryType&>(*type);
      ARROW_ASSIGN_OR_RAISE(auto indices, SampleValues(dictionary.index_type(), rows));
      ARROW_ASSIGN_OR_RAISE(auto values, SampleValues(dictionary.value_type(), 1));
      auto data = indices->Copy();
      data->type = type;
      data->dictionary = std::move(values);
      return data;
    }
    default: {
      ARROW_ASSIGN_OR_RAISE(auto builder, arrow::MakeBuilder(type));
      ARROW_RETURN_NOT_OK(builder->AppendEmptyValues(rows));
      ARROW_ASSIGN_OR_RAISE(auto array, builder->Finish());
      return array->data();
    }
  }
}

}  // namespace varve
