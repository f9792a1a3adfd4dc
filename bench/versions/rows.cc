// SPDX-License-Identifier: Apache-2.0
#include "bench/versions/rows.h"

#include <arrow/api.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "bench/slice.h"

namespace varve::bench {
namespace {

constexpr std::int64_t kPooledRows = 1 << 18;
constexpr std::int64_t kBatchesMin = 4;
constexpr std::int64_t kBatchesMax = 1024;
constexpr const char* kCities[] = {"Bergen", "Cork", "Graz", "Lyon", "Porto", "Turku"};
constexpr int kKeyColumn = 0;
constexpr int kOrderedColumn = 8;

template <typename T>
T MustArrow(arrow::Result<T> result) {
  if (!result.ok()) Die(result.status().ToString());
  return *std::move(result);
}

// Numbers without a validity bitmap.
template <typename Type>
std::shared_ptr<arrow::Array> NumberColumn(std::int64_t rows, auto&& value) {
  using Number = typename Type::c_type;
  const auto bytes = rows * static_cast<std::int64_t>(sizeof(Number));
  std::shared_ptr<arrow::Buffer> buffer = MustArrow(arrow::AllocateBuffer(bytes));
  auto* numbers = reinterpret_cast<Number*>(buffer->mutable_data());
  for (std::int64_t row = 0; row < rows; ++row) numbers[row] = static_cast<Number>(value(row));
  const auto type = [] {
    if constexpr (std::is_same_v<Type, arrow::TimestampType>) {
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    } else {
      return arrow::TypeTraits<Type>::type_singleton();
    }
  }();
  return arrow::MakeArray(arrow::ArrayData::Make(type, rows, {nullptr, std::move(buffer)}, 0));
}

std::shared_ptr<arrow::Array> TextColumn(std::int64_t rows, auto&& value) {
  arrow::StringBuilder builder;
  for (std::int64_t row = 0; row < rows; ++row) {
    if (const auto added = builder.Append(value(row)); !added.ok()) Die(added.ToString());
  }
  return MustArrow(builder.Finish());
}

BatchPtr MakeBatch(std::int64_t rows, std::mt19937_64* random) {
  const auto below = [random](std::uint64_t bound) {
    return static_cast<std::int64_t>((*random)() % bound);
  };
  std::vector<std::shared_ptr<arrow::Array>> columns = {
      NumberColumn<arrow::Int64Type>(rows, [](auto row) { return row; }),
      NumberColumn<arrow::Int32Type>(rows, [&](auto) { return below(1'000'000); }),
      NumberColumn<arrow::Int64Type>(rows, [&](auto) { return 1 + below(100); }),
      NumberColumn<arrow::DoubleType>(rows, [&](auto) { return below(10'000'000) / 100.0; }),
      NumberColumn<arrow::FloatType>(rows, [&](auto) { return below(50) / 100.0; }),
      TextColumn(rows, [&](auto) { return fmt::format("product-{:05}", below(50'000)); }),
      TextColumn(rows, [&](auto) { return std::string(kCities[below(std::size(kCities))]); }),
      TextColumn(rows, [&](auto) { return fmt::format("note {:016x} of order", (*random)()); }),
      NumberColumn<arrow::TimestampType>(rows, [](auto) { return kFirstMicros; }),
      NumberColumn<arrow::TimestampType>(rows,
                                         [&](auto) { return kFirstMicros + below(1ull << 40); }),
  };
  return arrow::RecordBatch::Make(RowSchema(), rows, std::move(columns));
}

void AppendBytes(const void* from, std::size_t size, std::string* bytes) {
  bytes->append(static_cast<const char*>(from), size);
}

}  // namespace

const std::shared_ptr<arrow::Schema>& RowSchema() {
  const auto time = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  static const auto schema = arrow::schema(
      {arrow::field(kKey, arrow::int64(), false), arrow::field("customer", arrow::int32()),
       arrow::field("quantity", arrow::int64()), arrow::field("price", arrow::float64()),
       arrow::field("discount", arrow::float32()), arrow::field("product", arrow::utf8()),
       arrow::field("city", arrow::utf8()), arrow::field("note", arrow::utf8()),
       arrow::field("ordered", time), arrow::field("shipped", time)});
  return schema;
}

std::vector<std::string> ColumnNames() { return RowSchema()->field_names(); }

RowMaker::RowMaker(std::int64_t rows, std::uint64_t seed) : rows_(rows) {
  std::mt19937_64 random(seed);
  const auto batches = std::clamp(kPooledRows / rows, kBatchesMin, kBatchesMax);
  for (std::int64_t i = 0; i < batches; ++i) pool_.push_back(MakeBatch(rows, &random));
}

BatchPtr RowMaker::Ascending(std::int64_t first) {
  return Finish(NumberColumn<arrow::Int64Type>(rows_, [&](auto row) { return first + row; }),
                NumberColumn<arrow::TimestampType>(
                    rows_, [&](auto row) { return kFirstMicros + (first + row) * kMicrosPerRow; }));
}

BatchPtr RowMaker::WithKeys(const std::vector<std::int64_t>& keys) {
  const auto key = [&](auto row) { return keys[static_cast<std::size_t>(row)]; };
  return Finish(NumberColumn<arrow::Int64Type>(rows_, key),
                NumberColumn<arrow::TimestampType>(
                    rows_, [&](auto row) { return kFirstMicros + key(row) * kMicrosPerRow; }));
}

BatchPtr RowMaker::Finish(std::shared_ptr<arrow::Array> keys,
                          std::shared_ptr<arrow::Array> ordered) {
  auto columns = pool_[next_.fetch_add(1, std::memory_order_relaxed) % pool_.size()]->columns();
  columns[kKeyColumn] = std::move(keys);
  columns[kOrderedColumn] = std::move(ordered);
  return arrow::RecordBatch::Make(RowSchema(), rows_, std::move(columns));
}

BatchPtr KeyBatch(const std::vector<std::int64_t>& keys) {
  const auto rows = std::ssize(keys);
  return arrow::RecordBatch::Make(arrow::schema({RowSchema()->field(kKeyColumn)}), rows,
                                  {NumberColumn<arrow::Int64Type>(rows, [&](auto row) {
                                    return keys[static_cast<std::size_t>(row)];
                                  })});
}

Columns::Columns(const arrow::RecordBatch& batch) : rows(batch.num_rows()) {
  int next = 0;
  const auto numbers = [&]<typename T>(const T** to) {
    *to = batch.column_data(next++)->GetValues<T>(1);
  };
  const auto text = [&](const arrow::StringArray** to) {
    *to = static_cast<const arrow::StringArray*>(batch.column(next++).get());
  };
  numbers(&id);
  numbers(&customer);
  numbers(&quantity);
  numbers(&price);
  numbers(&discount);
  text(&product);
  text(&city);
  text(&note);
  numbers(&ordered);
  numbers(&shipped);
}

void AppendRow(const Columns& columns, std::int64_t row, std::string* bytes) {
  AppendBytes(&columns.customer[row], sizeof(std::int32_t), bytes);
  AppendBytes(&columns.quantity[row], sizeof(std::int64_t), bytes);
  AppendBytes(&columns.price[row], sizeof(double), bytes);
  AppendBytes(&columns.discount[row], sizeof(float), bytes);
  AppendBytes(&columns.ordered[row], sizeof(std::int64_t), bytes);
  AppendBytes(&columns.shipped[row], sizeof(std::int64_t), bytes);
  for (const auto* text : {columns.product, columns.city, columns.note}) {
    const auto value = text->GetView(row);
    const auto size = static_cast<std::uint16_t>(value.size());
    AppendBytes(&size, sizeof size, bytes);
    AppendBytes(value.data(), value.size(), bytes);
  }
}

KeyBytes::KeyBytes(std::int64_t key) {
  const auto big_endian = __builtin_bswap64(static_cast<std::uint64_t>(key));
  std::memcpy(bytes, &big_endian, sizeof bytes);
}

}  // namespace varve::bench
