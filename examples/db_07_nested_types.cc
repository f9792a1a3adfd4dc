// SPDX-License-Identifier: Apache-2.0
// 7. Nested types: structs and lists are columns as any other, and a filter may ask for a field of
// a struct.
//
//   usage: db_07_nested_types FOLDER
#include <arrow/api.h>
#include <arrow/compute/expression.h>
#include <varve/database.h>

#include <memory>
#include <string>

#include "expect.h"
#include "new_folder.h"

namespace cp = arrow::compute;

namespace {

// Order i goes to city i, and has i tags.
std::shared_ptr<arrow::RecordBatch> Orders(const std::shared_ptr<arrow::Schema>& schema,
                                           std::int64_t count) {
  arrow::Int64Builder id;
  arrow::StringBuilder city, street;
  auto tag = std::make_shared<arrow::StringBuilder>();
  arrow::ListBuilder tags(arrow::default_memory_pool(), tag);
  for (std::int64_t i = 0; i < count; ++i) {
    Expect(id.Append(i).ok() && city.Append("city " + std::to_string(i)).ok() &&
               street.Append("street").ok() && tags.Append().ok(),
           "memory");
    for (std::int64_t j = 0; j < i; ++j) Expect(tag->Append("tag").ok(), "memory");
  }
  const arrow::ArrayVector parts = {*city.Finish(), *street.Finish()};
  const std::shared_ptr<arrow::Array> address =
      *arrow::StructArray::Make(parts, schema->field(1)->type()->fields());
  const arrow::ArrayVector columns = {*id.Finish(), address, *tags.Finish()};
  return arrow::RecordBatch::Make(schema, count, columns);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  const auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false),
       arrow::field("address", arrow::struct_({arrow::field("city", arrow::utf8()),
                                               arrow::field("street", arrow::utf8())})),
       arrow::field("tags", arrow::list(arrow::utf8()))});
  OrDie(db->CreateTable("orders", schema, {"id"}), "create");
  const auto orders = Orders(schema, 10);
  OrDie(db->Upsert("orders", orders), "upsert");
  OrDie(db->Flush(), "flush");

  const auto snapshot = OrDie(db->GetSnapshot(), "snapshot");
  varve::ScanOptions options;
  options.filter = std::make_shared<cp::Expression>(
      cp::equal(cp::field_ref(arrow::FieldRef("address", "city")), cp::literal("city 7")));
  const auto reader = OrDie(snapshot->Scan("orders", options), "scan");
  std::shared_ptr<arrow::RecordBatch> found;
  Expect(reader->ReadNext(&found).ok() && found != nullptr && found->num_rows() == 1, "one order");
  Expect(found->Equals(*orders->Slice(7, 1)), "the very row, with its address and tags");

  const auto same = OrDie(snapshot->Get("orders", *orders->Slice(7, 1)->SelectColumns({0})), "get");
  Expect(same->Equals(*found), "and the same by its key");
  std::printf("%s\n", same->ToString().c_str());
  OrDie(db->Close(), "close");
}
