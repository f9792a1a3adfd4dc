// SPDX-License-Identifier: Apache-2.0
#include "test/support/cipher_watch.h"

#include <dlfcn.h>
#include <openssl/evp.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "base/check.h"

namespace varve::testing {
namespace {

constexpr std::size_t kNonceBytes = 12;

struct Watched {
  struct Context {
    std::string key;
    std::string nonce;
    std::string text;  // associated data and plain text, in order
  };
  std::mutex mutex;
  std::map<const EVP_CIPHER_CTX*, Context> contexts;
  std::map<std::pair<std::string, std::string>, std::string> sealed;  // text by key and nonce
  std::set<std::string> keys;
  std::vector<std::string> reuses;
};
std::atomic<bool> watching = false;
Watched watched;

void NoteInit(const EVP_CIPHER_CTX* context, const unsigned char* key, const unsigned char* nonce) {
  const std::lock_guard lock(watched.mutex);
  auto& of_context = watched.contexts[context];
  if (key != nullptr) of_context.key.assign(reinterpret_cast<const char*>(key), 32);
  if (nonce == nullptr) return;
  of_context.nonce.assign(reinterpret_cast<const char*>(nonce), kNonceBytes);
  of_context.text.clear();
}

void NoteText(const EVP_CIPHER_CTX* context, bool plain, const unsigned char* in, int bytes) {
  const std::lock_guard lock(watched.mutex);
  const auto found = watched.contexts.find(context);
  if (found == watched.contexts.end()) return;
  found->second.text += plain ? 'p' : 'a';
  found->second.text.append(reinterpret_cast<const char*>(in), static_cast<std::size_t>(bytes));
}

void NoteFinal(const EVP_CIPHER_CTX* context) {
  const std::lock_guard lock(watched.mutex);
  const auto found = watched.contexts.find(context);
  if (found == watched.contexts.end() || found->second.key.empty()) return;
  const auto& [key, nonce, text] = found->second;
  watched.keys.insert(key);
  const auto [at, fresh] = watched.sealed.emplace(std::pair(key, nonce), text);
  if (fresh || at->second == text) return;
  std::uint64_t low = 0;
  for (int i = 7; i >= 0; --i) low = low << 8 | static_cast<unsigned char>(nonce[i]);
  watched.reuses.push_back("nonce " + std::to_string(low) + ": texts of " +
                           std::to_string(at->second.size()) + " and " +
                           std::to_string(text.size()) + " bytes");
}

// The function of that name in the library behind this program.
template <typename Function>
Function* Real(const char* name) {
  auto* const real = ::dlsym(RTLD_NEXT, name);
  VARVE_CHECK(real != nullptr);
  return reinterpret_cast<Function*>(real);
}

}  // namespace

CipherWatch::CipherWatch() {
  watched.contexts.clear();
  watched.sealed.clear();
  watched.keys.clear();
  watched.reuses.clear();
  VARVE_CHECK(!watching.exchange(true));
}

CipherWatch::~CipherWatch() { watching = false; }

std::uint64_t CipherWatch::texts() const {
  const std::lock_guard lock(watched.mutex);
  return watched.sealed.size();
}

std::uint64_t CipherWatch::keys() const {
  const std::lock_guard lock(watched.mutex);
  return watched.keys.size();
}

std::vector<std::string> CipherWatch::reuses() const {
  const std::lock_guard lock(watched.mutex);
  return watched.reuses;
}

}  // namespace varve::testing

extern "C" {

int EVP_CipherInit_ex(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, ENGINE* engine,
                      const unsigned char* key, const unsigned char* nonce, int encrypt) {
  using namespace varve::testing;
  static auto* const real = Real<decltype(EVP_CipherInit_ex)>("EVP_CipherInit_ex");
  if (watching && encrypt == 1) NoteInit(context, key, nonce);
  return real(context, cipher, engine, key, nonce, encrypt);
}

int EVP_CipherUpdate(EVP_CIPHER_CTX* context, unsigned char* out, int* done,
                     const unsigned char* in, int bytes) {
  using namespace varve::testing;
  static auto* const real = Real<decltype(EVP_CipherUpdate)>("EVP_CipherUpdate");
  // Before the call: the cipher text may take the place of the text.
  if (watching) NoteText(context, out != nullptr, in, bytes);
  return real(context, out, done, in, bytes);
}

int EVP_CipherFinal_ex(EVP_CIPHER_CTX* context, unsigned char* out, int* done) {
  using namespace varve::testing;
  static auto* const real = Real<decltype(EVP_CipherFinal_ex)>("EVP_CipherFinal_ex");
  if (watching && EVP_CIPHER_CTX_is_encrypting(context) == 1) NoteFinal(context);
  return real(context, out, done);
}

}  // extern "C"
