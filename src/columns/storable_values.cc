// SPDX-License-Identifier: Apache-2.0
#include "columns/storable_values.h"

#include <arrow/array.h>
#include <arrow/array/array_dict.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <limits>

#include "base/result.h"

namespace varve {
namespace {

constexpr std::int64_t kMillisPerSecond = 1000;
constexpr std::int64_t kMillisPerDay = 86'400'000;

template <typename T>
Status CheckRange(const arrow::Array& array, std::int64_t least, std::int64_t most,
                  const std::string& column) {
  const auto* values = array.data()->GetValues<T>(1);
  for (std::int64_t i = 0; i < array.length(); ++i) {
    if ((values[i] >= least && values[i] <= most) || array.IsNull(i)) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("row {}: column '{}' ({}): expected a value from {} to {}, which is "
                            "what Parquet can hold, found {}",
                            i, column, array.type()->ToString(), least, most, values[i]));
  }
  return {};
}

template <typename T>
Status CheckSeconds(const arrow::Array& array, const std::string& column) {
  constexpr std::int64_t kMost = std::numeric_limits<T>::max() / kMillisPerSecond;
  return CheckRange<T>(array, -kMost, kMost, column);
}

// The array inside of an extension or a dictionary; null for any other.
std::shared_ptr<arrow::Array> Inside(const arrow::Array& array) {
  if (array.type_id() == arrow::Type::EXTENSION) {
    return static_cast<const arrow::ExtensionArray&>(array).storage();
  }
  if (array.type_id() == arrow::Type::DICTIONARY) {
    return static_cast<const arrow::DictionaryArray&>(array).dictionary();
  }
  return nullptr;
}

Status CheckArray(const arrow::Array& array, const std::string& column) {
  using arrow::TimeUnit;
  const arrow::DataType& type = *array.type();
  switch (type.id()) {
    case arrow::Type::TIMESTAMP:
      if (static_cast<const arrow::TimestampType&>(type).unit() != TimeUnit::SECOND) return {};
      return CheckSeconds<std::int64_t>(array, column);
    case arrow::Type::TIME32:
      if (static_cast<const arrow::Time32Type&>(type).unit() != TimeUnit::SECOND) return {};
      return CheckSeconds<std::int32_t>(array, column);
    case arrow::Type::DATE64:
      return CheckRange<std::int64_t>(
          array, std::numeric_limits<std::int32_t>::min() * kMillisPerDay,
          std::numeric_limits<std::int32_t>::max() * kMillisPerDay, column);
    default: break;
  }
  if (const auto inside = Inside(array)) return CheckArray(*inside, column);
  for (std::size_t i = 0; i < array.data()->child_data.size(); ++i) {
    VARVE_TRY(CheckArray(*arrow::MakeArray(array.data()->child_data[i]),
                         column + "." + type.field(static_cast<int>(i))->name()));
  }
  return {};
}

}  // namespace

Status CheckStorable(const arrow::RecordBatch& batch) {
  for (int i = 0; i < batch.num_columns(); ++i) {
    VARVE_TRY(CheckArray(*batch.column(i), batch.schema()->field(i)->name()));
  }
  return {};
}

}  // namespace varve
