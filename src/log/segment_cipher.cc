// SPDX-License-Identifier: Apache-2.0
#include "log/segment_cipher.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/key_wrap.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::uint8_t kAes256Gcm = 1;
static_assert(sizeof SegmentHeader::wrapped_key >= kWrappedKeyBytes);
static_assert(sizeof SegmentHeader::key_id == kKeyIdBytesMax);

CipherNonce NonceOf(Lsn lsn) {
  CipherNonce nonce{};
  std::memcpy(nonce.data(), &lsn.value, sizeof lsn.value);
  return nonce;
}

// What a wrapped key is bound to: log id, sequence, generation and base.
std::string_view Identity(const SegmentHeader& header) {
  return std::string_view(reinterpret_cast<const char*>(&header), offsetof(SegmentHeader, capacity))
      .substr(offsetof(SegmentHeader, log_id));
}

}  // namespace

Status SegmentCipher::Encrypt(Lsn lsn, std::string_view header, std::string_view plain,
                              char* to) const {
  return cipher_.Encrypt(NonceOf(lsn), header, plain, to);
}

Status SegmentCipher::Decrypt(Lsn lsn, std::string_view header, std::string_view encrypted,
                              char* to) const {
  VARVE_ASSIGN(const bool right, cipher_.Decrypt(NonceOf(lsn), header, encrypted, to));
  if (right) return {};
  return Fail(ErrorKind::kCorruption,
              "the authentication tag does not agree: the bytes were changed by somebody who made "
              "their checksum agree");
}

Result<std::shared_ptr<const SegmentCipher>> MakeSegmentCipher(KeyProvider* keys,
                                                               SegmentHeader* header) {
  VARVE_ASSIGN(DataKey made, MakeDataKey(keys, Identity(*header)));
  header->cipher = kAes256Gcm;
  header->key_id_bytes = static_cast<std::uint8_t>(made.key_id.size());
  std::memcpy(header->key_id, made.key_id.data(), made.key_id.size());
  std::memcpy(header->wrapped_key, made.wrapped.data(), made.wrapped.size());
  return std::make_shared<const SegmentCipher>(std::move(made.key));
}

Result<std::shared_ptr<const SegmentCipher>> OpenSegmentCipher(KeyProvider* keys,
                                                               const SegmentHeader& header) {
  if (header.cipher == 0) return std::shared_ptr<const SegmentCipher>();
  const std::string_view id(header.key_id, header.key_id_bytes);
  const std::string_view wrapped(header.wrapped_key, kWrappedKeyBytes);
  VARVE_ASSIGN(auto key, UnwrapDataKey(keys, id, wrapped, Identity(header),
                                       fmt::format("segment {}", header.sequence)));
  return std::make_shared<const SegmentCipher>(std::move(key));
}

}  // namespace varve
