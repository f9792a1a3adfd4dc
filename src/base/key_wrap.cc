// SPDX-License-Identifier: Apache-2.0
#include "base/key_wrap.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/result.h"

namespace varve {
namespace {

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

std::unexpected<Error> Missing(const std::string& what_and_why) {
  return Fail(ErrorKind::kNotFound,
              what_and_why + "; nothing was changed; open it with a key provider that has the key",
              ErrorReason::kMissingKey);
}

// What the provider said instead of a key, and what the caller does next.
std::unexpected<Error> Refused(const std::string& name, const Error& error) {
  if (error.reason() == ErrorReason::kExpiredKey) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}, and the key provider says that this key has expired: {}; nothing "
                            "was changed; put off the end of the key, and rotate to another while "
                            "both are given",
                            name, error.message()),
                ErrorReason::kExpiredKey);
  }
  if (error.kind() != ErrorKind::kNotFound) return std::unexpected(error);
  return Missing(name + ", and the key provider has no such key: " + error.message());
}

// The provider's key. `need` says for what: "segment 7 is encrypted with".
Status Fetch(KeyProvider* keys, std::string_view id, std::string_view need, std::string* key) {
  if (id.empty() || id.size() > kKeyIdBytesMax) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("a key id has 1 to {} bytes, found {}", kKeyIdBytesMax, id.size()));
  }
  const auto name = fmt::format("{} key '{}'", need, id);
  if (keys == nullptr) return Missing(name + ", and no keys were given");
  auto given = Ask([&] { return keys->Key(id); });
  if (!given) return Refused(name, given.error());
  *key = *std::move(given);
  if (key->size() == kCipherKeyBytes) return {};
  return Fail(ErrorKind::kInvalid, fmt::format("key '{}': expected {} bytes, found {}", id,
                                               kCipherKeyBytes, key->size()));
}

CipherNonce NonceIn(std::string_view wrapped) {
  CipherNonce nonce;
  std::copy_n(wrapped.begin(), kCipherNonceBytes, nonce.begin());
  return nonce;
}

}  // namespace

Result<DataKey> MakeDataKey(KeyProvider* keys, std::string_view bound) {
  DataKey made;
  VARVE_ASSIGN(made.key_id, CurrentKeyIdOf(keys));
  std::string wrapping;
  VARVE_TRY(Fetch(keys, made.key_id, "new data is to be encrypted with", &wrapping));
  VARVE_ASSIGN(made.key, SecretBytes(kCipherKeyBytes));
  VARVE_ASSIGN(made.wrapped, SecretBytes(kCipherNonceBytes));
  made.wrapped.resize(kWrappedKeyBytes);
  const Cipher cipher(std::move(wrapping));
  VARVE_TRY(cipher.Encrypt(NonceIn(made.wrapped), bound, made.key,
                           made.wrapped.data() + kCipherNonceBytes));
  return made;
}

Result<std::string> UnwrapDataKey(KeyProvider* keys, std::string_view key_id,
                                  std::string_view wrapped, std::string_view bound,
                                  std::string_view what) {
  VARVE_CHECK(wrapped.size() == kWrappedKeyBytes);
  std::string wrapping;
  VARVE_TRY(Fetch(keys, key_id, fmt::format("{} is encrypted with", what), &wrapping));
  std::string key(kCipherKeyBytes, '\0');
  const Cipher cipher(std::move(wrapping));
  VARVE_ASSIGN(const bool right, cipher.Decrypt(NonceIn(wrapped), bound,
                                                wrapped.substr(kCipherNonceBytes), key.data()));
  if (right) return key;
  return Fail(ErrorKind::kInvalid,
              fmt::format("{} is encrypted with key '{}', but the key given under that name is "
                          "another one; nothing was changed; give the key that it had when this "
                          "was written",
                          what, key_id),
              ErrorReason::kWrongKey);
}

Status CheckCurrentKey(KeyProvider* keys) {
  VARVE_ASSIGN(auto made, MakeDataKey(keys, "check"));
  Wipe(&made.key);
  return {};
}

Result<std::string> CurrentKeyIdOf(KeyProvider* keys) {
  return Ask([&] { return keys->CurrentKeyId(); });
}

}  // namespace varve
