// SPDX-License-Identifier: Apache-2.0
// The steps of a life that make, drop, rename and alter tables, alone or beside writers in threads;
// life_power.cc does so with a power cut in the middle.
#include <fmt/format.h>

#include <algorithm>

#include "test/model/life.h"

namespace varve::testing {
namespace {

constexpr const char* kNames[] = {"plain", "pairs", "third"};

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

std::string Life::PickName() { return kNames[Below(std::size(kNames))]; }

void Life::CreateTable() {
  const auto name = PickName();
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
  const auto to = PickName();
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

}  // namespace varve::testing
