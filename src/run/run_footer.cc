// SPDX-License-Identifier: Apache-2.0
#include "run/run_footer.h"

#include <arrow/util/base64.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "base/bytes.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr char kFormatKey[] = "varve.format";
constexpr char kRowGroupKeysKey[] = "varve.row_group_keys";
constexpr char kPieceRowsKey[] = "varve.piece_rows";
constexpr char kPieceKeysKey[] = "varve.piece_keys";
constexpr char kKeyFiltersKey[] = "varve.key_filters";
constexpr char kBlockCrcKey[] = "varve.block_crc32c";

std::unexpected<Error> BadFooter(const std::string& object, std::string_view what) {
  return Fail(ErrorKind::kCorruption,
              fmt::format("{}: the footer {}; restore the file from a copy", object, what));
}

Result<std::string> FooterEntry(const arrow::KeyValueMetadata* metadata, const char* key,
                                const std::string& object) {
  const int at = metadata == nullptr ? -1 : metadata->FindKey(key);
  if (at < 0) return BadFooter(object, fmt::format("has no entry {}", key));
  return metadata->value(at);
}

std::string JoinHex(const std::vector<std::string>& keys) {
  std::string text;
  for (const auto& key : keys) {
    if (!text.empty()) text += ',';
    text += ToHex(key);
  }
  return text;
}

std::string JoinNumbers(const std::vector<std::int64_t>& numbers) {
  return fmt::format("{}", fmt::join(numbers, ","));
}

bool SplitNumbers(std::string_view text, std::vector<std::int64_t>* numbers) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    const auto [next, error] = std::from_chars(at, end, numbers->emplace_back());
    if (error != std::errc() || numbers->back() < 1 || (next != end && *next != ',')) return false;
    at = next == end ? end : next + 1;
  }
  return true;
}

// Encoded keys are never empty, so neither is a part.
bool SplitHex(std::string_view text, std::vector<std::string>* keys) {
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string key;
    if (!FromHex(text.substr(0, comma), &key) || key.empty()) return false;
    keys->push_back(std::move(key));
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  }
  return true;
}

}  // namespace

std::shared_ptr<arrow::KeyValueMetadata> RunFooter::ToMetadata() const {
  std::string crc_bytes;
  for (const std::uint32_t crc : block_crc32c) AppendLittle(&crc_bytes, crc);
  auto metadata = arrow::key_value_metadata(
      {kFormatKey, kRowGroupKeysKey, kPieceRowsKey, kPieceKeysKey, kBlockCrcKey},
      {kRunFormat, JoinHex(row_group_keys), JoinNumbers(piece_rows), JoinHex(piece_keys),
       arrow::util::base64_encode(crc_bytes)});
  if (!key_filters.empty()) metadata->Append(kKeyFiltersKey, JoinNumbers(key_filters));
  return metadata;
}

Result<RunFooter> RunFooter::Parse(const arrow::KeyValueMetadata* metadata,
                                   const std::string& object) {
  VARVE_ASSIGN(const std::string format, FooterEntry(metadata, kFormatKey, object));
  if (format != kRunFormat) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: run format {}, this version of varve reads {}; use a newer one",
                            object, format, kRunFormat),
                ErrorReason::kUnsupportedFormat);
  }
  RunFooter footer;
  VARVE_ASSIGN(const std::string keys, FooterEntry(metadata, kRowGroupKeysKey, object));
  if (!SplitHex(keys, &footer.row_group_keys)) {
    return BadFooter(object, fmt::format("has an unreadable entry {}", kRowGroupKeysKey));
  }
  if (metadata->Contains(kPieceRowsKey)) {
    VARVE_ASSIGN(const std::string rows, FooterEntry(metadata, kPieceRowsKey, object));
    VARVE_ASSIGN(const std::string pieces, FooterEntry(metadata, kPieceKeysKey, object));
    if (!SplitNumbers(rows, &footer.piece_rows) || !SplitHex(pieces, &footer.piece_keys)) {
      return BadFooter(object, fmt::format("has an unreadable entry {} or {}", kPieceRowsKey,
                                           kPieceKeysKey));
    }
  }
  if (metadata->Contains(kKeyFiltersKey)) {
    VARVE_ASSIGN(const std::string sizes, FooterEntry(metadata, kKeyFiltersKey, object));
    if (!SplitNumbers(sizes, &footer.key_filters)) {
      return BadFooter(object, fmt::format("has an unreadable entry {}", kKeyFiltersKey));
    }
  }
  VARVE_ASSIGN(const std::string encoded, FooterEntry(metadata, kBlockCrcKey, object));
  const auto crc_bytes = arrow::util::base64_decode(encoded);
  if (!crc_bytes.ok() || crc_bytes->size() % sizeof(std::uint32_t) != 0) {
    return BadFooter(object, fmt::format("has an unreadable entry {}", kBlockCrcKey));
  }
  for (std::size_t at = 0; at < crc_bytes->size(); at += sizeof(std::uint32_t)) {
    footer.block_crc32c.push_back(LoadLittle<std::uint32_t>(crc_bytes->data() + at));
  }
  return footer;
}

}  // namespace varve
