// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest.h"

#include <iterator>

#include "base/clock.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_fixture.h"

namespace varve::testing {
namespace {

// Edits that the state allows, of every kind.
class RandomEdits {
 public:
  explicit RandomEdits(std::uint64_t seed) : random_(seed) {}

  std::vector<Edit> Next(const ManifestState& state) {
    std::vector<Edit> edits;
    auto table = state.next_table_id;
    if (state.tables.empty() || random_.Below(12) == 0) {
      edits.emplace_back(NewTable(table, fmt::format("t{}.{}", random_.Next() % 1000, table)));
    }
    if (random_.Below(6) == 0) return Change(state);
    auto run = state.next_run_id;
    for (const auto& [name, old] : state.tables) {
      for (const auto& one : old->runs) {
        if (one->hidden_from == 0 && random_.Below(4) == 0) {
          const auto from = std::max(one->max_commit, one->shown_from);
          edits.push_back(HideRunEdit{old->id, one->id, {from}});
        }
        if (random_.Below(6) == 0) {
          edits.push_back(
              MoveRunEdit{old->id, one->id, static_cast<std::uint32_t>(random_.Below(5))});
        }
        if (random_.Below(5) != 0) continue;
        edits.emplace_back(std::in_place_type<RemoveRunEdit>, old->id, one->id);
      }
      for (auto add = random_.Below(3); add > 0; --add)
        edits.emplace_back(RandomRun(run++, old->id));
    }
    if (edits.empty() || random_.Below(2) == 0) {
      edits.emplace_back(RandomAdvance(state));
      const auto last = std::get<AdvanceEdit>(edits.back()).commit;
      if (last > state.commit && random_.Below(2) == 0) {
        edits.emplace_back(TimesOf(state.commit.value + 1, last.value));
      }
      NoteProducers(state, last, &edits);
    }
    if (random_.Below(8) == 0) return Retire(state);
    const auto name = fmt::format("tag{}", random_.Below(9));
    if (state.tags.contains(name)) {
      edits.emplace_back(UntagEdit{name});
      if (random_.Below(2) == 0) return edits;
    }
    edits.emplace_back(NewTag(name, state.commit.value + random_.Below(5)));
    return edits;
  }

 private:
  // What readers before some commit needed, and nobody else.
  std::vector<Edit> Retire(const ManifestState& state) {
    const std::uint64_t left = state.commit.value - state.oldest.value;
    const std::uint64_t oldest = state.oldest.value + random_.Below(left + 1);
    std::vector<Edit> edits;
    const auto remove = [&](const TableState& table) {
      for (const auto& run : table.runs) {
        const bool hidden = run->hidden_from != 0 && run->hidden_from <= oldest;
        const bool dropped = table.dropped != CommitNumber{} && table.dropped.value <= oldest;
        if (hidden || dropped) edits.emplace_back(RemoveRunEdit{table.id, run->id});
      }
    };
    for (const auto& [name, table] : state.tables) remove(*table);
    for (const auto& [id, table] : state.dropped) remove(*table);
    edits.emplace_back(RetireEdit{{oldest}});
    if (random_.Below(2) == 0) {
      edits.emplace_back(SetHistoryEdit{static_cast<std::int64_t>(random_.Below(9))});
    }
    return edits;
  }

