// SPDX-License-Identifier: Apache-2.0
// JSON text taken apart with nothing lost: numbers stay as they were written, because a double
// would round them.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace varve::cli {

enum class JsonKind : std::uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

struct JsonValue {
  JsonKind kind = JsonKind::kNull;
  std::string text;  // the string, the number as written, true or false
  std::vector<JsonValue> items;
  std::map<std::string, JsonValue, std::less<>> members;
};

// Deeper values are refused, so that whatever walks over one may recurse.
constexpr std::size_t kJsonDepthMax = 200;

// Errors, for a person: no JSON, two members of one name, nested too deep, a number that no double
// comes near.
std::expected<JsonValue, std::string> ParseJson(std::string_view text);

// The value as JSON again.
std::string ToText(const JsonValue& value);

}  // namespace varve::cli
