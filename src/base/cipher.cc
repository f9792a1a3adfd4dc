// SPDX-License-Identifier: Apache-2.0
#include "base/cipher.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <atomic>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/result.h"

namespace varve {
namespace {

constexpr std::uint64_t kPieceMax = 1u << 30;  // EVP counts in int

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* Bytes(const char* text) {
  return reinterpret_cast<const unsigned char*>(text);
}
unsigned char* Bytes(char* text) { return reinterpret_cast<unsigned char*>(text); }

std::unexpected<Error> LibraryFailed(const char* what) {
  return Fail(ErrorKind::kInternal, fmt::format("OpenSSL could not {}", what));
}

// A context with its key set stays with the thread: setting a key costs more than a small text.
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

std::uint64_t NextCipherId() {
  static std::atomic<std::uint64_t> next = 1;
  return next.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

Cipher::Cipher(std::string key) : key_(std::move(key)), id_(NextCipherId()) {
  VARVE_CHECK(key_.size() == kCipherKeyBytes);
}

Cipher::~Cipher() { Wipe(const_cast<std::string*>(&key_)); }

Status Cipher::Encrypt(const CipherNonce& nonce, std::string_view bound, std::string_view plain,
                       char* to) const {
  auto* const context = KeyedContext(id_, key_, true);
  int done = 0;
  char* const tag = to + plain.size();
  const bool encrypted =
      context != nullptr &&
      EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), 1) == 1 &&
      Update(context, bound, nullptr) && Update(context, plain, to) &&
      EVP_CipherFinal_ex(context, Bytes(tag), &done) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kCipherTagBytes, tag) == 1;
  if (encrypted) return {};
  return LibraryFailed("encrypt");
}

Result<bool> Cipher::Decrypt(const CipherNonce& nonce, std::string_view bound,
                             std::string_view encrypted, char* to) const {
  if (encrypted.size() < kCipherTagBytes) return false;
  auto* const context = KeyedContext(id_, key_, false);
  if (context == nullptr) return LibraryFailed("set a key");
  int done = 0;
  const auto body = encrypted.substr(0, encrypted.size() - kCipherTagBytes);
  auto* const tag = const_cast<char*>(body.data() + body.size());
  char end[kCipherTagBytes];
  return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), 0) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kCipherTagBytes, tag) == 1 &&
         Update(context, bound, nullptr) && Update(context, body, to) &&
         EVP_CipherFinal_ex(context, Bytes(end), &done) == 1;
}

Result<std::string> SecretBytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(Bytes(bytes.data()), static_cast<int>(count)) == 1) return bytes;
  return LibraryFailed("make random bytes");
}

void Wipe(std::string* secret) { OPENSSL_cleanse(secret->data(), secret->size()); }

}  // namespace varve
