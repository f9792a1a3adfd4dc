// SPDX-License-Identifier: Apache-2.0
#include "log/segment_cipher.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::size_t kNonceBytes = 12;
constexpr std::uint64_t kPieceMax = 1u << 30;  // EVP counts in int
constexpr std::uint8_t kAes256Gcm = 1;
static_assert(sizeof SegmentHeader::wrapped_key >=
              kNonceBytes + kCipherKeyBytes + kCipherTagBytes);

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;
using Nonce = std::array<unsigned char, kNonceBytes>;

const unsigned char* Bytes(const char* text) {
  return reinterpret_cast<const unsigned char*>(text);
}
unsigned char* Bytes(char* text) { return reinterpret_cast<unsigned char*>(text); }

std::unexpected<Error> LibraryFailed(const char* what) {
  return Fail(ErrorKind::kInternal, fmt::format("OpenSSL could not {}", what));
}

std::unexpected<Error> TagMismatch() {
  return Fail(ErrorKind::kCorruption,
              "the authentication tag does not agree: the bytes were changed by somebody who made "
              "their checksum agree");
}

Nonce NonceOf(Lsn lsn) {
  Nonce nonce{};
  std::memcpy(nonce.data(), &lsn.value, sizeof lsn.value);
  return nonce;
}

// A context with its key set stays with the thread: setting a key costs more than a small unit.
EVP_CIPHER_CTX* KeyedContext(std::uint64_t id, const std::string& key, bool encrypt) {
  struct Cached {
    Context context{EVP_CIPHER_CTX_new()};
    std::uint64_t id = 0;
  };
  thread_local Cached cache[2];
  Cached& cached = cache[encrypt ? 1 : 0];
  if (!cached.context || cached.id == id) return cached.context.get();
  cached.id = 0;
  if (EVP_CipherInit_ex(cached.context.get(), EVP_aes_256_gcm(), nullptr, Bytes(key.data()),
                        nullptr, encrypt ? 1 : 0) != 1) {
    return nullptr;
  }
  cached.id = id;
  return cached.context.get();
}

bool Update(EVP_CIPHER_CTX* context, std::string_view from, char* to) {
  while (!from.empty()) {
    const auto part = from.substr(0, kPieceMax);
    int done = 0;
    if (EVP_CipherUpdate(context, to == nullptr ? nullptr : Bytes(to), &done, Bytes(part.data()),
                         static_cast<int>(part.size())) != 1) {
      return false;
    }
    if (to != nullptr) to += done;
    from.remove_prefix(part.size());
  }
  return true;
}

// `sealed` has room for the plain bytes and the tag.
bool Seal(EVP_CIPHER_CTX* context, const Nonce& nonce, std::string_view header,
          std::string_view plain, char* sealed) {
  int done = 0;
  char* const tag = sealed + plain.size();
  return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), 1) == 1 &&
         Update(context, header, nullptr) && Update(context, plain, sealed) &&
         EVP_CipherFinal_ex(context, Bytes(tag), &done) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kCipherTagBytes, tag) == 1;
}

bool Open(EVP_CIPHER_CTX* context, const Nonce& nonce, std::string_view header,
          std::string_view sealed, char* plain) {
  int done = 0;
  const auto body = sealed.substr(0, sealed.size() - kCipherTagBytes);
  auto* const tag = const_cast<char*>(body.data() + body.size());
  char end[kCipherTagBytes];
  return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), 0) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kCipherTagBytes, tag) == 1 &&
         Update(context, header, nullptr) && Update(context, body, plain) &&
         EVP_CipherFinal_ex(context, Bytes(end), &done) == 1;
}

std::uint64_t NextCipherId() {
  static std::atomic<std::uint64_t> next = 1;
  return next.fetch_add(1, std::memory_order_relaxed);
}

// What a wrapped key is bound to: log id, sequence, generation and base.
std::string_view Identity(const SegmentHeader& header) {
  return std::string_view(reinterpret_cast<const char*>(&header), offsetof(SegmentHeader, capacity))
      .substr(offsetof(SegmentHeader, log_id));
}

// What `call` gives of the provider, which is somebody else's code: were it to throw through a log,
// others would wait for ever for what it was about to do.
template <typename Call>
auto Ask(const Call& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return Fail(ErrorKind::kUnavailable, "the key provider found no memory");
  } catch (const std::exception& thrown) {
    return Fail(ErrorKind::kInternal, fmt::format("the key provider threw: {}", thrown.what()));
  } catch (...) {
    return Fail(ErrorKind::kInternal, "the key provider threw what is no exception");
  }
}

