// SPDX-License-Identifier: Apache-2.0
#include "key_file.h"

#include <arrow/util/value_parsing.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "process.h"

namespace varve::cli {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kNameDigits = 16;
constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::string_view kUntil = "until=";
constexpr std::string_view kBlanks = " \t\r\n";

std::string_view WithoutBlanks(std::string_view text) {
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// False unless `text` is a key in hex.
bool ParseHexKey(std::string_view text, std::string* key) {
  if (text.size() != 2 * kKeyBytes) return false;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = Digit(text[i]);
    const int low = Digit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    key->push_back(static_cast<char>(high * 16 + low));
  }
  return true;
}

// Of 32 random bytes, one in 10^13 times.
bool IsText(std::string_view bytes) {
  return std::ranges::all_of(bytes, [](char c) {
    return (c >= ' ' && c <= '~') || kBlanks.find(c) != std::string_view::npos;
  });
}

// The whole file, one byte more than allowed at most.
Outcome<std::string> ReadAll(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemFailure("--key-file " + path, errno);
  std::string content(kFileBytesMax + 1, '\0');
  std::size_t size = 0;
  ssize_t n = 1;
  while (n != 0 && size < content.size()) {
    n = ::read(fd, content.data() + size, content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    size += static_cast<std::size_t>(n);
  }
  const int error = errno;
  ::close(fd);
  if (n < 0) return SystemFailure("--key-file " + path, error);
  content.resize(size);
  return content;
}

}  // namespace

std::string KeyName(std::string_view key) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int bytes = 0;
  EVP_Digest(key.data(), key.size(), digest.data(), &bytes, EVP_sha256(), nullptr);
  std::string name;
  for (std::size_t i = 0; i < kNameDigits / 2; ++i) name += fmt::format("{:02x}", digest[i]);
  return name;
}

Outcome<std::unique_ptr<KeyFile>> KeyFile::Read(const std::string& path) {
  CLI_ASSIGN(std::string content, ReadAll(path));
  auto keys = Parse("--key-file " + path, content);
  OPENSSL_cleanse(content.data(), content.size());
  return keys;
}

Outcome<std::unique_ptr<KeyFile>> KeyFile::Parse(const std::string& what, std::string_view text,
                                                 Now now) {
  std::unique_ptr<KeyFile> file(new KeyFile(what, now ? std::move(now) : Now(WallNow)));
  if (text.size() == kKeyBytes && !IsText(text)) {
    CLI_TRY(file->Add(0, {}, {.key = std::string(text), .until = {}, .until_text = {}}));
  } else if (text.size() == kKeyBytes) {
    return WrongUsage(what + ": expected 32 random bytes or 64 hex digits, found 32 characters of "
                      "text. Make a key with: openssl rand -hex 32. If this text is the key of a "
                      "log, give its bytes as hex digits");
  } else if (text.size() > kFileBytesMax) {
    return WrongUsage(fmt::format("{}: larger than {} bytes", what, kFileBytesMax));
  } else {
    CLI_TRY(file->ParseLines(text));
  }
  if (!file->keys_.empty()) return file;
  return WrongUsage(what + ": expected a key of 32 bytes, or of 64 hex digits, found none");
}

KeyFile::~KeyFile() {
  for (auto& [name, entry] : keys_) OPENSSL_cleanse(entry.key.data(), entry.key.size());
}

Done KeyFile::ParseLines(std::string_view text) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = WithoutBlanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    CLI_TRY(ParseLine(number, line));
  }
  return {};
}

Done KeyFile::ParseLine(std::size_t number, std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const auto end = std::min(line.find_first_of(kBlanks), line.size());
    words.push_back(line.substr(0, end));
    line = WithoutBlanks(line.substr(end));
  }
  Entry entry;
  bool good = true;
  if (words.back().starts_with(kUntil)) {
    entry.until_text = words.back().substr(kUntil.size());
    words.pop_back();
    good = arrow::internal::ParseTimestampISO8601(entry.until_text.data(), entry.until_text.size(),
                                                  arrow::TimeUnit::MICRO,
                                                  &entry.until.emplace().micros);
  }
  const auto name = words.size() > 1 ? words.front() : std::string_view();
  good = good && (words.size() == 1 || words.size() == 2) && name.size() <= kNameBytesMax &&
         ParseHexKey(words.back(), &entry.key);
  if (good) return Add(number, name, std::move(entry));
  return WrongUsage(fmt::format("{}: line {}: expected a name of at most {} bytes and 64 hex "
                                "digits, or the digits alone, and perhaps until=2027-01-31; or a "
                                "file of 32 bytes",
                                what_, number, kNameBytesMax));
}

Done KeyFile::Add(std::size_t line, std::string_view id, Entry entry) {
  const std::string computed = KeyName(entry.key);
  const std::string name = id.empty() ? computed : std::string(id);
  if (current_.empty()) current_ = name;
  for (const std::string& known_as : {name, computed}) {
    const auto [at, is_new] = keys_.try_emplace(known_as, entry);
    if (!is_new && at->second.key != entry.key) {
      return WrongUsage(fmt::format("{}: line {}: another key has this name already: {}", what_,
                                    line, known_as));
    }
  }
  OPENSSL_cleanse(entry.key.data(), entry.key.size());
  return {};
}

Result<std::string> KeyFile::Key(std::string_view key_id) {
  const auto found = keys_.find(key_id);
  if (found == keys_.end()) {
    return std::unexpected(Error(ErrorKind::kNotFound,
                                 fmt::format("{} has no key named {}", what_, key_id),
                                 ErrorReason::kMissingKey));
  }
  const Entry& entry = found->second;
  if (!entry.until || now_() < *entry.until) return entry.key;
  return std::unexpected(Error(ErrorKind::kInvalid,
                               fmt::format("{} says until={} of it", what_, entry.until_text),
                               ErrorReason::kExpiredKey));
}

}  // namespace varve::cli
