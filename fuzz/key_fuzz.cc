// SPDX-License-Identifier: Apache-2.0
// Encoded keys, of each kind of component and of several together. Input: a byte that chooses the
// key's columns, then for kFromValues the values of two keys, else stored keys (1 byte size, the
// bytes).
#include <arrow/api.h>

#include <bit>
#include <cmath>
#include <compare>
#include <tuple>

#include "columns/key_codec.h"
#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"

namespace varve::fuzz {
namespace {

constexpr std::uint8_t kFromValues = 0x80;

using Types = std::vector<std::shared_ptr<arrow::DataType>>;

const std::vector<Types>& Keys() {
  static const std::vector<Types> keys = {
      {arrow::int64()},
      {arrow::utf8()},
      {arrow::binary(), arrow::int8()},
      {arrow::float16(), arrow::float32(), arrow::float64()},
      {arrow::boolean(), arrow::uint16(), arrow::large_utf8()},
      {arrow::decimal128(20, 3), arrow::fixed_size_binary(5)},
      {arrow::decimal256(50, 0), arrow::decimal32(5, 1), arrow::decimal64(12, 2)},
      {arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), arrow::date32(), arrow::date64()},
      {arrow::time32(arrow::TimeUnit::SECOND), arrow::time64(arrow::TimeUnit::NANO),
       arrow::duration(arrow::TimeUnit::MILLI)},
      {arrow::utf8_view(), arrow::binary_view(), arrow::large_binary()},
      {arrow::dictionary(arrow::int16(), arrow::utf8()), arrow::uint64()},
  };
  return keys;
}

struct Key {
  KeyCodec codec;
  std::vector<int> columns;
};

Key MakeKey(const Types& types) {
  Key key;
  arrow::FieldVector fields;
  for (const auto& type : types) {
    key.columns.push_back(static_cast<int>(fields.size()));
    fields.push_back(arrow::field("k" + std::to_string(fields.size()), type, false));
  }
  auto made = KeyCodec::Make(*arrow::schema(fields));
  FUZZ_EXPECT(made.has_value(), made.error().message());
  key.codec = *std::move(made);
  return key;
}

// What is a key has one form; what is none is damage.
void TestStored(const Key& key, Input input) {
  std::vector<std::string_view> keys;
  while (!input.empty()) keys.push_back(input.TakeBytes(input.Take<std::uint8_t>()));
  for (const auto bytes : keys) (void)key.codec.ToText(bytes);
  const auto rows = key.codec.Decode(keys);
  if (!rows) {
    FUZZ_EXPECT(BlamesBytes(rows.error()), rows.error().message());
    return;
  }
  const auto valid = (*rows)->ValidateFull();
  FUZZ_EXPECT(valid.ok(), valid.ToString());
  FUZZ_EXPECT((*rows)->num_rows() == static_cast<std::int64_t>(keys.size()), "other rows");
  const auto again = key.codec.Encode(**rows, key.columns, 0, (*rows)->num_rows());
  FUZZ_EXPECT(again.has_value(), again.error().message());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    FUZZ_EXPECT((*again)[static_cast<std::int64_t>(i)] == keys[i], key.codec.ToText(keys[i]));
  }
}

struct Values {
  std::int64_t number = 0;
  std::string text;
  double real = 0;
};

Values TakeValues(Input* input) {
  Values values{.number = input->Take<std::int64_t>()};
  values.text = input->TakeBytes(input->Take<std::uint8_t>() % 8);
  values.real = std::bit_cast<double>(input->Take<std::uint64_t>());
  return values;
}

// As keys are ordered: -0.0 is 0.0, and all NaN are one value, after the others.
std::weak_ordering Order(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) <=> std::isnan(b);
  return a < b   ? std::weak_ordering::less
         : a > b ? std::weak_ordering::greater
                 : std::weak_ordering::equivalent;
}

std::weak_ordering Order(const Values& a, const Values& b) {
  if (const auto order = a.number <=> b.number; order != 0) return order;
  if (const auto order = a.text.compare(b.text) <=> 0; order != 0) return order;
  return Order(a.real, b.real);
}

