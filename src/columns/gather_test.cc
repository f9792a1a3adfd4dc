// SPDX-License-Identifier: Apache-2.0
#include "columns/gather.h"

#include <arrow/api.h>
#include <arrow/util/byte_size.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "columns/copy_column.h"
#include "test/support/all_types.h"
#include "test/support/seed.h"

namespace varve {
namespace {

using testing::AllTypes;
using testing::RandomBatch;
using testing::SameRows;
using testing::TypeCase;

class GatherOfType : public ::testing::TestWithParam<TypeCase> {};

// Row by row, by the slowest means.
void ExpectRows(const arrow::RecordBatch& gathered, const std::vector<RowSlice>& slices) {
  std::int64_t row = 0;
  for (const auto& slice : slices) {
    ASSERT_TRUE(SameRows(*gathered.Slice(row, slice.length),
                         *slice.batch->Slice(slice.start, slice.length)));
    row += slice.length;
  }
  ASSERT_EQ(gathered.num_rows(), row);
}

TEST_P(GatherOfType, GivesTheRowsOfTheSlicesInOrder) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  std::vector<std::shared_ptr<arrow::RecordBatch>> sources;
  for (std::uint64_t i = 0; i < 3; ++i) {
    sources.push_back(RandomBatch(GetParam().schema, 200, seed + i)->Slice(3 * i));
  }
  for (const std::uint64_t longest : {1, 3, 60}) {  // takes, takes, concatenates
    std::vector<RowSlice> slices;
    for (int i = 0; i < 25; ++i) {
      const auto& source = sources[random.Below(sources.size())];
      const auto length = static_cast<std::int64_t>(random.Below(longest + 1));
      slices.push_back(
          {source, static_cast<std::int64_t>(random.Below(190 - longest)), length});
    }
    const auto gathered = Gather(GetParam().schema, slices);
    ASSERT_TRUE(gathered) << gathered.error().message();
    ASSERT_TRUE((*gathered)->ValidateFull().ok());
    ExpectRows(**gathered, slices);
  }
}

TEST_P(GatherOfType, ACopyOfFewRowsNeedsNothingOfItsSources) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::shared_ptr<arrow::RecordBatch>> sources;
    for (std::uint64_t i = 0; i < 3; ++i) {
      sources.push_back(RandomBatch(GetParam().schema, 50, random.Next())->Slice(5));
    }
    std::vector<RowSlice> slices;
    for (std::uint64_t i = 0; i <= random.Below(12); ++i) {
      const auto start = static_cast<std::int64_t>(random.Below(40));
      slices.push_back({sources[random.Below(3)], start, 1 + std::int64_t(random.Below(2))});
    }
    const auto copy = CopyRows(GetParam().schema, slices);
    ASSERT_TRUE(copy) << copy.error().message();
    ASSERT_TRUE((*copy)->ValidateFull().ok());
    ExpectRows(**copy, slices);
    // The columns without their batch.
    const auto kept = (*copy)->columns();
    const auto again = arrow::RecordBatch::Make(GetParam().schema, (*copy)->num_rows(), kept);
    std::vector<std::weak_ptr<arrow::Buffer>> theirs;
    for (const auto& source : sources) {
      for (const auto& buffer : source->column_data(0)->buffers) theirs.push_back(buffer);
    }
    sources.clear();
    slices.clear();
    for (const auto& buffer : theirs) EXPECT_TRUE(buffer.expired());
    EXPECT_TRUE(again->ValidateFull().ok());
  }
}

TEST_P(GatherOfType, CountsBytesOfTheSliceOnly) {
  const auto batch = RandomBatch(GetParam().schema, 4000, 1);
  const auto whole = BatchBytes(*batch);
  EXPECT_GE(whole, 4000u * 8);
  EXPECT_LE(BatchBytes(*batch->Slice(100, 10)), whole / 40);
  EXPECT_LE(BatchBytes(*batch->Slice(100, 0)), 200u);
}

INSTANTIATE_TEST_SUITE_P(AllTypes, GatherOfType, ::testing::ValuesIn(AllTypes()),
                         [](const auto& type) { return type.param.name; });

