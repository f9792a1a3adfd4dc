// SPDX-License-Identifier: Apache-2.0
// A small table and a reference model of its versions: std::map<key, versions>. Random commits go
// into the model and into what is tested; cursors are then compared with the model, version by
// version, along random walks of Next, Seek and PlainRows with Skip.
#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "columns/commit_window.h"
#include "columns/table_schema.h"
#include "columns/version_cursor.h"
#include "columns/write_batch.h"

namespace varve::testing {

// The key of a row of the test table, and the value that tells one version from all others.
struct ModelRow {
  std::string name;
  std::int32_t id = 0;
  std::int64_t stamp = 0;
};

// Columns stamp int64, id int32, text utf8 (null for every seventh stamp), name utf8; key name, id.
inline std::shared_ptr<const TableSchema> ModelSchema() {
  static const std::shared_ptr<const TableSchema> kSchema = [] {
    auto schema = TableSchema::Make(
        arrow::schema({arrow::field("stamp", arrow::int64()), arrow::field("id", arrow::int32()),
                       arrow::field("text", arrow::utf8()), arrow::field("name", arrow::utf8())}),
        {"name", "id"});
    VARVE_CHECK(schema.has_value());
    return *schema;
  }();
  return kSchema;
}

inline std::shared_ptr<arrow::RecordBatch> ModelBatch(const std::vector<ModelRow>& rows) {
  arrow::Int64Builder stamps;
  arrow::Int32Builder ids;
  arrow::StringBuilder texts, names;
  for (const auto& row : rows) {
    EXPECT_TRUE(stamps.Append(row.stamp).ok() && ids.Append(row.id).ok());
    EXPECT_TRUE(names.Append(row.name).ok());
    const bool null = row.stamp % 7 == 0;
    EXPECT_TRUE((null ? texts.AppendNull() : texts.Append(std::to_string(row.stamp))).ok());
  }
  return arrow::RecordBatch::Make(ModelSchema()->schema(), static_cast<std::int64_t>(rows.size()),
                                  {*stamps.Finish(), *ids.Finish(), *texts.Finish(),
                                   *names.Finish()});
}

inline WriteBatch ModelUpsert(const std::vector<ModelRow>& rows) {
  auto batch = PrepareUpsert(*ModelSchema(), ModelBatch(rows));
  EXPECT_TRUE(batch) << batch.error().message();
  return *std::move(batch);
}
inline WriteBatch ModelDelete(const std::vector<ModelRow>& rows) {
  auto batch = PrepareDelete(*ModelSchema(), ModelBatch(rows));
  EXPECT_TRUE(batch) << batch.error().message();
  return *std::move(batch);
}
inline std::string ModelKey(const std::string& name, std::int32_t id) {
  return std::string(ModelUpsert({{name, id, 1}}).keys[0]);
}

class VersionModel {
 public:
  using Sink = std::function<void(WriteBatch, std::uint64_t commit)>;
  // Of one key, newest first; absent: a delete.
  using Versions = std::map<std::uint64_t, std::optional<ModelRow>, std::greater<>>;

  // One commit with up to `rows_max` upserts and some deletes, of keys out of about `keys`.
  void RandomCommit(SeededRandom* random, std::uint64_t commit, std::uint64_t rows_max,
                    std::uint64_t keys, const Sink& sink) {
    std::vector<ModelRow> upserts, deletes;
    std::set<std::pair<std::string, std::int32_t>> used;
    const std::uint64_t rows = 1 + random->Below(rows_max);
    for (std::uint64_t i = 0; i < rows; ++i) {
      const std::uint64_t pick = random->Below(keys);
      ModelRow row{std::string(1 + pick % 3, static_cast<char>('a' + pick % 5)),
                   static_cast<std::int32_t>(pick / 5) - 20,
                   static_cast<std::int64_t>(commit * 1000 + i)};
      if (!used.insert({row.name, row.id}).second) continue;
      (random->Below(4) == 0 ? deletes : upserts).push_back(std::move(row));
    }
    if (!upserts.empty()) Upsert(upserts, commit, sink);
    if (!deletes.empty()) Delete(deletes, commit, sink);
  }

