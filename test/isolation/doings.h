// SPDX-License-Identifier: Apache-2.0
// What one transaction read of a key, and what it leaves there.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "test/isolation/history.h"

namespace varve::testing {

using List = std::vector<Value>;

struct Doings {
  std::optional<List> read;  // what others had left, when it was looked at
  bool asked = false;        // it was read, though it may have been its own write
  bool fresh = false;        // a put or a delete of its own came before `wrote`
  List wrote;                // its own values that a commit keeps

  bool writes() const { return fresh || !wrote.empty(); }
  List Left() const;  // what is there now
};

struct DoingsOfTransaction {
  std::map<std::int64_t, Doings> keys;
  // Reads that did not see what the transaction itself did, in words.
  std::vector<std::string> misread;
};

DoingsOfTransaction Follow(const RecordedTransaction& transaction);

}  // namespace varve::testing