TEST(Gather, NumbersAndTextCountAsArrowCountsThem) {
  const auto schema = arrow::schema(
      {arrow::field("a", arrow::boolean()), arrow::field("b", arrow::float32()),
       arrow::field("c", arrow::decimal128(20, 2)), arrow::field("d", arrow::utf8()),
       arrow::field("e", arrow::large_binary())});
  const auto whole = RandomBatch(schema, 4000, 1);
  for (const auto& batch : {whole, whole->Slice(77)}) {
    const auto counted = static_cast<std::uint64_t>(*arrow::util::ReferencedBufferSize(*batch));
    EXPECT_GE(BatchBytes(*batch) + 32, counted);  // parts of a byte, one offset
    EXPECT_LE(BatchBytes(*batch), counted + 32);
  }
}

TEST(CopyRows, LongTextAmongFewRowsGetsMemoryOfItsOwn) {
  arrow::StringBuilder text;
  for (const int length : {0, 5, 100'000, 3, 70'000, 17}) {
    ASSERT_TRUE(text.Append(std::string(static_cast<std::size_t>(length), 'x')).ok());
  }
  const std::shared_ptr<arrow::Array> column = *text.Finish();
  const auto schema = arrow::schema({arrow::field("a", arrow::utf8()),
                                     arrow::field("b", arrow::utf8())});
  const auto batch = arrow::RecordBatch::Make(schema, 6, {column, column});
  for (std::int64_t row = 0; row < 6; ++row) {
    const std::vector<RowSlice> slices = {{batch, row, 1}, {batch, 5 - row, 1}};
    const auto copy = *CopyRows(schema, slices);
    ASSERT_TRUE(copy->ValidateFull().ok());
    ExpectRows(*copy, slices);
  }
}

// As a memtable whose keys came in any order.
TEST(Gather, ManyBatchesThatTakeTurnsHaveOneNumberEach) {
  const auto schema = arrow::schema({arrow::field("text", arrow::utf8())});
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    batches.push_back(RandomBatch(schema, 5, seed));
  }
  SliceSources sources;
  std::vector<RowSlice> slices;
  for (std::int64_t row = 0; row < 5; ++row) {
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const std::size_t turn = (7 * i) % batches.size();
      EXPECT_EQ(sources.NumberOf(batches[turn].get()), i);
      slices.push_back({batches[turn], row, 1});
    }
  }
  EXPECT_EQ(sources.batches().size(), batches.size());
  const auto gathered = Gather(schema, slices);
  ASSERT_TRUE(gathered) << gathered.error().message();
  ExpectRows(**gathered, slices);
}

TEST(Gather, OneSliceIsNotCopied) {
  const auto batch = RandomBatch(arrow::schema({arrow::field("a", arrow::int64())}), 10, 1, 0);
  const auto cut = *Gather(batch->schema(), {{batch, 2, 5}});
  EXPECT_EQ(cut->column_data(0)->buffers[1], batch->column_data(0)->buffers[1]);
  EXPECT_EQ(cut->num_rows(), 5);
}

TEST(Gather, NothingGivesAnEmptyBatch) {
  const auto schema = arrow::schema({arrow::field("a", arrow::utf8())});
  EXPECT_EQ((*Gather(schema, {}))->num_rows(), 0);
  EXPECT_EQ((*Gather(arrow::schema(arrow::FieldVector{}), {}))->num_columns(), 0);
}

TEST(Gather, NoColumnsStillCountRows) {
  const auto empty = arrow::schema(arrow::FieldVector{});
  const auto batch = arrow::RecordBatch::Make(empty, 10, arrow::ArrayVector{});
  EXPECT_EQ((*Gather(empty, {{batch, 0, 3}, {batch, 5, 4}}))->num_rows(), 7);
}

