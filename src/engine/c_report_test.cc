// SPDX-License-Identifier: Apache-2.0
// varve_db_report.h: tables, figures, plans and extremes, as a program in C would ask for them.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/c_database_fixture.h"
#include "varve_db_report.h"
#include "varve_db_versions.h"

namespace varve {
namespace {

using testing::CDatabase;
using testing::Rows;
using testing::RowsBatch;
using testing::RowsSchema;

// What a list of tables told.
struct Listed {
  static int Each(void* context, const varve_db_table* table) {
    auto* const all = static_cast<Listed*>(context);
    all->names.emplace_back(table->name);
    all->ids.push_back(table->id);
    std::string key;
    for (std::size_t i = 0; i < table->key_size; ++i) key += std::string(table->key[i]) + " ";
    all->keys.push_back(key);
    all->schemas.push_back((*arrow::ImportSchema(table->schema))->ToString());  // moves it
    return 0;
  }
  static int First(void* context, const varve_db_table* table) {
    static_cast<Listed*>(context)->names.emplace_back(table->name);  // leaves the schema there
    return 1;
  }
  std::vector<std::string> names, keys, schemas;
  std::vector<std::uint64_t> ids;
};

class CReport : public CDatabase {
 protected:
  void TearDown() override {
    varve_db_snapshot_free(snapshot_);
    CDatabase::TearDown();
  }
  const varve_db_snapshot* Newest() {
    varve_db_snapshot_free(std::exchange(snapshot_, nullptr));
    Ok(varve_db_snapshot_take(db_, nullptr, &snapshot_, &error_));
    return snapshot_;
  }
  nlohmann::json Stats() {
    char* json = nullptr;
    Ok(varve_db_stats(db_, &json, &error_));
    return Parse(json);
  }
  nlohmann::json Explain(const varve_db_scan_options* options) {
    char* json = nullptr;
    Ok(varve_db_explain(Newest(), "t", options, &json, &error_));
    return Parse(json);
  }
  static nlohmann::json Parse(char* text) {
    if (text == nullptr) return {};
    auto parsed = nlohmann::json::parse(text, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << text;
    varve_log_text_free(text);
    return parsed;
  }
  // "type: least greatest; rows scanned"
  std::string MinMax(const char* table, const char* column,
                     const varve_db_scan_options* options = nullptr) {
    ArrowArray array;
    ArrowSchema schema;
    std::uint64_t scanned = 0;
    Ok(varve_db_min_max(Newest(), table, column, options, &array, &schema, &scanned, &error_));
    const auto field = *arrow::ImportField(&schema);
    EXPECT_EQ(field->name(), column);
    const auto values = *arrow::ImportArray(&array, field->type());
    EXPECT_TRUE(values->ValidateFull().ok());
    EXPECT_EQ(values->length(), 2);
    return field->type()->ToString() + ": " + (*values->GetScalar(0))->ToString() + " " +
           (*values->GetScalar(1))->ToString() + "; " + std::to_string(scanned);
  }
  // Makes a table "more" (id int64, `column`), with these values.
  void MakeMore(const std::shared_ptr<arrow::Field>& column,
                const std::shared_ptr<arrow::Array>& values) {
    const auto fields = arrow::schema({arrow::field("id", arrow::int64(), false), column});
    const char* key[] = {"id"};
    ArrowSchema schema;
    ASSERT_TRUE(arrow::ExportSchema(*fields, &schema).ok());
    Ok(varve_db_create_table(db_, "more", &schema, key, 1, &error_));
    arrow::Int64Builder ids;
    for (std::int64_t i = 0; i < values->length(); ++i) ASSERT_TRUE(ids.Append(i).ok());
    Exported rows(*arrow::RecordBatch::Make(fields, values->length(), {*ids.Finish(), values}));
    Ok(varve_db_upsert(db_, "more", &rows.array, &rows.schema, VARVE_LOG_DURABLE, nullptr,
                       &error_));
  }

  varve_db_snapshot* snapshot_ = nullptr;
};

TEST_F(CReport, TablesAreListedByNameWithKeyAndColumns) {
  const char* key[] = {"b", "a"};
  const auto fields = arrow::schema(
      {arrow::field("a", arrow::int64(), false), arrow::field("b", arrow::utf8(), false)});
  ArrowSchema schema;
  ASSERT_TRUE(arrow::ExportSchema(*fields, &schema).ok());
  Ok(varve_db_create_table(db_, "early", &schema, key, 2, &error_));
  Listed now;
  Ok(varve_db_tables(db_, Listed::Each, &now, &error_));
  EXPECT_EQ(now.names, (std::vector<std::string>{"early", "t"}));
  EXPECT_EQ(now.keys, (std::vector<std::string>{"b a ", "id "}));
  EXPECT_EQ(now.schemas, (std::vector<std::string>{fields->ToString(), RowsSchema()->ToString()}));
  EXPECT_GT(now.ids[0], now.ids[1]) << "made later";
  EXPECT_GT(now.ids[1], 0u);
  Listed first;
  Ok(varve_db_tables(db_, Listed::First, &first, &error_));
  EXPECT_EQ(first.names, (std::vector<std::string>{"early"}));
}

TEST_F(CReport, ASnapshotListsTheTablesOfThen) {
  Ok(Upsert({{1, "a"}}));
  const auto* const then = Newest();
  Ok(varve_db_rename_table(db_, "t", "u", nullptr, &error_));
  Listed before, after;
  Ok(varve_db_snapshot_tables(then, Listed::Each, &before, &error_));
  EXPECT_EQ(before.names, (std::vector<std::string>{"t"}));
  EXPECT_EQ(before.keys, (std::vector<std::string>{"id "}));
  EXPECT_EQ(before.schemas, (std::vector<std::string>{RowsSchema()->ToString()}));
  EXPECT_EQ(before.ids, (std::vector<std::uint64_t>{0}));
  Ok(varve_db_snapshot_tables(Newest(), Listed::Each, &after, &error_));
  EXPECT_EQ(after.names, (std::vector<std::string>{"u"}));
  Listed first;
  MakeTable("a");
  Ok(varve_db_snapshot_tables(Newest(), Listed::First, &first, &error_));
  EXPECT_EQ(first.names, (std::vector<std::string>{"a"}));
}

TEST_F(CReport, FiguresFollowWhatIsWritten) {
  Ok(Upsert({{1, "a"}, {2, "b"}}));
  auto figures = Stats();
  EXPECT_EQ(figures["commit"], 1);
  EXPECT_EQ(figures["visible"], 1);
  EXPECT_EQ(figures["durable"], 1);
  EXPECT_EQ(figures["flushes"], 0);
  EXPECT_GT(figures["memtable"]["bytes"], 0);
  EXPECT_GE(figures["log"]["segments"], 1);
  EXPECT_GT(figures["log"]["durable_lsn"], figures["log"]["first_lsn"]);
  EXPECT_EQ(figures["log"]["durable_lsn"], figures["log"]["last_lsn"]);
  ASSERT_EQ(figures["tables"].size(), 1u);
  auto table = figures["tables"][0];
  EXPECT_EQ(table["name"], "t");
  EXPECT_EQ(table["key"], (std::vector<std::string>{"id"}));
  EXPECT_EQ(table["rows_estimate"], 2);
  EXPECT_EQ(table["memtable"]["rows"], 2);
  EXPECT_EQ(table["levels"].size(), 0u);
  const auto manifest = figures["manifest"]["number"];
  Ok(varve_db_flush(db_, &error_));
  Ok(Upsert({{3, "c"}}));
  figures = Stats();
  table = figures["tables"][0];
  EXPECT_EQ(figures["commit"], 2);
  EXPECT_EQ(figures["flushes"], 1);
  EXPECT_NE(figures["manifest"]["number"], manifest);
  EXPECT_EQ(table["rows_estimate"], 3);
  EXPECT_EQ(table["memtable"]["rows"], 1);
  ASSERT_EQ(table["levels"].size(), 1u);
  EXPECT_EQ(table["levels"][0]["runs"], 1);
  EXPECT_EQ(table["levels"][0]["rows"], 2);
  EXPECT_GT(table["levels"][0]["bytes"], 0);
  EXPECT_EQ(figures["recovery"]["units"], 0);
  varve_db_free(db_);
  Open();
  EXPECT_EQ(Stats()["recovery"]["units"], 1);
}

TEST_F(CReport, LookupsByKeyCountInTheFigures) {
  Ok(Upsert({{1, "a"}}));
  Ok(varve_db_flush(db_, &error_));
  EXPECT_EQ(Stats()["read_cache"]["misses"], 0);
  nlohmann::json first;
  for (int i = 0; i < 2; ++i) {
    Exported keys(Rows{{1, ""}});
    ArrowArray rows;
    ArrowSchema schema;
    Ok(varve_db_get(Newest(), "t", &keys.array, &keys.schema, &rows, &schema, &error_));
    EXPECT_EQ((*arrow::ImportRecordBatch(&rows, &schema))->num_rows(), 1);
    if (i == 0) first = Stats()["read_cache"];
  }
  EXPECT_GT(first["misses"], 0);
  EXPECT_EQ(first["hits"], 0);
  const auto cache = Stats()["read_cache"];
  EXPECT_EQ(cache["misses"], first["misses"]);
  EXPECT_EQ(cache["hits"], first["misses"]) << "what was not there the first time";
  EXPECT_EQ(cache["bytes"], first["bytes"]);
  EXPECT_GT(cache["bytes"], 0);
  EXPECT_EQ(cache["bytes_max"], 64u << 20);
}

TEST_F(CReport, APlanSaysWhatAScanReadsAndSkips) {
  Ok(Upsert({{1, "a"}, {2, "b"}}));
  Ok(varve_db_flush(db_, &error_));
  Ok(Upsert({{7, "g"}}));
  auto plan = Explain(nullptr);
  EXPECT_EQ(plan["as_of"], 2);
  EXPECT_EQ(plan["key_range"], "all");
  EXPECT_EQ(plan["filter"], "");
  ASSERT_EQ(plan["sources"].size(), 2u);
  EXPECT_EQ(plan["sources"][0]["name"], "memtable");
  EXPECT_EQ(plan["sources"][0]["rows"], 1);
  EXPECT_EQ(plan["sources"][1]["rows"], 2);
  EXPECT_EQ(plan["sources"][1]["row_groups"], 1);
  EXPECT_EQ(plan["sources"][1]["row_groups_read"], 1);
  EXPECT_GT(plan["sources"][1]["bytes"], plan["sources"][1]["bytes_read"]);
  EXPECT_EQ(plan["sources"][1]["reason"], "");
  Exported bound(*RowsBatch({{5, ""}})->SelectColumns({0}).ValueOrDie());
  varve_db_key_range range = {};
  range.size = sizeof range;
  range.lower = &bound.array;
  range.lower_schema = &bound.schema;
  varve_db_scan_options options = {};
  options.size = sizeof options;
  options.range = &range;
  options.filter = "v = 'g'";
  plan = Explain(&options);
  EXPECT_EQ(bound.array.release, nullptr) << "the bound was not taken";
  EXPECT_EQ(plan["key_range"], "key >= (5)");
  EXPECT_NE(plan["filter"], "");
  EXPECT_EQ(plan["sources"][1]["bytes_read"], 0);
  EXPECT_EQ(plan["sources"][1]["row_groups_read"], 0);
  EXPECT_EQ(plan["sources"][1]["reason"], "all keys outside the range");
}

TEST_F(CReport, ExtremesAreExactWhereverTheRowsLie) {
  EXPECT_EQ(MinMax("t", "v"), "string: null null; 0") << "no rows";
  Ok(Upsert({{3, "c"}, {4, "d"}}));
  Ok(varve_db_flush(db_, &error_));
  EXPECT_EQ(MinMax("t", "id"), "int64: 3 4; 0") << "the file says so";
  EXPECT_EQ(MinMax("t", "v"), "string: c d; 0");
  Ok(Upsert({{1, "z"}}));
  EXPECT_EQ(MinMax("t", "id"), "int64: 1 4; 1");
  varve_db_scan_options options = {};
  options.size = sizeof options;
  options.filter = "id > 1";
  EXPECT_EQ(MinMax("t", "v", &options), "string: c d; 2");
  options.filter = "id > 9";
  EXPECT_EQ(MinMax("t", "v", &options), "string: null null; 0");
  options.filter = nullptr;
  Exported bound(*RowsBatch({{4, ""}})->SelectColumns({0}).ValueOrDie());
  varve_db_key_range range = {};
  range.size = sizeof range;
  range.upper = &bound.array;
  range.upper_schema = &bound.schema;
  options.range = &range;
  EXPECT_EQ(MinMax("t", "v", &options), "string: c z; 2");
  EXPECT_EQ(bound.array.release, nullptr) << "the bound was not taken";
}

TEST_F(CReport, ExtremesOfADictionaryAreOfItsPlainType) {
  arrow::Dictionary32Builder<arrow::StringType> words;
  ASSERT_TRUE(words.Append("pear").ok());
  ASSERT_TRUE(words.AppendNull().ok());
  ASSERT_TRUE(words.Append("apple").ok());
  const auto values = *words.Finish();
  MakeMore(arrow::field("word", values->type()), values);
  EXPECT_EQ(MinMax("more", "word"), "string: apple pear; 3");
  Ok(varve_db_flush(db_, &error_));
  EXPECT_EQ(MinMax("more", "word").substr(0, 19), "string: apple pear;");
}

TEST_F(CReport, ExtremesThatThereAreNotAreRefused) {
  arrow::ListBuilder lists(arrow::default_memory_pool(), std::make_shared<arrow::Int64Builder>());
  ASSERT_TRUE(lists.Append().ok());
  const auto values = *lists.Finish();
  MakeMore(arrow::field("list", values->type()), values);
  ArrowArray array;
  ArrowSchema schema;
  const auto ask = [&](const char* table, const char* column,
                       const varve_db_scan_options* options = nullptr) {
    return varve_db_min_max(Newest(), table, column, options, &array, &schema, nullptr, &error_);
  };
  EXPECT_NE(Refused(ask("more", "list"), VARVE_LOG_INVALID).find("list<"), std::string::npos);
  EXPECT_NE(Refused(ask("t", "w"), VARVE_LOG_NOT_FOUND).find("'w'"), std::string::npos);
  EXPECT_NE(Refused(ask("no", "v"), VARVE_LOG_NOT_FOUND).find("'no'"), std::string::npos);
  Refused(ask(nullptr, "v"), VARVE_LOG_INVALID);
  Refused(ask("t", nullptr), VARVE_LOG_INVALID);
  varve_db_scan_options options = {};
  Refused(ask("t", "v", &options), VARVE_LOG_INVALID);
  options.size = sizeof options;
  options.has_limit = 1;
  EXPECT_NE(Refused(ask("t", "v", &options), VARVE_LOG_INVALID).find("limit"), std::string::npos);
  options.has_limit = 0;
  options.filter = "id = 'x'";
  EXPECT_NE(Refused(ask("t", "v", &options), VARVE_LOG_INVALID).find("'x'"), std::string::npos);
  Refused(varve_db_min_max(nullptr, "t", "v", nullptr, &array, &schema, nullptr, &error_),
          VARVE_LOG_INVALID);
  Refused(varve_db_min_max(Newest(), "t", "v", nullptr, nullptr, &schema, nullptr, &error_),
          VARVE_LOG_INVALID);
  Refused(varve_db_min_max(Newest(), "t", "v", nullptr, &array, nullptr, nullptr, &error_),
          VARVE_LOG_INVALID);
}

TEST_F(CReport, MetricsAreTextWithThePrefixAskedFor) {
  Ok(Upsert({{1, "a"}}));
  char* text = nullptr;
  Ok(varve_db_prometheus(db_, nullptr, &text, &error_));
  EXPECT_NE(std::string(text).find("\nvarve_commits_total{ack=\"durable\"} 1\n"),
            std::string::npos);
  varve_log_text_free(text);
  Ok(varve_db_prometheus(db_, "shop_", &text, &error_));
  EXPECT_NE(std::string(text).find("\nshop_log_units_total 1\n"), std::string::npos);
  EXPECT_EQ(std::string(text).find("\nvarve_"), std::string::npos);
  varve_log_text_free(text);
}

TEST_F(CReport, MetricsArePublishedWhenTheyAreAskedFor) {
  const auto file = folder_ + "/db/metrics.prom";
  EXPECT_FALSE(std::filesystem::exists(file));
  varve_db_free(std::exchange(db_, nullptr));
  varve_db_options options = {};
  options.size = sizeof options;
  options.metrics_interval_ms = 1000;
  Ok(varve_db_open((folder_ + "/db").c_str(), &options, &db_, &error_));
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(CReport, WhatIsNoArgumentIsRefusedAndNamed) {
  char* json = nullptr;
  Refused(varve_db_prometheus(nullptr, nullptr, &json, &error_), VARVE_LOG_INVALID);
  EXPECT_NE(Refused(varve_db_prometheus(db_, nullptr, nullptr, &error_), VARVE_LOG_INVALID)
                .find("text"),
            std::string::npos);
  EXPECT_NE(Refused(varve_db_tables(nullptr, Listed::Each, nullptr, &error_), VARVE_LOG_INVALID)
                .find("db"),
            std::string::npos);
  EXPECT_NE(
      Refused(varve_db_tables(db_, nullptr, nullptr, &error_), VARVE_LOG_INVALID).find("each"),
      std::string::npos);
  Refused(varve_db_snapshot_tables(nullptr, Listed::Each, nullptr, &error_), VARVE_LOG_INVALID);
  Refused(varve_db_snapshot_tables(Newest(), nullptr, nullptr, &error_), VARVE_LOG_INVALID);
  Refused(varve_db_stats(nullptr, &json, &error_), VARVE_LOG_INVALID);
  EXPECT_NE(Refused(varve_db_stats(db_, nullptr, &error_), VARVE_LOG_INVALID).find("json"),
            std::string::npos);
  Refused(varve_db_explain(nullptr, "t", nullptr, &json, &error_), VARVE_LOG_INVALID);
  Refused(varve_db_explain(Newest(), nullptr, nullptr, &json, &error_), VARVE_LOG_INVALID);
  Refused(varve_db_explain(Newest(), "t", nullptr, nullptr, &error_), VARVE_LOG_INVALID);
  Refused(varve_db_explain(Newest(), "no", nullptr, &json, &error_), VARVE_LOG_NOT_FOUND);
  varve_db_scan_options options = {};
  options.size = sizeof options;
  options.filter = "w > 1";
  EXPECT_NE(Refused(varve_db_explain(Newest(), "t", &options, &json, &error_), VARVE_LOG_INVALID)
                .find("'w'"),
            std::string::npos);
  EXPECT_EQ(json, nullptr) << "written after success alone";
}

TEST_F(CReport, AClosedDatabaseSaysSoAndSnapshotsGoOn) {
  Ok(Upsert({{1, "a"}}));
  const auto* const before = Newest();
  Ok(varve_db_close(db_, &error_));
  Listed listed;
  char* json = nullptr;
  Refused(varve_db_tables(db_, Listed::Each, &listed, &error_), VARVE_LOG_INVALID,
          VARVE_LOG_CLOSED);
  Refused(varve_db_stats(db_, &json, &error_), VARVE_LOG_INVALID, VARVE_LOG_CLOSED);
  Refused(varve_db_prometheus(db_, nullptr, &json, &error_), VARVE_LOG_INVALID, VARVE_LOG_CLOSED);
  const auto no_version = [](void*, const varve_db_version*) { return 0; };
  Refused(varve_db_versions(db_, 0, no_version, nullptr, &error_), VARVE_LOG_INVALID,
          VARVE_LOG_CLOSED);
  const auto no_tag = [](void*, const varve_db_tag_info*) { return 0; };
  Refused(varve_db_tags(db_, no_tag, nullptr, &error_), VARVE_LOG_INVALID, VARVE_LOG_CLOSED);
  EXPECT_EQ(listed.names.size(), 0u);
  Ok(varve_db_snapshot_tables(before, Listed::Each, &listed, &error_));
  EXPECT_EQ(listed.names, (std::vector<std::string>{"t"}));
  Ok(varve_db_explain(before, "t", nullptr, &json, &error_));
  EXPECT_EQ(Parse(json)["as_of"], 1);
}

}  // namespace
}  // namespace varve
