// SPDX-License-Identifier: Apache-2.0
#include "columns/table_schema.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/bytes.h"
#include "base/check.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/batch_codec.h"
#include "columns/expiry.h"
#include "columns/plain_layout.h"
#include "columns/type_probe.h"

namespace varve {
namespace {

// A serialized schema: magic, uint32 number of key columns, uint32 index of each, Arrow IPC bytes.
// Of a table whose columns are not those it was made with the magic is another, and before the IPC
// bytes stand: uint32 number of columns, uint32 id of each; uint32 next id; uint32 number of
// columns with a default; if not 0: uint32 place of each, uint32 size of the bytes that EncodeBatch
// makes of their defaults as one row, the bytes.
constexpr std::string_view kMagic = "VSC1";
constexpr std::string_view kMagicWithIds = "VSC2";
// As with ids; before the IPC bytes also: uint32 id of the column that rows expire by, uint32
// EpochUnit, uint64 microseconds.
constexpr std::string_view kMagicWithLifetime = "VSC3";

constexpr std::uint32_t kNextColumnIdMax = UINT32_MAX / 2;  // leaves room to count on

Status CheckName(const std::string& name, const std::string& where, std::set<std::string>* seen) {
  if (name.empty()) return Fail(ErrorKind::kInvalid, where + " has an empty column name");
  arrow::util::InitializeUTF8();
  if (!arrow::util::ValidateUTF8(reinterpret_cast<const std::uint8_t*>(name.data()),
                                 static_cast<std::int64_t>(name.size()))) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{} has a column name that is not UTF-8: 0x{}", where, ToHex(name)));
  }
  if (!seen->insert(name).second) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{} has the column '{}' twice; column names must differ", where, name));
  }
  return {};
}

// Names of struct fields follow the same rules, except that varve's prefix is theirs to use.
Status CheckNestedNames(const arrow::DataType& type, const std::string& where) {
  std::set<std::string> seen;
  for (const auto& field : type.fields()) {
    if (type.id() == arrow::Type::STRUCT) VARVE_TRY(CheckName(field->name(), where, &seen));
    VARVE_TRY(CheckNestedNames(*field->type(), where));
  }
  return {};
}

Status CheckNames(const arrow::Schema& schema) {
  if (schema.num_fields() == 0) {
    return Fail(ErrorKind::kInvalid, "the schema has no column; a table needs at least its key");
  }
  std::set<std::string> seen;
  for (const auto& field : schema.fields()) {
    VARVE_TRY(CheckName(field->name(), "the schema", &seen));
    if (field->name().starts_with(kReservedPrefix)) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("column '{}': names that start with '{}' are varve's own; rename it",
                              field->name(), kReservedPrefix));
    }
    VARVE_TRY(CheckNestedNames(*field->type(), fmt::format("column '{}'", field->name())));
  }
  return {};
}

std::string Names(const arrow::Schema& schema) {
  return fmt::format("{}", fmt::join(schema.field_names(), ", "));
}

Result<std::vector<int>> KeyIndices(const arrow::Schema& schema,
                                    const std::vector<std::string>& key) {
  if (key.empty()) {
    return Fail(ErrorKind::kInvalid, "the key is empty; name at least one key column");
  }
  std::vector<int> indices;
  for (const auto& name : key) {
    const int index = schema.GetFieldIndex(name);
    if (index < 0) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("key column '{}' is not in the schema, which has {}", name,
                              Names(schema)));
    }
    if (std::ranges::find(indices, index) != indices.end()) {
      return Fail(ErrorKind::kInvalid, fmt::format("the key names column '{}' twice", name));
    }
    indices.push_back(index);
  }
  return indices;
}

std::unexpected<Error> NotASchema(std::string_view what) {
  return Fail(ErrorKind::kCorruption, fmt::format("stored table schema: {}", what));
}

void AppendNumbers(const std::vector<std::uint32_t>& numbers, std::string* bytes) {
  AppendLittle(bytes, static_cast<std::uint32_t>(numbers.size()));
  for (const std::uint32_t number : numbers) AppendLittle(bytes, number);
}

