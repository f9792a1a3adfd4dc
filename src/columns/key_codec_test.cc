// SPDX-License-Identifier: Apache-2.0
// Every encoding against the order that key_codec.h defines, on boundary and random values.
#include "columns/key_codec.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/util/float16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "columns/arrow_init.h"
#include "test/support/seed.h"

namespace varve {
namespace {

using testing::SeedTrace;
using testing::TestSeed;

std::shared_ptr<arrow::RecordBatch> BatchOf(std::vector<std::shared_ptr<arrow::Array>> columns) {
  arrow::FieldVector fields;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    fields.push_back(arrow::field(std::string(1, static_cast<char>('a' + i)), columns[i]->type()));
  }
  const auto rows = columns.front()->length();
  return arrow::RecordBatch::Make(arrow::schema(fields), rows, std::move(columns));
}

std::vector<int> AllColumns(const arrow::RecordBatch& batch) {
  std::vector<int> columns(static_cast<std::size_t>(batch.num_columns()));
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

EncodedKeys EncodeAll(const arrow::RecordBatch& batch) {
  const auto codec = KeyCodec::Make(*batch.schema());
  EXPECT_TRUE(codec) << codec.error().message();
  auto keys = codec->Encode(batch, AllColumns(batch), 0, batch.num_rows());
  EXPECT_TRUE(keys) << keys.error().message();
  return *std::move(keys);
}

std::shared_ptr<arrow::RecordBatch> DecodeAll(const arrow::Schema& schema,
                                              const EncodedKeys& keys) {
  std::vector<std::string_view> views;
  for (std::int64_t i = 0; i < keys.size(); ++i) views.push_back(keys[i]);
  auto batch = KeyCodec::Make(schema)->Decode(views);
  EXPECT_TRUE(batch) << batch.error().message();
  return *std::move(batch);
}

int Sign(int value) { return (value > 0) - (value < 0); }
int Sign(std::weak_ordering order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

// The encoded order of all pairs of `values` is the order that `compare` gives.
template <typename Value, typename Compare>
void ExpectOrder(const std::shared_ptr<arrow::Array>& array, const std::vector<Value>& values,
                 Compare compare) {
  ASSERT_EQ(array->length(), static_cast<std::int64_t>(values.size()));
  const auto batch = BatchOf({array});
  const EncodedKeys keys = EncodeAll(*batch);
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t j = 0; j < values.size(); ++j) {
      const int encoded = Sign(keys[static_cast<std::int64_t>(i)].compare(
          keys[static_cast<std::int64_t>(j)]));
      ASSERT_EQ(encoded, Sign(compare(values[i], values[j])))
          << array->type()->ToString() << ": " << array->GetScalar(i).ValueOrDie()->ToString()
          << " against " << array->GetScalar(j).ValueOrDie()->ToString();
    }
  }
}

template <typename Type, typename Value>
std::shared_ptr<arrow::Array> Build(const std::shared_ptr<arrow::DataType>& type,
                                    const std::vector<Value>& values) {
  typename arrow::TypeTraits<Type>::BuilderType builder(type, arrow::default_memory_pool());
  for (const auto& value : values) EXPECT_TRUE(builder.Append(value).ok());
  return builder.Finish().ValueOrDie();
}

void ExpectDecodes(const std::shared_ptr<arrow::Array>& array) {
  const auto batch = BatchOf({array});
  const auto back = DecodeAll(*batch->schema(), EncodeAll(*batch));
  ASSERT_TRUE(back->ValidateFull().ok());
  EXPECT_TRUE(back->Equals(*batch)) << back->ToString() << batch->ToString();
}

template <typename T>
std::vector<T> Integers(std::uint64_t seed) {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values = {Limits::min(), static_cast<T>(Limits::min() + 1), static_cast<T>(-1), 0,
                           1, static_cast<T>(Limits::max() - 1), Limits::max()};
  SeededRandom random(seed);
  for (int i = 0; i < 100; ++i) values.push_back(static_cast<T>(random.Next() >> random.Below(64)));
  return values;
}

template <typename Type>
void ExpectIntegers(const std::shared_ptr<arrow::DataType>& type, bool decode = true) {
  using T = typename Type::c_type;
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  const auto values = Integers<T>(seed);
  const auto array = Build<Type>(type, values);
  ExpectOrder(array, values, [](T a, T b) { return std::weak_ordering(a <=> b); });
  if (decode) ExpectDecodes(array);
}

TEST(KeyCodec, IntegersSortAsNumbers) {
  ExpectIntegers<arrow::Int8Type>(arrow::int8());
  ExpectIntegers<arrow::Int16Type>(arrow::int16());
  ExpectIntegers<arrow::Int32Type>(arrow::int32());
  ExpectIntegers<arrow::Int64Type>(arrow::int64());
  ExpectIntegers<arrow::UInt8Type>(arrow::uint8());
  ExpectIntegers<arrow::UInt16Type>(arrow::uint16());
  ExpectIntegers<arrow::UInt32Type>(arrow::uint32());
  ExpectIntegers<arrow::UInt64Type>(arrow::uint64());
}

TEST(KeyCodec, MomentsAndSpansSortAsTheirCounts) {
  ExpectIntegers<arrow::Date32Type>(arrow::date32());
  ExpectIntegers<arrow::Date64Type>(arrow::date64(), false);  // decodes whole days only
  ExpectIntegers<arrow::Time32Type>(arrow::time32(arrow::TimeUnit::MILLI), false);
  ExpectIntegers<arrow::Time64Type>(arrow::time64(arrow::TimeUnit::NANO), false);
  ExpectIntegers<arrow::TimestampType>(arrow::timestamp(arrow::TimeUnit::SECOND));
  ExpectIntegers<arrow::TimestampType>(arrow::timestamp(arrow::TimeUnit::NANO, "Europe/Zurich"));
  ExpectIntegers<arrow::DurationType>(arrow::duration(arrow::TimeUnit::MICRO));
}

TEST(KeyCodec, FalseSortsBeforeTrue) {
  const std::vector<bool> values = {true, false, false, true, true, true, false, true, false};
  const auto array = Build<arrow::BooleanType>(arrow::boolean(), values);
  ExpectOrder(array, values, [](bool a, bool b) { return std::weak_ordering(a <=> b); });
  ExpectDecodes(array);
}

std::weak_ordering FloatOrder(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) <=> std::isnan(b);
  return a < b ? std::weak_ordering::less
               : a > b ? std::weak_ordering::greater : std::weak_ordering::equivalent;
}

