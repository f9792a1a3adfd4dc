// SPDX-License-Identifier: Apache-2.0
#include "names.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace varve::cli {
namespace {

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// Names one after the other, out of one flag.
class NameReader {
 public:
  NameReader(const std::string& flag, std::string_view text)
      : flag_(flag), all_(text), rest_(text) {}

  // The name up to `end`, which is passed over; nothing: up to the end of the text.
  Outcome<std::string> Next(std::optional<char> end) {
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    std::string name;
    if (rest_.starts_with('"')) {
      CLI_ASSIGN(name, Quoted());
    }
    const auto until = std::min(end ? rest_.find(*end) : rest_.npos, rest_.size());
    const auto bare = Trimmed(rest_.substr(0, until));
    if (!name.empty() && !bare.empty()) return Wrong("expected nothing behind a quoted name");
    if (name.empty()) name = bare;
    if (name.empty()) return Wrong("expected a column name");
    ended_ = until == rest_.size();
    rest_.remove_prefix(ended_ ? until : until + 1);
    return name;
  }
  // The last name went to the end of the text.
  bool ended() const { return ended_; }

 private:
  std::unexpected<Failure> Wrong(std::string_view why) const {
    return WrongUsage(
        fmt::format("{} {}: {}; a name with a comma, '=', quotes or blanks around it "
                    "goes in double quotes, and \"\" is a quote in it",
                    flag_, all_, why));
  }

  Outcome<std::string> Quoted() {
    std::string name;
    for (std::size_t at = 1; at < rest_.size(); ++at) {
      if (rest_[at] == '"' && !rest_.substr(at + 1).starts_with('"')) {
        rest_.remove_prefix(at + 1);
        if (name.empty()) return Wrong("expected a column name between the quotes");
        return name;
      }
      if (rest_[at] == '"') ++at;
      name.push_back(rest_[at]);
    }
    return Wrong("expected '\"' at the end of the name");
  }

  const std::string& flag_;
  const std::string_view all_;
  std::string_view rest_;
  bool ended_ = false;
};

// In quotes, each of which inside of it becomes `escaped`.
std::string Enclosed(std::string_view text, char quote, std::string_view escaped) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) {
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + quote;
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Letters to add, leave out or change, whatever their case (Levenshtein 1966), row by row.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (Lower(a[i - 1]) != Lower(b[j - 1]) ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

}  // namespace

Outcome<std::vector<std::string>> SplitNames(const std::string& flag, std::string_view text) {
  NameReader reader(flag, text);
  std::vector<std::string> names;
  while (!reader.ended()) {
    CLI_ASSIGN(auto name, reader.Next(','));
    names.push_back(std::move(name));
  }
  return names;
}

std::string JoinNames(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) {
    if (!joined.empty()) joined += ',';
    const bool bare = Trimmed(name) == name && !name.starts_with('"') && !name.contains(',');
    joined += bare ? name : Enclosed(name, '"', "\"\"");
  }
  return joined;
}

std::string ShellWord(std::string_view text) {
  const bool bare = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (Lower(c) >= 'a' && Lower(c) <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./,:@+").contains(c);
  });
  return bare ? std::string(text) : Enclosed(text, '\'', "'\\''");
}

Outcome<std::string> ParseName(const std::string& flag, std::string_view text) {
  return NameReader(flag, text).Next(std::nullopt);
}

Outcome<std::pair<std::string, std::string>> ParseRenaming(const std::string& flag,
                                                           std::string_view text) {
  NameReader reader(flag, text);
  CLI_ASSIGN(auto from, reader.Next('='));
  if (reader.ended()) return WrongUsage(fmt::format("{} {}: expected OLD=NEW", flag, text));
  CLI_ASSIGN(auto to, reader.Next(std::nullopt));
  return std::pair(std::move(from), std::move(to));
}

std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr std::size_t kNameBytesMax = 200;  // longer ones are no slips of the hand
  if (name.size() > kNameBytesMax) return "";
  const std::string* best = nullptr;
  std::size_t least = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kNameBytesMax) continue;
    const std::size_t distance = EditDistance(name, candidate);
    if (distance >= least || distance >= candidate.size()) continue;
    least = distance;
    best = &candidate;
  }
  return best == nullptr ? "" : "; did you mean '" + *best + "'?";
}

std::size_t FindUnquoted(std::string_view text, std::string_view word) {
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!quoted && text.substr(at).starts_with(word)) return at;
    if (text[at] == '"') quoted = !quoted;
  }
  return std::string_view::npos;
}

}  // namespace varve::cli