// Takes what AppendLittle and AppendNumbers wrote from the front of bytes; the first complaint
// sticks.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::uint32_t Number() {
    const auto word = Bytes(sizeof(std::uint32_t));
    return word.empty() ? 0 : LoadLittle<std::uint32_t>(word.data());
  }
  std::uint64_t Wide() {
    const auto word = Bytes(sizeof(std::uint64_t));
    return word.empty() ? 0 : LoadLittle<std::uint64_t>(word.data());
  }
  std::vector<std::uint32_t> Numbers() {
    const std::uint32_t count = Number();
    const auto words = Bytes(std::uint64_t{count} * sizeof(std::uint32_t));
    std::vector<std::uint32_t> numbers;
    for (std::size_t i = 0; i < words.size(); i += sizeof(std::uint32_t)) {
      numbers.push_back(LoadLittle<std::uint32_t>(words.data() + i));
    }
    return numbers;
  }
  std::string_view Bytes(std::uint64_t size) {
    cut_ = cut_ || size > bytes_.size();
    if (cut_) return {};
    const auto taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  bool cut() const { return cut_; }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
  bool cut_ = false;
};

// The columns at `places` alone.
std::shared_ptr<arrow::Schema> Select(const arrow::Schema& schema,
                                      const std::vector<std::uint32_t>& places) {
  arrow::FieldVector fields;
  for (const std::uint32_t place : places) fields.push_back(schema.field(static_cast<int>(place)));
  return arrow::schema(std::move(fields));
}

Status AppendDefaults(const arrow::Schema& schema, const ColumnIdentity& identity,
                      std::string* bytes) {
  std::vector<std::uint32_t> places;
  arrow::ArrayVector values;
  for (std::uint32_t place = 0; place < identity.defaults.size(); ++place) {
    if (identity.defaults[place] == nullptr) continue;
    places.push_back(place);
    values.push_back(identity.defaults[place]);
  }
  AppendNumbers(places, bytes);
  if (places.empty()) return {};
  const auto row = arrow::RecordBatch::Make(Select(schema, places), 1, std::move(values));
  VARVE_ASSIGN(const auto encoded, EncodeBatch(*row));
  AppendLittle(bytes, static_cast<std::uint32_t>(encoded->size()));
  bytes->append(std::string_view(*encoded));
  return {};
}

// Ids as they must be: each its own, none from next_id on.
Status CheckIdentity(const ColumnIdentity& identity, const arrow::Schema& schema) {
  const auto columns = static_cast<std::size_t>(schema.num_fields());
  const std::set<std::uint32_t> distinct(identity.ids.begin(), identity.ids.end());
  if (identity.ids.size() == columns && identity.defaults.size() == columns &&
      distinct.size() == columns && *distinct.begin() > 0 &&
      *distinct.rbegin() < identity.next_id && identity.next_id <= kNextColumnIdMax) {
    return {};
  }
  return Fail(ErrorKind::kInvalid,
              fmt::format("{} columns have the ids {}, the next is {}: expected one each, all "
                          "different, from 1 to below the next",
                          columns, fmt::join(identity.ids, ", "), identity.next_id));
}

}  // namespace

ColumnIdentity ColumnIdentity::Implied(int columns) {
  ColumnIdentity identity;
  identity.ids.resize(static_cast<std::size_t>(columns));
  std::iota(identity.ids.begin(), identity.ids.end(), 1u);
  identity.next_id = static_cast<std::uint32_t>(columns) + 1;
  identity.defaults.resize(identity.ids.size());
  return identity;
}

bool TableSchema::plain() const {
  const auto implied = ColumnIdentity::Implied(schema_->num_fields());
  return identity_.ids == implied.ids && identity_.next_id == implied.next_id &&
         std::ranges::all_of(identity_.defaults, [](const auto& value) { return !value; });
}

int TableSchema::FindColumn(std::uint32_t id) const {
  const auto at = std::ranges::find(identity_.ids, id);
  return at == identity_.ids.end() ? -1 : static_cast<int>(at - identity_.ids.begin());
}