template <typename Type, typename Bits>
void ExpectFloats(const std::shared_ptr<arrow::DataType>& type, std::vector<Bits> bits,
                  double (*value)(Bits)) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  for (int i = 0; i < 200; ++i) bits.push_back(static_cast<Bits>(random.Next()));
  const auto buffer = arrow::Buffer::FromVector(bits);
  const auto array = arrow::MakeArray(
      arrow::ArrayData::Make(type, static_cast<std::int64_t>(bits.size()), {nullptr, buffer}, 0));
  ExpectOrder(array, bits, [&](Bits a, Bits b) { return FloatOrder(value(a), value(b)); });
  const auto batch = BatchOf({array});
  const auto keys = EncodeAll(*batch);
  const auto again = EncodeAll(*DecodeAll(*batch->schema(), keys));
  for (std::int64_t i = 0; i < keys.size(); ++i) ASSERT_EQ(keys[i], again[i]);
}

// -inf, smallest normal, -0.0, 0.0, denormals, inf, and NaNs of both signs, quiet and signalling.
TEST(KeyCodec, FloatsSortTotallyWithOneZeroAndOneNanAtTheEnd) {
  ExpectFloats<arrow::HalfFloatType, std::uint16_t>(
      arrow::float16(), {0xfc00, 0x8400, 0x8001, 0x8000, 0, 1, 0x7bff, 0x7c00, 0x7e00, 0x7c01,
                        0xfe01},
      [](std::uint16_t b) { return double{arrow::util::Float16::FromBits(b).ToDouble()}; });
  ExpectFloats<arrow::FloatType, std::uint32_t>(
      arrow::float32(), {0xff800000, 0x80800000, 0x80000001, 0x80000000, 0, 1, 0x7f7fffff,
                         0x7f800000, 0x7fc00000, 0x7f800001, 0xffc00001},
      [](std::uint32_t b) { return double{std::bit_cast<float>(b)}; });
  ExpectFloats<arrow::DoubleType, std::uint64_t>(
      arrow::float64(), {0xfff0000000000000, 0x8010000000000000, 0x8000000000000001,
                         0x8000000000000000, 0, 1, 0x7fefffffffffffff, 0x7ff0000000000000,
                         0x7ff8000000000000, 0x7ff0000000000001, 0xfff8000000000001},
      [](std::uint64_t b) { return std::bit_cast<double>(b); });
}