  // A commit that drops or renames a table, or two.
  std::vector<Edit> Change(const ManifestState& state) {
    auto advance = RandomAdvance(state);
    advance.commit.value = state.commit.value + 1;
    std::vector<Edit> edits = {advance};
    for (const auto& [name, table] : state.tables) {
      if (random_.Below(3) == 0) {
        edits.push_back(DropTableEdit{table->id, advance.commit});
      } else if (random_.Below(2) == 0) {
        edits.push_back(Altered(*table, advance.commit.value, random_.Next()));
      } else if (random_.Below(2) == 0) {
        edits.push_back(RenameTableEdit{table->id, advance.commit,
                                        fmt::format("r{}.{}", random_.Next() % 1000, table->id)});
      }
    }
    return edits;
  }
  AddRunEdit RandomRun(std::uint64_t id, std::uint32_t table) {
    auto run = SmallRun(id, table, static_cast<std::uint32_t>(random_.Below(4)));
    for (auto more = random_.Below(8); more > 0; --more) {
      run.max_key.push_back(static_cast<char>(random_.Next()));
    }
    if (random_.Below(3) == 0) {
      run.deletes = {fmt::format("data/t/deletes/{:020}.parquet", id), random_.Below(9) + 50,
                     random_.Below(9) + 1, 50, static_cast<std::uint32_t>(random_.Next())};
      if (random_.Below(2) == 0) run.data = {};
    }
    run.distinct_keys = random_.Below(2) == 0;
    run.max_commit = random_.Next() | id;  // any 64 bits, not below min_commit
    if (random_.Below(2) == 0) run.shown_from = run.max_commit | random_.Next();
    if (random_.Below(2) == 0) run.hidden_from = std::max(run.max_commit, run.shown_from);
    return {std::make_shared<const RunMeta>(std::move(run))};
  }
  void NoteProducers(const ManifestState& state, CommitNumber last, std::vector<Edit>* edits) {
    auto sequence = state.number * 10;  // grows from object to object
    for (auto commit = state.commit.value + 1; commit <= last.value; ++commit) {
      if (random_.Below(2) == 0) continue;
      edits->push_back(NoteProducerEdit{fmt::format("p{}", random_.Below(4)),
                                        {.sequence = ++sequence, .commit = {commit}}});
    }
  }
  AdvanceEdit RandomAdvance(const ManifestState& state) {
    return {{state.commit.value + random_.Below(3)},
            {static_cast<std::int64_t>(random_.Next())},  // also before 1970
            {state.log_floor.value + random_.Below(100)},
            {state.log_durable.value + random_.Below(100)}};
  }
  SeededRandom random_;
};

TEST_F(ManifestTest, ANewDatabaseIsEmpty) {
  const auto state = manifest_->state();
  EXPECT_EQ(state->database_id, kDatabase);
  EXPECT_EQ(state->number, 1u);
  EXPECT_EQ(state->commit.value, 0u);
  EXPECT_TRUE(state->tables.empty());
  EXPECT_TRUE(state->versions.empty());
}

TEST_F(ManifestTest, CreateRefusesAPlaceThatIsTaken) {
  const auto again = Manifest::Create(&store_, kDatabase, {3});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind(), ErrorKind::kConflict);
  EXPECT_EQ(again.error().reason(), ErrorReason::kAlreadyExists);
}

TEST_F(ManifestTest, CreateRefusesAnIdThatIsNone) {
  ScriptedStore empty;
  for (const std::string id : {"", "0011", "00112233445566778899AABBCCDDEEFF"}) {
    EXPECT_EQ(Manifest::Create(&empty, id, {1}).error().kind(), ErrorKind::kInvalid);
  }
  EXPECT_TRUE(empty.objects.empty());
}

TEST(ManifestOpen, SaysNotFoundWhereThereIsNone) {
  ScriptedStore empty;
  empty.objects["manifest/README"] = "not ours";
  const auto opened = Manifest::Open(&empty);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kNotFound);
}

TEST_F(ManifestTest, EditsAreThereAfterReopening) {
  SmallLife();
  const auto before = StateText();
  Reopen();
  EXPECT_EQ(StateText(), before);
  const auto state = manifest_->state();
  EXPECT_EQ(state->number, 8u);
  EXPECT_EQ(state->next_table_id, 3u);
  EXPECT_EQ(state->next_run_id, 6u);
  EXPECT_EQ(state->log_floor.value, 95u);
  EXPECT_EQ(state->commit_time.micros, 9000);
  ASSERT_EQ(state->FindTable(1)->runs.size(), 2u);
  EXPECT_EQ(state->FindTable(2)->name, "items");
  EXPECT_EQ(state->FindTable(3), nullptr);
}

TEST_F(ManifestTest, RunsStandByLevelThenId) {
  Commit({NewTable(1, "t"), NewRun(5, 1, 1), NewRun(2, 1, 1), NewRun(7), NewRun(6)});
  std::vector<std::uint64_t> ids;
  for (const auto& run : manifest_->state()->FindTable(1)->runs) ids.push_back(run->id);
  EXPECT_EQ(ids, (std::vector<std::uint64_t>{6, 7, 2, 5}));
}

