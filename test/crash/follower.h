// SPDX-License-Identifier: Apache-2.0
// A follower of a table's changes that keeps what came, with its position, outside of the database:
// so it knows after any crash what it was given, and from where it goes on.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "test/support/rows.h"

namespace varve::testing {

struct Change {
  std::string kind;
  std::int64_t id = 0;
  std::optional<std::string> value;
  std::optional<std::string> before;
  bool operator==(const Change&) const = default;
};
void PrintTo(const Change& change, std::ostream* out);

struct Ledger {
  std::uint64_t position = 0;                          // all up to this commit is here
  std::map<std::uint64_t, std::vector<Change>> given;  // by commit; the last may be a part of one
};

// Follows a table from the position of the ledger.
Result<std::unique_ptr<ChangeCursor>> FollowFrom(const Ledger& ledger, const std::string& table,
                                                 const Database& db);

// Takes what is there into the ledger. A commit that comes again, or before one that came, fails
// the test, unless its last change had not come: then it begins as it did.
Status TakeAll(ChangeCursor* cursor, Ledger* ledger);

// What commit after commit changed, when after[c] are the rows as of c.
std::map<std::uint64_t, std::vector<Change>> ChangesBetween(const std::vector<Rows>& after);

}  // namespace varve::testing
