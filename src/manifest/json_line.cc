// SPDX-License-Identifier: Apache-2.0
#include "manifest/json_line.h"

#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/result.h"

namespace varve {
namespace {

using Json = nlohmann::json;

constexpr int kMembersMax = 64;  // the largest kind has 20
constexpr std::size_t kDescribedBytesMax = 160;

// Never throws: bytes that are not UTF-8 become U+FFFD.
template <typename AnyJson>
std::string Print(const AnyJson& value) {
  return value.dump(-1, ' ', false, AnyJson::error_handler_t::replace);
}

}  // namespace

Result<JsonLine> JsonLine::Parse(std::string_view text) {
  // Called for each piece while parsing: keeps nothing nested and no more members than allowed, so
  // that no text costs more memory than its own length.
  int members = 0;
  bool flat = true;
  const Json::parser_callback_t keep = [&](int depth, Json::parse_event_t event, Json&) {
    const bool opens =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth > 0) flat = false;
    if (event == Json::parse_event_t::key) ++members;
    return flat && members <= kMembersMax;
  };
  JsonLine line;
  line.members_ = Json::parse(text, keep, /*allow_exceptions=*/false);
  if (!flat || members > kMembersMax || !line.members_.is_object()) {
    return Fail(ErrorKind::kCorruption, "expected one flat JSON object, found something else");
  }
  const auto kind = line.members_.find("kind");
  const auto* name =
      kind == line.members_.end() ? nullptr : kind->get_ptr<const std::string*>();
  if (name == nullptr) {
    return Fail(ErrorKind::kCorruption, "expected a member \"kind\" with text, found none");
  }
  line.kind_ = *name;
  return line;
}

const Json* JsonLine::Find(const char* name) {
  if (!complaint_.empty()) return nullptr;
  const auto at = members_.find(name);
  if (at == members_.end()) {
    complaint_ = fmt::format("expected a member \"{}\" in \"{}\", found none", name, kind_);
    return nullptr;
  }
  ++taken_;
  return &*at;
}

void JsonLine::Complain(const char* name, std::string_view expected) {
  const auto found = Print(members_[name]);
  complaint_ = fmt::format("member \"{}\" of \"{}\": expected {}, found {}", name, kind_, expected,
                           found.substr(0, kDescribedBytesMax));
}

void JsonLine::Take(const char* name, std::uint64_t* value) {
  const Json* member = Find(name);
  if (member == nullptr) return;
  if (const auto* number = member->get_ptr<const Json::number_unsigned_t*>()) {
    *value = *number;
  } else {
    Complain(name, "an integer from 0 to 2^64 - 1");
  }
}

void JsonLine::Take(const char* name, std::uint32_t* value) {
  std::uint64_t wide = 0;
  Take(name, &wide);
  if (wide > std::numeric_limits<std::uint32_t>::max()) {
    Complain(name, "an integer from 0 to 2^32 - 1");
  }
  *value = static_cast<std::uint32_t>(wide);
}

void JsonLine::Take(const char* name, std::int64_t* value) {
  const Json* member = Find(name);
  if (member == nullptr) return;
  const auto* positive = member->get_ptr<const Json::number_unsigned_t*>();
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (positive != nullptr && *positive <= kMax) {
    *value = static_cast<std::int64_t>(*positive);
  } else if (positive == nullptr && member->is_number_integer()) {
    *value = *member->get_ptr<const Json::number_integer_t*>();
  } else {
    Complain(name, "an integer from -2^63 to 2^63 - 1");
  }
}

void JsonLine::Take(const char* name, bool* value) {
  const Json* member = Find(name);
  if (member == nullptr) return;
  if (const auto* truth = member->get_ptr<const Json::boolean_t*>()) {
    *value = *truth;
  } else {
    Complain(name, "true or false");
  }
}

void JsonLine::Take(const char* name, std::string* value) {
  const Json* member = Find(name);
  if (member == nullptr) return;
  if (const auto* text = member->get_ptr<const std::string*>()) {
    *value = *text;
  } else {
    Complain(name, "text");
  }
}

void JsonLine::TakeHex(const char* name, std::string* bytes) {
  std::string text;
  Take(name, &text);
  if (!FromHex(text, bytes)) Complain(name, "an even number of hexadecimal digits");
}

void JsonLine::TakeHex(const char* name, std::size_t count, std::string* bytes) {
  TakeHex(name, bytes);
  if (!complaint_.empty() || bytes->size() == count) return;
  complaint_ = fmt::format("member \"{}\" of \"{}\": expected {} bytes in hexadecimal, found {}",
                           name, kind_, count, bytes->size());
}

void JsonLine::TakeCrc(const char* name, std::uint32_t* crc) {
  std::string bytes;
  TakeHex(name, &bytes);
  if (!complaint_.empty()) return;
  if (bytes.size() != sizeof *crc) return Complain(name, "8 hexadecimal digits");
  *crc = 0;
  for (const char byte : bytes) *crc = *crc << 8 | static_cast<unsigned char>(byte);
}

Status JsonLine::Finish() const {
  if (!complaint_.empty()) return Fail(ErrorKind::kCorruption, complaint_);
  if (taken_ != members_.size()) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("\"{}\" has {} members, this varve knows {} of them: a newer varve "
                            "wrote it; open the database with that one",
                            kind_, members_.size(), taken_),
                ErrorReason::kUnsupportedFormat);
  }
  return {};
}

std::string JsonLine::Describe() const {
  std::string out = kind_;
  for (const auto& [name, value] : members_.items()) {
    if (name == "kind") continue;
    if (name.ends_with("file_key")) {
      out += ' ' + name + "=(secret)";
      continue;
    }
    const auto* text = value.get_ptr<const std::string*>();
    const auto shown = text != nullptr ? *text : Print(value);
    out += ' ' + name + '=' + shown.substr(0, kDescribedBytesMax);
    if (shown.size() > kDescribedBytesMax) out += fmt::format("... ({} bytes)", shown.size());
  }
  return out;
}

std::string JsonText(const nlohmann::ordered_json& members) { return Print(members); }

}  // namespace varve