template <typename Type, typename Decimal>
void ExpectDecimals(const std::shared_ptr<arrow::DataType>& type, int digits) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  std::vector<Decimal> values = {Decimal("0"), Decimal("1"), Decimal("-1"),
                                 Decimal(std::string(digits, '9')),
                                 Decimal("-" + std::string(digits, '9'))};
  for (int i = 0; i < 100; ++i) {
    std::string text = random.Below(2) == 0 ? "-" : "";
    for (std::uint64_t d = 0, n = 1 + random.Below(digits); d < n; ++d) {
      text.push_back(static_cast<char>('0' + random.Below(10)));
    }
    values.push_back(Decimal(text));
  }
  const auto array = Build<Type>(type, values);
  ExpectOrder(array, values, [](const Decimal& a, const Decimal& b) {
    return a < b ? std::weak_ordering::less
                 : b < a ? std::weak_ordering::greater : std::weak_ordering::equivalent;
  });
  ExpectDecodes(array);
}

TEST(KeyCodec, DecimalsSortAsNumbers) {
  ExpectDecimals<arrow::Decimal32Type, arrow::Decimal32>(arrow::decimal32(9, 2), 9);
  ExpectDecimals<arrow::Decimal64Type, arrow::Decimal64>(arrow::decimal64(18, 4), 18);
  ExpectDecimals<arrow::Decimal128Type, arrow::Decimal128>(arrow::decimal128(38, 10), 38);
  ExpectDecimals<arrow::Decimal256Type, arrow::Decimal256>(arrow::decimal256(76, 0), 76);
}

std::vector<std::string> Texts(std::uint64_t seed, std::uint64_t alphabet) {
  using namespace std::string_literals;
  std::vector<std::string> values = {"", "\0"s, "\0\0"s, "\0\xff"s, "\xff", "\xff\xff", "a", "a\0"s,
                                     "a\0\0"s, "a\0b"s, "a\x01", "ab", "b", std::string(300, 'a'),
                                     "longer than an inline view", "longer than an inline views"};
  if (alphabet <= 128) std::erase_if(values, [](const auto& v) { return v.contains('\xff'); });
  SeededRandom random(seed);
  for (int i = 0; i < 80; ++i) {
    std::string text(random.Below(6), '\0');
    for (auto& c : text) {
      const auto pick = random.Below(4);
      c = static_cast<char>(pick == 0 ? 0 : pick == 1 ? alphabet - 1 : random.Below(alphabet));
    }
    values.push_back(text);
  }
  return values;
}

template <typename Type>
void ExpectTexts(const std::shared_ptr<arrow::DataType>& type, std::uint64_t alphabet) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  const auto values = Texts(seed, alphabet);
  const auto array = Build<Type>(type, values);
  ExpectOrder(array, values, [](const std::string& a, const std::string& b) {
    return std::weak_ordering(a <=> b);
  });
  ExpectDecodes(array);
}

TEST(KeyCodec, StringsAndBinarySortByBytes) {
  ExpectTexts<arrow::StringType>(arrow::utf8(), 128);
  ExpectTexts<arrow::LargeStringType>(arrow::large_utf8(), 128);
  ExpectTexts<arrow::StringViewType>(arrow::utf8_view(), 128);
  ExpectTexts<arrow::BinaryType>(arrow::binary(), 256);
  ExpectTexts<arrow::LargeBinaryType>(arrow::large_binary(), 256);
  ExpectTexts<arrow::BinaryViewType>(arrow::binary_view(), 256);
}

TEST(KeyCodec, FixedSizeBinarySortsByBytes) {
  const std::vector<std::string> values = {std::string(3, '\0'), "abc", "abd", "\xff\xff\xff",
                                           std::string("a\0\0", 3)};
  const auto array = Build<arrow::FixedSizeBinaryType>(arrow::fixed_size_binary(3), values);
  ExpectOrder(array, values, [](const std::string& a, const std::string& b) {
    return std::weak_ordering(a <=> b);
  });
  ExpectDecodes(array);
}

TEST(KeyCodec, ADictionaryKeyIsItsValues) {
  const std::vector<std::string> values = {"jfk", "ewr", "lga", "jfk", "", "ewr"};
  const auto plain = Build<arrow::StringType>(arrow::utf8(), values);
  InitializeArrow();
  const auto encoded = arrow::compute::DictionaryEncode(plain).ValueOrDie().make_array();
  for (const auto& index : {arrow::int32(), arrow::int64(), arrow::uint32()}) {
    const auto type = arrow::dictionary(index, arrow::utf8());
    const auto& source = static_cast<const arrow::DictionaryArray&>(*encoded);
    const auto indices = arrow::compute::Cast(*source.indices(), index).ValueOrDie();
    const auto array =
        arrow::DictionaryArray::FromArrays(type, indices, source.dictionary()).ValueOrDie();
    const auto keys = EncodeAll(*BatchOf({array}));
    const auto expected = EncodeAll(*BatchOf({plain}));
    for (std::int64_t i = 0; i < keys.size(); ++i) ASSERT_EQ(keys[i], expected[i]);
    ExpectDecodes(array);
  }
}