Result<std::shared_ptr<const TableSchema>> TableSchema::Assemble(
    std::shared_ptr<arrow::Schema> schema, std::vector<int> key_columns, ColumnIdentity identity,
    std::optional<Lifetime> lifetime) {
  VARVE_TRY(CheckIdentity(identity, *schema));
  arrow::FieldVector key_fields;
  auto table = std::shared_ptr<TableSchema>(new TableSchema());
  for (const int index : key_columns) {
    key_fields.push_back(schema->field(index));
    table->key_names_.push_back(schema->field(index)->name());
  }
  table->key_schema_ = arrow::schema(std::move(key_fields));
  VARVE_ASSIGN(table->key_codec_, KeyCodec::Make(*table->key_schema_));
  PlainLayout::Remember(schema);
  table->schema_ = std::move(schema);
  table->key_columns_ = std::move(key_columns);
  table->identity_ = std::move(identity);
  table->lifetime_ = lifetime;
  if (lifetime) VARVE_TRY(CheckLifetime(*table));
  return table;
}

Result<std::shared_ptr<const TableSchema>> TableSchema::WithTimeToLive(
    const std::optional<TimeToLive>& time_to_live) const {
  if (!time_to_live) return Assemble(schema_, key_columns_, identity_);
  const int place = schema_->GetFieldIndex(time_to_live->column);
  if (place < 0) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("there is no column '{}' for rows to expire by; the table has {}",
                            time_to_live->column, Names(*schema_)));
  }
  return Assemble(schema_, key_columns_, identity_,
                  Lifetime{.column = identity_.ids[static_cast<std::size_t>(place)],
                           .micros = time_to_live->micros,
                           .unit = time_to_live->unit});
}

std::optional<TimeToLive> TableSchema::time_to_live() const {
  if (!lifetime_) return std::nullopt;
  return TimeToLive{.column = schema_->field(FindColumn(lifetime_->column))->name(),
                    .micros = lifetime_->micros,
                    .unit = lifetime_->unit};
}

Result<std::shared_ptr<const TableSchema>> TableSchema::Make(std::shared_ptr<arrow::Schema> schema,
                                                             const std::vector<std::string>& key) {
  if (!schema) return Fail(ErrorKind::kInvalid, "no schema given");
  auto identity = ColumnIdentity::Implied(schema->num_fields());
  return Make(std::move(schema), key, std::move(identity));
}

Result<std::shared_ptr<const TableSchema>> TableSchema::Make(std::shared_ptr<arrow::Schema> schema,
                                                             const std::vector<std::string>& key,
                                                             ColumnIdentity identity) {
  VARVE_TRY(CheckNames(*schema));
  VARVE_ASSIGN(auto key_columns, KeyIndices(*schema, key));
  VARVE_ASSIGN(auto table, Assemble(schema, std::move(key_columns), std::move(identity)));
  for (const auto& field : schema->fields()) VARVE_TRY(CheckFieldSurvivesParquet(field));
  return table;
}

std::string TableSchema::Serialize() const {
  const bool with_ids = lifetime_ || !plain();
  std::string bytes(lifetime_ ? kMagicWithLifetime : with_ids ? kMagicWithIds : kMagic);
  AppendNumbers({key_columns_.begin(), key_columns_.end()}, &bytes);
  if (with_ids) {
    AppendNumbers(identity_.ids, &bytes);
    AppendLittle(&bytes, identity_.next_id);
    VARVE_CHECK(AppendDefaults(*schema_, identity_, &bytes).has_value());  // only memory can fail
  }
  if (lifetime_) {
    AppendLittle(&bytes, lifetime_->column);
    AppendLittle(&bytes, static_cast<std::uint32_t>(lifetime_->unit));
    AppendLittle(&bytes, static_cast<std::uint64_t>(lifetime_->micros));
  }
  const auto body = arrow::ipc::SerializeSchema(*schema_);
  VARVE_CHECK(body.ok());  // only memory can fail here
  return bytes.append(std::string_view(**body));
}

