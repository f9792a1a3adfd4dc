// SPDX-License-Identifier: Apache-2.0
// 2. Transactions: money goes from one account to another and a receipt is written, all of it or
// nothing, while somebody else does the same. Who comes second is told, and begins again.
//
//   usage: db_02_transaction FOLDER
#include <arrow/api.h>
#include <varve/database.h>

#include <memory>
#include <optional>
#include <string>

#include "expect.h"
#include "new_folder.h"

namespace {

std::shared_ptr<arrow::Schema> Columns(const char* text) {
  return OrDie(varve::ParseSchema(text), "schema");
}

// One row of two int64 columns, or of the first alone.
std::shared_ptr<arrow::RecordBatch> Row(std::int64_t id, std::optional<std::int64_t> value = {}) {
  arrow::FieldVector fields = {arrow::field("id", arrow::int64(), false)};
  arrow::ArrayVector columns = {*arrow::MakeArrayFromScalar(arrow::Int64Scalar(id), 1)};
  if (value) {
    fields.push_back(arrow::field("amount", arrow::int64()));
    columns.push_back(*arrow::MakeArrayFromScalar(arrow::Int64Scalar(*value), 1));
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), 1, columns);
}

std::int64_t Balance(varve::Transaction* in, std::int64_t account) {
  const auto row = OrDie(in->Get("accounts", Row(account)), "get");
  Expect(row->num_rows() == 1, "the account is there");
  return static_cast<const arrow::Int64Array&>(*row->column(1)).Value(0);
}

void Transfer(varve::Transaction* in, std::int64_t from, std::int64_t to, std::int64_t amount,
              std::int64_t receipt) {
  OrDie(in->Upsert("accounts", Row(from, Balance(in, from) - amount)), "take");
  OrDie(in->Upsert("accounts", Row(to, Balance(in, to) + amount)), "give");
  OrDie(in->Upsert("receipts", Row(receipt, amount)), "receipt");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = NewFolder(argc, argv);
  const auto db = OrDie(varve::Database::Open(folder, {.create_if_missing = true}), "open");
  OrDie(db->CreateTable("accounts", Columns("id int64 not null, amount int64"), {"id"}), "create");
  OrDie(db->CreateTable("receipts", Columns("id int64 not null, amount int64"), {"id"}), "create");
  for (const std::int64_t account : {1, 2, 3}) {
    OrDie(db->Upsert("accounts", Row(account, 100)), "open an account");
  }

  const auto rent = OrDie(db->Begin(), "begin");
  const auto gift = OrDie(db->Begin(), "begin");
  Transfer(rent.get(), 1, 2, 70, 1001);
  Transfer(gift.get(), 1, 3, 20, 1002);
  std::printf("within the rent, account 1 has %lld; for everybody else it still has 100\n",
              static_cast<long long>(Balance(rent.get(), 1)));

  const auto paid = OrDie(rent->Commit(), "commit");
  std::printf("the rent is commit %llu: three rows in two tables\n",
              static_cast<unsigned long long>(paid.commit.value));
  const auto refused = gift->Commit();
  Expect(!refused && refused.error().kind() == varve::ErrorKind::kConflict, "both took from 1");
  std::printf("the gift was refused: %s\n", refused.error().message().c_str());

  const auto again = OrDie(db->Begin(), "begin again");
  Transfer(again.get(), 1, 3, 20, 1002);
  OrDie(again->Commit(), "commit");

  const auto now = OrDie(db->Begin(), "begin");
  Expect(Balance(now.get(), 1) == 10, "account 1 paid both");
  Expect(Balance(now.get(), 2) == 170 && Balance(now.get(), 3) == 120, "and both were paid");
  OrDie(db->Close(), "close");
  std::printf("no money was lost\n");
}