  void Upsert(const std::vector<ModelRow>& rows, std::uint64_t commit, const Sink& sink) {
    auto batch = ModelUpsert(rows);
    for (const auto& row : rows) versions_[ModelKey(row.name, row.id)][commit] = row;
    sink(std::move(batch), commit);
  }
  void Delete(const std::vector<ModelRow>& rows, std::uint64_t commit, const Sink& sink) {
    auto batch = ModelDelete(rows);
    for (std::int64_t i = 0; i < batch.keys.size(); ++i) {
      versions_[std::string(batch.keys[i])][commit] = std::nullopt;
    }
    sink(std::move(batch), commit);
  }

  const std::map<std::string, Versions>& versions() const { return versions_; }

  // What a reader as of this commit sees: key and row.
  std::map<std::string, ModelRow> Visible(std::uint64_t as_of, const KeyBounds& bounds) const {
    std::map<std::string, ModelRow> rows;
    for (const auto& [key, versions] : versions_) {
      const auto at = versions.lower_bound(as_of);
      if (bounds.Contains(key) && at != versions.end() && at->second) rows[key] = *at->second;
    }
    return rows;
  }

  std::string RandomKey(SeededRandom* random) const {
    auto at = versions_.begin();
    std::advance(at, random->Below(versions_.size()));
    return random->Below(4) == 0 ? at->first + "x" : at->first;
  }
  KeyBounds RandomBounds(SeededRandom* random) const {
    KeyBounds bounds;
    if (random->Below(2) == 0) bounds.lower = RandomKey(random);
    if (random->Below(2) == 0) bounds.upper = RandomKey(random);
    return bounds;
  }

 private:
  std::map<std::string, Versions> versions_;
};

inline std::vector<int> RandomColumns(SeededRandom* random) {
  std::vector<int> columns;
  for (int column = 0; column < 4; ++column) {
    if (random->Below(2) == 0) columns.push_back(column);
  }
  if (random->Below(2) == 0) std::reverse(columns.begin(), columns.end());
  return columns;
}

// Whether every column of this row, whichever there are, is the model's.
inline void ExpectRow(const arrow::RecordBatch& batch, std::int64_t at, const ModelRow& row,
                      const std::vector<int>& columns) {
  ASSERT_LT(at, batch.num_rows());
  ASSERT_EQ(batch.num_columns(), static_cast<int>(columns.size()));
  for (int i = 0; i < batch.num_columns(); ++i) {
    const arrow::Array& values = *batch.column(i);
    switch (columns[static_cast<std::size_t>(i)]) {
      case 0: ASSERT_EQ(static_cast<const arrow::Int64Array&>(values).Value(at), row.stamp); break;
      case 1: ASSERT_EQ(static_cast<const arrow::Int32Array&>(values).Value(at), row.id); break;
      case 2:
        ASSERT_EQ(values.IsNull(at), row.stamp % 7 == 0);
        if (values.IsNull(at)) break;
        ASSERT_EQ(static_cast<const arrow::StringArray&>(values).GetView(at),
                  std::to_string(row.stamp));
        break;
      default:
        ASSERT_EQ(static_cast<const arrow::StringArray&>(values).GetView(at), row.name);
    }
  }
}

// Walks a fresh cursor over the bounds at random and compares each version with the model.
class CursorWalk {
 public:
  CursorWalk(const VersionModel& model, VersionCursor* cursor, std::vector<int> columns,
             const KeyBounds& bounds, const CommitWindow& window = {0, UINT64_MAX})
      : cursor_(*cursor), columns_(std::move(columns)) {
    for (const auto& [key, versions] : model.versions()) {
      if (!bounds.Contains(key)) continue;
      for (const auto& [commit, row] : versions) {
        if (window.Contains(commit)) expected_.push_back({key, commit, row});
      }
    }
  }