namespace {

struct SchemaParts {
  std::vector<std::uint32_t> key_columns;
  bool has_ids = false;
  ColumnIdentity identity;
  std::vector<std::uint32_t> default_places;
  std::string_view defaults;
  std::optional<Lifetime> lifetime;
  std::string_view schema;
};

Result<Lifetime> TakeLifetime(Reader* reader) {
  Lifetime lifetime{.column = reader->Number()};
  const std::uint32_t unit = reader->Number();
  lifetime.micros = static_cast<std::int64_t>(reader->Wide());
  if (unit > static_cast<std::uint32_t>(EpochUnit::kNanos)) {
    return NotASchema(fmt::format("a time to live in unit {}", unit));
  }
  lifetime.unit = static_cast<EpochUnit>(unit);
  return lifetime;
}

Result<SchemaParts> TakeApart(std::string_view bytes) {
  Reader reader(bytes);
  const auto magic = reader.Bytes(kMagic.size());
  if (magic != kMagic && magic != kMagicWithIds && magic != kMagicWithLifetime) {
    return NotASchema(fmt::format("expected it to start with {}, found 0x{}", kMagic,
                                  ToHex(bytes.substr(0, kMagic.size()))));
  }
  SchemaParts parts;
  parts.key_columns = reader.Numbers();
  parts.has_ids = magic != kMagic;
  if (parts.has_ids) {
    parts.identity.ids = reader.Numbers();
    parts.identity.next_id = reader.Number();
    parts.default_places = reader.Numbers();
    if (!parts.default_places.empty()) parts.defaults = reader.Bytes(reader.Number());
  }
  if (magic == kMagicWithLifetime) {
    VARVE_ASSIGN(parts.lifetime, TakeLifetime(&reader));
  }
  if (reader.cut() || parts.key_columns.empty()) {
    return NotASchema(fmt::format("{} key columns in {} bytes", parts.key_columns.size(),
                                  bytes.size()));
  }
  parts.schema = reader.rest();
  return parts;
}

Status CheckPlaces(const std::vector<std::uint32_t>& places, const arrow::Schema& schema) {
  for (const std::uint32_t place : places) {
    if (place < static_cast<std::uint32_t>(schema.num_fields())) continue;
    return NotASchema(fmt::format("column {} of {}", place, schema.num_fields()));
  }
  return {};
}

Result<ColumnIdentity> IdentityOf(const SchemaParts& parts, const arrow::Schema& schema) {
  if (!parts.has_ids) return ColumnIdentity::Implied(schema.num_fields());
  ColumnIdentity identity = parts.identity;
  identity.defaults.resize(static_cast<std::size_t>(schema.num_fields()));
  if (parts.default_places.empty()) return identity;
  VARVE_TRY(CheckPlaces(parts.default_places, schema));
  VARVE_ASSIGN(const auto row, DecodeBatch(parts.defaults, Select(schema, parts.default_places)));
  if (row->num_rows() != 1) return NotASchema(fmt::format("{} rows of defaults", row->num_rows()));
  for (std::size_t i = 0; i < parts.default_places.size(); ++i) {
    identity.defaults[parts.default_places[i]] = row->column(static_cast<int>(i));
  }
  return identity;
}

}  // namespace

Result<std::shared_ptr<const TableSchema>> TableSchema::Parse(std::string_view bytes) {
  VARVE_ASSIGN(const SchemaParts parts, TakeApart(bytes));
  // The copy is aligned, which flatbuffers needs, and the schema does not outlive it.
  const auto body = arrow::Buffer::FromString(std::string(parts.schema));
  arrow::io::BufferReader stream(body);
  arrow::ipc::DictionaryMemo memo;
  auto schema = arrow::ipc::ReadSchema(&stream, &memo);
  if (!schema.ok()) return NotASchema(schema.status().ToString());
  if (auto named = CheckNames(**schema); !named) return NotASchema(named.error().message());
  VARVE_TRY(CheckPlaces(parts.key_columns, **schema));
  std::vector<std::string> key;
  for (const std::uint32_t place : parts.key_columns) {
    key.push_back((*schema)->field(static_cast<int>(place))->name());
  }
  auto key_columns = KeyIndices(**schema, key);
  if (!key_columns) return NotASchema(key_columns.error().message());
  VARVE_ASSIGN(auto identity, IdentityOf(parts, **schema));
  auto table = Assemble(*std::move(schema), *std::move(key_columns), std::move(identity),
                        parts.lifetime);
  if (!table) return NotASchema(table.error().message());
  return table;
}

}  // namespace varve
