// SPDX-License-Identifier: Apache-2.0
// The versions of one key, in order. A chapter begins with a put, with a delete or, the first, with
// nothing; what is appended goes on in it.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "test/isolation/doings.h"

namespace varve::testing {

struct Chapter {
  std::uint64_t commit = 0;           // that began it
  std::optional<std::size_t> writer;  // the transaction; nothing: the first chapter
  bool absent = true;                 // it begins without a list
  List longest;                       // that anybody read or left
};

class Chapters {
 public:
  // A committed put or delete; of a put, `list` is what its transaction left.
  void Begin(std::size_t writer, std::uint64_t commit, const List& list);
  void Sort();  // after the last Begin, before all that follows
  // Somebody whose snapshot showed no list left one that begins with `first`.
  void NoteFirst(Value first, std::uint64_t snapshot);

  // Which chapter a list is of that somebody read; the first when no chapter has such a list.
  std::size_t Of(const List& list, std::uint64_t snapshot) const;
  void Offer(const List& list, std::uint64_t snapshot);

  std::vector<Chapter>& all() { return all_; }
  const std::vector<Chapter>& all() const { return all_; }

 private:
  std::vector<Chapter> all_ = std::vector<Chapter>(1);
  std::unordered_map<Value, std::size_t> by_first_;
};

}  // namespace varve::testing
