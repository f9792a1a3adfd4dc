// SPDX-License-Identifier: Apache-2.0
// Random arrays of any Arrow type that a table can have, built from the type alone.
#pragma once

#include <arrow/api.h>
#include <arrow/extension_type.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/decimal.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"

namespace varve::testing {

class RandomArrays {
 public:
  RandomArrays(std::uint64_t seed, double null_fraction)
      : random_(seed), null_per_mille_(static_cast<std::uint64_t>(null_fraction * 1000)) {}

  std::shared_ptr<arrow::Array> Make(const arrow::Field& field, std::int64_t rows) {
    if (field.type()->id() == arrow::Type::NA) return std::make_shared<arrow::NullArray>(rows);
    return Make(field.type(), rows, field.nullable() ? Nulls(rows) : std::vector<bool>(rows));
  }

 private:
  using Type = std::shared_ptr<arrow::DataType>;
  using Flags = std::vector<bool>;  // true: null
  using ArrayPtr = std::shared_ptr<arrow::Array>;

  Flags Nulls(std::int64_t rows) {
    Flags nulls(static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < nulls.size(); ++i) nulls[i] = random_.Below(1000) < null_per_mille_;
    return nulls;
  }

  static std::shared_ptr<arrow::Buffer> Validity(const Flags& nulls) {
    if (std::ranges::find(nulls, true) == nulls.end()) return nullptr;
    std::vector<std::uint8_t> bits(arrow::bit_util::BytesForBits(std::ssize(nulls)));
    for (std::size_t i = 0; i < nulls.size(); ++i) {
      arrow::bit_util::SetBitTo(bits.data(), static_cast<std::int64_t>(i), !nulls[i]);
    }
    return arrow::Buffer::FromVector(std::move(bits));
  }

  // A number of `digits` random digits at most, for decimals.
  std::string Digits(int digits) {
    std::string text = random_.Below(2) == 0 ? "-" : "";
    const auto count = random_.Below(8) == 0 ? digits : 1 + random_.Below(digits);
    for (std::uint64_t i = 0; i < count; ++i) {
      text.push_back(static_cast<char>('0' + random_.Below(10)));
    }
    return text;
  }

  std::string Text(bool utf8) {
    static const char* const kPieces[] = {"a", "b", "Zürich", "日本", "\"", ",", "\n", "0", " "};
    std::string text;
    for (auto left = random_.Below(10); left > 0; --left) {
      if (utf8) {
        text += kPieces[random_.Below(std::size(kPieces))];
      } else {
        text.push_back(static_cast<char>(random_.Below(4) == 0 ? 0 : random_.Next()));
      }
    }
    return text;
  }

  // Any bits; now and then an extreme.
  template <typename T>
  T Number() {
    using Limits = std::numeric_limits<T>;
    switch (random_.Below(10)) {
      case 0: return Limits::lowest();
      case 1: return Limits::max();
      case 2: return T{};
      case 3: return std::is_floating_point_v<T> ? static_cast<T>(-0.0) : static_cast<T>(1);
      case 4: return std::is_floating_point_v<T> ? Limits::infinity() : static_cast<T>(-1);
      case 5: return std::is_floating_point_v<T> ? Limits::quiet_NaN() : static_cast<T>(2);
      default: return static_cast<T>(static_cast<std::int64_t>(random_.Next()) >>
                                     random_.Below(sizeof(T) * 8));
    }
  }

  template <typename T, typename Value>
  ArrayPtr Fixed(const Type& type, const Flags& nulls, Value value) {
    std::vector<T> values;
    for (std::size_t i = 0; i < nulls.size(); ++i) values.push_back(static_cast<T>(value()));
    return arrow::MakeArray(arrow::ArrayData::Make(
        type, std::ssize(nulls), {Validity(nulls), arrow::Buffer::FromVector(std::move(values))}));
  }

  template <typename Builder, typename Value>
  ArrayPtr Built(const Type& type, const Flags& nulls, Builder builder, Value value) {
    for (const bool null : nulls) {
      VARVE_CHECK((null ? builder.AppendNull() : builder.Append(value())).ok());
    }
    auto data = builder.Finish().ValueOrDie()->data()->Copy();
    data->type = type;
    return arrow::MakeArray(std::move(data));
  }

