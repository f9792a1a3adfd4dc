// SPDX-License-Identifier: Apache-2.0
// The steps of a life that make, drop, rename and alter tables: alone, beside writers in threads,
// and with a power cut in the middle, after which either all of it is there or nothing.
#include <fmt/format.h>

#include <algorithm>

#include "test/model/life.h"

namespace varve::testing {
namespace {

constexpr const char* kNames[] = {"plain", "pairs", "third"};
// A change makes about so many disk events when there is something to flush.
constexpr std::uint64_t kEventsOfChange = 40;

bool IsFree(const Tables& tables, const std::string& name) { return !tables.contains(name); }

}  // namespace

void Life::ChangeTables() {
  switch (Below(8)) {
    case 0: case 1: return CreateTable();
    case 2: return RefuseChange();
    case 3: return ChangeBesideWriters();
    case 4: return Below(4) == 0 ? CutPowerAmidCreate() : CutPowerAmid();
    default: return Change();
  }
}

void Life::CreateTable() {
  const std::string name = kNames[Below(std::size(kNames))];
  const auto shape = PickShape(chance_.get());
  last_ = "create table " + name;
  const auto created = db_->CreateTable(name, SchemaOf(*shape), KeyOf(*shape));
  if (IsFree(Newest(), name)) {
    Must(created, last_);
    reference_.Create(name, shape);
  } else {
    Require(!created && created.error().kind() == ErrorKind::kConflict, "a table was made twice");
  }
}

Life::Attempt Life::AlterAttempt(const Picked& at) {
  const auto steps = PickSteps(at.shape(), chance_.get());
  const auto& name = at.name;
  return {fmt::format("alter table {}: {}", name, Describe(steps)),
          [=](Database& db) { return db.AlterTable(name, ChangesOf(steps)); },
          [=](Tables tables) {
            tables[name] = Altered(*tables.at(name), steps);
            return tables;
          }};
}

std::optional<Life::Attempt> Life::PickChange() {
  const auto at = PickTable();
  if (!at) return {};
  const auto& name = at->name;
  const auto how = Below(6);
  if (how == 0) {
    return Attempt{"drop table " + name, [=](Database& db) { return db.DropTable(name); },
                   [=](Tables tables) {
                     tables.erase(name);
                     return tables;
                   }};
  }
  const std::string to = kNames[Below(std::size(kNames))];
  if (how > 1 || !IsFree(Newest(), to)) return AlterAttempt(*at);
  return Attempt{fmt::format("rename table {} to {}", name, to),
                 [=](Database& db) { return db.RenameTable(name, to); },
                 [=](Tables tables) {
                   tables[to] = tables.at(name);
                   tables.erase(name);
                   return tables;
                 }};
}

void Life::Change() {
  last_ = "change of tables";
  const auto change = PickChange();
  if (!change) return;
  last_ = change->what;
  const auto commit = Must(change->make(*db_), last_);
  MakeCommit(change->what, commit, change->after(Newest()));
}

// What cannot be done takes no number, and changes nothing.
void Life::RefuseChange() {
  const auto at = PickTable();
  if (!at) return;
  last_ = "a change that must be refused, of " + at->name;
  auto steps = PickSteps(at->shape(), chance_.get());
  steps.push_back(PickWrongStep(*Altered(*at->table, steps)->shape, chance_.get()));
  Require(!db_->AlterTable(at->name, ChangesOf(steps)), Describe(steps) + " was not refused");
  for (const std::string name : kNames) {
    if (!IsFree(Newest(), name)) {
      const auto renamed = db_->RenameTable(at->name, name);
      Require(!renamed && renamed.error().kind() == ErrorKind::kConflict, "two tables of one name");
    } else {
      const auto dropped = db_->DropTable(name);
      Require(!dropped && dropped.error().kind() == ErrorKind::kNotFound, "nothing was dropped");
    }
  }
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
  disk_.CrashAtEvent(0);
  LosePower();
  Open();
  const auto found = Must(db_->GetSnapshot(), last_)->commit().value;
  const bool done = found == newest() + 1;
  Require(done || found == newest(),
          fmt::format("{}: commit {}, expected {} or the one after", last_, found, newest()));
  if (made) {
    Require(done && made->value == found, last_ + ": it was acknowledged, and is lost");
  } else {
    Require(in_it, fmt::format("{}: refused: {}", last_, made.error().message()));
    Require(!done || made.error().reason() == ErrorReason::kUnknownOutcome,
            fmt::format("{}: it is done, and was told: {}", last_, made.error().message()));
  }
  if (done) reference_.Commit(attempt->after(Newest()));
  NoteTimes();
  CheckSnapshot(*Must(db_->GetSnapshot(), last_), newest(), Newest());
}

void Life::CutPowerAmidCreate() {
  const std::string name = kNames[Below(std::size(kNames))];
  last_ = "power cut amid the making of table " + name;
  if (!IsFree(Newest(), name)) return;
  const auto shape = PickShape(chance_.get());
  CutPowerSoon();
  const auto created = db_->CreateTable(name, SchemaOf(*shape), KeyOf(*shape));
  const bool in_it = disk_.crashed();
  EndSession();
  disk_.CrashAtEvent(0);
  LosePower();
  Open();
  const auto tables = db_->Tables();
  const bool done = std::ranges::find(tables, name, &TableInfo::name) != tables.end();
  Require(done || !created, last_ + ": it was acknowledged, and is lost");
  Require(created || in_it, last_ + ": it was refused");
  if (done) reference_.Create(name, shape);
  CheckSnapshot(*Must(db_->GetSnapshot(), last_), newest(), Newest());
}

}  // namespace varve::testing
