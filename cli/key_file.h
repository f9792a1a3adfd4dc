// SPDX-License-Identifier: Apache-2.0
// The keys of encrypted logs, from a file. It holds one of
//
//   32 bytes                       one key, unless they are text: what one can type is not random
//   64 hex digits                  one key; blanks and line ends around it do not count
//   lines of a name and 64 digits  several keys, the newest first; a line may leave out the name.
//                                  Empty lines, and those that begin with #, are passed over
//
// The first key encrypts what is appended; every one of them opens what it encrypted. A key without
// a name is called by the first 16 hex digits of its SHA-256, so that it has the same name wherever
// its file lies; a named one is found by either.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "failure.h"
#include "varve/log_options.h"

namespace varve::cli {

class KeyFile final : public LogKeyProvider {
 public:
  // Errors: those of reading the file; wrong usage when it holds no keys (says what it expected, in
  // which line, and nothing of what it found: that may be part of a key).
  static Outcome<std::unique_ptr<KeyFile>> Read(const std::string& path);
  // `text` is the content of the file that `what` names.
  static Outcome<std::unique_ptr<KeyFile>> Parse(const std::string& what, std::string_view text);
  ~KeyFile() override;

  Result<std::string> CurrentKeyId() override { return current_; }
  Result<std::string> Key(std::string_view key_id) override;

 private:
  explicit KeyFile(std::string what) : what_(std::move(what)) {}
  Done ParseLines(std::string_view text);
  Done Add(std::size_t line, std::string_view id, std::string key);

  const std::string what_;
  std::string current_;
  std::map<std::string, std::string, std::less<>> keys_;  // by name
};

// The name of a key that was given none.
std::string KeyName(std::string_view key);

}  // namespace varve::cli
