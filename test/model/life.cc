// SPDX-License-Identifier: Apache-2.0
#include "test/model/life.h"

#include <fmt/format.h>

#include <algorithm>

namespace varve::testing {
namespace {

constexpr const char* kFirstTables[] = {"plain", "pairs"};

std::uint64_t SeedOfStep(std::uint64_t seed, std::uint64_t number) {
  return seed * 0x9e3779b97f4a7c15ull + number;
}

}  // namespace

// Each change of a table flushes: so that there are lives that do so by themselves alone, some
// change no table.
Life::Life(std::uint64_t seed)
    : seed_(seed), random_(seed), chance_(std::make_unique<SeededRandom>(seed + 1)) {
  memtable_bytes_ = Below(2) == 0 ? 4096 : 1 << 20;
  changes_tables_ = Below(3) > 0;
  Open();
  for (const auto* name : kFirstTables) {
    const auto shape = FirstShape(name);
    Must(db_->CreateTable(name, SchemaOf(*shape), KeyOf(*shape)), "create");
    reference_.Create(name, shape);
  }
}

void Life::Step(std::uint64_t number) {
  chance_ = std::make_unique<SeededRandom>(SeedOfStep(seed_, number));
  if (Below(20) == 0) clock_.Advance(static_cast<std::int64_t>(Below(2'000'000)) - 1'000'000);
  if (changes_tables_ && Below(5) == 0) return ChangeTables();
  switch (Below(28)) {
    case 0: return Reopen();
    case 1: return CutPower();
    case 2: last_ = "flush"; return Must(db_->Flush(), last_);
    case 3: last_ = "background"; return executor_.RunAll();
    case 4: case 5: return Hold();
    case 6: return Release();
    case 7: return WriteFromThreads();
    case 8: case 9: case 10: case 11: case 12: return UseTransaction();
    case 13: case 14: case 15: return EndTransaction();
    case 16: return Below(4) == 0 ? Untag() : Tag();
    case 17: return Restore();
    case 18: case 19: return Follow();
    default: return Write();
  }
}

void Life::Open() {
  const Components world{
      .files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
  db_ = Must(Database::Open("/db", {.create_if_missing = true,
                                    .memtable_bytes_max = memtable_bytes_,
                                    .log_segment_bytes_max = 256 << 10},
                            world),
             "open");
}

// Without closing.
void Life::EndSession() {
  held_.clear();
  open_.clear();
  db_.reset();
  EndFollowers();
}

void Life::Reopen() {
  last_ = "close and open";
  held_.clear();
  open_.clear();
  Must(db_->Close(), "close");
  EndSession();
  Open();
}

void Life::CutPower() {
  last_ = "power cut";
  EndSession();
  LosePower();
  Open();
}

void Life::LosePower() {
  const auto survival = kAllSurvivals[Below(std::size(kAllSurvivals))];
  if (Below(3) == 0) {
    last_ += ", of the process alone";
    disk_.KillProcess();
  } else {
    last_ += fmt::format(", {}", ToString(survival));
    disk_.Crash(survival, chance_.get());
  }
}

void Life::MakeCommit(const std::string& what, CommitNumber commit, Tables next) {
  last_ = what;
  Require(commit.value == newest() + 1,
          fmt::format("{} is commit {}, expected {}", what, commit.value, newest() + 1));
  reference_.Commit(std::move(next));
  NoteTimes();
}

void Life::CommitRows(const std::string& what, const Picked& at, const Result<CommitInfo>& info,
                      TableRows next) {
  MakeCommit(what, Must(info, what).commit, WithRows(Newest(), at.name, std::move(next)));
}

std::optional<Life::Picked> Life::PickTableOf(const Tables& tables) {
  if (tables.empty()) return {};
  auto at = tables.begin();
  std::advance(at, Below(tables.size()));
  return Picked{at->first, at->second};
}

void Life::NoteWritten(const Picked& at, const RowList& rows) {
  for (const auto& [key, row] : rows) written_[{at.table->id, key}] = newest() + 1;
}

void Life::CheckAll() {
  CheckSnapshot(*Must(db_->GetSnapshot(), "snapshot"), newest(), Newest());
  for (const auto& [snapshot, commit, tables] : held_) CheckSnapshot(*snapshot, commit, tables);
  const auto commit = Below(newest() + 1);
  CheckAsOf(CommitNumber{commit}, commit, "as of a commit");
  CheckMoments();
  CheckTags();
}

}  // namespace varve::testing
