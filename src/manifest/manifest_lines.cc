// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest_lines.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::string_view kCrcMark = " crc32c=";
constexpr std::size_t kCrcDigits = 8;
constexpr std::size_t kSuffixBytes = kCrcMark.size() + kCrcDigits;

std::uint32_t SeedOf(std::uint64_t number) {
  char bytes[8];
  StoreLittle(bytes, number);
  return Crc32c({bytes, sizeof bytes});
}

}  // namespace

LineWriter::LineWriter(std::uint64_t number) : crc_(SeedOf(number)) {}

void LineWriter::Add(std::string_view text) {
  VARVE_CHECK(text.find('\n') == std::string_view::npos);
  crc_ = Crc32c(text, crc_);
  bytes_.append(text).append(kCrcMark);
  fmt::format_to(std::back_inserter(bytes_), "{:08x}\n", crc_);
  ++lines_;
}

LineReader::LineReader(std::string_view bytes, std::uint64_t number)
    : bytes_(bytes), crc_(SeedOf(number)) {}

Result<std::string_view> LineReader::Next() {
  VARVE_CHECK(!done());
  start_ = next_;
  ++line_;
  const auto end = bytes_.find('\n', start_);
  if (end == std::string_view::npos) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("expected a line that ends with a line feed, found the end of the "
                            "object after {} bytes",
                            bytes_.size() - start_));
  }
  const auto line = bytes_.substr(start_, end - start_);
  if (line.size() < kSuffixBytes ||
      !line.substr(line.size() - kSuffixBytes).starts_with(kCrcMark)) {
    return Fail(ErrorKind::kCorruption,
                "expected \" crc32c=\" and 8 hexadecimal digits at the line's end, found others");
  }
  const auto text = line.substr(0, line.size() - kSuffixBytes);
  const auto found = line.substr(line.size() - kCrcDigits);
  const auto crc = Crc32c(text, crc_);
  if (const auto expected = fmt::format("{:08x}", crc); found != expected) {
    return Fail(ErrorKind::kCorruption,
                fmt::format("expected checksum {}, found \"{}\"", expected, found));
  }
  crc_ = crc;
  next_ = end + 1;
  return text;
}

std::string_view LineReader::FirstText(std::string_view bytes) {
  const auto line = bytes.substr(0, bytes.find('\n'));
  if (line.size() < kSuffixBytes) return {};
  return line.substr(0, line.size() - kSuffixBytes);
}

}  // namespace varve
