// SPDX-License-Identifier: Apache-2.0
#include "columns/alter_schema.h"

#include <arrow/api.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/result.h"
#include "columns/array_cast.h"
#include "columns/arrow_errors.h"
#include "columns/gather.h"
#include "columns/required_values.h"
#include "columns/storable_values.h"

namespace varve {
namespace {

// Shown once for each row of a row group: together not more than a row group may have in memory.
constexpr std::uint64_t kDefaultBytesMax = 1024;

using ArrayPtr = std::shared_ptr<arrow::Array>;

std::unexpected<Error> Refuse(const std::string& column, std::string_view why) {
  return Fail(ErrorKind::kInvalid, fmt::format("column '{}': {}", column, why));
}

std::string TypeOf(const arrow::Field& field) {
  return field.type()->ToString() + (field.nullable() ? "" : " not null");
}

// Of integers, which these type ids are.
int BitsOf(const arrow::DataType& type) { return arrow::bit_width(type.id()); }

bool CanWidenDecimal(const arrow::DecimalType& from, const arrow::DecimalType& to) {
  return to.scale() == from.scale() && to.precision() >= from.precision() &&
         to.byte_width() >= from.byte_width();
}

bool CanWidenDate(const arrow::DataType& to) {
  if (to.id() != arrow::Type::TIMESTAMP) return false;
  const auto& timestamp = static_cast<const arrow::TimestampType&>(to);
  // Finer units do not reach as far as the days of 32 bits.
  return timestamp.timezone().empty() && (timestamp.unit() == arrow::TimeUnit::SECOND ||
                                          timestamp.unit() == arrow::TimeUnit::MILLI);
}

// The default as an array of one value of the field's type, or null when there is none.
Result<ArrayPtr> DefaultOf(const std::shared_ptr<arrow::Field>& of,
                           const std::shared_ptr<arrow::Scalar>& value) {
  const arrow::Field& field = *of;
  if (value == nullptr || !value->is_valid) {
    if (field.nullable()) return ArrayPtr();
    return Refuse(field.name(), "it must not be null, so it needs a value for the rows that are "
                                "there already");
  }
  const auto made = arrow::MakeArrayFromScalar(*value, 1);
  if (!made.ok()) return Refuse(field.name(), made.status().message());
  const auto cast = CastArray((*made)->data(), field.type());
  if (!cast.ok()) {
    return Refuse(field.name(), fmt::format("{} is no value of {}: {}", value->ToString(),
                                            field.type()->ToString(), cast.status().message()));
  }
  const auto array = arrow::MakeArray(*cast);
  const auto row = arrow::RecordBatch::Make(arrow::schema({of}), 1, {array});
  if (const auto valid = row->ValidateFull(); !valid.ok()) {
    return Refuse(field.name(), valid.message());
  }
  if (BatchBytes(*row) > kDefaultBytesMax) {
    return Refuse(field.name(), fmt::format("its value for the rows that are there takes {} bytes, "
                                            "expected at most {}",
                                            BatchBytes(*row), kDefaultBytesMax));
  }
  VARVE_TRY(CheckRequiredValues(*row));
  VARVE_TRY(CheckStorable(*row));
  return array;
}

// A schema on its way from one to the other.
class Draft {
 public:
  explicit Draft(const TableSchema& before)
      : metadata_(before.schema()->metadata()),
        fields_(before.schema()->fields()),
        key_(before.key_columns()),
        identity_(before.identity()),
        lifetime_(before.lifetime()) {}

  Status Apply(const AddColumn& add) {
    if (add.field == nullptr) return Fail(ErrorKind::kInvalid, "a column to add has no field");
    VARVE_TRY(CheckIsFree(add.field->name()));
    VARVE_ASSIGN(auto value, DefaultOf(add.field, add.value));
    fields_.push_back(add.field);
    identity_.ids.push_back(identity_.next_id++);
    identity_.defaults.push_back(std::move(value));
    return {};
  }

