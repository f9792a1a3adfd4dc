// SPDX-License-Identifier: Apache-2.0
// What `scan` writes, `load` reads back without loss: every type a table can have, in every format.
#include <arrow/compute/api.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "input/temporary_file.h"
#include "output/row_writer.h"
#include "test/support/all_types.h"
#include "test/support/seed.h"

namespace varve::cli {
namespace {

constexpr std::int64_t kRows = 200;

class RoundTripTest
    : public ::testing::TestWithParam<std::tuple<varve::testing::TypeCase, const char*>> {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(arrow::compute::Initialize().ok()); }

  void Write(const std::string& path, const arrow::RecordBatch& batch) {
    auto writer = OpenOutput({.path = path, .overwrite = true}, batch.schema());
    ASSERT_TRUE(writer) << writer.error().error.message();
    auto written = (*writer)->Write(batch);
    ASSERT_TRUE(written) << written.error().error.message();
    auto finished = (*writer)->Finish();
    ASSERT_TRUE(finished) << finished.error().error.message();
  }
};

TEST_P(RoundTripTest, ComesBackAsItWas) {
  const auto& [type, extension] = GetParam();
  const std::string schema = type.schema->ToString();
  if (std::string(extension) == ".parquet" && schema.find("fixed_size_list") != schema.npos) {
    GTEST_SKIP() << "Parquet output turns fixed-size lists into lists (columnar_writers.cc)";
  }
  const std::uint64_t seed = varve::testing::TestSeed();
  SCOPED_TRACE(varve::testing::SeedTrace(seed));
  const auto rows = varve::testing::RandomBatch(type.schema, kRows, seed);
  const TemporaryFile file("rows" + std::string(extension));
  Write(file.path(), *rows);
  if (HasFatalFailure()) return;

  InputOptions options;
  options.schema = type.schema;
  options.nulls = {""};
  auto reader = OpenRows(file.path(), options);
  ASSERT_TRUE(reader) << reader.error().error.message();
  auto back = (*reader)->Next(kRows + 1);
  ASSERT_TRUE(back) << back.error().error.message();
  ASSERT_TRUE(*back != nullptr);
  EXPECT_TRUE(varve::testing::SameRows(*rows, **back))
      << rows->ToString() << "\n" << (*back)->ToString();
}

INSTANTIATE_TEST_SUITE_P(
    EveryTypeAndFormat, RoundTripTest,
    ::testing::Combine(::testing::ValuesIn(varve::testing::AllTypes()),
                     ::testing::Values(".csv", ".jsonl", ".csv.gz", ".jsonl.zst", ".arrow",
                                     ".parquet")),
    [](const auto& tested) {
      std::string name = std::get<0>(tested.param).name + std::get<1>(tested.param);
      std::ranges::replace(name, '.', '_');
      return name;
    });

TEST(ReplacedFileTest, FileAppearsOnlyWhenFinished) {
  const TemporaryFile file("rows.csv", "before");
  const auto schema = arrow::schema({arrow::field("a", arrow::int64())});
  {
    auto writer = OpenOutput({.path = file.path(), .overwrite = true}, schema);
    ASSERT_TRUE(writer);
  }
  std::string content;
  std::getline(std::ifstream(file.path()), content);
  EXPECT_EQ(content, "before");
  const auto folder = std::filesystem::path(file.path()).parent_path();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

}  // namespace
}  // namespace varve::cli
