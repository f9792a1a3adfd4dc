// SPDX-License-Identifier: Apache-2.0
// 11. Exactly once: a reader of a queue adds up payments and is killed at the worst moment, after a
// commit that it was not told of. It asks where it was, tries again, and no payment counts twice.
//
//   usage: db_11_exactly_once FOLDER
#include <arrow/api.h>
#include <varve/database.h>

#include <cinttypes>
#include <memory>
#include <string>
#include <vector>

#include "expect.h"
#include "new_folder.h"

namespace {

constexpr char kReader[] = "payments-reader";
const std::vector<std::int64_t> kQueue = {40, 2, 7, 100, 51};  // payment n has offset n + 1

std::shared_ptr<arrow::RecordBatch> Total(std::int64_t sum) {
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("account", arrow::int64(), false),
                     arrow::field("sum", arrow::int64())}),
      1,
      {*arrow::MakeArrayFromScalar(arrow::Int64Scalar(1), 1),
       *arrow::MakeArrayFromScalar(arrow::Int64Scalar(sum), 1)});
}

std::int64_t Sum(varve::Transaction* in) {
  const auto row = OrDie(in->Get("totals", Total(0)), "get");
  if (row->num_rows() == 0) return 0;
  return static_cast<const arrow::Int64Array&>(*row->column(1)).Value(0);
}

// Adds one payment, as the commit of its offset.
varve::CommitInfo Add(varve::Database* db, std::uint64_t offset) {
  const auto in = OrDie(db->Begin(), "begin");
  OrDie(in->Upsert("totals", Total(Sum(in.get()) + kQueue[offset - 1])), "upsert");
  return OrDie(in->Commit({.producer = varve::Producer{kReader, offset}}), "commit");
}

std::uint64_t LastOffset(varve::Database* db) {
  const auto last = OrDie(db->LastOf(kReader), "last");
  return last ? last->sequence : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = std::string(NewFolder(argc, argv)) + "/queue.varve";
  {
    const auto db = OrDie(varve::Database::Open(path, {.create_if_missing = true}), "open");
    OrDie(db->CreateTable("totals", Total(0)->schema(), {"account"}), "create");
    Expect(LastOffset(db.get()) == 0, "nothing was read yet");
    for (std::uint64_t offset = 1; offset <= 3; ++offset) Add(db.get(), offset);
    OrDie(db->Flush(), "flush");  // the log lets go of these commits
  }  // here it dies: it never learned whether payment 3 was kept

  const auto db = OrDie(varve::Database::Open(path), "open again");
  const auto retry = Add(db.get(), 3);
  Expect(retry.repeat && retry.commit.value == 3, "payment 3 was there: its commit is told again");
  std::printf("payment 3 was commit %" PRIu64 "; going on after it\n", retry.commit.value);
  for (auto offset = LastOffset(db.get()) + 1; offset <= kQueue.size(); ++offset) {
    Add(db.get(), offset);
  }
  const auto stale = OrDie(db->Begin(), "begin");
  const auto late = stale->Commit({.producer = varve::Producer{kReader, 2}});
  Expect(!late && late.error().reason() == varve::ErrorReason::kStaleSequence,
         "an older reader that wakes up is refused");
  std::printf("a reader that is behind: %s\n", late.error().message().c_str());

  const auto in = OrDie(db->Begin(), "begin");
  Expect(Sum(in.get()) == 200, "each payment counts once");
  std::printf("the sum is %" PRId64 "\n", Sum(in.get()));
  OrDie(db->Close(), "close");
  return 0;
}
