// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest_cipher.h"

#include <fmt/format.h>

#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/result.h"
#include "manifest/json_line.h"
#include "manifest/manifest_lines.h"

namespace varve {
namespace {

constexpr std::uint64_t kEncryptedFormat = 2;
constexpr std::size_t kCrcBytes = 4;
constexpr std::string_view kTimesHead{"VARVETIM\x02\0\0\0\0\0\0\0", 16};

std::unexpected<Error> Unsound(const std::string& what) {
  return Fail(ErrorKind::kCorruption, what);
}

// What a manifest's data key is bound to.
std::string BoundTo(std::uint64_t number) { return fmt::format("varve manifest {}", number); }

// `head`, then `plain` encrypted and bound to it, then the checksum.
Result<std::string> Encrypt(const std::string& key, std::string head, std::string_view plain) {
  const std::string bound = head;
  head.resize(bound.size() + plain.size() + kCipherTagBytes);
  VARVE_TRY(Cipher(key).Encrypt(CipherNonce{}, bound, plain, head.data() + bound.size()));
  AppendLittle(&head, Crc32c(head));
  return head;
}

Status CheckCrc(std::string_view bytes, std::size_t head_bytes) {
  if (bytes.size() < head_bytes + kCipherTagBytes + kCrcBytes) {
    return Unsound(fmt::format("expected at least {} bytes, found {}",
                               head_bytes + kCipherTagBytes + kCrcBytes, bytes.size()));
  }
  const auto body = bytes.substr(0, bytes.size() - kCrcBytes);
  const auto expected = LoadLittle<std::uint32_t>(bytes.data() + body.size());
  const auto found = Crc32c(body);
  if (found == expected) return {};
  return Unsound(fmt::format("expected checksum {:08x}, found {:08x}", expected, found));
}

// Requires CheckCrc.
Result<std::string> Decrypt(const std::string& key, std::string_view bytes,
                            std::size_t head_bytes) {
  const auto body = bytes.substr(head_bytes, bytes.size() - head_bytes - kCrcBytes);
  std::string plain(body.size() - kCipherTagBytes, '\0');
  VARVE_ASSIGN(const bool right, Cipher(key).Decrypt(CipherNonce{}, bytes.substr(0, head_bytes),
                                                     body, plain.data()));
  if (right) return plain;
  return Unsound("the authentication tag does not agree: the bytes were changed by somebody who "
                 "made their checksum agree, or belong elsewhere");
}

struct Head {
  std::string key_id;
  std::string wrapped;
};

Result<Head> ParseHead(std::string_view text, std::uint64_t number) {
  VARVE_ASSIGN(auto line, JsonLine::Parse(text));
  std::uint64_t format = 0, found = 0;
  line.Take("format", &format);
  if (format > kEncryptedFormat) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("format {}: this varve reads up to format {}; open the database with a "
                            "newer varve",
                            format, kEncryptedFormat),
                ErrorReason::kUnsupportedFormat);
  }
  Head head;
  line.Take("number", &found);
  line.TakeHex("key", &head.key_id);
  line.TakeHex("wrapped_key", &head.wrapped);
  VARVE_TRY(line.Finish());
  if (found == number && head.wrapped.size() == kWrappedKeyBytes) return head;
  return Unsound(fmt::format("expected number {} and a wrapped key of {} bytes, found number {} "
                             "and {} bytes",
                             number, kWrappedKeyBytes, found, head.wrapped.size()));
}

}  // namespace

bool IsEncryptedManifest(std::string_view bytes) {
  auto line = JsonLine::Parse(LineReader::FirstText(bytes));
  return line && line->kind() == "header" && line->Has("wrapped_key");
}

std::uint32_t ManifestChecksum(std::string_view bytes) {
  if (bytes.size() < kCrcBytes || !IsEncryptedManifest(bytes)) return Crc32c(bytes);
  return Crc32c(bytes.substr(0, bytes.size() - kCrcBytes));
}

Status CheckManifestEnd(std::string_view bytes) {
  return bytes.empty() || !IsEncryptedManifest(bytes) ? Status() : CheckCrc(bytes, 0);
}

Result<DataKey> MakeManifestKey(KeyProvider* keys, std::uint64_t number) {
  return MakeDataKey(keys, BoundTo(number));
}

Result<std::string> EncryptManifest(const DataKey& key, std::uint64_t number,
                                    std::string_view plain) {
  LineWriter head(number);
  head.Add(JsonText({{"kind", "header"},
                     {"format", kEncryptedFormat},
                     {"number", number},
                     {"key", ToHex(key.key_id)},
                     {"wrapped_key", ToHex(key.wrapped)}}));
  return Encrypt(key.key, head.Take(), plain);
}

Result<PlainManifest> DecryptManifest(KeyProvider* keys, std::string_view bytes,
                                      std::uint64_t number, std::uint64_t* offset) {
  if (offset != nullptr) *offset = 0;
  VARVE_CHECK(!bytes.empty());
  LineReader lines(bytes, number);
  VARVE_ASSIGN(const auto text, lines.Next());
  VARVE_ASSIGN(const auto head, ParseHead(text, number));
  const std::size_t head_bytes = bytes.find('\n') + 1;
  if (offset != nullptr) *offset = head_bytes;
  VARVE_TRY(CheckCrc(bytes, head_bytes));
  VARVE_ASSIGN(auto key, UnwrapDataKey(keys, head.key_id, head.wrapped, BoundTo(number),
                                       fmt::format("manifest {}", number)));
  auto plain = Decrypt(key, bytes, head_bytes);
  Wipe(&key);
  if (!plain) return std::unexpected(std::move(plain).error());
  return PlainManifest{.key_id = head.key_id, .bytes = *std::move(plain)};
}

bool IsEncryptedTimes(std::string_view bytes) { return bytes.starts_with(kTimesHead); }

Result<std::string> EncryptTimes(const std::string& file_key, std::string_view plain) {
  return Encrypt(file_key, std::string(kTimesHead), plain);
}

Result<std::string> DecryptTimes(const std::string& file_key, std::string_view bytes) {
  VARVE_TRY(CheckCrc(bytes, kTimesHead.size()));
  if (!IsEncryptedTimes(bytes)) return Unsound("expected encrypted times, found others");
  return Decrypt(file_key, bytes, kTimesHead.size());
}

}  // namespace varve