// Five columns, some of them text, in every window of the batch.
std::shared_ptr<arrow::RecordBatch> Composite(std::uint64_t seed, std::int64_t rows) {
  SeededRandom random(seed);
  arrow::StringBuilder a;
  arrow::Int16Builder b;
  arrow::BinaryBuilder c;
  arrow::BooleanBuilder d;
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::string text(random.Below(3), static_cast<char>(random.Below(2)));
    EXPECT_TRUE(a.Append(text).ok() && c.Append(text).ok());
    EXPECT_TRUE(b.Append(static_cast<std::int16_t>(random.Below(3)) - 1).ok());
    EXPECT_TRUE(d.Append(random.Below(2) == 0).ok());
  }
  return BatchOf({a.Finish().ValueOrDie(), b.Finish().ValueOrDie(), c.Finish().ValueOrDie(),
                  d.Finish().ValueOrDie()});
}

std::weak_ordering RowOrder(const arrow::RecordBatch& batch, std::int64_t i, std::int64_t j) {
  const auto text = [&](int column) {
    const auto& array = static_cast<const arrow::BinaryArray&>(*batch.column(column));
    return array.GetView(i) <=> array.GetView(j);
  };
  const auto& numbers = static_cast<const arrow::Int16Array&>(*batch.column(1));
  const auto& flags = static_cast<const arrow::BooleanArray&>(*batch.column(3));
  if (const auto order = text(0); order != 0) return order;
  if (const auto order = numbers.Value(i) <=> numbers.Value(j); order != 0) return order;
  if (const auto order = text(2); order != 0) return order;
  return flags.Value(i) <=> flags.Value(j);
}

TEST(KeyCodec, ACompositeKeySortsColumnByColumn) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  const auto batch = Composite(seed, 120);
  const auto keys = EncodeAll(*batch);
  for (std::int64_t i = 0; i < keys.size(); ++i) {
    for (std::int64_t j = 0; j < keys.size(); ++j) {
      ASSERT_EQ(Sign(keys[i].compare(keys[j])), Sign(RowOrder(*batch, i, j))) << i << " " << j;
    }
  }
  EXPECT_TRUE(DecodeAll(*batch->schema(), keys)->Equals(*batch));
}

TEST(KeyCodec, FewerColumnsGiveAPrefixOfTheKey) {
  const auto batch = Composite(7, 50);
  const auto codec = *KeyCodec::Make(*batch->schema());
  const auto whole = EncodeAll(*batch);
  for (std::vector<int> columns : {std::vector<int>{0}, {0, 1}, {0, 1, 2}}) {
    const auto prefixes = *codec.Encode(*batch, columns, 0, batch->num_rows());
    for (std::int64_t i = 0; i < whole.size(); ++i) {
      ASSERT_TRUE(whole[i].starts_with(prefixes[i]));
      ASSERT_LT(whole[i], *PrefixEnd(prefixes[i]));
    }
  }
}

TEST(KeyCodec, WindowsAndSlicesEncodeTheirOwnRows) {
  const auto batch = Composite(11, 40);
  const auto codec = *KeyCodec::Make(*batch->schema());
  const auto whole = EncodeAll(*batch);
  for (std::int64_t start = 0; start <= 40; start += 5) {
    const auto slice = batch->Slice(start);
    for (std::int64_t skip = 0; start + skip <= 40; skip += 7) {
      const auto length = 40 - start - skip;
      const auto keys = *codec.Encode(*slice, {0, 1, 2, 3}, skip, length);
      ASSERT_EQ(keys.size(), length);
      for (std::int64_t i = 0; i < length; ++i) ASSERT_EQ(keys[i], whole[start + skip + i]);
    }
  }
}

TEST(KeyCodec, ANullKeyIsRefusedWithRowAndColumn) {
  arrow::Int32Builder builder;
  ASSERT_TRUE(builder.AppendValues({1, 2, 3, 4}).ok());
  ASSERT_TRUE(builder.AppendNull().ok());
  const auto batch = BatchOf({builder.Finish().ValueOrDie()});
  const auto keys = KeyCodec::Make(*batch->schema())->Encode(*batch, {0}, 1, 4);
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().kind(), ErrorKind::kInvalid);
  EXPECT_TRUE(keys.error().message().starts_with("row 4: key column 'a' is null"))
      << keys.error().message();
}