Status CheckKey(std::string_view id, std::string_view key) {
  if (id.empty() || id.size() > sizeof SegmentHeader::key_id) {
    return Fail(ErrorKind::kInvalid, fmt::format("a key id has 1 to {} bytes, found {}",
                                                 sizeof SegmentHeader::key_id, id.size()));
  }
  if (key.size() == kCipherKeyBytes) return {};
  return Fail(ErrorKind::kInvalid, fmt::format("key '{}': expected {} bytes, found {}", id,
                                               kCipherKeyBytes, key.size()));
}

}  // namespace

SegmentCipher::SegmentCipher(std::string data_key)
    : key_(std::move(data_key)), id_(NextCipherId()) {}

SegmentCipher::~SegmentCipher() {
  OPENSSL_cleanse(const_cast<char*>(key_.data()), key_.size());
}

Status SegmentCipher::Encrypt(Lsn lsn, std::string_view header, std::string_view plain,
                              char* to) const {
  auto* context = KeyedContext(id_, key_, true);
  if (context != nullptr && Seal(context, NonceOf(lsn), header, plain, to)) return {};
  return LibraryFailed("encrypt");
}

Status SegmentCipher::Decrypt(Lsn lsn, std::string_view header, std::string_view sealed,
                              char* to) const {
  auto* context = KeyedContext(id_, key_, false);
  if (context == nullptr) return LibraryFailed("set a key");
  if (Open(context, NonceOf(lsn), header, sealed, to)) return {};
  return TagMismatch();
}

Result<std::shared_ptr<const SegmentCipher>> MakeSegmentCipher(LogKeyProvider* keys,
                                                               SegmentHeader* header) {
  VARVE_ASSIGN(const auto id, Ask([&] { return keys->CurrentKeyId(); }));
  VARVE_ASSIGN(const auto key, Ask([&] { return keys->Key(id); }));
  VARVE_TRY(CheckKey(id, key));
  std::string data_key(kCipherKeyBytes, '\0');
  Nonce nonce;
  if (RAND_bytes(Bytes(data_key.data()), kCipherKeyBytes) != 1 ||
      RAND_bytes(nonce.data(), kNonceBytes) != 1) {
    return LibraryFailed("make a random key");
  }
  header->cipher = kAes256Gcm;
  header->key_id_bytes = static_cast<std::uint8_t>(id.size());
  std::memcpy(header->key_id, id.data(), id.size());
  std::memcpy(header->wrapped_key, nonce.data(), kNonceBytes);
  auto* context = KeyedContext(NextCipherId(), key, true);
  if (context == nullptr ||
      !Seal(context, nonce, Identity(*header), data_key, header->wrapped_key + kNonceBytes)) {
    return LibraryFailed("wrap a key");
  }
  return std::make_shared<const SegmentCipher>(std::move(data_key));
}

Result<std::shared_ptr<const SegmentCipher>> OpenSegmentCipher(LogKeyProvider* keys,
                                                               const SegmentHeader& header) {
  if (header.cipher == 0) return std::shared_ptr<const SegmentCipher>();
  const std::string_view id(header.key_id, header.key_id_bytes);
  const auto missing = [&](std::string_view why) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("segment {} is encrypted with key '{}', and {}; nothing was changed",
                            header.sequence, id, why),
                ErrorReason::kMissingKey);
  };
  if (keys == nullptr) return missing("no keys were given");
  const auto key = Ask([&] { return keys->Key(id); });
  if (!key && key.error().kind() == ErrorKind::kNotFound) {
    return missing("the key provider has no such key: " + key.error().message());
  }
  if (!key) return std::unexpected(key.error());
  VARVE_TRY(CheckKey(id, *key));
  Nonce nonce;
  std::memcpy(nonce.data(), header.wrapped_key, kNonceBytes);
  const std::string_view wrapped(header.wrapped_key + kNonceBytes,
                                 kCipherKeyBytes + kCipherTagBytes);
  std::string data_key(kCipherKeyBytes, '\0');
  auto* context = KeyedContext(NextCipherId(), *key, false);
  if (context == nullptr) return LibraryFailed("set a key");
  if (!Open(context, nonce, Identity(header), wrapped, data_key.data())) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("segment {} is encrypted with key '{}', but the key given under that "
                            "name is another one; nothing was changed",
                            header.sequence, id),
                ErrorReason::kWrongKey);
  }
  return std::make_shared<const SegmentCipher>(std::move(data_key));
}

}  // namespace varve
