// SPDX-License-Identifier: Apache-2.0
// The steps of a life that cut the power. What was acknowledged as durable, or was ever seen, is
// there afterwards; of the commits after it the first ones may be, in order.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "test/model/life.h"

namespace varve::testing {
namespace {

// A change makes about so many disk events when there is something to flush.
constexpr std::uint64_t kEventsOfChange = 40;

}  // namespace

void Life::Acknowledge(std::uint64_t commit, AckLevel ack) {
  if (ack == AckLevel::kDurable) durable_ = std::max(durable_, commit);
  if (ack != AckLevel::kBuffered) handed_over_ = std::max(handed_over_, commit);
}

// A reader never sees what a power cut could take back.
void Life::See(std::uint64_t commit) {
  Require(commit >= durable_ && commit <= newest(),
          fmt::format("commit {} is to be seen, of {}, of which {} are durable", commit, newest(),
                      durable_));
  Acknowledge(commit, AckLevel::kDurable);
}

std::uint64_t Life::Visible() {
  const auto commit = Must(db_->GetSnapshot(), "snapshot")->commit().value;
  See(commit);
  return commit;
}

// Half of the time power goes before the database ends, so that nothing it does then is kept.
void Life::CutPower() {
  last_ = "power cut";
  if (Below(2) == 0) disk_.CrashAtEvent(disk_.events() + 1);
  EndSession();
  OpenAfterCut();
  Survive(false);
}

void Life::OpenAfterCut() {
  disk_.CrashAtEvent(0);
  LosePower();
  Open();
}

// What stays in any case is durable from then on.
void Life::LosePower() {
  held_elsewhere_.clear();
  elsewhere_.reset();
  durable_ = std::max(durable_, std::exchange(seen_elsewhere_, 0));
  const auto survival = kAllSurvivals[Below(std::size(kAllSurvivals))];
  if (Below(3) == 0) {
    last_ += ", of the process alone";
    disk_.KillProcess();
    durable_ = std::max(durable_, handed_over_);
  } else {
    last_ += fmt::format(", {}", ToString(survival));
    disk_.Crash(survival, chance_.get());
  }
}

// The reference is cut back to what survived. `check`: also when nothing can have been lost.
void Life::Survive(bool check) {
  const auto commit = Visible();
  if (commit < newest()) last_ += fmt::format(", commits after {} are lost", commit);
  reference_.CutBack(commit);
  if (fleeting_) fleeting_->CutBack(commit);
  times_.erase(times_.upper_bound(commit), times_.end());
  for (auto& [at, by] : written_) by = std::min(by, commit);
  durable_ = handed_over_ = commit;
  NoteTimes();
  if (check || !syncs_) CheckSnapshot(*Must(db_->GetSnapshot(), last_), newest(), Newest());
  SendAgain(TakeLost());
}

// Power goes during one of the next disk events, or after them all.
void Life::CutPowerSoon() { disk_.CrashAtEvent(disk_.events() + 1 + Below(kEventsOfChange)); }

void Life::CutPowerAmid() {
  last_ = "power cut amid something";
  const auto at = PickTable();
  if (!at) return;
  const auto how = Below(8);
  const auto attempt = how < 2    ? WriteAttempt(*at)
                       : how == 2 ? RestoreAttempt(*at)
                                  : PickChange();
  if (!attempt) return;
  last_ = "power cut amid " + attempt->what;
  CutPowerSoon();
  const auto made = attempt->make(*db_);
  const bool in_it = disk_.crashed();
  EndSession();
  OpenAfterCut();
  const auto found = Must(db_->GetSnapshot(), last_)->commit().value;
  const bool done = found == newest() + 1;
  if (made) {
    Require(done && made->value == found, last_ + ": it was acknowledged, and is lost");
  } else {
    Require(in_it, fmt::format("{}: refused: {}", last_, made.error().message()));
    Require(!done || made.error().reason() == ErrorReason::kUnknownOutcome,
            fmt::format("{}: it is done, and was told: {}", last_, made.error().message()));
  }
  if (done) reference_.Commit(attempt->after(Newest()));
  Survive(true);
}

void Life::CutPowerAmidCreate() {
  const auto name = PickName();
  last_ = "power cut amid the making of table " + name;
  if (Newest().contains(name)) return;
  const auto shape = PickShape(chance_.get());
  CutPowerSoon();
  const auto created = db_->CreateTable(name, SchemaOf(*shape), KeyOf(*shape));
  const bool in_it = disk_.crashed();
  EndSession();
  OpenAfterCut();
  const auto tables = db_->Tables();
  const bool done = std::ranges::find(tables, name, &TableInfo::name) != tables.end();
  Require(done || !created, last_ + ": it was acknowledged, and is lost");
  Require(created || in_it, last_ + ": it was refused");
  if (done) reference_.Create(name, shape);
  Survive(true);
}

}  // namespace varve::testing
