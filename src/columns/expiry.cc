// SPDX-License-Identifier: Apache-2.0
#include "columns/expiry.h"

#include <arrow/api.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "columns/version_cursor.h"

namespace varve {
namespace {

// Both sides of a column's unit: a value is so many microseconds, or so many of it are one.
struct Scale {
  std::int64_t micros = 1;
  std::int64_t per_micro = 1;
};

constexpr std::int64_t kDayMicros = 86'400'000'000;
constexpr std::int64_t kMicrosMax = std::numeric_limits<std::int64_t>::max() / 4;

Scale ScaleOf(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND: return {.micros = 1'000'000};
    case arrow::TimeUnit::MILLI: return {.micros = 1000};
    case arrow::TimeUnit::MICRO: return {};
    default: return {.per_micro = 1000};
  }
}

Scale ScaleOf(EpochUnit unit) {
  switch (unit) {
    case EpochUnit::kSeconds: return {.micros = 1'000'000};
    case EpochUnit::kMillis: return {.micros = 1000};
    case EpochUnit::kMicros: return {};
    default: return {.per_micro = 1000};
  }
}

// Nothing: the type has no time.
std::optional<Scale> ScaleOf(const arrow::DataType& type, EpochUnit unit) {
  switch (type.id()) {
    case arrow::Type::TIMESTAMP:
      return ScaleOf(static_cast<const arrow::TimestampType&>(type).unit());
    case arrow::Type::DATE32: return Scale{.micros = kDayMicros};
    case arrow::Type::DATE64: return Scale{.micros = 1000};
    case arrow::Type::INT64: return ScaleOf(unit);
    default: return std::nullopt;
  }
}

// The least value that is not before `micros`.
std::int64_t LeastFrom(std::int64_t micros, const Scale& scale) {
  std::int64_t value = 0;
  if (__builtin_mul_overflow(micros, scale.per_micro, &value)) {
    return micros < 0 ? std::numeric_limits<std::int64_t>::min()
                      : std::numeric_limits<std::int64_t>::max();
  }
  const std::int64_t floor = value / scale.micros - (value % scale.micros < 0 ? 1 : 0);
  return floor + (value % scale.micros == 0 ? 0 : 1);
}

class ExpiredAsDeletes final : public ForwardingCursor {
 public:
  ExpiredAsDeletes(std::unique_ptr<VersionCursor> of, const Expiry& expiry, int place, bool hide)
      : ForwardingCursor(std::move(of)), expiry_(expiry), place_(place), hide_(hide) {}

  RowKind kind() const override { return HasExpired() ? RowKind::kDelete : of().kind(); }
  const std::shared_ptr<arrow::RecordBatch>& batch() const override {
    static const std::shared_ptr<arrow::RecordBatch> kNone;
    if (HasExpired()) return kNone;
    return hide_ && of().batch() != nullptr ? WithoutTimes() : of().batch();
  }
  std::int64_t row() const override { return HasExpired() ? 0 : of().row(); }
  // Whether rows are alive is not known without a look at each.
  std::int64_t PlainRows(std::optional<std::string_view>, std::uint64_t) override { return 0; }

 private:
  bool HasExpired() const {
    return of().kind() == RowKind::kUpsert &&
           expiry_.Has(*of().batch()->column(place_), of().row());
  }

  const std::shared_ptr<arrow::RecordBatch>& WithoutTimes() const {
    if (whole_ != of().batch()) {
      whole_ = of().batch();
      shown_ = whole_->RemoveColumn(place_).ValueOrDie();  // it is there
    }
    return shown_;
  }

  const Expiry expiry_;
  const int place_;
  const bool hide_;
  mutable std::shared_ptr<arrow::RecordBatch> whole_;  // the last one
  mutable std::shared_ptr<arrow::RecordBatch> shown_;  // the same without the column
};

}  // namespace

std::optional<Expiry> Expiry::At(const TableSchema& schema, WallTime now) {
  const auto& lifetime = schema.lifetime();
  if (!lifetime) return std::nullopt;
  const int column = schema.FindColumn(lifetime->column);
  auto type = schema.schema()->field(column)->type();
  const auto scale = ScaleOf(*type, lifetime->unit);
  std::int64_t from = 0;
  if (__builtin_sub_overflow(now.micros, lifetime->micros, &from)) {
    from = std::numeric_limits<std::int64_t>::min();
  }
  return Expiry(column, std::move(type), LeastFrom(from, *scale));
}