TEST_F(ManifestTest, AVersionHasTheTotalsOfItsManifest) {
  Commit({NewTable(1, "t")});
  Commit({NewRun(1), AdvanceTo(7), NewRun(2)});  // whatever the order
  Commit({NewRun(3), AdvanceEdit{{7}, {5}, {90}, {90}}});  // no new commit: no version
  Commit({RemoveRunEdit{1, 1}, AdvanceTo(10)});
  const auto versions = manifest_->state()->versions;
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].number, 3u);
  EXPECT_EQ(versions[0].commit.value, 7u);
  EXPECT_EQ(versions[0].time.micros, 7000);
  EXPECT_EQ(versions[0].runs, 2u);
  EXPECT_EQ(versions[0].rows, 23u);
  EXPECT_EQ(versions[0].bytes, 2003u);
  EXPECT_EQ(versions[1].runs, 2u);
  EXPECT_EQ(versions[1].rows, 25u);
}

TEST_F(ManifestTest, ARunIsHiddenOnceFromACommitThatItAllows) {
  Commit({NewTable(1, "t"), NewRun(1), NewRun(2, 1, 1, 9), AdvanceTo(9)});
  const auto kind = [this](std::uint64_t run, std::uint64_t from) {
    return RefusedCommit({HideRunEdit{1, run, {from}}}).kind();
  };
  EXPECT_EQ(kind(1, 3), ErrorKind::kInvalid);  // its last commit is 4
  EXPECT_EQ(kind(2, 8), ErrorKind::kInvalid);  // shown from 9 on
  EXPECT_EQ(kind(3, 9), ErrorKind::kInvalid);  // not there
  Commit({HideRunEdit{1, 1, {4}}, HideRunEdit{1, 2, {9}}});
  const auto& runs = manifest_->state()->FindTable(1)->runs;
  EXPECT_TRUE(runs[0]->IsShownAt(3));
  EXPECT_FALSE(runs[0]->IsShownAt(4));
  EXPECT_TRUE(runs[0]->HoldsAllVersions());
  for (const std::uint64_t commit : {8, 9, 10}) EXPECT_FALSE(runs[1]->IsShownAt(commit));
  EXPECT_EQ(kind(1, 5), ErrorKind::kInvalid);  // it is already
}

TEST_F(ManifestTest, ARunIsMovedToALevelThatThereIs) {
  Commit({NewTable(1, "t"), NewRun(1), NewRun(2), AdvanceTo(9)});
  const std::string before = Text(*manifest_->state()->FindTable(1));
  EXPECT_EQ(RefusedCommit({MoveRunEdit{1, 1, kLevelMax + 1}}).kind(), ErrorKind::kInvalid);
  const std::string missing = RefusedCommit({MoveRunEdit{1, 3, 1}}).message();
  EXPECT_NE(missing.find("cannot be moved: it is not there"), std::string::npos) << missing;
  Commit({MoveRunEdit{1, 1, 2}});
  const auto runs = manifest_->state()->FindTable(1)->runs;
  EXPECT_EQ(runs[0]->id, 2u);  // by level, then id
  EXPECT_EQ(runs[1]->level, 2u);
  Commit({MoveRunEdit{1, 1, runs[0]->level}});
  EXPECT_EQ(Text(*manifest_->state()->FindTable(1)), before);
}

