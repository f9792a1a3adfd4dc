// SPDX-License-Identifier: Apache-2.0
// Names of columns in flags: as they are, without the blanks around them, or in double quotes, in
// which "" is one quote. --schema, --add and --where quote names in the same way, so that every
// name that a table can have can be said everywhere.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "failure.h"

namespace varve::cli {

// a, "b, c" as {"a", "b, c"}. Errors: an empty name; a quote that does not end, or ends amid a
// name.
Outcome<std::vector<std::string>> SplitNames(const std::string& flag, std::string_view text);

// What SplitNames reads as these names.
std::string JoinNames(const std::vector<std::string>& names);

// What a shell reads as this one word.
std::string ShellWord(std::string_view text);

// One name, in which a comma needs no quotes.
Outcome<std::string> ParseName(const std::string& flag, std::string_view text);

// OLD=NEW. Only an = in OLD needs quotes.
Outcome<std::pair<std::string, std::string>> ParseRenaming(const std::string& flag,
                                                           std::string_view text);

// "; did you mean 'city'?" when one of `candidates` differs from the name in a few letters at most;
// empty otherwise.
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

// Where `word` stands for the first time outside of quotes; npos: nowhere.
std::size_t FindUnquoted(std::string_view text, std::string_view word);

}  // namespace varve::cli
