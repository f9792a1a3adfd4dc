// SPDX-License-Identifier: Apache-2.0
// One schema for each Arrow type that a table can have, and random batches for any of them.
// Same seed, same rows. Values include the extremes of their types, empty strings and lists, NaNs
// and both zeros; compare with SameRows, which takes NaN for equal to itself.
#pragma once

#include <arrow/api.h>
#include <arrow/extension/bool8.h>
#include <arrow/extension/json.h>
#include <arrow/extension/uuid.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "columns/array_cast.h"
#include "test/support/random_array.h"

namespace varve::testing {

// A table with an int64 key column "id" and the column "value" of the type in question, nullable.
struct TypeCase {
  std::string name;  // fit for the name of a parameterized test
  std::shared_ptr<arrow::Schema> schema;
};

inline std::shared_ptr<arrow::RecordBatch> RandomBatch(const std::shared_ptr<arrow::Schema>& schema,
                                                       std::int64_t rows, std::uint64_t seed,
                                                       double null_fraction = 0.2) {
  RandomArrays random(seed, null_fraction);
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) columns.push_back(random.Make(*field, rows));
  auto batch = arrow::RecordBatch::Make(schema, rows, std::move(columns));
  VARVE_CHECK(batch->ValidateFull().ok());
  return batch;
}

// Equal schemas (metadata aside) and values: floats by their bits except that any NaN is NaN,
// dictionaries by what they stand for.
inline bool SameRows(const arrow::RecordBatch& a, const arrow::RecordBatch& b) {
  if (!a.schema()->Equals(*b.schema()) || a.num_rows() != b.num_rows()) return false;
  const auto options = arrow::EqualOptions::Defaults().nans_equal(true).signed_zeros_equal(false);
  for (int i = 0; i < a.num_columns(); ++i) {
    const auto plain = WithoutDictionaries(a.column(i)->type());
    const auto left = arrow::MakeArray(CastArray(a.column_data(i), plain).ValueOrDie());
    const auto right = arrow::MakeArray(CastArray(b.column_data(i), plain).ValueOrDie());
    if (!left->Equals(right, options)) return false;
  }
  return true;
}

using NamedTypes = std::vector<std::pair<std::string, std::shared_ptr<arrow::DataType>>>;

inline NamedTypes FlatTypes() {
  using arrow::TimeUnit;
  return {
      {"bool", arrow::boolean()},
      {"int8", arrow::int8()},
      {"int16", arrow::int16()},
      {"int32", arrow::int32()},
      {"int64", arrow::int64()},
      {"uint8", arrow::uint8()},
      {"uint16", arrow::uint16()},
      {"uint32", arrow::uint32()},
      {"uint64", arrow::uint64()},
      {"float16", arrow::float16()},
      {"float32", arrow::float32()},
      {"float64", arrow::float64()},
      {"utf8", arrow::utf8()},
      {"large_utf8", arrow::large_utf8()},
      {"utf8_view", arrow::utf8_view()},
      {"binary", arrow::binary()},
      {"large_binary", arrow::large_binary()},
      {"binary_view", arrow::binary_view()},
      {"fixed_size_binary", arrow::fixed_size_binary(5)},
      {"date32", arrow::date32()},
      {"date64", arrow::date64()},
      {"time32_s", arrow::time32(TimeUnit::SECOND)},
      {"time32_ms", arrow::time32(TimeUnit::MILLI)},
      {"time64_us", arrow::time64(TimeUnit::MICRO)},
      {"time64_ns", arrow::time64(TimeUnit::NANO)},
      {"timestamp_s", arrow::timestamp(TimeUnit::SECOND)},
      {"timestamp_ms", arrow::timestamp(TimeUnit::MILLI)},
      {"timestamp_us", arrow::timestamp(TimeUnit::MICRO)},
      {"timestamp_ns", arrow::timestamp(TimeUnit::NANO)},
      {"timestamp_s_utc", arrow::timestamp(TimeUnit::SECOND, "UTC")},
      {"timestamp_us_utc", arrow::timestamp(TimeUnit::MICRO, "UTC")},
      {"timestamp_ns_zurich", arrow::timestamp(TimeUnit::NANO, "Europe/Zurich")},
      {"timestamp_ms_offset", arrow::timestamp(TimeUnit::MILLI, "+05:30")},
      {"duration_s", arrow::duration(TimeUnit::SECOND)},
      {"duration_ms", arrow::duration(TimeUnit::MILLI)},
      {"duration_us", arrow::duration(TimeUnit::MICRO)},
      {"duration_ns", arrow::duration(TimeUnit::NANO)},
      {"decimal32", arrow::decimal32(7, 2)},
      {"decimal64", arrow::decimal64(15, 3)},
      {"decimal128_narrow", arrow::decimal128(9, 2)},
      {"decimal128", arrow::decimal128(38, 10)},
      {"decimal256_narrow", arrow::decimal256(20, 2)},
      {"decimal256", arrow::decimal256(76, 30)},
  };
}