  template <typename Decimal, typename Builder>
  ArrayPtr Decimals(const Type& type, const Flags& nulls) {
    const int precision = static_cast<const arrow::DecimalType&>(*type).precision();
    return Built(type, nulls, Builder(type), [&] { return Decimal(Digits(precision)); });
  }

  template <typename Offset>
  ArrayPtr Lists(const Type& type, const Flags& nulls) {
    std::vector<Offset> offsets = {0};
    for (const bool null : nulls) {
      offsets.push_back(offsets.back() + static_cast<Offset>(null ? 0 : random_.Below(4)));
    }
    const auto values = offsets.back();
    return arrow::MakeArray(arrow::ArrayData::Make(
        type, std::ssize(nulls), {Validity(nulls), arrow::Buffer::FromVector(std::move(offsets))},
        {Make(*type->field(0), values)->data()}));
  }

  ArrayPtr Dictionary(const arrow::DictionaryType& type, const Type& shared, const Flags& nulls) {
    const auto count = static_cast<std::int64_t>(1 + random_.Below(8));
    const auto values = Make(type.value_type(), count, Flags(static_cast<std::size_t>(count)));
    arrow::Int64Builder builder;
    for (const bool null : nulls) {
      const auto index = static_cast<std::int64_t>(random_.Below(count));
      VARVE_CHECK((null ? builder.AppendNull() : builder.Append(index)).ok());
    }
    const auto wide = builder.Finish().ValueOrDie();
    auto indices = arrow::MakeBuilder(type.index_type()).ValueOrDie();
    for (std::int64_t i = 0; i < wide->length(); ++i) {
      const auto scalar = wide->GetScalar(i).ValueOrDie()->CastTo(type.index_type()).ValueOrDie();
      VARVE_CHECK(indices->AppendScalar(*scalar).ok());
    }
    return arrow::DictionaryArray::FromArrays(shared, indices->Finish().ValueOrDie(), values)
        .ValueOrDie();
  }

  ArrayPtr Nested(const Type& type, const Flags& nulls) {
    const auto rows = std::ssize(nulls);
    switch (type->id()) {
      case arrow::Type::LIST:
      case arrow::Type::MAP: return Lists<std::int32_t>(type, nulls);
      case arrow::Type::LARGE_LIST: return Lists<std::int64_t>(type, nulls);
      case arrow::Type::FIXED_SIZE_LIST: {
        const auto width = static_cast<const arrow::FixedSizeListType&>(*type).list_size();
        return arrow::MakeArray(arrow::ArrayData::Make(
            type, rows, {Validity(nulls)}, {Make(*type->field(0), rows * width)->data()}));
      }
      case arrow::Type::STRUCT: {
        arrow::ArrayDataVector children;
        for (const auto& field : type->fields()) children.push_back(Make(*field, rows)->data());
        return arrow::MakeArray(
            arrow::ArrayData::Make(type, rows, {Validity(nulls)}, std::move(children)));
      }
      case arrow::Type::DICTIONARY:
        return Dictionary(static_cast<const arrow::DictionaryType&>(*type), type, nulls);
      case arrow::Type::EXTENSION: {
        const auto& extension = static_cast<const arrow::ExtensionType&>(*type);
        return arrow::ExtensionType::WrapArray(type, Make(extension.storage_type(), rows, nulls));
      }
      default: VARVE_CHECK(!"a type that RandomArrays knows"); return nullptr;
    }
  }

