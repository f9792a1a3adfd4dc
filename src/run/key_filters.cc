// SPDX-License-Identifier: Apache-2.0
#include "run/key_filters.h"

#include <arrow/extension_type.h>
#include <arrow/io/memory.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <parquet/bloom_filter.h>
#include <parquet/exception.h>
#include <parquet/properties.h>
#include <parquet/schema.h>
#include <parquet/xxhasher.h>

namespace varve {
namespace {

enum class Physical { kNone, kInt32, kInt64, kBytes, kFixedBytes };

Physical PhysicalOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
    case arrow::Type::UINT32:
    case arrow::Type::DATE32: return Physical::kInt32;
    case arrow::Type::INT64:
    case arrow::Type::UINT64:
    case arrow::Type::DURATION:
    case arrow::Type::TIME64: return Physical::kInt64;
    case arrow::Type::TIME32: {
      const auto unit = static_cast<const arrow::Time32Type&>(type).unit();
      return unit == arrow::TimeUnit::MILLI ? Physical::kInt32 : Physical::kNone;
    }
    case arrow::Type::TIMESTAMP: {
      const auto unit = static_cast<const arrow::TimestampType&>(type).unit();
      return unit == arrow::TimeUnit::SECOND ? Physical::kNone : Physical::kInt64;
    }
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW: return Physical::kBytes;
    case arrow::Type::FIXED_SIZE_BINARY: return Physical::kFixedBytes;
    default: return Physical::kNone;  // dictionaries and extensions too: rare as keys
  }
}

template <typename Number>
Number NumberOf(const arrow::Scalar& value) {
  const auto view = static_cast<const arrow::internal::PrimitiveScalarBase&>(value).view();
  switch (view.size()) {
    case 1: {
      const char byte = view.front();
      return value.type->id() == arrow::Type::UINT8 ? static_cast<std::uint8_t>(byte)
                                                    : static_cast<std::int8_t>(byte);
    }
    case 2: {
      std::uint16_t bits;
      std::memcpy(&bits, view.data(), sizeof bits);
      return value.type->id() == arrow::Type::UINT16 ? bits : static_cast<std::int16_t>(bits);
    }
    default: {
      Number number;
      std::memcpy(&number, view.data(), sizeof number);
      return number;
    }
  }
}

}  // namespace

bool HasKeyFilter(const arrow::DataType& type) { return PhysicalOf(type) != Physical::kNone; }

bool MayContain(const parquet::BloomFilter& filter, const arrow::Scalar& value) {
  switch (PhysicalOf(*value.type)) {
    case Physical::kNone: return true;
    case Physical::kInt32: return filter.FindHash(filter.Hash(NumberOf<std::int32_t>(value)));
    case Physical::kInt64: return filter.FindHash(filter.Hash(NumberOf<std::int64_t>(value)));
    case Physical::kBytes: {
      const auto view = static_cast<const arrow::BaseBinaryScalar&>(value).view();
      return filter.FindHash(filter.Hash(parquet::ByteArray(view)));
    }
    case Physical::kFixedBytes: {
      const auto view = static_cast<const arrow::BaseBinaryScalar&>(value).view();
      const parquet::FLBA bytes(reinterpret_cast<const std::uint8_t*>(view.data()));
      return filter.FindHash(filter.Hash(bytes, static_cast<std::uint32_t>(view.size())));
    }
  }
  return true;
}

namespace {

constexpr double kFalsePositives = 0.05;  // as Arrow's own

}  // namespace

std::uint64_t KeyHash(std::string_view key) { return parquet::XxHasher().Hash(key); }

std::string MakeKeyFilter(const std::vector<std::uint64_t>& hashes) {
  parquet::BlockSplitBloomFilter filter;
  filter.Init(parquet::BlockSplitBloomFilter::OptimalNumOfBytes(hashes.size(), kFalsePositives));
  filter.InsertHashes(hashes.data(), static_cast<int>(hashes.size()));
  filter.FoldToTargetFpp(kFalsePositives);  // keys may have several versions
  PARQUET_ASSIGN_OR_THROW(const auto sink, arrow::io::BufferOutputStream::Create());
  filter.WriteTo(sink.get());
  PARQUET_ASSIGN_OR_THROW(const auto bytes, sink->Finish());
  return bytes->ToString();
}

bool MayContainKey(const std::string& filter, std::string_view key) {
  arrow::io::BufferReader reader(arrow::Buffer::FromString(filter));
  return parquet::BlockSplitBloomFilter::Deserialize(parquet::default_reader_properties(), &reader)
      .FindHash(KeyHash(key));
}

std::vector<std::vector<int>> LeavesOfFields(const parquet::SchemaDescriptor& schema) {
  const auto* const root = schema.group_node();
  std::vector<std::vector<int>> leaves(static_cast<std::size_t>(root->field_count()));
  for (int leaf = 0; leaf < schema.num_columns(); ++leaf) {
    const int field = root->FieldIndex(*schema.GetColumnRoot(leaf));
    leaves[static_cast<std::size_t>(field)].push_back(leaf);
  }
  return leaves;
}

}  // namespace varve
