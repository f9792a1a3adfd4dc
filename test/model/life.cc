// SPDX-License-Identifier: Apache-2.0
#include "test/model/life.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "upkeep/compact.h"
#include "upkeep/flush.h"

namespace varve::testing {
namespace {

// Of runs: a few rows are several row groups in some lives, and several pieces of one in others.
constexpr FlushCuts kCuts[] = {{.row_group_rows = 3, .piece_rows_max = 2},
                               {.row_group_rows = 16, .piece_rows_max = 5},
                               {}};
constexpr const char* kFirstTables[] = {"plain", "pairs"};

constexpr std::uint64_t kSeedOfCuts = 0x5bd1e995;

std::uint64_t SeedOfStep(std::uint64_t seed, std::uint64_t number) {
  return seed * 0x9e3779b97f4a7c15ull + number;
}

}  // namespace

// Each change of a table flushes: so that there are lives that do so by themselves alone, some
// change no table. Some sync nothing by themselves: so commits that nobody sees yet stand beside
// everything else, and may be lost. Some are encrypted, and change their key instead of a flush.
Life::Life(std::uint64_t seed)
    : seed_(seed),
      encrypted_(SeededRandom(~seed).Below(3) == 0),
      random_(seed),
      chance_(std::make_unique<SeededRandom>(seed + 1)) {
  memtable_bytes_ = Below(2) == 0 ? 4096 : 1 << 20;
  syncs_ = Below(3) > 0;
  CutsOfFlushes() = kCuts[Below(std::size(kCuts))];
  SeededRandom cuts(seed ^ kSeedOfCuts);
  compaction_threads_ = 1 + static_cast<std::uint32_t>(cuts.Below(3));
  CutsOfCompactions() = {.part_bytes_min = 1, .runs_open_max = 2 + cuts.Below(20)};
  changes_tables_ = Below(3) > 0;
  if (SeededRandom(~seed + 9).Below(3) == 0) strategy_ = CompactionStrategy::kTiered;
  Open();
  for (const auto* name : kFirstTables) {
    const auto shape = FirstShape(name, chance_.get());
    Must(db_->CreateTable(name, SchemaOf(*shape), KeyOf(*shape)), "create");
    reference_.Create(name, shape);
  }
  if (SeededRandom(~seed + 7).Below(2) == 0) return;
  fleeting_.emplace(&clock_);
  fleeting_->Create(db_.get());
}

void Life::Step(std::uint64_t number) {
  chance_ = std::make_unique<SeededRandom>(SeedOfStep(seed_, number));
  if (fleeting_) fleeting_->Look();
  if (Below(20) == 0) clock_.Advance(static_cast<std::int64_t>(Below(2'000'000)) - 1'000'000);
  if (fleeting_ && Below(5) == 0) return UseFleeting();
  if (changes_tables_ && Below(5) == 0) return ChangeTables();
  switch (Below(34)) {
    case 0: return Reopen();
    case 1: return CutPower();
    case 2: return Flush();
    case 3: last_ = "background"; return executor_.RunAll();
    case 4: case 5: return Hold();
    case 6: return Release();
    case 7: return WriteFromThreads();
    case 8: case 9: case 10: case 11: case 12: return UseTransaction();
    case 13: case 14: case 15: return EndTransaction();
    case 16: return Below(4) == 0 ? Untag() : Tag();
    case 17: return Restore();
    case 18: case 19: return Follow();
    case 20: case 21: return BeginScan();
    case 22: return EndScan();
    case 32: case 33: return UseElsewhere();
    case 23: return Below(2) == 0 ? Compact() : Write();
    default: return Write();
  }
}

Components Life::World() {
  return {.files = &disk_, .clock = &clock_, .random = &random_, .executor = &executor_};
}

void Life::Open() {
  db_ = Must(Database::Open("/db", {.create_if_missing = true,
                                    .memtable_bytes_max = memtable_bytes_,
                                    .compaction_threads = compaction_threads_,
                                    .compaction = strategy_,
                                    .log_segment_bytes_max = 256 << 10,
                                    .keys = encrypted_ ? &keys_ : nullptr},
                            World()),
             "open");
}

void Life::Flush() {
  last_ = "flush";
  if (encrypted_ && Below(3) == 0) {
    last_ = "rekey";
    keys_.RotateTo("month " + std::to_string(++month_));
    Must(db_->Rekey(), last_);
  } else {
    Must(db_->Flush(), last_);
  }
  Acknowledge(newest(), AckLevel::kDurable);
}

// One table, or all. Nobody sees anything of it.
void Life::Compact() {
  const auto at = Below(2) == 0 ? PickTable() : std::nullopt;
  last_ = "compact " + (at ? at->name : "all");
  Must(db_->Compact(at ? at->name : ""), last_);
  Acknowledge(newest(), AckLevel::kDurable);
}

// Without closing.
void Life::EndSession() {
  readers_.clear();
  held_.clear();
  if (fleeting_) fleeting_->Release();
  open_.clear();
  db_.reset();
  EndFollowers();
}

void Life::Reopen() {
  last_ = "close and open";
  open_.clear();
  Must(db_->Close(), "close");
  Acknowledge(newest(), AckLevel::kDurable);
  CheckClosed();
  EndSession();
  if (SeededRandom(~seed_ + newest()).Below(4) == 0) {  // each understands what the other left
    strategy_ = strategy_ == CompactionStrategy::kTiered ? CompactionStrategy::kLeveled
                                                         : CompactionStrategy::kTiered;
  }
  Open();
  Visible();
  SendAgain({});
}

// Nothing new is to be had; what was taken before is as it was, until the database is gone.
void Life::CheckClosed() {
  const auto refused = db_->GetSnapshot();
  Require(!refused && refused.error().reason() == ErrorReason::kClosed, "it is not closed");
  CheckHeld();
  EndAllScans();
}

AckLevel Life::PickAck() { return static_cast<AckLevel>(Below(3)); }

void Life::MakeCommit(const std::string& what, CommitNumber commit, Tables next, AckLevel ack) {
  last_ = what;
  Require(commit.value == newest() + 1,
          fmt::format("{} is commit {}, expected {}", what, commit.value, newest() + 1));
  reference_.Commit(std::move(next));
  Acknowledge(newest(), ack);
  NoteTimes();
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
  const auto visible = Visible();
  if (visible < newest()) {
    const auto early = db_->GetSnapshot(CommitNumber{newest()});
    Require(!early && early.error().kind() == ErrorKind::kNotFound, "what is not durable is seen");
  }
  const auto now = Must(db_->GetSnapshot(), "snapshot");
  CheckSnapshot(*now, visible, reference_.At(visible));
  CheckHeld();
  CheckFleeting();
  CheckElsewhere();
  EndAllScans();
  const auto commit = Below(visible + 1);
  CheckAsOf(CommitNumber{commit}, commit, "as of a commit");
  CheckMoments();
  CheckTags();
}

void Life::CheckHeld() {
  for (const auto& [snapshot, commit, tables] : held_) CheckSnapshot(*snapshot, commit, tables);
}

}  // namespace varve::testing