  void Run(SeededRandom* random, bool seeks) {
    ASSERT_FALSE(cursor_.valid());
    ASSERT_TRUE(cursor_.Next());
    while (at_ < expected_.size()) {
      ASSERT_NO_FATAL_FAILURE(ExpectCurrent());
      switch (random->Below(seeks ? 6 : 5)) {
        case 0:
        case 1:
        case 2: ASSERT_NO_FATAL_FAILURE(SkipPlain(random)); break;
        case 5: ASSERT_NO_FATAL_FAILURE(Seek(random)); break;
        default: ASSERT_NO_FATAL_FAILURE(Next()); break;
      }
    }
    ASSERT_FALSE(cursor_.valid());
  }
  std::int64_t plain_rows() const { return plain_rows_; }

 private:
  struct Expected {
    std::string key;
    std::uint64_t commit;
    std::optional<ModelRow> row;
  };

  void ExpectCurrent() {
    const Expected& want = expected_[at_];
    ASSERT_TRUE(cursor_.valid());
    ASSERT_EQ(cursor_.key(), want.key);
    ASSERT_EQ(cursor_.commit(), want.commit);
    ASSERT_EQ(cursor_.kind(), want.row ? RowKind::kUpsert : RowKind::kDelete);
    if (!want.row) {
      ASSERT_EQ(cursor_.batch(), nullptr);
      ASSERT_EQ(cursor_.row(), 0);
    } else {
      ExpectRow(*cursor_.batch(), cursor_.row(), *want.row, columns_);
    }
  }

  void Next() {
    ASSERT_TRUE(cursor_.Next());
    ++at_;
  }

  void Seek(SeededRandom* random) {
    // Sometimes backwards, which must not move it.
    const std::size_t ahead = at_ + random->Below(std::min<std::size_t>(40, expected_.size()));
    const std::string key = expected_[std::min(ahead, expected_.size() - 1)].key +
                            (random->Below(3) == 0 ? "~" : "");
    ASSERT_TRUE(cursor_.Seek(random->Below(8) == 0 ? expected_[at_ / 2].key : key)) << "seek";
    if (!cursor_.valid()) {
      for (; at_ < expected_.size(); ++at_) ASSERT_LT(expected_[at_].key, key);
      return;
    }
    while (at_ < expected_.size() && expected_[at_].key < cursor_.key()) {
      ASSERT_LT(expected_[at_++].key, key);
    }
  }

  bool Alone(std::size_t at) const {
    const auto same = [&](std::size_t other) { return expected_[other].key == expected_[at].key; };
    return !(at > 0 && same(at - 1)) && !(at + 1 < expected_.size() && same(at + 1));
  }

  void SkipPlain(SeededRandom* random) {
    std::optional<std::string> limit;
    const std::size_t ahead = at_ + random->Below(30);
    if (ahead < expected_.size()) limit = expected_[ahead].key;
    const std::uint64_t as_of =
        random->Below(2) == 0 ? UINT64_MAX : expected_[random->Below(expected_.size())].commit;
    const std::int64_t plain = cursor_.PlainRows(limit, as_of);
    plain_rows_ += plain;
    ASSERT_LE(plain, static_cast<std::int64_t>(expected_.size() - at_));
    for (std::int64_t i = 0; i < plain; ++i) {
      const Expected& want = expected_[at_ + static_cast<std::size_t>(i)];
      ASSERT_TRUE(want.row && Alone(at_ + static_cast<std::size_t>(i))) << i;
      ASSERT_LE(want.commit, as_of);
      ASSERT_TRUE(!limit || want.key < *limit);
      ExpectRow(*cursor_.batch(), cursor_.row() + i, *want.row, columns_);
    }
    if (plain == 0) return Next();
    const auto count = 1 + static_cast<std::int64_t>(random->Below(plain));
    ASSERT_TRUE(cursor_.Skip(count));
    at_ += static_cast<std::size_t>(count);
  }

  VersionCursor& cursor_;
  const std::vector<int> columns_;
  std::vector<Expected> expected_;
  std::size_t at_ = 0;
  std::int64_t plain_rows_ = 0;
};

}  // namespace varve::testing