TEST_F(ManifestTest, WhatWasLetGoIsNotInTheStateAnyMore) {
  Commit({NewTable(1, "t"), NewTable(2, "u"), NewRun(1), NewRun(2, 2), AdvanceTo(9)});
  Commit({AdvanceTo(10), RenameTableEdit{1, {10}, "s"}});
  Commit({AdvanceTo(11), Altered(*manifest_->state()->FindTable(1), 11, 0)});
  Commit({AdvanceTo(12), DropTableEdit{2, {12}}});
  Commit({AdvanceTo(15)});
  EXPECT_EQ(RefusedCommit({RetireEdit{{16}}}).kind(), ErrorKind::kInvalid);
  EXPECT_EQ(RefusedCommit({AdvanceTo(17), RetireEdit{{17}}}).kind(), ErrorKind::kInvalid);
  EXPECT_EQ(RefusedCommit({SetHistoryEdit{-1}}).kind(), ErrorKind::kInvalid);
  Commit({NewTag("t", 9), NewTag("u", 10)});
  Commit({RetireEdit{{11}}});
  EXPECT_EQ(RefusedCommit({RetireEdit{{10}}}).kind(), ErrorKind::kInvalid);
  auto state = manifest_->state();
  EXPECT_EQ(state->versions.front().commit.value, 11u);
  EXPECT_EQ(state->FindTable(1)->former.size(), 2u) << "the tag's";
  Commit({UntagEdit{"t"}, RetireEdit{{15}}});
  state = manifest_->state();
  EXPECT_EQ(state->FindTable(1)->former.size(), 1u);
  EXPECT_EQ(state->dropped.size(), 1u) << "it has a run";
  EXPECT_EQ(state->changed.value, 12u);
  Commit({UntagEdit{"u"}, RemoveRunEdit{2, 2}, RetireEdit{{15}}});
  state = manifest_->state();
  EXPECT_TRUE(state->dropped.empty());
  ASSERT_EQ(state->FindTable(1)->former.size(), 1u);
  EXPECT_EQ(state->FindTable(1)->altered().value, 11u) << "which stays known";
  EXPECT_EQ(state->FindTable(1)->former_schemas.size(), 1u);
  EXPECT_EQ(state->changed.value, 11u);
  EXPECT_EQ(state->versions.size(), 1u);
  const auto before = StateText();
  Reopen();
  EXPECT_EQ(StateText(), before);
}

TEST_F(ManifestTest, ObjectsThatNobodyNeedsAreRemovedTheOldestFirst) {
  Commit({NewTable(1, "t")});
  for (std::uint64_t commit = 1; manifest_->state()->number < 2 * kCheckpointEvery - 1; ++commit) {
    Commit({AdvanceTo(commit)});
  }
  ASSERT_TRUE(manifest_->RemoveOld());
  EXPECT_EQ(store_.objects.size(), 2 * kCheckpointEvery - 1);
  Commit({AdvanceTo(100)});
  const auto all = store_.objects;
  ASSERT_TRUE(manifest_->RemoveOld());
  EXPECT_EQ(store_.objects.begin()->first, ManifestName(kCheckpointEvery));
  EXPECT_EQ(store_.objects.size(), kCheckpointEvery + 1);
  // A crash after any of the deletes.
  const auto before = StateText();
  for (std::uint64_t left = 1; left <= kCheckpointEvery; ++left) {
    store_.objects = all;
    for (std::uint64_t number = 1; number < left; ++number) {
      store_.objects.erase(ManifestName(number));
    }
    Reopen();
    EXPECT_EQ(StateText(), before);
    Manifest::Counts objects;
    const auto verified = Manifest::Verify(
        &store_, [&](const auto& name, auto, const auto& what) { ADD_FAILURE() << name << what; },
        &objects);
    ASSERT_TRUE(verified);
    EXPECT_EQ(Text(**verified), before);
  }
}

TEST_F(ManifestTest, AStateThatWasTakenNeverChanges) {
  Commit({NewTable(1, "t"), NewRun(1)});
  const auto taken = manifest_->state();
  const auto text = Text(*taken);
  Commit({RemoveRunEdit{1, 1}, NewRun(2)});
  Commit({NewTable(2, "u"), AdvanceTo(3)});
  EXPECT_EQ(Text(*taken), text);
}

