// SPDX-License-Identifier: Apache-2.0
// 12. Watching it: numbers to ask for, events as they happen, what a scan reads and why, and where
// the time of a commit and of a scan went. The library prints nothing by itself and starts no
// server.
//
//   usage: db_12_metrics FOLDER
#include <arrow/api.h>
#include <varve/database.h>
#include <varve/trace.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "expect.h"
#include "new_folder.h"

namespace {

template <typename T>
unsigned long long Number(T value) {
  return static_cast<unsigned long long>(value);
}

// Hands events on to wherever the host keeps them; here: standard output.
class Printing final : public varve::TraceSink {
 public:
  void Event(std::string_view event, std::string_view text,
             std::initializer_list<varve::TraceField> fields) override {
    if (event == "log.flush") return;  // one for each sync: too many to print
    std::string line(event);
    for (const auto& field : fields) {
      line += " " + std::string(field.name) + "=" + std::to_string(field.value);
    }
    std::printf("  [%s] %s\n", line.c_str(), std::string(text).c_str());
    if (event == "flush.done") ++flushes;
  }
  std::atomic<int> flushes = 0;
};

std::shared_ptr<arrow::RecordBatch> Readings(std::int64_t first, std::int64_t count) {
  arrow::Int64Builder id;
  arrow::DoubleBuilder value;
  for (auto i = first; i < first + count; ++i) {
    Expect(id.Append(i).ok() && value.Append(static_cast<double>(i) / 10).ok(), "it fits");
  }
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("value", arrow::float64())});
  return arrow::RecordBatch::Make(schema, count, {*id.Finish(), *value.Finish()});
}

void PrintStats(const varve::DatabaseStats& stats) {
  std::printf("commit %llu, visible %llu; log: %llu segments, %llu syncs\n",
              Number(stats.commit.value), Number(stats.visible.value),
              Number(stats.log.segments.size()), Number(stats.log.syncs));
  for (const auto& table : stats.tables) {
    std::printf("table %s: about %llu rows, %llu of them in memory (%llu bytes)\n",
                table.name.c_str(), Number(table.rows_estimate), Number(table.memtable_rows),
                Number(table.memtable_bytes));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  Printing events;
  const auto db = OrDie(
      varve::Database::Open(folder, {.create_if_missing = true}, {.trace = &events}), "open");
  OrDie(db->CreateTable("readings", Readings(0, 0)->schema(), {"id"}), "create");
  OrDie(db->Upsert("readings", Readings(0, 20'000)), "upsert");
  PrintStats(db->Stats());
  OrDie(db->Flush(), "flush");
  Expect(events.flushes == 1, "one flush was told of");
  OrDie(db->Upsert("readings", Readings(20'000, 10)), "upsert");
  const auto stats = db->Stats();
  PrintStats(stats);
  Expect(stats.tables.at(0).memtable_rows == 10, "what was flushed is not in memory any more");
  Expect(stats.flushes == 1, "one flush since it was opened");

  // What would a scan read? The newest rows are still in memory; of the file, nothing is needed.
  const auto snapshot = OrDie(db->GetSnapshot(), "snapshot");
  const auto filter = OrDie(
      varve::ParseFilter("id >= 20000", OrDie(snapshot->Schema("readings"), "schema")), "filter");
  const auto plan = OrDie(snapshot->Explain("readings", {.filter = filter}), "explain");
  std::uint64_t read = 0;
  for (const auto& source : plan.sources) {
    std::printf("  %s: %u of %u row groups, %llu bytes%s%s\n", source.name.c_str(),
                source.row_groups_read, source.row_groups, Number(source.bytes_read),
                source.reason.empty() ? "" : ": ", source.reason.c_str());
    read += source.row_groups_read;
  }
  Expect(read == 0, "no row group of the file is read");

  // Where did the time go?
  const auto profile = std::make_shared<varve::ScanProfile>();
  const auto reader = OrDie(snapshot->Scan("readings", {.profile = profile}), "scan");
  const auto rows = reader->ToTable();
  Expect(rows.ok() && profile->rows == 20'010, "all rows, and the profile counted them");
  std::printf("scan: %llu us to plan, %llu us to the first rows, %llu us to read all\n",
              Number(profile->plan_micros), Number(profile->first_micros),
              Number(profile->read_micros));
  const auto info = OrDie(db->Upsert("readings", Readings(1, 10), {.profile = true}), "upsert");
  Expect(info.profile.has_value(), "the commit's profile was asked for");
  std::printf("commit: %llu us to encode, %llu us in the log, %llu us for the memtable\n",
              Number(info.profile->encode_micros), Number(info.profile->log_micros),
              Number(info.profile->memtable_micros));
  OrDie(db->Close(), "close");
}
