// SPDX-License-Identifier: Apache-2.0
#include "json_value.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "format_cell.h"

namespace varve::cli {
namespace {

// Builds a JsonValue from what nlohmann's parser meets. False ends the parse.
class JsonBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonValue root;
  std::string problem;

  bool null() override { return AddText(JsonKind::kNull, {}); }
  bool boolean(bool value) override { return AddText(JsonKind::kBool, value ? "true" : "false"); }
  bool number_integer(std::int64_t value) override {
    return AddText(JsonKind::kNumber, std::to_string(value));
  }
  bool number_unsigned(std::uint64_t value) override {
    return AddText(JsonKind::kNumber, std::to_string(value));
  }
  bool number_float(double, const std::string& text) override {
    return AddText(JsonKind::kNumber, text);
  }
  bool string(std::string& text) override { return AddText(JsonKind::kString, std::move(text)); }
  bool binary(binary_t&) override { return false; }  // is not in JSON text

  bool start_object(std::size_t) override { return Open(JsonKind::kObject); }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Open(JsonKind::kArray); }
  bool end_array() override { return Close(); }

  bool key(std::string& name) override {
    const auto [member, is_new] = open_.back()->members.try_emplace(name);
    if (!is_new) problem = "member " + Quoted(name) + " occurs twice in one object";
    member_ = &member->second;
    return is_new;
  }

  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception& error) override {
    const std::string what = error.what();  // "[json.exception.parse_error.101] parse error at ..."
    problem = "not JSON: " + what.substr(what.find(']') + 2);
    return false;
  }

 private:
  JsonValue* Add(JsonKind kind) {
    JsonValue* place = &root;
    if (!open_.empty()) {
      const bool in_array = open_.back()->kind == JsonKind::kArray;
      place = in_array ? &open_.back()->items.emplace_back() : member_;
    }
    place->kind = kind;
    return place;
  }

  bool AddText(JsonKind kind, std::string text) {
    Add(kind)->text = std::move(text);
    return true;
  }

  bool Open(JsonKind kind) {
    if (open_.size() == kJsonDepthMax) {
      problem = "nested more than " + std::to_string(kJsonDepthMax) + " deep";
      return false;
    }
    open_.push_back(Add(kind));
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  std::vector<JsonValue*> open_;  // the arrays and objects around the place, outermost first
  JsonValue* member_ = nullptr;   // takes the value after a key
};

void Append(const JsonValue& value, std::string* out) {
  switch (value.kind) {
    case JsonKind::kNull: *out += "null"; return;
    case JsonKind::kString: return AppendJsonString(value.text, out);
    case JsonKind::kArray:
      *out += '[';
      for (const JsonValue& item : value.items) {
        if (&item != &value.items.front()) *out += ',';
        Append(item, out);
      }
      *out += ']';
      return;
    case JsonKind::kObject:
      *out += '{';
      for (auto it = value.members.begin(); it != value.members.end(); ++it) {
        if (it != value.members.begin()) *out += ',';
        AppendJsonString(it->first, out);
        *out += ':';
        Append(it->second, out);
      }
      *out += '}';
      return;
    default: *out += value.text;
  }
}

}  // namespace

std::expected<JsonValue, std::string> ParseJson(std::string_view text) {
  JsonBuilder builder;
  if (nlohmann::json::sax_parse(text, &builder)) return std::move(builder.root);
  return std::unexpected(std::move(builder.problem));
}

std::string ToText(const JsonValue& value) {
  std::string text;
  Append(value, &text);
  return text;
}

}  // namespace varve::cli