std::shared_ptr<arrow::Scalar> Expiry::AliveFrom() const {
  if (type_->id() != arrow::Type::DATE32) {
    return arrow::MakeScalar(type_, alive_from_).ValueOrDie();  // of these types it cannot fail
  }
  using Days = std::numeric_limits<std::int32_t>;
  const std::int64_t day = std::clamp<std::int64_t>(alive_from_, Days::min(), Days::max());
  return std::make_shared<arrow::Date32Scalar>(static_cast<std::int32_t>(day));
}

bool Expiry::Has(const arrow::Array& values, std::int64_t row) const {
  VARVE_CHECK(values.type_id() == type_->id());
  if (values.IsNull(row)) return false;
  if (type_->id() == arrow::Type::DATE32) {
    return static_cast<const arrow::Date32Array&>(values).Value(row) < alive_from_;
  }
  return values.data()->GetValues<std::int64_t>(1)[row] < alive_from_;
}

std::optional<WallTime> ExpiresAt(const TableSchema& schema, std::int64_t value) {
  const Lifetime& lifetime = *schema.lifetime();
  const auto& type = *schema.schema()->field(schema.FindColumn(lifetime.column))->type();
  const Scale scale = *ScaleOf(type, lifetime.unit);
  std::int64_t micros = 0;
  if (__builtin_mul_overflow(value, scale.micros, &micros)) {
    if (value > 0) return std::nullopt;
    micros = -kMicrosMax;
  }
  micros = micros / scale.per_micro - (micros % scale.per_micro < 0 ? 1 : 0);
  if (__builtin_add_overflow(micros, lifetime.micros, &micros)) return std::nullopt;
  if (micros == std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return WallTime{micros + 1};
}

std::int64_t TimeValue(const arrow::Scalar& value) {
  switch (value.type->id()) {
    case arrow::Type::TIMESTAMP: return static_cast<const arrow::TimestampScalar&>(value).value;
    case arrow::Type::DATE32: return static_cast<const arrow::Date32Scalar&>(value).value;
    case arrow::Type::DATE64: return static_cast<const arrow::Date64Scalar&>(value).value;
    default: return static_cast<const arrow::Int64Scalar&>(value).value;
  }
}

Status CheckLifetime(const TableSchema& schema) {
  const Lifetime& lifetime = *schema.lifetime();
  const int place = schema.FindColumn(lifetime.column);
  if (place < 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("a time to live by column {}, which there is not", lifetime.column));
  }
  const auto& field = *schema.schema()->field(place);
  const auto refuse = [&](std::string_view why) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("rows cannot expire by column '{}' ({}): {}", field.name(),
                            field.type()->ToString(), why));
  };
  if (lifetime.micros < 0 || lifetime.micros > kMicrosMax) {
    return refuse(fmt::format("a time to live of {} microseconds; expected 0 to {}",
                              lifetime.micros, kMicrosMax));
  }
  if (!ScaleOf(*field.type(), lifetime.unit)) {
    return refuse("expected a timestamp, date32, date64 or int64");
  }
  if (field.type()->id() != arrow::Type::INT64 && lifetime.unit != EpochUnit::kMicros) {
    return refuse("its type says what it counts; a unit is for int64 alone");
  }
  return {};
}

std::string DescribeTimeToLive(const TableSchema& schema) {
  const auto live = schema.time_to_live();
  if (!live) return "none";
  std::string text = live->micros % 1'000'000 == 0
                         ? fmt::format("{}s by {}", live->micros / 1'000'000, live->column)
                         : fmt::format("{}us by {}", live->micros, live->column);
  switch (live->unit) {
    case EpochUnit::kMicros: return text;
    case EpochUnit::kMillis: return text + " (ms)";
    case EpochUnit::kSeconds: return text + " (s)";
    default: return text + " (ns)";
  }
}

std::unique_ptr<VersionCursor> ExpireVersions(std::unique_ptr<VersionCursor> versions,
                                              const Expiry& expiry, int place, bool hide) {
  return std::make_unique<ExpiredAsDeletes>(std::move(versions), expiry, place, hide);
}

}  // namespace varve
