// SPDX-License-Identifier: Apache-2.0
// 5. A key of several columns: rows in its order, ranges by its first columns, and lookups of many
// keys at once.
//
//   usage: db_05_composite_key FOLDER
#include <arrow/api.h>
#include <varve/database.h>

#include <memory>
#include <string>
#include <vector>

#include "expect.h"
#include "new_folder.h"

namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

struct Event {
  std::string device;
  std::int64_t second;
  std::int64_t value;
};

BatchPtr Events(const std::vector<Event>& events) {
  arrow::StringBuilder device;
  arrow::Int64Builder second, value;
  for (const Event& event : events) {
    Expect(device.Append(event.device).ok() && second.Append(event.second).ok() &&
               value.Append(event.value).ok(),
           "memory");
  }
  const auto schema = arrow::schema({arrow::field("device", arrow::utf8(), false),
                                     arrow::field("second", arrow::int64(), false),
                                     arrow::field("value", arrow::int64())});
  return arrow::RecordBatch::Make(schema, static_cast<std::int64_t>(events.size()),
                                  {*device.Finish(), *second.Finish(), *value.Finish()});
}

// The first columns of the key, as a bound of a range.
BatchPtr Bound(const BatchPtr& row, int columns) {
  return columns == 1 ? *row->SelectColumns({0}) : *row->SelectColumns({0, 1});
}

std::vector<std::int64_t> Values(const varve::Database& db, const varve::ScanOptions& options) {
  std::vector<std::int64_t> values;
  const auto reader = OrDie(db.Scan("events", options), "scan");
  for (const auto& batch : *reader) {
    Expect(batch.ok(), "the scan goes on");
    const auto& column = static_cast<const arrow::Int64Array&>(*(*batch)->column(2));
    for (std::int64_t i = 0; i < column.length(); ++i) values.push_back(column.Value(i));
  }
  return values;
}

using List = std::vector<std::int64_t>;

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  const auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
  const auto events =
      Events({{"b", 2, 22}, {"a", 3, 13}, {"b", 1, 21}, {"a", 1, 11}, {"c", 9, 39}});
  OrDie(db->CreateTable("events", events->schema(), {"device", "second"}), "create");
  OrDie(db->Upsert("events", events), "upsert");
  OrDie(db->Upsert("events", Events({{"b", 2, 220}})), "upsert");  // the same key: replaces

  Expect(Values(*db, {}) == List({11, 13, 21, 220, 39}), "rows come in the order of the key");
  Expect(Values(*db, {.limit = 2, .reverse = true}) == List({39, 220}), "or from the end");

  // A prefix of the key is a range: all of one device.
  const auto b = Bound(Events({{"b", 0, 0}}), 1);
  varve::ScanOptions of_b;
  of_b.range = {.lower = b, .upper = b, .upper_inclusive = true};
  Expect(Values(*db, of_b) == List({21, 220}), "all of device b");

  varve::ScanOptions from_a2;
  from_a2.range = {.lower = Bound(Events({{"a", 2, 0}}), 2), .upper = b};
  Expect(Values(*db, from_a2) == List({13}), "from (a, 2) up to device b");

  // A filter on the key columns is a range as well.
  varve::ScanOptions filtered;
  filtered.filter = OrDie(varve::ParseFilter("device = 'b' and second >= 2", events->schema()),
                          "filter");
  Expect(Values(*db, filtered) == List({220}), "by a filter");
  const auto plan = OrDie(OrDie(db->GetSnapshot(), "snapshot")->Explain("events", filtered),
                          "explain");
  std::printf("read: %s\n", plan.key_range.c_str());

  std::vector<bool> found;
  const auto rows = OrDie(OrDie(db->GetSnapshot(), "snapshot")
                              ->Get("events", Events({{"c", 9, 0}, {"c", 8, 0}, {"a", 1, 0}}),
                                    &found),
                          "get");
  Expect(found == std::vector<bool>({true, false, true}) && rows->num_rows() == 2,
         "two of three keys are there");
  OrDie(db->Close(), "close");
  std::printf("five events of three devices\n");
}