// The order of the bytes is the order of the values.
void TestOrder(Input input) {
  static const Key key = MakeKey({arrow::int64(), arrow::binary(), arrow::float64()});
  const Values a = TakeValues(&input), b = TakeValues(&input);
  arrow::Int64Builder numbers;
  arrow::BinaryBuilder texts;
  arrow::DoubleBuilder reals;
  for (const auto* values : {&a, &b}) {
    const bool added = numbers.Append(values->number).ok() && texts.Append(values->text).ok() &&
                       reals.Append(values->real).ok();
    FUZZ_EXPECT(added, "no memory");
  }
  const auto rows = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("k0", arrow::int64(), false),
                     arrow::field("k1", arrow::binary(), false),
                     arrow::field("k2", arrow::float64(), false)}),
      2, {*numbers.Finish(), *texts.Finish(), *reals.Finish()});
  const auto keys = key.codec.Encode(*rows, key.columns, 0, 2);
  FUZZ_EXPECT(keys.has_value(), keys.error().message());
  const auto first = (*keys)[0], second = (*keys)[1];
  FUZZ_EXPECT((first.compare(second) <=> 0) == Order(a, b), "another order");
  FUZZ_EXPECT(CompareKeys(KeyPrefix(first), first, KeyPrefix(second), second) == Order(a, b),
              "another order by prefixes");
  const auto end = PrefixEnd(first);
  FUZZ_EXPECT(!end || (*end > first && !end->starts_with(first)), "no end");
  const auto decoded = key.codec.Decode({first, second});
  FUZZ_EXPECT(decoded.has_value(), decoded.error().message());
}

std::shared_ptr<arrow::Scalar> SomeValue(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() == arrow::Type::DICTIONARY) {
    const auto words = *arrow::MakeArrayFromScalar(arrow::StringScalar("word"), 1);
    return arrow::DictionaryScalar::Make(std::make_shared<arrow::Int16Scalar>(0), words);
  }
  const auto word = arrow::Buffer::FromString("word");
  if (type->id() == arrow::Type::STRING_VIEW) {
    return std::make_shared<arrow::StringViewScalar>(word);
  }
  if (type->id() == arrow::Type::BINARY_VIEW) {
    return std::make_shared<arrow::BinaryViewScalar>(word);
  }
  const auto cast = arrow::MakeScalar(std::string("12345"))->CastTo(type);
  if (cast.ok()) return *cast;
  const auto number = arrow::MakeScalar(std::int64_t{3})->CastTo(type);
  if (number.ok()) return *number;
  const auto zero = arrow::MakeScalar(type, 0);
  FUZZ_EXPECT(zero.ok(), type->ToString() + ": " + zero.status().ToString());
  return *zero;
}

}  // namespace

void FuzzOne(Input input) {
  const auto which = input.Take<std::uint8_t>();
  if ((which & kFromValues) != 0) return TestOrder(input);
  static const auto keys = [] {
    std::vector<Key> made;
    for (const auto& types : Keys()) made.push_back(MakeKey(types));
    return made;
  }();
  TestStored(keys[which % keys.size()], input);
}

std::vector<std::string> FuzzSeeds() {
  std::vector<std::string> seeds;
  for (std::size_t i = 0; i < Keys().size(); ++i) {
    const Key key = MakeKey(Keys()[i]);
    arrow::ArrayVector columns;
    arrow::FieldVector fields;
    for (const auto& type : Keys()[i]) {
      columns.push_back(*arrow::MakeArrayFromScalar(*SomeValue(type), 1));
      fields.push_back(arrow::field("k" + std::to_string(fields.size()), type, false));
    }
    const auto row = arrow::RecordBatch::Make(arrow::schema(fields), 1, columns);
    const auto encoded = key.codec.Encode(*row, key.columns, 0, 1);
    FUZZ_EXPECT(encoded.has_value(), encoded.error().message());
    const auto bytes = (*encoded)[0];
    seeds.push_back(std::string{static_cast<char>(i), static_cast<char>(bytes.size())} +
                    std::string(bytes) + static_cast<char>(bytes.size()) + std::string(bytes));
  }
  std::string values(1, static_cast<char>(kFromValues));
  for (const char number : {'\1', '\2'}) {
    values += number + std::string(7, '\0') + std::string("\3a\0b", 4) + std::string(6, '\0') +
              "\xf0\x3f";
  }
  seeds.push_back(values);
  return seeds;
}

}  // namespace varve::fuzz