TEST_F(ManifestTest, RefusesEditsThatDoNotFitAndPublishesNothing) {
  Commit({NewTable(1, "t"), NewRun(1), AdvanceTo(5)});
  const auto kind = [this](const Edit& edit) { return RefusedCommit({edit}).kind(); };
  EXPECT_EQ(kind(NewRun(2, 9)), ErrorKind::kInvalid);              // no such table
  EXPECT_EQ(kind(NewRun(1)), ErrorKind::kInvalid);                 // run is there
  EXPECT_EQ(kind(RemoveRunEdit{1, 2}), ErrorKind::kInvalid);       // run is not there
  EXPECT_EQ(kind(RemoveRunEdit{2, 1}), ErrorKind::kInvalid);
  EXPECT_EQ(kind(NewTable(2, "t")), ErrorKind::kConflict);         // name is taken
  EXPECT_EQ(kind(NewTable(1, "u")), ErrorKind::kInvalid);          // id is taken
  EXPECT_EQ(kind(NewTable(0, "u")), ErrorKind::kInvalid);
  EXPECT_EQ(kind(AdvanceTo(4)), ErrorKind::kInvalid);              // goes back
  EXPECT_EQ(kind(AdvanceEdit{{6}, {}, {49}, {60}}), ErrorKind::kInvalid);
  EXPECT_EQ(kind(AdvanceEdit{{6}, {}, {50}, {54}}), ErrorKind::kInvalid);
  EXPECT_EQ(kind(AddRunEdit{}), ErrorKind::kInvalid);
  EXPECT_EQ(kind(CreateTableEdit{.id = 2, .name = "u"}), ErrorKind::kInvalid);
  EXPECT_EQ(RefusedCommit({}).kind(), ErrorKind::kInvalid);
  Commit({AdvanceTo(9), NoteProducerEdit{"p", {.sequence = 4, .commit = {7}}}});
  EXPECT_EQ(kind(NoteProducerEdit{"p", {4, {8}}}), ErrorKind::kInvalid);   // not a later sequence
  EXPECT_EQ(kind(NoteProducerEdit{"q", {1, {7}}}), ErrorKind::kInvalid);   // that was another's
  EXPECT_EQ(kind(NoteProducerEdit{"q", {1, {10}}}), ErrorKind::kInvalid);  // not yet in the runs
  EXPECT_EQ(kind(NoteProducerEdit{"a b", {1, {8}}}), ErrorKind::kInvalid);
  EXPECT_EQ(kind(TimesOf(6, 8)), ErrorKind::kInvalid);  // not the newest version
  EXPECT_EQ(kind(TimesOf(5, 9)), ErrorKind::kInvalid);  // commit 5 is another version's
  EXPECT_EQ(kind(TimesOf(7, 9)), ErrorKind::kInvalid);  // commit 6 would have no time
  EXPECT_EQ(kind(TimesOf(10, 9)), ErrorKind::kInvalid);
  Commit({TimesOf(6, 9), NewTag("a", 4)});
  EXPECT_EQ(kind(TimesOf(6, 9)), ErrorKind::kInvalid);    // it has them
  EXPECT_EQ(kind(NewTag("a", 5)), ErrorKind::kConflict);  // name is taken
  EXPECT_EQ(kind(NewTag("7", 5)), ErrorKind::kInvalid);
  EXPECT_EQ(kind(UntagEdit{"b"}), ErrorKind::kInvalid);
  Commit({NewRun(2)});  // and goes on
}

