// SPDX-License-Identifier: Apache-2.0
// 9. Tables that change: columns added, renamed, widened and dropped in one commit without a file
// being rewritten; older versions show the table as it was; so they do when it is dropped.
//
//   usage: db_09_schema_changes FOLDER
#include <arrow/api.h>
#include <varve/database.h>

#include <memory>
#include <string>

#include "expect.h"
#include "new_folder.h"

namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

const auto kId = arrow::field("id", arrow::int64(), false);

// One row as the table was made.
BatchPtr Reading(std::int64_t id, std::int32_t celsius) {
  const auto schema = arrow::schema({kId, arrow::field("celsius", arrow::int32())});
  return arrow::RecordBatch::Make(
      schema, 1, {*arrow::MakeArrayFromScalar(arrow::Int64Scalar(id), 1),
                  *arrow::MakeArrayFromScalar(arrow::Int32Scalar(celsius), 1)});
}

// One row as it is later.
BatchPtr Measurement(std::int64_t id, std::int64_t value, const std::string& unit) {
  const auto schema = arrow::schema({kId, arrow::field("value", arrow::int64()),
                                     arrow::field("unit", arrow::utf8(), false)});
  return arrow::RecordBatch::Make(
      schema, 1, {*arrow::MakeArrayFromScalar(arrow::Int64Scalar(id), 1),
                  *arrow::MakeArrayFromScalar(arrow::Int64Scalar(value), 1),
                  *arrow::MakeArrayFromScalar(arrow::StringScalar(unit), 1)});
}

// Rows as text: "1 20 celsius; 2 ...".
std::string Text(const varve::Snapshot& snapshot, const std::string& table) {
  std::string text;
  const auto reader = OrDie(snapshot.Scan(table), "scan");
  for (const auto& batch : *reader) {
    Expect(batch.ok(), "the scan goes on");
    for (std::int64_t row = 0; row < (*batch)->num_rows(); ++row) {
      text += text.empty() ? "" : "; ";
      for (int i = 0; i < (*batch)->num_columns(); ++i) {
        text += (i == 0 ? "" : " ") + (*(*batch)->column(i)->GetScalar(row))->ToString();
      }
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  const auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
  const auto schema = Reading(0, 0)->schema();
  OrDie(db->CreateTable("readings", schema, {"id"}), "create");
  OrDie(db->CreateTable("readings", schema, {"id"}, {.if_not_exists = true}), "once more");
  OrDie(db->Upsert("readings", Reading(1, 20)), "upsert");
  const auto before = OrDie(db->Upsert("readings", Reading(2, 21)), "upsert");
  OrDie(db->Flush(), "flush");

  // All of it is one commit. The rows that are there show the default of the new column.
  const auto changed = OrDie(
      db->AlterTable("readings",
                     {varve::RenameColumn{"celsius", "value"},
                      varve::WidenColumn{arrow::field("value", arrow::int64())},
                      varve::AddColumn{arrow::field("unit", arrow::utf8(), false),
                                       std::make_shared<arrow::StringScalar>("celsius")}}),
      "alter");
  Expect(changed.value == before.commit.value + 1, "a change is a commit like any other");
  OrDie(db->Upsert("readings", Measurement(2, 5'000'000'000, "pascal")), "upsert");
  Expect(Text(*OrDie(db->GetSnapshot(), "snapshot"), "readings") ==
             "1 20 celsius; 2 5000000000 pascal",
         "old rows and new ones side by side");
  Expect(Text(*OrDie(db->GetSnapshot(before.commit), "snapshot"), "readings") == "1 20; 2 21",
         "as it was before");

  // A batch with the former columns is told what differs.
  const auto refused = db->Upsert("readings", Reading(3, 22));
  Expect(!refused, "the table has other columns now");
  std::printf("refused: %s\n", refused.error().message().c_str());

  OrDie(db->RenameTable("readings", "measurements"), "rename");
  OrDie(db->AlterTable("measurements", {varve::DropColumn{"unit"}}), "drop a column");
  const auto dropped = OrDie(db->DropTable("measurements"), "drop");
  Expect(db->Tables().empty(), "there is no table any more");
  const varve::CommitNumber last{dropped.value - 1};
  Expect(Text(*OrDie(db->GetSnapshot(last), "snapshot"), "measurements") == "1 20; 2 5000000000",
         "but older versions show it");
  OrDie(db->Close(), "close");
  std::printf("a table through four changes\n");
}