  Status Apply(const DropColumn& drop) {
    VARVE_ASSIGN(const int place, Find(drop.name));
    if (IsKey(place)) return RefuseKey(drop.name, "dropped");
    if (lifetime_ && identity_.ids[static_cast<std::size_t>(place)] == lifetime_->column) {
      return Refuse(drop.name, "rows expire by it: drop the table's time to live first, or set one "
                               "by another column");
    }
    fields_.erase(fields_.begin() + place);
    identity_.ids.erase(identity_.ids.begin() + place);
    identity_.defaults.erase(identity_.defaults.begin() + place);
    for (int& key : key_) key -= key > place ? 1 : 0;
    return {};
  }

  Status Apply(const RenameColumn& rename) {
    VARVE_ASSIGN(const int place, Find(rename.from));
    VARVE_TRY(CheckIsFree(rename.to));
    auto& field = At(place);
    field = field->WithName(rename.to);
    return {};
  }

  Status Apply(const WidenColumn& widen) {
    if (widen.field == nullptr) return Fail(ErrorKind::kInvalid, "a column to widen has no field");
    VARVE_ASSIGN(const int place, Find(widen.field->name()));
    auto& field = At(place);
    if (IsKey(place)) return RefuseKey(field->name(), "widened");
    if (!CanWiden(*field->type(), *widen.field->type()) ||
        (field->nullable() && !widen.field->nullable())) {
      return Refuse(field->name(), fmt::format("{} cannot become {}: it could not hold every value "
                                               "that is, or may be, there",
                                               TypeOf(*field), TypeOf(*widen.field)));
    }
    auto& value = identity_.defaults[static_cast<std::size_t>(place)];
    if (value != nullptr) {
      VARVE_ASSIGN(const auto cast, FromArrow(CastArray(value->data(), widen.field->type())));
      value = arrow::MakeArray(cast);
    }
    field = widen.field;
    return {};
  }

  Status Apply(const SetTimeToLive& set) {
    VARVE_ASSIGN(const int place, Find(set.to.column));
    lifetime_ = Lifetime{.column = identity_.ids[static_cast<std::size_t>(place)],
                         .micros = set.to.micros,
                         .unit = set.to.unit};
    return {};
  }

  Status Apply(const DropTimeToLive&) {
    if (!lifetime_) return Fail(ErrorKind::kInvalid, "the table has no time to live to drop");
    lifetime_.reset();
    return {};
  }

  Result<std::shared_ptr<const TableSchema>> Finish() {
    std::vector<std::string> key;
    for (const int place : key_) key.push_back(At(place)->name());
    std::optional<TimeToLive> live;
    if (lifetime_) {
      const auto at = std::ranges::find(identity_.ids, lifetime_->column);
      live = TimeToLive{.column = At(static_cast<int>(at - identity_.ids.begin()))->name(),
                        .micros = lifetime_->micros,
                        .unit = lifetime_->unit};
    }
    VARVE_ASSIGN(auto made, TableSchema::Make(arrow::schema(std::move(fields_), metadata_), key,
                                              std::move(identity_)));
    return live ? made->WithTimeToLive(live) : made;
  }

 private:
  std::shared_ptr<arrow::Field>& At(int place) { return fields_[static_cast<std::size_t>(place)]; }
  bool IsKey(int place) const { return std::ranges::find(key_, place) != key_.end(); }

  Result<int> Find(const std::string& name) const {
    const auto at =
        std::ranges::find(fields_, name, [](const auto& field) { return field->name(); });
    if (at != fields_.end()) return static_cast<int>(at - fields_.begin());
    std::vector<std::string> known;
    for (const auto& field : fields_) known.push_back(field->name());
    return Fail(ErrorKind::kNotFound, fmt::format("there is no column '{}'; the table has {}", name,
                                                  fmt::join(known, ", ")));
  }
  Status CheckIsFree(const std::string& name) const {
    if (!Find(name)) return {};
    return Refuse(name, "the table has a column of this name already");
  }
  static std::unexpected<Error> RefuseKey(const std::string& name, std::string_view what) {
    return Refuse(name, fmt::format("a key column cannot be {}, for the order of the rows in every "
                                    "file depends on it; it can be renamed",
                                    what));
  }

