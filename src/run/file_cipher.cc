// SPDX-License-Identifier: Apache-2.0
#include "run/file_cipher.h"

#include <arrow/io/memory.h>
#include <arrow/util/secure_string.h>
#include <fmt/format.h>
#include <parquet/encryption/encryption.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "columns/arrow_errors.h"

namespace varve {
namespace {

// Kinds of modules, by which each is bound to what it is (Parquet, Encryption.md, 4.4.1).
constexpr char kDataPage = 2;
constexpr char kDictionaryPage = 3;
constexpr char kDataPageHeader = 4;
constexpr char kDictionaryPageHeader = 5;
// Ours: no kind of Parquet's.
constexpr std::string_view kKeyFilter = "varve.key_filter";

constexpr std::size_t kSizeBytes = 4;

std::unexpected<Error> Damaged(const std::string& what) {
  return Fail(ErrorKind::kCorruption, what + "; run verify, then restore the file from a copy");
}

void AppendOrdinal(int ordinal, std::string* to) {
  AppendLittle(to, static_cast<std::int16_t>(ordinal));
}

// The next module at the front of `bytes`, size included; nothing when there is no whole one.
std::optional<std::string_view> TakeModule(std::string_view* bytes) {
  if (bytes->size() < kSizeBytes) return std::nullopt;
  const auto size = kSizeBytes + std::uint64_t{LoadLittle<std::uint32_t>(bytes->data())};
  if (size > bytes->size()) return std::nullopt;
  const auto module = bytes->substr(0, size);
  bytes->remove_prefix(size);
  return module;
}

// Of Thrift's compact protocol: an i32 with the next field id, as LEB128 of its zigzag.
constexpr char kNextI32 = 0x15;

bool SkipI32(std::string_view* thrift) {
  if (!thrift->starts_with(kNextI32)) return false;
  std::size_t end = 1;
  while (end < thrift->size() && ((*thrift)[end] & 0x80) != 0) ++end;
  if (end >= thrift->size()) return false;
  thrift->remove_prefix(end + 1);
  return true;
}

// A page header begins with its type, its size and its compressed size. The last is that of the
// module; whoever reads the page decrypted needs that of the page.
bool AppendHeader(std::string_view header, std::uint64_t page_bytes, std::string* to) {
  std::string_view rest = header;
  if (!SkipI32(&rest) || !SkipI32(&rest)) return false;
  to->append(header.substr(0, header.size() - rest.size()));
  if (!SkipI32(&rest)) return false;
  to->push_back(kNextI32);
  std::uint64_t zigzag = page_bytes << 1;
  for (; zigzag >= 0x80; zigzag >>= 7) to->push_back(static_cast<char>(zigzag | 0x80));
  to->push_back(static_cast<char>(zigzag));
  to->append(rest);
  return true;
}

}  // namespace

std::string FileCipher::BoundTo(char kind, const Place& place) const {
  std::string bound = file_aad_;
  bound.push_back(kind);
  AppendOrdinal(place.group, &bound);
  AppendOrdinal(place.leaf, &bound);
  if (!place.dictionary) AppendOrdinal(place.first_page, &bound);
  return bound;
}

Result<std::string> FileCipher::Decrypt(std::string_view module, std::string_view bound) const {
  module.remove_prefix(std::min(kSizeBytes, module.size()));
  if (module.size() < kCipherNonceBytes + kCipherTagBytes) {
    return Damaged("an encrypted part of the file is too short");
  }
  CipherNonce nonce;
  std::copy_n(module.begin(), kCipherNonceBytes, nonce.begin());
  module.remove_prefix(kCipherNonceBytes);
  std::string plain(module.size() - kCipherTagBytes, '\0');
  VARVE_ASSIGN(const bool right, cipher_.Decrypt(nonce, bound, module, plain.data()));
  if (right) return plain;
  return Damaged("the authentication tag of an encrypted part of the file does not agree");
}

arrow::Result<std::shared_ptr<arrow::Buffer>> FileCipher::DecryptPages(std::string_view bytes,
                                                                       Place place) const {
  const auto decrypt = [&]() -> Result<std::string> {
    std::string pages;
    pages.reserve(bytes.size());
    while (!bytes.empty()) {
      const auto header_module = TakeModule(&bytes);
      const auto page_module = TakeModule(&bytes);
      if (!header_module || !page_module) return Damaged("an encrypted page is cut off");
      const char header_kind = place.dictionary ? kDictionaryPageHeader : kDataPageHeader;
      const char page_kind = place.dictionary ? kDictionaryPage : kDataPage;
      VARVE_ASSIGN(const auto header, Decrypt(*header_module, BoundTo(header_kind, place)));
      VARVE_ASSIGN(const auto page, Decrypt(*page_module, BoundTo(page_kind, place)));
      if (!AppendHeader(header, page.size(), &pages)) return Damaged("a page has no header");
      pages.append(page);
      ++place.first_page;
    }
    return pages;
  };
  auto pages = decrypt();
  if (!pages) return ToArrow(pages.error());
  return arrow::Buffer::FromString(*std::move(pages));
}

namespace {

std::string FilterBound(const std::string& file_aad, int group) {
  std::string bound = file_aad;
  bound.append(kKeyFilter);
  AppendOrdinal(group, &bound);
  return bound;
}

}  // namespace

Result<std::string> FileCipher::EncryptFilter(int group, std::string_view filter) const {
  std::string module;
  AppendLittle(&module, static_cast<std::uint32_t>(kCipherNonceBytes + filter.size() +
                                                   kCipherTagBytes));
  VARVE_ASSIGN(const auto random, SecretBytes(kCipherNonceBytes));
  CipherNonce nonce;
  std::ranges::copy(random, nonce.begin());
  module.append(random);
  const std::size_t at = module.size();
  module.resize(at + filter.size() + kCipherTagBytes);
  VARVE_TRY(cipher_.Encrypt(nonce, FilterBound(file_aad_, group), filter, module.data() + at));
  return module;
}

Result<std::string> FileCipher::DecryptFilter(int group, std::string_view module) const {
  return Decrypt(module, FilterBound(file_aad_, group));
}

std::shared_ptr<parquet::FileEncryptionProperties> EncryptionWith(const std::string& key) {
  std::string copy = key;  // is wiped
  return parquet::FileEncryptionProperties::Builder(
             arrow::util::SecureString(std::move(copy)))
      .build();
}

namespace {

parquet::ReaderProperties DecryptionWith(const std::string& key) {
  std::string copy = key;  // is wiped
  auto properties = parquet::default_reader_properties();
  properties.file_decryption_properties(
      parquet::FileDecryptionProperties::Builder()
          .footer_key(arrow::util::SecureString(std::move(copy)))
          ->build());
  return properties;
}

// What the file says of its encryption: AES_GCM_V1 without an AAD prefix, or it is not ours.
arrow::Result<parquet::EncryptionAlgorithm> CheckedAlgorithm(const arrow::Buffer& tail,
                                                             std::uint32_t footer_bytes) {
  constexpr std::int64_t kTrailerBytes = 8;
  if (tail.size() < kTrailerBytes || footer_bytes > tail.size() - kTrailerBytes) {
    return arrow::Status::Invalid("the footer is larger than the file");
  }
  std::uint32_t parsed = footer_bytes;
  const auto crypto = parquet::FileCryptoMetaData::Make(
      tail.data() + (tail.size() - kTrailerBytes - footer_bytes), &parsed);
  const auto algorithm = crypto->encryption_algorithm();
  const auto& aad = algorithm.aad;
  if (algorithm.algorithm == parquet::ParquetCipher::AES_GCM_V1 && aad.aad_prefix.empty() &&
      !aad.supply_aad_prefix) {
    return algorithm;
  }
  return arrow::Status::Invalid("expected AES_GCM_V1 without an AAD prefix, found ",
                                algorithm.algorithm == parquet::ParquetCipher::AES_GCM_V1
                                    ? "one with a prefix"
                                    : "AES_GCM_CTR_V1");
}

}  // namespace

arrow::Result<EncryptedFooter> DecryptFooter(const std::shared_ptr<arrow::Buffer>& tail,
                                             std::uint32_t footer_bytes, const std::string& key) {
  BEGIN_PARQUET_CATCH_EXCEPTIONS
  ARROW_ASSIGN_OR_RAISE(const auto algorithm, CheckedAlgorithm(*tail, footer_bytes));
  EncryptedFooter footer;
  // All that is read of a file at open stands at its end.
  footer.metadata = parquet::ParquetFileReader::Open(
                        std::make_shared<arrow::io::BufferReader>(tail), DecryptionWith(key))
                        ->metadata();
  footer.cipher = std::make_shared<const FileCipher>(key, algorithm.aad.aad_file_unique);
  return footer;
  END_PARQUET_CATCH_EXCEPTIONS
}

}  // namespace varve