inline NamedTypes NestedAndEncodedTypes() {
  using arrow::field;
  return {
      {"list", arrow::list(arrow::int32())},
      {"list_of_utf8", arrow::list(arrow::utf8())},
      {"list_of_required", arrow::list(field("item", arrow::int32(), /*nullable=*/false))},
      {"large_list", arrow::large_list(arrow::utf8())},
      {"fixed_size_list", arrow::fixed_size_list(arrow::float32(), 3)},
      {"fixed_size_list_of_utf8", arrow::fixed_size_list(arrow::utf8(), 2)},
      {"fixed_size_list_of_required",
       arrow::fixed_size_list(field("item", arrow::int8(), false), 2)},
      {"list_of_utf8_view", arrow::list(arrow::utf8_view())},
      {"list_of_timestamp_s", arrow::list(arrow::timestamp(arrow::TimeUnit::SECOND))},
      {"list_of_list", arrow::list(arrow::list(arrow::utf8()))},
      {"list_of_struct",
       arrow::list(arrow::struct_({field("a", arrow::int8()), field("b", arrow::utf8())}))},
      {"struct", arrow::struct_({field("a", arrow::int8()), field("b", arrow::utf8(), false),
                                 field("c", arrow::struct_({field("d", arrow::date32())}))})},
      {"map", arrow::map(arrow::utf8(), arrow::int32())},
      {"map_of_list", arrow::map(arrow::int64(), arrow::list(arrow::utf8()))},
      {"dictionary_int32_utf8", arrow::dictionary(arrow::int32(), arrow::utf8())},
      {"dictionary_int64_utf8", arrow::dictionary(arrow::int64(), arrow::utf8())},
      {"dictionary_uint32_binary", arrow::dictionary(arrow::uint32(), arrow::binary())},
      {"dictionary_int32_large_utf8", arrow::dictionary(arrow::int32(), arrow::large_utf8())},
      {"dictionary_int32_int64", arrow::dictionary(arrow::int32(), arrow::int64())},
      {"dictionary_ordered", arrow::dictionary(arrow::int32(), arrow::utf8(), true)},
      {"dictionary_int32_utf8_view", arrow::dictionary(arrow::int32(), arrow::utf8_view())},
      {"dictionary_int32_decimal", arrow::dictionary(arrow::int32(), arrow::decimal128(20, 2))},
      {"dictionary_int32_timestamp_s",
       arrow::dictionary(arrow::int32(), arrow::timestamp(arrow::TimeUnit::SECOND))},
      {"list_of_dictionary", arrow::list(arrow::dictionary(arrow::int32(), arrow::utf8()))},
      {"struct_of_dictionary",
       arrow::struct_({field("d", arrow::dictionary(arrow::int32(), arrow::utf8()))})},
      {"map_of_dictionary",
       arrow::map(arrow::utf8(), arrow::dictionary(arrow::int32(), arrow::int64()))},
      {"struct_of_fixed_size_list",
       arrow::struct_({field("f", arrow::fixed_size_list(arrow::float64(), 2), false)})},
      {"null", arrow::null()},
      {"uuid", arrow::extension::uuid()},
      {"json", arrow::extension::json(arrow::utf8())},
      {"bool8", arrow::extension::bool8()},
  };
}

inline std::vector<TypeCase> AllTypes() {
  using arrow::field;
  NamedTypes types = FlatTypes();
  for (auto& type : NestedAndEncodedTypes()) types.push_back(std::move(type));
  std::vector<TypeCase> cases;
  for (auto& [name, type] : types) {
    cases.push_back({name, arrow::schema({field("id", arrow::int64(), /*nullable=*/false),
                                          field("value", std::move(type))})});
  }
  return cases;
}

}  // namespace varve::testing