  const std::shared_ptr<const arrow::KeyValueMetadata> metadata_;
  arrow::FieldVector fields_;
  std::vector<int> key_;  // places
  ColumnIdentity identity_;
  std::optional<Lifetime> lifetime_;
};

}  // namespace

bool CanWiden(const arrow::DataType& from, const arrow::DataType& to) {
  if (from.Equals(to)) return true;
  const bool is_signed = arrow::is_signed_integer(to.id());
  if (arrow::is_signed_integer(from.id())) return is_signed && BitsOf(to) > BitsOf(from);
  if (arrow::is_unsigned_integer(from.id())) {
    return (is_signed || arrow::is_unsigned_integer(to.id())) && BitsOf(to) > BitsOf(from);
  }
  switch (from.id()) {
    case arrow::Type::FLOAT: return to.id() == arrow::Type::DOUBLE;
    case arrow::Type::STRING: return to.id() == arrow::Type::LARGE_STRING;
    case arrow::Type::BINARY: return to.id() == arrow::Type::LARGE_BINARY;
    case arrow::Type::DATE32: return CanWidenDate(to);
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256:
      return (to.id() == arrow::Type::DECIMAL128 || to.id() == arrow::Type::DECIMAL256) &&
             CanWidenDecimal(static_cast<const arrow::DecimalType&>(from),
                             static_cast<const arrow::DecimalType&>(to));
    default: return false;
  }
}

Result<std::shared_ptr<const TableSchema>> AlterSchema(const TableSchema& before,
                                                       const std::vector<ColumnChange>& changes) {
  if (changes.empty()) return Fail(ErrorKind::kInvalid, "there is no change of a column to make");
  Draft draft(before);
  for (const ColumnChange& change : changes) {
    VARVE_TRY(std::visit([&](const auto& one) { return draft.Apply(one); }, change));
  }
  return draft.Finish();
}

Status CheckFollows(const TableSchema& before, const TableSchema& after) {
  const auto id_of = [](const TableSchema& schema, int place) {
    return schema.identity().ids[static_cast<std::size_t>(place)];
  };
  if (before.key_columns().size() != after.key_columns().size()) {
    return Fail(ErrorKind::kInvalid, "the key cannot become another");
  }
  for (std::size_t i = 0; i < before.key_columns().size(); ++i) {
    const int from = before.key_columns()[i], to = after.key_columns()[i];
    if (id_of(before, from) != id_of(after, to) ||
        !before.schema()->field(from)->Equals(after.schema()->field(to)->WithName(
            before.schema()->field(from)->name()))) {
      return Refuse(after.key_names()[i], "the key cannot become another");
    }
  }
  for (int place = 0; place < after.schema()->num_fields(); ++place) {
    const auto& field = *after.schema()->field(place);
    const int from = before.FindColumn(id_of(after, place));
    const auto& value = after.identity().defaults[static_cast<std::size_t>(place)];
    if (from < 0) {
      if (id_of(after, place) < before.identity().next_id) {
        return Refuse(field.name(), "its id was another column's");
      }
      if (!field.nullable() && value == nullptr) return Refuse(field.name(), "it needs a default");
      continue;
    }
    const auto& old = *before.schema()->field(from);
    if (!CanWiden(*old.type(), *field.type()) || (old.nullable() && !field.nullable())) {
      return Refuse(field.name(), fmt::format("{} cannot become {}", TypeOf(old), TypeOf(field)));
    }
  }
  if (after.identity().next_id >= before.identity().next_id) return {};
  return Fail(ErrorKind::kInvalid, "ids of columns cannot be used again");
}

}  // namespace varve
