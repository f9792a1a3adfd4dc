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
  if (syncs_) SyncAll();
  NoteTimes();
}

void Life::SyncAll() {
  Must(db_->Sync(), "sync");
  Acknowledge(newest(), AckLevel::kDurable);
}

void Life::WriteInto(const Picked& at) {
  last_ = "write";
  CommitOptions options{.ack = PickAck()};
  if (Below(6) == 0) options.producer = PickProducer();
  WriteWith(at, options);
}

// A repeat is one whatever the rows are.
void Life::WriteWith(const Picked& at, const CommitOptions& options) {
  const auto write = PickWrite(*at.table, chance_.get());
  last_ += fmt::format(", in {} {}", at.name, Describe(write));
  if (options.producer) {
    last_ += fmt::format(" as {} sequence {}", options.producer->id, options.producer->sequence);
  }
  auto outcome = OutcomeOf(write, *at.table);
  const auto info = Make(write, at.name, db_.get(), options);
  if (options.producer && options.producer->sequence <= MarkOf(options.producer->id).sequence) {
    return RequireRepeat(options, info);
  }
  if (outcome.refusal) {
    return Require(!info && info.error().kind() == *outcome.refusal, "it was not refused");
  }
  CommitLooked(last_, at, Must(info, last_), std::move(outcome), options);
}

void Life::CommitLooked(const std::string& what, const Picked& at, const CommitInfo& info,
                        Outcome outcome, const CommitOptions& options) {
  Require(!info.repeat, what + " is taken for one that was committed before");
  Require(info.rows == outcome.written.size() && info.rows_passed == outcome.passed,
          fmt::format("{} wrote {} rows, passed over {}, expected {}, {}", what, info.rows,
                      info.rows_passed, outcome.written.size(), outcome.passed));
  if (outcome.written.empty() && !options.producer) {
    return Require(info.commit.value <= newest(), what + " made a commit");
  }
  NoteWritten(at, outcome.written);
  MakeCommit(what, info.commit, WithRows(Newest(), at.name, std::move(outcome.rows)), options.ack);
  if (options.producer) NoteProducer(*options.producer, info.commit);
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
