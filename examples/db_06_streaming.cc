// SPDX-License-Identifier: Apache-2.0
// 6. Streaming: a scan comes in batches, holds no lock between them, shows one moment however
// slowly it is read, and can be cancelled by whoever has its stop source, from any thread.
//
//   usage: db_06_streaming FOLDER
#include <arrow/api.h>
#include <varve/database.h>

#include <memory>
#include <stop_token>
#include <string>

#include "expect.h"
#include "new_folder.h"

namespace {

constexpr std::int64_t kRows = 100'000;

std::shared_ptr<arrow::RecordBatch> Numbers(const std::shared_ptr<arrow::Schema>& schema,
                                            std::int64_t value) {
  arrow::Int64Builder id, values;
  for (std::int64_t i = 0; i < kRows; ++i) {
    Expect(id.Append(i).ok() && values.Append(value).ok(), "memory");
  }
  return arrow::RecordBatch::Make(schema, kRows, {*id.Finish(), *values.Finish()});
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  const auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
  const auto schema = OrDie(varve::ParseSchema("id int64 not null, value int64"), "schema");
  OrDie(db->CreateTable("numbers", schema, {"id"}), "create");
  OrDie(db->Upsert("numbers", Numbers(schema, 1)), "upsert");

  const auto reader = OrDie(db->Scan("numbers", {.batch_rows_max = 1'000}), "scan");
  std::shared_ptr<arrow::RecordBatch> batch;
  std::int64_t rows = 0, sum = 0, batches = 0;
  while (reader->ReadNext(&batch).ok() && batch != nullptr) {
    if (batches++ == 10) {  // in the middle: every row is replaced, and the files are written anew
      OrDie(db->Upsert("numbers", Numbers(schema, 1'000)), "overwrite");
      OrDie(db->Flush(), "flush");
    }
    const auto& values = static_cast<const arrow::Int64Array&>(*batch->column(1));
    for (std::int64_t i = 0; i < values.length(); ++i) sum += values.Value(i);
    rows += batch->num_rows();
  }
  Expect(rows == kRows && sum == kRows, "the scan shows the moment at which it began");
  std::printf("%lld rows in %lld batches, while all of them were replaced\n",
              static_cast<long long>(rows), static_cast<long long>(batches));

  std::stop_source stop;
  const auto cancelled = OrDie(
      db->Scan("numbers", {.stop = stop.get_token(), .batch_rows_max = 1'000}), "scan");
  Expect(cancelled->ReadNext(&batch).ok() && batch != nullptr, "the first batch");
  stop.request_stop();
  const auto status = cancelled->ReadNext(&batch);
  Expect(status.IsCancelled(), "the next one is not given");
  std::printf("%s\n", status.ToString().c_str());
  OrDie(db->Close(), "close");
}
