// SPDX-License-Identifier: Apache-2.0
// The keys of encrypted databases and logs, from a file. It holds one of
//
//   32 bytes                       one key, unless they are text: what one can type is not random
//   64 hex digits                  one key; blanks and line ends around it do not count
//   lines of a name and 64 digits  several keys, the newest first; a line may leave out the name.
//                                  Empty lines, and those that begin with #, are passed over.
//                                  Behind the digits may stand until=2027-01-31, or with a time:
//                                  from then on the key has expired, and is not given any more
//
// The first key encrypts what is appended; every one of them opens what it encrypted. A key without
// a name is called by the first 16 hex digits of its SHA-256, so that it has the same name wherever
// its file lies; a named one is found by either.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "failure.h"
#include "varve/log_options.h"
#include "varve/types.h"

namespace varve::cli {

class KeyFile final : public KeyProvider {
 public:
  // Errors: those of reading the file; wrong usage when it holds no keys (says what it expected, in
  // which line, and nothing of what it found: that may be part of a key).
  static Outcome<std::unique_ptr<KeyFile>> Read(const std::string& path);
  // `text` is the content of the file that `what` names.
  // `now` is asked for the time; the system's when it is not there.
  using Now = std::function<WallTime()>;
  static Outcome<std::unique_ptr<KeyFile>> Parse(const std::string& what, std::string_view text,
                                                 Now now = {});
  ~KeyFile() override;

  Result<std::string> CurrentKeyId() override { return current_; }
  Result<std::string> Key(std::string_view key_id) override;

 private:
  struct Entry {
    std::string key;
    std::optional<WallTime> until;
    std::string until_text;
  };
  KeyFile(std::string what, Now now) : what_(std::move(what)), now_(std::move(now)) {}
  Done ParseLines(std::string_view text);
  Done ParseLine(std::size_t number, std::string_view line);
  Done Add(std::size_t line, std::string_view id, Entry entry);

  const std::string what_;
  const Now now_;
  std::string current_;
  std::map<std::string, Entry, std::less<>> keys_;  // by name
};

// The name of a key that was given none.
std::string KeyName(std::string_view key);

}  // namespace varve::cli
