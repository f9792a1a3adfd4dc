// SPDX-License-Identifier: Apache-2.0
#include "input/json_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "format_cell.h"
#include "names.h"
#include "parse_cell.h"

namespace varve::cli {
namespace {

constexpr std::size_t kInferBytes = 4 << 20;
constexpr std::size_t kLineBytesMax = 256 << 20;

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

JsonReader::JsonReader(InputFile file, const InputOptions& options)
    : input_(std::move(file)), options_(options), schema_(options.schema) {}

Outcome<std::unique_ptr<RowReader>> JsonReader::Open(InputFile file, const InputOptions& options) {
  std::unique_ptr<JsonReader> reader(new JsonReader(std::move(file), options));
  CLI_TRY(reader->input_.Fill());
  CLI_TRY(reader->schema_ == nullptr ? reader->InferSchema() : reader->ChooseColumns());
  for (const auto& field : reader->schema_->fields()) {
    reader->plain_types_.push_back(PlainType(field->type()));
    reader->required_.push_back(MustHaveValue(options, *field));
  }
  return reader;
}

std::string JsonReader::Where(std::size_t offset) const {
  return fmt::format("{}: line {}", input_.name(), input_.LineAt(offset));
}

Outcome<bool> JsonReader::ReadLine(std::size_t* at, std::string_view* line) {
  while (true) {
    const std::string_view rest = input_.window().substr(*at);
    const std::size_t end = rest.find('\n');
    if (end != std::string_view::npos || input_.at_end()) {
      *line = rest.substr(0, end);
      *at += end == std::string_view::npos ? rest.size() : end + 1;
      return !rest.empty();
    }
    if (rest.size() > kLineBytesMax) {
      return BadData(fmt::format("{}: a line of more than {}", Where(*at),
                                 FormatBytes(kLineBytesMax)));
    }
    CLI_TRY(input_.Fill());
  }
}

Outcome<JsonValue> JsonReader::ParseLine(std::string_view line, std::size_t at) const {
  auto row = ParseJson(line);
  if (!row) return BadData(Where(at) + ": " + row.error());
  if (row->kind == JsonKind::kObject) return *std::move(row);
  return BadData(fmt::format("{}: expected one JSON object a line, found {}", Where(at),
                             Quoted(line)));
}

Done JsonReader::InferSchema() {
  InferredJson rows;
  bool any = false;
  std::size_t at = 0;
  Done bad;
  while (at < kInferBytes && bad) {
    std::string_view line;
    const std::size_t start = at;
    const auto more = ReadLine(&at, &line);
    if (more && !*more) break;
    if (!more) bad = std::unexpected(more.error());
    if (!more || IsBlank(line)) continue;
    if (auto row = ParseLine(line, start)) {
      rows.Add(*row);
      any = true;
    } else {
      bad = std::unexpected(std::move(row).error());
    }
  }
  if (!any) {
    // A line that cannot be read ends the sample, not the load: Next will meet it again.
    CLI_TRY(bad);
    return BadData(input_.name() + ": is empty: expected one JSON object a line");
  }
  schema_ = arrow::schema(rows.fields());
  for (const auto& field : schema_->fields()) {
    if (field->type()->id() != arrow::Type::NA) continue;
    return BadData(fmt::format("{}: field {} has values that no one type holds; give --schema",
                               input_.name(), field->name()));
  }
  return {};
}

Done JsonReader::ChooseColumns() {
  if (!options_.some_columns) return {};
  JsonValue first;
  std::size_t at = 0;
  while (first.kind == JsonKind::kNull) {
    std::string_view line;
    const std::size_t start = at;
    CLI_ASSIGN(const bool more, ReadLine(&at, &line));
    if (!more) break;
    if (IsBlank(line)) continue;
    CLI_ASSIGN(first, ParseLine(line, start));
  }
  schema_ = ColumnsFound(options_, [&first](const std::string& name) {
    return first.members.contains(name);
  });
  return {};
}

Done JsonReader::MakeBuilders(std::int64_t rows) {
  builders_.clear();
  for (const auto& type : plain_types_) {
    CLI_ARROW(auto builder, arrow::MakeBuilder(type));
    CLI_ARROW_TRY(builder->Reserve(std::min<std::int64_t>(rows, 65536)));
    builders_.push_back(std::move(builder));
  }
  return {};
}

Done JsonReader::AppendRow(const JsonValue& row, std::size_t at) {
  static const JsonValue kNull;
  std::size_t known = 0;
  for (std::size_t i = 0; i < builders_.size(); ++i) {
    const std::string& name = schema_->field(static_cast<int>(i))->name();
    const auto member = row.members.find(name);
    const bool found = member != row.members.end();
    if (!found && options_.whole_lines) return Missing(name, at);
    known += found ? 1 : 0;
    const JsonValue& value = found ? member->second : kNull;
    if (value.kind == JsonKind::kNull && required_[i]) {
      return BadData(fmt::format("{}, column {}: {}", Where(at), name, kNullRefused));
    }
    if (auto problem = AppendParsedJson(*plain_types_[i], value, builders_[i].get())) {
      return BadData(fmt::format("{}, column {}: {}", Where(at), name, *problem));
    }
  }
  if (known == row.members.size() || options_.ignore_other_columns) return {};
  for (const auto& [name, unused] : row.members) {
    if (schema_->GetFieldByName(name) == nullptr) return Unknown(name, at);
  }
  return {};
}

std::unexpected<Failure> JsonReader::Missing(const std::string& name, std::size_t at) const {
  return BadData(
      fmt::format("{}: no field '{}'; give it, null if that is meant", Where(at), name));
}

std::unexpected<Failure> JsonReader::Unknown(const std::string& name, std::size_t at) const {
  const auto& all = options_.schema != nullptr ? options_.schema : schema_;
  if (all->GetFieldByName(name) != nullptr) {
    return BadData(fmt::format("{}: field '{}' is not in the first line, and every line must have "
                               "the same; give it there, or load these lines apart",
                               Where(at), name));
  }
  return BadData(fmt::format("{}: field {} is not in the schema; expected {}{}", Where(at),
                             Quoted(name), fmt::join(all->field_names(), ","),
                             DidYouMean(name, all->field_names())));
}

Outcome<std::shared_ptr<arrow::RecordBatch>> JsonReader::Next(std::int64_t rows) {
  CLI_TRY(MakeBuilders(rows));
  std::size_t at = 0;
  std::int64_t count = 0;
  while (count < rows) {
    std::string_view line;
    const std::size_t start = at;
    CLI_ASSIGN(const bool more, ReadLine(&at, &line));
    if (!more) break;
    if (IsBlank(line)) continue;
    CLI_ASSIGN(const JsonValue row, ParseLine(line, start));
    CLI_TRY(AppendRow(row, start));
    ++count;
  }
  input_.Consume(at);
  if (count == 0) return nullptr;
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (std::size_t i = 0; i < builders_.size(); ++i) {
    std::shared_ptr<arrow::Array> plain;
    CLI_ARROW_TRY(builders_[i]->Finish(&plain));
    CLI_ARROW(auto column, RestoreColumn(plain, schema_->field(static_cast<int>(i))->type()));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema_, count, std::move(columns));
}

void InferredJson::Add(const JsonValue& value) {
  switch (value.kind) {
    case JsonKind::kNull: break;
    case JsonKind::kBool: bools_ = true; break;
    case JsonKind::kNumber:
      has_numbers_ = true;
      numbers_.Add(value.text);
      break;
    case JsonKind::kString:
      has_strings_ = true;
      strings_.Add(value.text);
      break;
    case JsonKind::kArray:
      if (items_ == nullptr) items_ = std::make_unique<InferredJson>();
      for (const JsonValue& item : value.items) items_->Add(item);
      break;
    case JsonKind::kObject:
      objects_ = true;
      for (const auto& [name, member] : value.members) {
        const auto [it, is_new] = members_.try_emplace(name);
        if (is_new) names_.push_back(name);
        it->second.Add(member);
      }
      break;
  }
}

arrow::FieldVector InferredJson::fields() const {
  arrow::FieldVector fields;
  for (const std::string& name : names_) {
    fields.push_back(arrow::field(name, members_.at(name).type()));
  }
  return fields;
}

std::shared_ptr<arrow::DataType> InferredJson::type() const {
  const int kinds = bools_ + has_numbers_ + has_strings_ + (items_ != nullptr) + objects_;
  if (kinds > 1) return arrow::null();
  if (bools_) return arrow::boolean();
  if (has_numbers_) {
    const auto type = numbers_.type();
    return type->id() == arrow::Type::STRING ? arrow::null() : type;
  }
  const auto has_none = [](const auto& field) { return field->type()->id() == arrow::Type::NA; };
  const auto nested = items_ != nullptr ? arrow::list(items_->type()) : arrow::struct_(fields());
  if (items_ == nullptr && !objects_) return StringType();
  return std::ranges::any_of(nested->fields(), has_none) ? arrow::null() : nested;
}

// Only moments and dates are more than text; a number in quotes was meant as text.
std::shared_ptr<arrow::DataType> InferredJson::StringType() const {
  const auto type = strings_.type();
  return arrow::is_temporal(type->id()) ? type : arrow::utf8();
}

}  // namespace varve::cli