TEST_F(ManifestTest, RefusesChangesOfTablesThatDoNotFit) {
  Commit({NewTable(1, "t"), NewTable(2, "u"), NewRun(1), AdvanceTo(5)});
  const auto kind = [this](const Edit& edit) { return RefusedCommit({AdvanceTo(6), edit}).kind(); };
  EXPECT_EQ(RefusedCommit({DropTableEdit{1, {5}}}).kind(), ErrorKind::kInvalid);  // no new commit
  EXPECT_EQ(kind(DropTableEdit{1, {5}}), ErrorKind::kInvalid);  // not that commit's
  EXPECT_EQ(kind(DropTableEdit{3, {6}}), ErrorKind::kInvalid);  // not there
  EXPECT_EQ(kind(RenameTableEdit{1, {6}, "a/b"}), ErrorKind::kInvalid);
  EXPECT_EQ(kind(RenameTableEdit{1, {6}, "u"}), ErrorKind::kConflict);  // name is taken
  EXPECT_EQ(kind(RenameTableEdit{1, {6}, "t"}), ErrorKind::kConflict);
  auto alter = Altered(*manifest_->state()->FindTable(1), 6, 0);
  alter.schema_id = 1;
  EXPECT_EQ(kind(alter), ErrorKind::kInvalid);  // not a later schema
  alter = Altered(*manifest_->state()->FindTable(1), 6, 0);
  alter.schema = nullptr;
  EXPECT_EQ(kind(alter), ErrorKind::kInvalid);
  alter.schema = *TableSchema::Make(arrow::schema({arrow::field("id", arrow::int32())}), {"id"});
  EXPECT_EQ(kind(alter), ErrorKind::kInvalid);  // another key
  Commit({AdvanceTo(6), DropTableEdit{1, {6}}});
  EXPECT_EQ(RefusedCommit({AdvanceTo(7), DropTableEdit{1, {7}}}).kind(), ErrorKind::kInvalid);
  EXPECT_EQ(RefusedCommit({NewRun(2)}).kind(), ErrorKind::kInvalid);         // it is gone
  EXPECT_EQ(RefusedCommit({NewTable(1, "v")}).kind(), ErrorKind::kInvalid);  // its id never is
  EXPECT_EQ(RefusedCommit({NewRun(1, 2)}).kind(), ErrorKind::kInvalid);      // nor are its runs'
  Commit({NewTable(3, "t"), NewRun(2, 3)});                                  // its name is free
}

TEST_F(ManifestTest, WhatATableWasIsKnownForEveryCommit) {
  ChangingLife();
  const auto check = [](const ManifestState& state) {
    EXPECT_EQ(state.changed.value, 11u);
    const auto& sales = *state.tables.at("sales");
    EXPECT_EQ(sales.id, 1u);
    EXPECT_EQ(sales.ShapeAt({4}).name, "orders");
    EXPECT_EQ(sales.ShapeAt({5}).name, "sales");
    EXPECT_EQ(sales.ShapeAt({9}).schema_id, 1u);
    EXPECT_EQ(sales.ShapeAt({10}).schema_id, 2u);
    EXPECT_EQ(sales.schema_id, 3u);
    EXPECT_EQ(sales.altered().value, 11u);
    EXPECT_EQ(sales.FindSchema(2)->schema()->field(2)->name(), "c10");
    EXPECT_EQ(sales.schema->schema()->field(2)->name(), "c11");
    EXPECT_EQ(sales.schema->identity().ids, (std::vector<std::uint32_t>{1, 2, 4}));
    EXPECT_EQ(state.tables.at("orders")->altered().value, 0u);
    EXPECT_EQ(state.tables.at("orders")->id, 3u);
    const auto& items = *state.dropped.at(2);
    EXPECT_TRUE(items.IsThereAt({5}));
    EXPECT_FALSE(items.IsThereAt({6}));
    EXPECT_EQ(items.runs.size(), 1u);
    EXPECT_EQ(state.FindTable(2), nullptr);
  };
  check(*manifest_->state());
  Reopen();  // from the checkpoint
  check(*manifest_->state());
  Commit({AdvanceTo(12), RenameTableEdit{1, {12}, "bills"}, RenameTableEdit{3, {12}, "sales"}});
  EXPECT_EQ(manifest_->state()->tables.at("bills")->altered().value, 11u) << "not by a name";
  EXPECT_EQ(manifest_->state()->tables.at("bills")->ShapeAt({9}).name, "sales");
  EXPECT_EQ(manifest_->state()->tables.at("bills")->ShapeAt({3}).name, "orders");
}

TEST_F(ManifestTest, ARefusedEditIsNamedAndTakesTheOthersWithIt) {
  Commit({NewTable(1, "t")});
  const auto error = RefusedCommit({NewRun(1), RemoveRunEdit{1, 77}, NewRun(2)});
  EXPECT_NE(error.message().find("edit 2 of 3"), std::string::npos) << error.message();
  EXPECT_NE(error.message().find("run 77 of table 1"), std::string::npos) << error.message();
}

