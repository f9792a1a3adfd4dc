// SPDX-License-Identifier: Apache-2.0
// The steps of a life that write rows, each of them at most one commit.
#include <fmt/format.h>

#include "test/model/life.h"

namespace varve::testing {

// Commits that nobody sees yet, because they are not durable, count for those that look.
void Life::Write() {
  last_ = "write";
  do {
    const auto at = PickTable();
    if (!at) return;
    WriteInto(*at);
  } while (Below(8) == 0);
  Must(db_->Sync(), "sync");
  NoteTimes();
}

void Life::WriteInto(const Picked& at) {
  const auto write = PickWrite(*at.table, chance_.get());
  const auto ack = static_cast<AckLevel>(Below(3));
  last_ = fmt::format("in {} {}", at.name, Describe(write));
  auto outcome = OutcomeOf(write, *at.table);
  const auto info = Make(write, at.name, db_.get(), {.ack = ack});
  if (outcome.refusal) {
    return Require(!info && info.error().kind() == *outcome.refusal, "it was not refused");
  }
  CommitLooked(last_, at, Must(info, last_), std::move(outcome));
}

void Life::CommitLooked(const std::string& what, const Picked& at, const CommitInfo& info,
                        Outcome outcome) {
  Require(info.rows == outcome.written.size() && info.rows_passed == outcome.passed,
          fmt::format("{} wrote {} rows, passed over {}, expected {}, {}", what, info.rows,
                      info.rows_passed, outcome.written.size(), outcome.passed));
  if (outcome.written.empty()) {
    return Require(info.commit.value <= newest(), what + " made a commit");
  }
  NoteWritten(at, outcome.written);
  CommitRows(what, at, info, std::move(outcome.rows));
}

// Nothing when it makes no commit.
std::optional<Life::Attempt> Life::WriteAttempt(const Picked& at) {
  const auto write = PickWrite(*at.table, chance_.get());
  const auto outcome = OutcomeOf(write, *at.table);
  if (outcome.refusal || outcome.written.empty()) return {};
  const auto& name = at.name;
  return Attempt{fmt::format("in {} {}", name, Describe(write)),
                 [=](Database& db) -> Result<CommitNumber> {
                   const auto info = Make(write, name, &db);
                   if (!info) return std::unexpected(info.error());
                   return info->commit;
                 },
                 [=](const Tables& tables) { return WithRows(tables, name, outcome.rows); }};
}

}  // namespace varve::testing
