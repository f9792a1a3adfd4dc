// SPDX-License-Identifier: Apache-2.0
// For tests: the verbs of a manifest's life.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/scalar.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/random.h"
#include "columns/alter_schema.h"
#include "manifest/manifest.h"
#include "manifest/scripted_store.h"
#include "test/support/seed.h"

namespace varve::testing {

inline const std::string kDatabase = "00112233445566778899aabbccddeeff";

inline std::shared_ptr<const TableSchema> SmallSchema() {
  static const auto schema =
      TableSchema::Make(arrow::schema({arrow::field("id", arrow::int64()),
                                       arrow::field("name", arrow::utf8())}),
                        {"id"});
  return schema.value();
}

inline CreateTableEdit NewTable(std::uint32_t id, const std::string& name) {
  return {.id = id, .name = name, .schema_id = 1, .schema = SmallSchema()};
}

// SmallSchema with a column more, one renamed, or one less, whatever it was before.
inline AlterTableEdit Altered(const TableState& table, std::uint64_t commit, std::uint64_t how) {
  std::vector<ColumnChange> changes = {
      AddColumn{arrow::field(fmt::format("c{}", commit), arrow::int32()), arrow::MakeScalar(1)}};
  const auto& last = table.schema->schema()->fields().back();
  if (how % 3 == 1) changes = {RenameColumn{last->name(), fmt::format("r{}", commit)}};
  if (how % 3 == 2) changes.push_back(DropColumn{last->name()});
  auto schema = AlterSchema(*table.schema, changes);
  EXPECT_TRUE(schema) << schema.error().message();
  return {.table_id = table.id,
          .commit = {commit},
          .schema_id = table.schema_id + 1,
          .schema = *std::move(schema)};
}

inline RunMeta SmallRun(std::uint64_t id, std::uint32_t table = 1, std::uint32_t level = 0) {
  RunMeta run{.id = id, .table_id = table, .schema_id = 1, .level = level};
  run.data = {.name = fmt::format("data/t/{:020}.parquet", id),
              .bytes = 1000 + id,
              .rows = 10 + id,
              .data_bytes = 900,
              .tail_crc32c = static_cast<std::uint32_t>(id * 2654435761u)};
  run.min_key = std::string("\x80\0\0", 3);
  run.max_key = "\x80\xff";
  run.min_commit = id;
  run.max_commit = id + 3;
  return run;
}

inline AddRunEdit NewRun(std::uint64_t id, std::uint32_t table = 1, std::uint32_t level = 0,
                         std::uint64_t shown_from = 0) {
  RunMeta run = SmallRun(id, table, level);
  run.shown_from = shown_from;
  return {std::make_shared<const RunMeta>(std::move(run))};
}

inline AdvanceEdit AdvanceTo(std::uint64_t commit) {
  const auto at = static_cast<std::int64_t>(commit);
  return {.commit = {commit}, .commit_time = {at * 1000}, .floor = {commit * 10},
          .durable = {commit * 11}};
}

// Of all commits after the version before, as if they were made backwards.
inline AddTimesEdit TimesOf(std::uint64_t first, std::uint64_t last) {
  return {{last},
          {.first = {first},
           .min_time = {static_cast<std::int64_t>(last) * 1000},
           .bytes = 44 + last - first,
           .crc32c = static_cast<std::uint32_t>(last * 2654435761u)}};
}

inline TagEdit NewTag(const std::string& name, std::uint64_t commit) {
  const auto at = static_cast<std::int64_t>(commit);
  return {name, {.commit = {commit}, .commit_time = {at * 1000}, .made = {at * 1000 + 7}}};
}

inline std::string Text(const RunObject& object) {
  return fmt::format("({} {} {} {} {})", object.name, object.bytes, object.rows, object.data_bytes,
                     object.tail_crc32c);
}

inline std::string Text(const TableState& table) {
  std::string out =
      fmt::format("table {} {} {} {} dropped {}\n", table.name, table.id, table.schema_id,
                  ToHex(table.schema->Serialize()), table.dropped.value);
  for (const auto& [id, schema] : table.former_schemas) {
    out += fmt::format("schema {} {}\n", id, ToHex(schema->Serialize()));
  }
  for (const auto& shape : table.former) {
    out += fmt::format("until {} {} {}\n", shape.until.value, shape.name, shape.schema_id);
  }
  for (const auto& run : table.runs) {
    out += fmt::format("run {} {} {} {} {} {} {} {} {} {} {} {} {}\n", run->id, run->table_id,
                       run->schema_id, run->level, Text(run->data), Text(run->deletes),
                       ToHex(run->min_key), ToHex(run->max_key), run->min_commit, run->max_commit,
                       run->distinct_keys, run->shown_from, run->hidden_from);
  }
  return out;
}

// Everything a state holds: equal texts are equal states.
inline std::string Text(const ManifestState& state) {
  std::string out =
      fmt::format("{} #{} commit {} at {} log {} {} next {} {}\n", state.database_id, state.number,
                  state.commit.value, state.commit_time.micros, state.log_floor.value,
                  state.log_durable.value, state.next_table_id, state.next_run_id);
  for (const auto& [name, table] : state.tables) out += name + ": " + Text(*table);
  for (const auto& [id, table] : state.dropped) out += fmt::format("{}: ", id) + Text(*table);
  out += fmt::format("changed {} oldest {} history {}\n", state.changed.value, state.oldest.value,
                     state.history_micros);
  for (const auto& v : state.versions) {
    out += fmt::format("version {} {} {} {} {} {}\n", v.number, v.commit.value, v.time.micros,
                       v.runs, v.rows, v.bytes);
    if (!v.times) continue;
    out += fmt::format("times {} {} {} {}\n", v.times->first.value, v.times->min_time.micros,
                       v.times->bytes, v.times->crc32c);
  }
  for (const auto& [id, mark] : state.producers.by_id()) {
    out += fmt::format("producer {} {} {}\n", id, mark.sequence, mark.commit.value);
  }
  for (const auto& [name, tag] : state.tags) {
    out += fmt::format("tag {} {} {} {}\n", name, tag.commit.value, tag.commit_time.micros,
                       tag.made.micros);
  }
  return out;
}

class ManifestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Manifest::Create(&store_, kDatabase, {1}));
    Reopen();
  }

  void Reopen() {
    auto opened = Manifest::Open(&store_);
    ASSERT_TRUE(opened) << opened.error().message();
    manifest_ = *std::move(opened);
  }

  void Commit(const std::vector<Edit>& edits) {
    auto committed = manifest_->Commit(edits, {2});
    ASSERT_TRUE(committed) << committed.error().message();
  }

  // Tables that were dropped and renamed, their edits, and a checkpoint of them.
  void ChangingLife() {
    Commit({NewTable(1, "orders"), NewTable(2, "items"), NewRun(1), NewRun(2, 2), AdvanceTo(4)});
    Commit({AdvanceTo(5), RenameTableEdit{1, {5}, "sales"}});
    Commit({AdvanceTo(6), DropTableEdit{2, {6}}});
    Commit({NewTable(3, "orders"), NewRun(3, 3), AdvanceTo(9)});
    Commit({AdvanceTo(10), Altered(*manifest_->state()->FindTable(1), 10, 0)});
    Commit({AdvanceTo(11), Altered(*manifest_->state()->FindTable(1), 11, 2)});
    while (manifest_->state()->number < kCheckpointEvery) Commit({AdvanceTo(11)});
  }

  // A manifest of seven objects with the edits that every database has.
  void SmallLife() {
    Commit({NewTable(1, "orders")});
    Commit({NewRun(1), NewRun(2), AdvanceTo(7)});
    Commit({RemoveRunEdit{1, 1}, NewRun(3, 1, 1), NewTag("old", 8), NewTag("new", 9)});
    Commit({NewTable(2, "items"), NewRun(4, 2), AdvanceTo(9), TimesOf(8, 9)});
    Commit({AdvanceEdit{{9}, {}, {95}, {99}}, UntagEdit{"old"}});
    Commit({NewRun(5, 2, 1, 9), HideRunEdit{2, 4, {9}}, MoveRunEdit{2, 5, 3}});
    Commit({RemoveRunEdit{2, 4}, RetireEdit{{9}}, SetHistoryEdit{5}});
  }

  Error RefusedCommit(const std::vector<Edit>& edits) {
    const auto before = Text(*manifest_->state());
    const auto objects = store_.objects;
    auto committed = manifest_->Commit(edits, {2});
    EXPECT_FALSE(committed);
    EXPECT_EQ(Text(*manifest_->state()), before);
    EXPECT_EQ(store_.objects, objects);
    return committed ? Error(ErrorKind::kInternal, "not refused") : committed.error();
  }

  std::string StateText() const { return Text(*manifest_->state()); }

  ScriptedStore store_;
  std::unique_ptr<Manifest> manifest_;
};

}  // namespace varve::testing