  ArrayPtr Make(const Type& type, std::int64_t rows, const Flags& nulls) {
    VARVE_CHECK(rows == std::ssize(nulls));
    const auto below = [this](std::int64_t bound) {
      return [this, bound] { return static_cast<std::int64_t>(random_.Below(bound)); };
    };
    constexpr std::int64_t kDay = 86400;
    const auto integer = [this]<typename T>(T) { return [this] { return Number<T>(); }; };
    const auto text = [this](bool utf8) { return [this, utf8] { return Text(utf8); }; };
    switch (type->id()) {
      case arrow::Type::BOOL:
        return Built(type, nulls, arrow::BooleanBuilder(), [&] { return random_.Below(2) == 0; });
      case arrow::Type::INT8: return Fixed<std::int8_t>(type, nulls, integer(std::int8_t{}));
      case arrow::Type::UINT8: return Fixed<std::uint8_t>(type, nulls, integer(std::uint8_t{}));
      case arrow::Type::INT16: return Fixed<std::int16_t>(type, nulls, integer(std::int16_t{}));
      case arrow::Type::UINT16: return Fixed<std::uint16_t>(type, nulls, integer(std::uint16_t{}));
      case arrow::Type::HALF_FLOAT: return Fixed<std::uint16_t>(type, nulls, below(0x7c01));
      case arrow::Type::INT32:
      case arrow::Type::DATE32: return Fixed<std::int32_t>(type, nulls, integer(std::int32_t{}));
      case arrow::Type::UINT32: return Fixed<std::uint32_t>(type, nulls, integer(std::uint32_t{}));
      case arrow::Type::INT64:
      case arrow::Type::DURATION: return Fixed<std::int64_t>(type, nulls, integer(std::int64_t{}));
      case arrow::Type::UINT64: return Fixed<std::uint64_t>(type, nulls, integer(std::uint64_t{}));
      case arrow::Type::FLOAT: return Fixed<float>(type, nulls, integer(float{}));
      case arrow::Type::DOUBLE: return Fixed<double>(type, nulls, integer(double{}));
      case arrow::Type::TIMESTAMP:
        return Fixed<std::int64_t>(type, nulls, [&] { return Moment(*type); });
      case arrow::Type::DATE64:
        return Fixed<std::int64_t>(type, nulls, [&] {
          return (static_cast<std::int64_t>(random_.Below(100000)) - 50000) * kDay * 1000;
        });
      case arrow::Type::TIME32:
      case arrow::Type::TIME64: return Times(type, nulls);
      case arrow::Type::STRING: return Built(type, nulls, arrow::BinaryBuilder(), text(true));
      case arrow::Type::BINARY: return Built(type, nulls, arrow::BinaryBuilder(), text(false));
      case arrow::Type::LARGE_STRING:
        return Built(type, nulls, arrow::LargeBinaryBuilder(), text(true));
      case arrow::Type::LARGE_BINARY:
        return Built(type, nulls, arrow::LargeBinaryBuilder(), text(false));
      case arrow::Type::STRING_VIEW:
        return Built(type, nulls, arrow::BinaryViewBuilder(), text(true));
      case arrow::Type::BINARY_VIEW:
        return Built(type, nulls, arrow::BinaryViewBuilder(), text(false));
      case arrow::Type::FIXED_SIZE_BINARY: return Bytes(type, nulls);
      case arrow::Type::DECIMAL32:
        return Decimals<arrow::Decimal32, arrow::Decimal32Builder>(type, nulls);
      case arrow::Type::DECIMAL64:
        return Decimals<arrow::Decimal64, arrow::Decimal64Builder>(type, nulls);
      case arrow::Type::DECIMAL128:
        return Decimals<arrow::Decimal128, arrow::Decimal128Builder>(type, nulls);
      case arrow::Type::DECIMAL256:
        return Decimals<arrow::Decimal256, arrow::Decimal256Builder>(type, nulls);
      default: return Nested(type, nulls);
    }
  }

  static std::int64_t PerSecond(arrow::TimeUnit::type unit) {
    constexpr std::int64_t kCounts[] = {1, 1000, 1000000, 1000000000};
    return kCounts[static_cast<int>(unit)];
  }

  // All of int64, but for seconds what also fits in milliseconds: Parquet knows no seconds.
  std::int64_t Moment(const arrow::DataType& type) {
    const bool seconds =
        static_cast<const arrow::TimestampType&>(type).unit() == arrow::TimeUnit::SECOND;
    return seconds ? Number<std::int64_t>() / 1000 : Number<std::int64_t>();
  }

  ArrayPtr Times(const Type& type, const Flags& nulls) {
    const auto day = 86400 * PerSecond(static_cast<const arrow::TimeType&>(*type).unit());
    const auto value = [&] { return static_cast<std::int64_t>(random_.Below(day)); };
    return type->id() == arrow::Type::TIME32 ? Fixed<std::int32_t>(type, nulls, value)
                                             : Fixed<std::int64_t>(type, nulls, value);
  }

  ArrayPtr Bytes(const Type& type, const Flags& nulls) {
    std::string bytes(nulls.size() * static_cast<std::size_t>(type->byte_width()), '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random_.Next());
    return arrow::MakeArray(arrow::ArrayData::Make(
        type, std::ssize(nulls), {Validity(nulls), arrow::Buffer::FromString(std::move(bytes))}));
  }

  SeededRandom random_;
  std::uint64_t null_per_mille_;
};

}  // namespace varve::testing
