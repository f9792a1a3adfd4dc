// SPDX-License-Identifier: Apache-2.0
#include "columns/table_schema.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/check.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/type_probe.h"

namespace varve {
namespace {

// A serialized schema: magic, uint32 number of key columns, uint32 index of each, Arrow IPC bytes.
constexpr std::string_view kMagic = "VSC1";

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

}  // namespace

Result<std::shared_ptr<const TableSchema>> TableSchema::Assemble(
    std::shared_ptr<arrow::Schema> schema, std::vector<int> key_columns) {
  arrow::FieldVector key_fields;
  auto table = std::shared_ptr<TableSchema>(new TableSchema());
  for (const int index : key_columns) {
    key_fields.push_back(schema->field(index));
    table->key_names_.push_back(schema->field(index)->name());
  }
  table->key_schema_ = arrow::schema(std::move(key_fields));
  VARVE_ASSIGN(table->key_codec_, KeyCodec::Make(*table->key_schema_));
  table->schema_ = std::move(schema);
  table->key_columns_ = std::move(key_columns);
  return table;
}

Result<std::shared_ptr<const TableSchema>> TableSchema::Make(std::shared_ptr<arrow::Schema> schema,
                                                             const std::vector<std::string>& key) {
  if (!schema) return Fail(ErrorKind::kInvalid, "no schema given");
  VARVE_TRY(CheckNames(*schema));
  VARVE_ASSIGN(auto key_columns, KeyIndices(*schema, key));
  VARVE_ASSIGN(auto table, Assemble(schema, std::move(key_columns)));
  for (const auto& field : schema->fields()) VARVE_TRY(CheckFieldSurvivesParquet(field));
  return table;
}

std::string TableSchema::Serialize() const {
  std::string bytes(kMagic);
  AppendLittle(&bytes, static_cast<std::uint32_t>(key_columns_.size()));
  for (const int index : key_columns_) AppendLittle(&bytes, static_cast<std::uint32_t>(index));
  const auto body = arrow::ipc::SerializeSchema(*schema_);
  VARVE_CHECK(body.ok());  // only memory can fail here
  return bytes.append(std::string_view(**body));
}

Result<std::shared_ptr<const TableSchema>> TableSchema::Parse(std::string_view bytes) {
  constexpr std::size_t kWord = sizeof(std::uint32_t);
  if (bytes.size() < kMagic.size() + kWord || !bytes.starts_with(kMagic)) {
    return NotASchema(fmt::format("expected it to start with {}, found 0x{}", kMagic,
                                  ToHex(bytes.substr(0, kMagic.size()))));
  }
  bytes.remove_prefix(kMagic.size());
  const auto keys = LoadLittle<std::uint32_t>(bytes.data());
  bytes.remove_prefix(kWord);
  if (keys == 0 || keys > bytes.size() / kWord) {
    return NotASchema(fmt::format("{} key columns in {} bytes", keys, bytes.size()));
  }
  const std::string_view indices = bytes.substr(0, keys * kWord);
  // The copy is aligned, which flatbuffers needs, and the schema does not outlive it.
  const auto body = arrow::Buffer::FromString(std::string(bytes.substr(keys * kWord)));
  arrow::io::BufferReader stream(body);
  arrow::ipc::DictionaryMemo memo;
  auto schema = arrow::ipc::ReadSchema(&stream, &memo);
  if (!schema.ok()) return NotASchema(schema.status().ToString());
  if (auto named = CheckNames(**schema); !named) return NotASchema(named.error().message());
  std::vector<std::string> key;
  for (std::size_t i = 0; i < keys; ++i) {
    const auto index = LoadLittle<std::uint32_t>(indices.data() + i * kWord);
    if (index >= static_cast<std::uint32_t>((*schema)->num_fields())) {
      return NotASchema(fmt::format("key column {} of {}", index, (*schema)->num_fields()));
    }
    key.push_back((*schema)->field(static_cast<int>(index))->name());
  }
  auto key_columns = KeyIndices(**schema, key);
  if (!key_columns) return NotASchema(key_columns.error().message());
  auto table = Assemble(*std::move(schema), *std::move(key_columns));
  if (!table) return NotASchema(table.error().message());
  return table;
}

}  // namespace varve
