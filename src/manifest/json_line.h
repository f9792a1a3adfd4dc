// SPDX-License-Identifier: Apache-2.0
// One line's JSON, read without trust: flat, few members, each of the type that is asked for, no
// member left over. The one place that parses JSON; nothing here throws on any bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "varve/error.h"

namespace varve {

// Take members, then ask Finish: the first complaint sticks, later calls do nothing.
class JsonLine {
 public:
  // Corruption when the text is no flat JSON object with a "kind".
  static Result<JsonLine> Parse(std::string_view text);

  const std::string& kind() const { return kind_; }

  bool Has(const char* name) const { return members_.contains(name); }
  void Take(const char* name, std::uint64_t* value);
  void Take(const char* name, std::uint32_t* value);
  void Take(const char* name, std::int64_t* value);
  void Take(const char* name, bool* value);
  void Take(const char* name, std::string* value);
  void TakeHex(const char* name, std::string* bytes);
  void TakeHex(const char* name, std::size_t count, std::string* bytes);  // so many bytes
  void TakeCrc(const char* name, std::uint32_t* crc);

  // Corruption: a member is missing or not what it must be. Invalid/kUnsupportedFormat: a member
  // was not taken.
  Status Finish() const;

  // "kind name=value ...", strings cut to a length that a person reads.
  std::string Describe() const;

 private:
  JsonLine() = default;
  const nlohmann::json* Find(const char* name);
  void Complain(const char* name, std::string_view expected);

  nlohmann::json members_;
  std::string kind_;
  std::size_t taken_ = 1;  // "kind"
  std::string complaint_;
};

// The text of a line.
std::string JsonText(const nlohmann::ordered_json& members);

}  // namespace varve