TEST(KeyCodec, TypesWithoutOrderAreRefusedByName) {
  for (const auto& type : {arrow::list(arrow::int32()), arrow::null(), arrow::month_interval(),
                           arrow::struct_({arrow::field("x", arrow::int8())})}) {
    const auto codec = KeyCodec::Make(*arrow::schema({arrow::field("odd", type)}));
    ASSERT_FALSE(codec) << type->ToString();
    EXPECT_EQ(codec.error().kind(), ErrorKind::kInvalid);
    EXPECT_NE(codec.error().message().find("'odd'"), std::string::npos);
  }
}

TEST(KeyCodec, ForeignBytesAreCorruptionOrAKeyThatEncodesToThemAgain) {
  const std::uint64_t seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  const auto schema = arrow::schema(
      {arrow::field("a", arrow::utf8()), arrow::field("b", arrow::float32()),
       arrow::field("c", arrow::boolean()), arrow::field("d", arrow::decimal128(5, 1))});
  const auto codec = *KeyCodec::Make(*schema);
  const auto sample = EncodeAll(*DecodeAll(*schema, EncodedKeys("", {0})));
  ASSERT_EQ(sample.size(), 0);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string key = std::string("ab\0\0", 4) + std::string("\x80\0\0\0\1\x80", 6) +
                      std::string(15, '\0');
    const auto changes = random.Below(3);
    for (std::uint64_t c = 0; c < changes; ++c) {
      key[random.Below(key.size())] ^= static_cast<char>(1 << random.Below(8));
    }
    if (random.Below(4) == 0) key.resize(random.Below(key.size() + 3));
    const auto batch = codec.Decode({std::string_view(key)});
    EXPECT_FALSE(codec.ToText(key).empty() && !key.empty());
    if (!batch) {
      ASSERT_EQ(batch.error().kind(), ErrorKind::kCorruption);
      continue;
    }
    ++accepted;
    ASSERT_EQ(EncodeAll(**batch)[0], key);
  }
  EXPECT_GT(accepted, 100);
}

TEST(KeyCodec, TextIsForPeople) {
  const auto batch = Composite(3, 1);
  const auto codec = *KeyCodec::Make(*arrow::schema(
      {arrow::field("n", arrow::int32()), arrow::field("s", arrow::utf8())}));
  EXPECT_EQ(codec.ToText(std::string("\x80\0\0\7JFK\0\0", 9)), "7, JFK");
  EXPECT_EQ(codec.ToText(std::string("\x80\0\0\7", 4)), "7");
  EXPECT_EQ(codec.ToText("\x80"), "0x80");
}

TEST(KeyCodec, OnlyKeysThatParquetOrdersTheSameWayClaimItsOrder) {
  const auto order = [](const std::shared_ptr<arrow::DataType>& type) {
    return KeyCodec::Make(*arrow::schema({arrow::field("a", type)}))->parquet_order();
  };
  EXPECT_TRUE(order(arrow::int64()) && order(arrow::uint32()) && order(arrow::utf8()));
  EXPECT_FALSE(order(arrow::float64()) || order(arrow::float16()));
}

TEST(PrefixEnd, IsTheNextStringAfterAllWithThePrefix) {
  EXPECT_EQ(PrefixEnd("ab"), "ac");
  EXPECT_EQ(PrefixEnd("a\xff\xff"), "b");
  EXPECT_EQ(PrefixEnd("\x7f"), "\x80");
  EXPECT_EQ(PrefixEnd("\xff\xff"), std::nullopt);
  EXPECT_EQ(PrefixEnd(""), std::nullopt);
}

// Zeros beyond the end of a short key look like zeros in a longer one.
TEST(CompareKeys, IsTheOrderOfTheBytes) {
  std::vector<std::string> keys;
  const std::string alphabet("\0a\xff", 3);
  for (const std::size_t size : {0u, 1u, 2u, 7u, 8u, 9u, 10u, 17u}) {
    for (const char first : alphabet) {
      for (const char last : alphabet) {
        std::string key(size, '\0');
        if (size > 0) key.front() = first;
        if (size > 1) key.back() = last;
        keys.push_back(key);
        if (size > 8) key[7] = last;
        keys.push_back(key);
      }
    }
  }
  for (const std::string_view a : keys) {
    for (const std::string_view b : keys) {
      ASSERT_TRUE(CompareKeys(KeyPrefix(a), a, KeyPrefix(b), b) == (a <=> b))
          << a.size() << " bytes, " << b.size();
    }
  }
}

}  // namespace
}  // namespace varve