// A copy of a buffer's bytes that ends where the memory does: what reads on behind it is killed.
class AtTheEndOfMemory final : public arrow::Buffer {
 public:
  static std::shared_ptr<arrow::Buffer> Of(const arrow::Buffer& from) {
    const auto bytes = static_cast<std::size_t>(from.size());
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto whole = (bytes + page - 1) / page * page;
    void* const memory = ::mmap(nullptr, whole + page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    auto* const data = static_cast<std::uint8_t*>(memory) + whole - bytes;
    std::memcpy(data, from.data(), bytes);
    EXPECT_EQ(::mprotect(static_cast<std::uint8_t*>(memory) + whole, page, PROT_NONE), 0);
    return std::shared_ptr<arrow::Buffer>(new AtTheEndOfMemory(data, bytes, memory, whole + page));
  }
  ~AtTheEndOfMemory() override { ::munmap(memory_, mapped_); }

 private:
  AtTheEndOfMemory(const std::uint8_t* data, std::size_t bytes, void* memory, std::size_t mapped)
      : Buffer(data, static_cast<std::int64_t>(bytes)), memory_(memory), mapped_(mapped) {}

  void* const memory_;
  const std::size_t mapped_;
};

std::shared_ptr<arrow::RecordBatch> AtTheEndsOfMemory(const arrow::RecordBatch& batch) {
  arrow::ArrayVector columns;
  for (const auto& column : batch.column_data()) {
    const auto data = std::make_shared<arrow::ArrayData>(*column);
    for (auto& buffer : data->buffers) {
      if (buffer != nullptr) buffer = AtTheEndOfMemory::Of(*buffer);
    }
    columns.push_back(arrow::MakeArray(data));
  }
  return arrow::RecordBatch::Make(batch.schema(), batch.num_rows(), std::move(columns));
}

// Few and many rows, in parts around the length of a block, up to the last row of their sources.
TEST(CopyRows, ReadsNothingBehindItsSources) {
  const std::uint64_t seed = testing::TestSeed();
  SCOPED_TRACE(testing::SeedTrace(seed));
  SeededRandom random(seed);
  const auto schema = arrow::schema(
      {arrow::field("a", arrow::int8()), arrow::field("b", arrow::int32()),
       arrow::field("c", arrow::int64()), arrow::field("d", arrow::decimal128(20, 2)),
       arrow::field("e", arrow::utf8()), arrow::field("f", arrow::large_utf8()),
       arrow::field("g", arrow::int16()), arrow::field("h", arrow::boolean()),
       arrow::field("i", arrow::decimal256(50, 2)),
       arrow::field("j", arrow::fixed_size_binary(3))});
  constexpr std::int64_t kRows = 40;
  const std::vector<std::shared_ptr<arrow::RecordBatch>> sources = {
      AtTheEndsOfMemory(*RandomBatch(schema, kRows, seed)),
      AtTheEndsOfMemory(*RandomBatch(schema, kRows + 5, seed + 1))->Slice(5)};
  for (const std::uint64_t parts : {2, 50}) {
    for (int round = 0; round < 50; ++round) {
      std::vector<RowSlice> slices;
      for (std::uint64_t i = 0; i < parts; ++i) {
        const auto length = 1 + static_cast<std::int64_t>(random.Below(12));
        const auto last = static_cast<std::int64_t>(random.Below(4));  // often the end
        slices.push_back({sources[random.Below(2)], kRows - length - last, length});
      }
      const auto copy = *CopyRows(schema, slices);
      ASSERT_TRUE(copy->ValidateFull().ok());
      ExpectRows(*copy, slices);
    }
  }
}

// Three rows of text: two short ones around one of `bytes` bytes, which are address space only.
class HugeText {
 public:
  explicit HugeText(std::int32_t bytes) : size_(static_cast<std::size_t>(bytes) + 2) {
    data_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT_NE(data_, MAP_FAILED);
    char* const text = static_cast<char*>(data_);
    text[0] = 'a';
    text[size_ - 1] = 'c';
    const std::vector<std::int32_t> offsets = {0, 1, 1 + bytes, 2 + bytes};
    const auto values = std::make_shared<arrow::Buffer>(static_cast<const std::uint8_t*>(data_),
                                                        static_cast<std::int64_t>(size_));
    batch_ = arrow::RecordBatch::Make(
        arrow::schema({arrow::field("s", arrow::utf8())}), 3,
        {std::make_shared<arrow::StringArray>(3, arrow::Buffer::FromVector(offsets), values)});
  }
  ~HugeText() { ::munmap(data_, size_); }
  const std::shared_ptr<arrow::RecordBatch>& batch() const { return batch_; }

 private:
  const std::size_t size_;
  void* data_;
  std::shared_ptr<arrow::RecordBatch> batch_;
};

// A generation may hold more than 2 GiB of one column, while a row group takes little of it.
TEST(Gather, RowsThatAreNotTakenCostNothing) {
  const HugeText one(1'200'000'000), two(1'200'000'000);
  const auto& a = one.batch();
  const auto& b = two.batch();
  const auto gathered = Gather(a->schema(), {{a, 0, 1}, {b, 2, 1}, {a, 2, 1}, {b, 0, 1}});
  ASSERT_TRUE(gathered) << gathered.error().message();
  const auto& text = static_cast<const arrow::StringArray&>(*(*gathered)->column(0));
  EXPECT_EQ(text.GetString(0) + text.GetString(1) + text.GetString(2) + text.GetString(3), "acca");
}

}  // namespace
}  // namespace varve
