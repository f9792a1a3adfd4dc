// SPDX-License-Identifier: Apache-2.0
// The steps of a life in which threads write at once, alone or beside a change of tables. Which
// commit came first only they can say: each must be what it means after those before it, and who
// made none must have been right at some moment.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "test/model/life.h"

namespace varve::testing {
struct Life::ThreadWrite {
  std::string name;
  std::uint32_t table;  // its id
  TableWrite write;
  Result<CommitInfo> info;

  std::string Told() const {
    return fmt::format("in {} {}: {}", name, Describe(write),
                       info ? fmt::format("commit {}, {} rows", info->commit.value, info->rows)
                            : info.error().message());
  }
  bool made_commit() const { return info && info->rows > 0; }
};

// A range and a condition mean nothing under other columns.
std::vector<Life::ThreadWrite> Life::PickThreadWrites(bool with_ranges) {
  std::vector<ThreadWrite> writes;
  Visible();  // no answer is as of an older commit
  while (writes.size() < kWriters) {
    const auto at = PickTable();
    auto write = PickWrite(*at->table, chance_.get());
    if (!with_ranges && write.mode == WriteMode::kDeleteWhere) continue;
    writes.push_back({at->name, at->table->id, std::move(write), CommitInfo{}});
  }
  return writes;
}

void Life::WriteFromThreads() {
  last_ = "writes from threads";
  if (Newest().empty()) return;
  auto writes = PickThreadWrites(true);
  std::vector<std::thread> threads;
  for (auto& write : writes) {
    threads.emplace_back([&] { write.info = Make(write.write, write.name, db_.get()); });
  }
  for (auto& thread : threads) thread.join();
  CommitThreads(writes, nullptr, {});
}

void Life::ChangeBesideWriters() {
  last_ = "change beside writers";
  const auto change = PickChange();
  if (!change) return;
  last_ += ": " + change->what;
  auto writes = PickThreadWrites(false);
  Result<CommitNumber> commit;
  std::vector<std::thread> threads;
  threads.emplace_back([&] { commit = change->make(*db_); });
  for (auto& write : writes) {
    threads.emplace_back([&] { write.info = Make(write.write, write.name, db_.get()); });
  }
  for (auto& thread : threads) thread.join();
  CommitThreads(writes, &*change, Must(commit, last_));
}

void Life::CommitThreads(const std::vector<ThreadWrite>& writes, const Attempt* change,
                         CommitNumber changed) {
  const auto what = last_;
  const auto first = durable_;
  std::map<CommitNumber, const ThreadWrite*> order;
  if (change != nullptr) order[changed] = nullptr;
  for (const auto& write : writes) {
    if (write.made_commit()) order[write.info->commit] = &write;
  }
  for (const auto& [number, write] : order) {
    if (write == nullptr) {
      MakeCommit(what, number, change->after(Newest()));
      continue;
    }
    const auto found = FindTable(Newest(), write->table);  // whoever began goes on
    Require(found != Newest().end(), write->Told() + " into a table that is gone");
    const Picked at{found->first, found->second};
    auto outcome = OutcomeOf(write->write, *at.table);
    Require(!outcome.refusal, write->Told() + ", which was to be refused");
    CommitLooked(what + ": " + write->Told(), at, *write->info, std::move(outcome));
  }
  for (const auto& write : writes) {
    if (!write.made_commit()) RequireAnswer(write, first);
  }
  last_ = what;
}

// That there is nothing to write, as of the commit that it names; or an error, as of some commit.
void Life::RequireAnswer(const ThreadWrite& write, std::uint64_t first) {
  bool right = false;
  for (auto commit = first; commit <= newest(); ++commit) {
    const auto& tables = reference_.At(commit);
    const auto by_name = tables.find(write.name);
    const auto by_id = FindTable(tables, write.table);
    if (!write.info && by_name == tables.end()) {
      right = right || write.info.error().kind() == ErrorKind::kNotFound;
    }
    for (const auto& at : {by_name, by_id}) {
      if (at == tables.end()) continue;
      const auto outcome = OutcomeOf(write.write, *at->second);
      if (!write.info) {
        right = right || write.info.error().kind() == outcome.refusal;
      } else if (write.info->commit.value == commit) {
        right = right || (!outcome.refusal && outcome.written.empty() &&
                          write.info->rows_passed == outcome.passed);
      }
    }
  }
  Require(right, write.Told() + ", which is not so");
}

}  // namespace varve::testing
