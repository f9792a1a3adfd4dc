// SPDX-License-Identifier: Apache-2.0
#include "input/json_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "format_cell.h"
#include "parse_cell.h"

namespace varve::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kInferBytes = 16 << 20;
constexpr std::size_t kLineBytesMax = 256 << 20;

}  // namespace

JsonReader::JsonReader(InputFile file, const InputOptions& options)
    : input_(std::move(file)),
      ignore_others_(options.ignore_other_columns),
      schema_(options.schema) {}

Outcome<std::unique_ptr<RowReader>> JsonReader::Open(InputFile file, const InputOptions& options) {
  std::unique_ptr<JsonReader> reader(new JsonReader(std::move(file), options));
  CLI_TRY(reader->input_.Fill());
  if (reader->schema_ == nullptr) CLI_TRY(reader->InferSchema());
  for (const auto& field : reader->schema_->fields()) {
    reader->plain_types_.push_back(PlainType(field->type()));
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

Outcome<json> JsonReader::ParseLine(std::string_view line, std::size_t at) const {
  json row;
  try {
    row = json::parse(line);
  } catch (const json::exception& e) {
    const std::string what = e.what();  // "[json.exception.parse_error.101] parse error at ..."
    return BadData(fmt::format("{}: not JSON: {}", Where(at), what.substr(what.find(']') + 2)));
  }
  if (row.is_object()) return row;
  return BadData(fmt::format("{}: expected one JSON object a line, found {}", Where(at),
                             Quoted(line)));
}

Done JsonReader::InferSchema() {
  InferredJson rows;
  std::size_t at = 0;
  Done bad;
  while (at < kInferBytes && bad) {
    std::string_view line;
    const std::size_t start = at;
    const auto more = ReadLine(&at, &line);
    if (more && !*more) break;
    if (!more) bad = std::unexpected(more.error());
    if (!more || line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (auto row = ParseLine(line, start)) {
      rows.Add(*row);
    } else {
      bad = std::unexpected(std::move(row).error());
    }
  }
  const auto type = rows.type();
  if (type->id() != arrow::Type::STRUCT) {
    // A line that cannot be read ends the sample, not the load: Next will meet it again.
    CLI_TRY(bad);
    return BadData(input_.name() + ": is empty: expected one JSON object a line");
  }
  for (const auto& field : type->fields()) {
    if (field->type()->id() != arrow::Type::NA) continue;
    return BadData(fmt::format("{}: field {} has values of different kinds; give --schema",
                               input_.name(), field->name()));
  }
  schema_ = arrow::schema(type->fields());
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

Done JsonReader::AppendRow(const json& row, std::size_t at) {
  std::size_t known = 0;
  for (std::size_t i = 0; i < builders_.size(); ++i) {
    const std::string& name = schema_->field(static_cast<int>(i))->name();
    const auto member = row.find(name);
    if (member == row.end()) {
      CLI_ARROW_TRY(builders_[i]->AppendNull());
      continue;
    }
    ++known;
    if (auto problem = AppendParsedJson(*plain_types_[i], *member, builders_[i].get())) {
      return BadData(fmt::format("{}, column {}: {}", Where(at), name, *problem));
    }
  }
  if (known == row.size() || ignore_others_) return {};
  for (const auto& [name, unused] : row.items()) {
    if (schema_->GetFieldByName(name) != nullptr) continue;
    return BadData(fmt::format("{}: field {} is not in the schema; expected {}", Where(at),
                               Quoted(name), fmt::join(schema_->field_names(), ",")));
  }
  return {};
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
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    CLI_ASSIGN(const json row, ParseLine(line, start));
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

void InferredJson::Add(const json& value) {
  switch (value.type()) {
    case json::value_t::boolean: bools_ = true; break;
    case json::value_t::number_integer:
    case json::value_t::number_unsigned: integers_ = true; break;
    case json::value_t::number_float: doubles_ = true; break;
    case json::value_t::string:
      has_strings_ = true;
      strings_.Add(value.get_ref<const std::string&>());
      break;
    case json::value_t::array:
      if (items_ == nullptr) items_ = std::make_unique<InferredJson>();
      for (const json& item : value) items_->Add(item);
      break;
    case json::value_t::object:
      objects_ = true;
      for (const auto& [name, member] : value.items()) {
        const auto [it, is_new] = members_.try_emplace(name);
        if (is_new) names_.push_back(name);
        it->second.Add(member);
      }
      break;
    default: break;
  }
}

std::shared_ptr<arrow::DataType> InferredJson::type() const {
  const bool numbers = integers_ || doubles_;
  const int kinds = bools_ + numbers + has_strings_ + (items_ != nullptr) + objects_;
  if (kinds > 1) return arrow::null();
  if (bools_) return arrow::boolean();
  if (numbers) return doubles_ ? arrow::float64() : arrow::int64();
  if (items_ != nullptr) return arrow::list(items_->type());
  if (!objects_) return StringType();
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (const std::string& name : names_) {
    fields.push_back(arrow::field(name, members_.at(name).type()));
  }
  return arrow::struct_(std::move(fields));
}

// Only moments and dates are more than text; a number in quotes was meant as text.
std::shared_ptr<arrow::DataType> InferredJson::StringType() const {
  const auto type = strings_.type();
  return arrow::is_temporal(type->id()) ? type : arrow::utf8();
}

}  // namespace varve::cli
