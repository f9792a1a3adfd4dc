// SPDX-License-Identifier: Apache-2.0
// The end of a run's file: page indexes, filters, Parquet's footer with the statistics of its row
// groups, and what varve keeps in it, under a checksum that agrees. The rows before it are sound.
// Input: a byte of options, then all bytes behind the rows.
#include <arrow/api.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "base/result.h"
#include "columns/table_schema.h"
#include "columns/write_batch.h"
#include "files/files.h"
#include "files/object_store.h"
#include "files/simulated_disk.h"
#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "memtable/memtable.h"
#include "run/open_run.h"
#include "run/run.h"
#include "run/run_writer.h"

namespace varve::fuzz {
namespace {

constexpr std::uint8_t kMendLength = 1;  // of the footer, as Parquet has it before its last magic
constexpr std::uint8_t kMendMagic = 2;
constexpr std::int64_t kRows = 40;

struct Sample {
  std::unique_ptr<Files> files = NewMemoryFiles();
  SeededRandom random{1};
  std::unique_ptr<ObjectStore> store = NewFolderStore(files.get(), "root", &random);
  std::shared_ptr<const TableSchema> schema;
  RunMeta meta;
  std::string bytes;
  std::vector<std::string> keys;
  std::uint32_t footer_bytes = 0;
};

std::shared_ptr<arrow::RecordBatch> SampleRows(const TableSchema& schema) {
  arrow::Int64Builder ids;
  arrow::StringBuilder texts;
  arrow::DoubleBuilder reals;
  for (std::int64_t i = 0; i < kRows; ++i) {
    const bool added = ids.Append(i * 3).ok() && reals.Append(static_cast<double>(i) / 7).ok() &&
                       (i % 5 == 0 ? texts.AppendNull() : texts.Append(std::to_string(i))).ok();
    FUZZ_EXPECT(added, "no memory");
  }
  return arrow::RecordBatch::Make(schema.schema(), kRows,
                                  {*ids.Finish(), *texts.Finish(), *reals.Finish()});
}

std::unique_ptr<Sample> MakeSample() {
  auto sample = std::make_unique<Sample>();
  sample->schema = *TableSchema::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("text", arrow::utf8()),
                     arrow::field("real", arrow::float64())}),
      {"id"});
  auto rows = PrepareUpsert(*sample->schema, SampleRows(*sample->schema));
  FUZZ_EXPECT(rows.has_value(), rows.error().message());
  for (std::int64_t i = 0; i < kRows; ++i) sample->keys.emplace_back(rows->keys[i]);
  Memtable memtable(sample->schema);
  memtable.Insert(*std::move(rows), 1);
  const auto cursor = memtable.NewCursor({0, 1, 2}, {});
  const auto meta = WriteRun(sample->store.get(), *sample->schema, cursor.get(),
                             {.id = 1,
                              .data_name = "data/t/1.parquet",
                              .deletes_name = "data/t/_deletes/1.parquet",
                              .row_group_rows = 16,
                              .piece_rows_max = 6});
  FUZZ_EXPECT(meta.has_value(), meta.error().message());
  sample->meta = *meta;
  sample->bytes = *sample->store->Get(meta->data.name);
  sample->footer_bytes =
      LoadLittle<std::uint32_t>(sample->bytes.data() + sample->bytes.size() - 8);
  return sample;
}

const Sample& TheSample() {
  static const auto sample = MakeSample();
  return *sample;
}

void CheckError(const Status& status) {
  if (!status) FUZZ_EXPECT(BlamesBytes(status.error()), status.error().message());
}

Status Drain(VersionCursor* cursor, std::int64_t* rows) {
  for (*rows = 0; *rows <= 100 * kRows; ++*rows) {
    if (const auto next = cursor->Next(); !next) return next;
    if (!cursor->valid()) return {};
    FUZZ_EXPECT(cursor->batch() == nullptr || cursor->row() < cursor->batch()->num_rows(), "a row");
    (void)cursor->key();
  }
  return Fail(ErrorKind::kInternal, "more rows than there are");
}

void ReadAll(const OpenRun& run) {
  const Sample& sample = TheSample();
  std::int64_t rows = 0;
  CheckError(Drain(run.NewCursor({0, 1, 2}, {}).get(), &rows));
  CheckError(Drain(run.NewCursor({1}, {.lower = sample.keys[9], .upper = sample.keys[30]}).get(),
                   &rows));
  CheckError(Drain(run.NewCursor({0, 2}, {}, CommitWindow{0, 1}).get(), &rows));
  const std::vector<std::string_view> keys(sample.keys.begin(), sample.keys.end());
  const auto hits = run.Get(keys, 1, {0, 1, 2});
  if (!hits) CheckError(std::unexpected(hits.error()));
}

// What planning asks of it.
void Plan(const OpenRun& run) {
  const auto groups = run.CountGroups({});
  FUZZ_EXPECT(groups.all == run.row_group_keys().size(), "groups without a first key");
  (void)run.Explain({0, 1, 2}, {});
  for (int group = 0; group < static_cast<int>(groups.all); ++group) {
    for (int column = 0; column < 3; ++column) {
      const auto values = run.ValuesOf(group, column);
      if (!values || values->min == nullptr) continue;
      FUZZ_EXPECT(values->max != nullptr, "a least value and no greatest");
      FUZZ_EXPECT(values->min->Validate().ok(), values->min->ToString());
      FUZZ_EXPECT(values->max->Validate().ok(), values->max->ToString());
    }
  }
}

struct Found {
  std::uint64_t damages = 0;
};

}  // namespace

void FuzzOne(Input input) {
  const auto options = input.Take<std::uint8_t>();
  const Sample& sample = TheSample();
  std::string tail(input.TakeRest());
  if (tail.size() >= 8 && (options & kMendMagic) != 0) tail.replace(tail.size() - 4, 4, "PAR1");
  if (tail.size() >= 8 && (options & kMendLength) != 0) {
    StoreLittle(tail.data() + tail.size() - 8, sample.footer_bytes);
  }
  auto meta = sample.meta;
  meta.data.bytes = meta.data.data_bytes + tail.size();
  meta.data.tail_crc32c = Crc32c(tail);
  const std::string rows = sample.bytes.substr(0, meta.data.data_bytes);
  FUZZ_EXPECT(sample.store->Put(meta.data.name, rows + tail).has_value(), "no memory");
  const auto run = Run::Make(sample.store.get(), sample.schema,
                             std::make_shared<const RunMeta>(meta));
  const auto open = run->Open();
  if (!open) return CheckError(std::unexpected(open.error()));
  Plan(*open);
  ReadAll(*open);
  Found found;
  CheckError(open->Verify(true, &found, [](void* context, const std::string&, std::uint64_t,
                                           const std::string& message) {
    FUZZ_EXPECT(!message.empty(), "damage without a word");
    ++static_cast<Found*>(context)->damages;
  }));
  if (rows + tail == sample.bytes) FUZZ_EXPECT(found.damages == 0, "damage in a sound file");
}

std::vector<std::string> FuzzSeeds() {
  const Sample& sample = TheSample();
  const std::string tail = sample.bytes.substr(sample.meta.data.data_bytes);
  std::vector<std::string> seeds;
  for (const int options : {0, 2, 3}) seeds.push_back(static_cast<char>(options) + tail);
  return seeds;
}

}  // namespace varve::fuzz