TEST_F(ManifestTest, RefusesARunThatCannotBe) {
  Commit({NewTable(1, "t")});
  const std::vector<void (*)(RunMeta*)> breaks = {
      [](RunMeta* run) { run->id = 0; },
      [](RunMeta* run) { run->id = UINT64_MAX; },
      [](RunMeta* run) { run->schema_id = 2; },
      [](RunMeta* run) { run->level = 64; },
      [](RunMeta* run) { run->data = {}; },
      [](RunMeta* run) { run->data.name = "data/../../etc/passwd"; },
      [](RunMeta* run) { run->data.name = "/etc/passwd"; },
      [](RunMeta* run) { run->data.name = "data/a b"; },
      [](RunMeta* run) { run->data.name = "data/./a"; },
      [](RunMeta* run) { run->data.name = "data//a"; },
      [](RunMeta* run) { run->data.name = "data/"; },
      [](RunMeta* run) { run->data.rows = 0; },
      [](RunMeta* run) { run->data.data_bytes = run->data.bytes + 1; },
      [](RunMeta* run) { run->data.bytes = UINT64_MAX; },
      [](RunMeta* run) { run->deletes.rows = 1; },
      [](RunMeta* run) { std::swap(run->min_key, run->max_key); },
      [](RunMeta* run) { run->min_commit = 0; },
      [](RunMeta* run) { run->max_commit = run->min_commit - 1; },
  };
  for (std::size_t i = 0; i < breaks.size(); ++i) {
    auto run = SmallRun(1);
    breaks[i](&run);
    const auto error = RefusedCommit({AddRunEdit{std::make_shared<const RunMeta>(run)}});
    EXPECT_EQ(error.kind(), ErrorKind::kInvalid) << i << ": " << error.message();
  }
}

TEST(TableName, IsAPartOfAnObjectName) {
  for (const std::string name : {"t", "flights", "_a", "A-1.b", "7"}) {
    EXPECT_TRUE(CheckTableName(name)) << name;
  }
  const auto too_long = std::string(129, 'a');
  for (const std::string& name : {std::string(), std::string("a/b"), std::string(".."),
                                  std::string(".a"), std::string("-a"), std::string("a..b"),
                                  std::string("a b"), std::string("ä"), too_long}) {
    EXPECT_FALSE(CheckTableName(name)) << name;
  }
}

TEST(TagName, IsNeitherANumberNorATime) {
  for (const std::string name : {"t", "before-import", "_a", "A-1.b", "v2026-11-20"}) {
    EXPECT_TRUE(CheckTagName(name)) << name;
  }
  const auto too_long = std::string(129, 'a');
  for (const std::string& name :
       {std::string(), std::string("7"), std::string("-5m"), std::string("2026-11-20"),
        std::string(".a"), std::string("a/b"), std::string("a b"), std::string("ä"), too_long}) {
    EXPECT_EQ(CheckTagName(name).error().kind(), ErrorKind::kInvalid) << name;
  }
}

TEST_F(ManifestTest, ATagMovesInOneObject) {
  Commit({NewTag("a", 4)});
  Commit({UntagEdit{"a"}, NewTag("a", 9)});
  Reopen();
  EXPECT_EQ(manifest_->state()->tags.at("a").commit.value, 9u);
}

TEST_F(ManifestTest, AnyLifeReopensToTheSameStateAtEveryStep) {
  const auto seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  RandomEdits edits(seed);
  for (int step = 0; step < 100; ++step) {
    Commit(edits.Next(*manifest_->state()));
    const auto before = StateText();
    if (step % 3 == 0) {
      Reopen();
      ASSERT_EQ(StateText(), before) << step;
    } else {
      auto other = Manifest::Open(&store_);
      ASSERT_TRUE(other) << other.error().message();
      ASSERT_EQ(Text(*(*other)->state()), before) << step;
    }
  }
  Manifest::Counts counts;
  const auto verified = Manifest::Verify(
      &store_,
      [](const std::string& object, std::uint64_t offset, const std::string& what) {
        ADD_FAILURE() << object << " at " << offset << ": " << what;
      },
      &counts);
  ASSERT_TRUE(verified);
  EXPECT_EQ(Text(**verified), StateText());
  EXPECT_EQ(counts.objects, 101u);
}

TEST_F(ManifestTest, OpenReadsFromTheNewestCheckpointOn) {
  Commit({NewTable(1, "t")});
  for (std::uint64_t id = 1; id <= 3 * kCheckpointEvery; ++id) {
    Commit({NewRun(id)});
    store_.gets = 0;
    Reopen();
    const auto number = manifest_->state()->number;
    const auto since = number < kCheckpointEvery ? number : number % kCheckpointEvery + 1;
    ASSERT_EQ(static_cast<std::uint64_t>(store_.gets), since);
    ASSERT_LE(since, kCheckpointEvery + 1);
  }
}

TEST_F(ManifestTest, ObjectsBeforeTheCheckpointMayBeRetired) {
  Commit({NewTable(1, "t")});
  for (std::uint64_t id = 1; id <= kCheckpointEvery + 3; ++id) Commit({NewRun(id)});
  const auto before = StateText();
  store_.objects.erase(store_.objects.begin(),
                       store_.objects.find(ManifestName(kCheckpointEvery)));
  Reopen();
  EXPECT_EQ(StateText(), before);
}

TEST_F(ManifestTest, ForeignNamesAreLeftAlone) {
  SmallLife();
  const auto before = StateText();
  for (const std::string name : {"manifest/7", "manifest/0000000000000000000x", "manifest/",
                                 "manifest/000000000000000000007", "manifest/a/b",
                                 "manifest/00000000000000000007.tmp", "manifest.old"}) {
    store_.objects[name] = "somebody else's";
  }
  Reopen();
  EXPECT_EQ(StateText(), before);
}

// The example of docs/format.md, which pins format 1 to the byte.
TEST(ManifestFormat, IsTheDocumentedOne) {
  ScriptedStore store;
  ASSERT_TRUE(Manifest::Create(&store, kDatabase, {1'700'000'000'000'000}));
  EXPECT_EQ(store.objects["manifest/00000000000000000001"],
            R"({"kind":"header","format":1,"database":"00112233445566778899aabbccddeeff",)"
            R"("number":1,"previous":0,"previous_crc32c":"00000000","commit":0,)"
            R"("commit_time":0,"time":1700000000000000,"checkpoint":true} crc32c=7188f5de)" "\n"
            R"({"kind":"state","commit":0,"commit_time":0,"floor":0,"durable":0,)"
            R"("next_table_id":1,"next_run_id":1} crc32c=f3955c39)" "\n"
            R"({"kind":"end","lines":3} crc32c=673a51d7)" "\n");
  auto manifest = *Manifest::Open(&store);
  ASSERT_TRUE(manifest->Commit({AdvanceTo(7)}, {1'700'000'001'000'000}));
  EXPECT_EQ(store.objects["manifest/00000000000000000002"],
            R"({"kind":"header","format":1,"database":"00112233445566778899aabbccddeeff",)"
            R"("number":2,"previous":1,"previous_crc32c":"d344e1d5","commit":7,)"
            R"("commit_time":7000,"time":1700000001000000,)"
            R"("checkpoint":false} crc32c=68b65851)" "\n"
            R"({"kind":"advance","commit":7,"commit_time":7000,"floor":70,)"
            R"("durable":77} crc32c=c07e4dac)" "\n"
            R"({"kind":"end","lines":3} crc32c=b84a7ef1)" "\n");
}

TEST_F(ManifestTest, AThousandRunsAreThereAfterReopening) {
  Commit({NewTable(1, "t")});
  for (std::uint64_t id = 1; id <= 1000; id += 5) {
    Commit({NewRun(id), NewRun(id + 1), NewRun(id + 2), NewRun(id + 3), NewRun(id + 4),
            AdvanceTo(id)});
  }
  ASSERT_EQ(manifest_->state()->FindTable(1)->runs.size(), 1000u);
  const auto before = StateText();
  const auto start = SystemClock()->SteadyMicros();
  Reopen();
  const auto micros = SystemClock()->SteadyMicros() - start;
  EXPECT_EQ(StateText(), before);
  RecordProperty("open_micros", std::to_string(micros));
  std::printf("opening a manifest with 1,000 runs: %.1f ms\n", static_cast<double>(micros) / 1000);
}

}  // namespace
}  // namespace varve::testing
