// SPDX-License-Identifier: Apache-2.0
#include "columns/expiry.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>

namespace varve::testing {
namespace {

using SchemaPtr = std::shared_ptr<const TableSchema>;

constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();

SchemaPtr SchemaBy(const std::shared_ptr<arrow::DataType>& type, const TimeToLive& live) {
  const auto made = *TableSchema::Make(
      arrow::schema({arrow::field("id", arrow::int64(), false), arrow::field("at", type)}), {"id"});
  const auto with = made->WithTimeToLive(live);
  EXPECT_TRUE(with) << with.error().message();
  return with ? *with : made;
}

// The least value that has not expired at `now`, in microseconds, by a time to live of `micros`.
std::int64_t AliveFrom(const std::shared_ptr<arrow::DataType>& type, std::int64_t micros,
                       std::int64_t now, EpochUnit unit = EpochUnit::kMicros) {
  const auto schema = SchemaBy(type, {.column = "at", .micros = micros, .unit = unit});
  return Expiry::At(*schema, {now})->alive_from();
}

TEST(ExpiryTest, TheFirstValueThatLivesIsExactInEachUnit) {
  using arrow::TimeUnit::MICRO, arrow::TimeUnit::MILLI, arrow::TimeUnit::NANO,
      arrow::TimeUnit::SECOND;
  EXPECT_EQ(AliveFrom(arrow::timestamp(MICRO), 10, 100), 90);
  EXPECT_EQ(AliveFrom(arrow::timestamp(MICRO, "Europe/Berlin"), 10, 100), 90);
  EXPECT_EQ(AliveFrom(arrow::timestamp(NANO), 10, 100), 90'000);
  EXPECT_EQ(AliveFrom(arrow::timestamp(MILLI), 1000, 3000), 2);
  EXPECT_EQ(AliveFrom(arrow::timestamp(MILLI), 1000, 3001), 3);  // 2 ms + 1 ms is before 3001 us
  EXPECT_EQ(AliveFrom(arrow::timestamp(SECOND), 0, 5'000'001), 6);
  EXPECT_EQ(AliveFrom(arrow::timestamp(SECOND), 0, -5'000'001), -5);
  EXPECT_EQ(AliveFrom(arrow::date32(), 0, 86'400'000'000), 1);
  EXPECT_EQ(AliveFrom(arrow::date32(), 0, 86'400'000'001), 2);
  EXPECT_EQ(AliveFrom(arrow::date64(), 0, 86'400'000'001), 86'400'001);
  EXPECT_EQ(AliveFrom(arrow::int64(), 10, 100), 90);
  EXPECT_EQ(AliveFrom(arrow::int64(), 0, 5'000'001, EpochUnit::kSeconds), 6);
  EXPECT_EQ(AliveFrom(arrow::int64(), 0, 5'001, EpochUnit::kMillis), 6);
  EXPECT_EQ(AliveFrom(arrow::int64(), 0, 5, EpochUnit::kNanos), 5000);
  EXPECT_EQ(AliveFrom(arrow::timestamp(MICRO), 10, kLowest + 5), kLowest);
  EXPECT_EQ(AliveFrom(arrow::timestamp(NANO), 10, kLowest / 2), kLowest);
}

TEST(ExpiryTest, ARowHasExpiredFromTheMomentThatIsTold) {
  for (const auto& type : {arrow::timestamp(arrow::TimeUnit::SECOND),
                           arrow::timestamp(arrow::TimeUnit::NANO), arrow::date32()}) {
    const auto schema = SchemaBy(type, {.column = "at", .micros = 1234});
    for (const std::int64_t value : {-3, 0, 7, 20'000}) {
      const auto when = ExpiresAt(*schema, value);
      ASSERT_TRUE(when);
      EXPECT_GT(Expiry::At(*schema, *when)->alive_from(), value) << type->ToString();
      EXPECT_LE(Expiry::At(*schema, {when->micros - 1})->alive_from(), value) << type->ToString();
    }
  }
  const auto far = SchemaBy(arrow::timestamp(arrow::TimeUnit::SECOND), {.column = "at"});
  EXPECT_FALSE(ExpiresAt(*far, std::numeric_limits<std::int64_t>::max()));
}

TEST(ExpiryTest, ANullNeverExpires) {
  const auto type = arrow::timestamp(arrow::TimeUnit::MICRO);
  const auto schema = SchemaBy(type, {.column = "at", .micros = 10});
  arrow::TimestampBuilder builder(type, arrow::default_memory_pool());
  ASSERT_TRUE(builder.Append(89).ok() && builder.AppendNull().ok() && builder.Append(90).ok());
  const auto array = *builder.Finish();
  const auto expiry = Expiry::At(*schema, {100});
  EXPECT_TRUE(expiry->Has(*array, 0));
  EXPECT_FALSE(expiry->Has(*array, 1));
  EXPECT_FALSE(expiry->Has(*array, 2));
  EXPECT_TRUE(expiry->Has(*array->Slice(0, 1), 0));
  EXPECT_FALSE(expiry->Has(*array->Slice(2), 0));
}

TEST(ExpiryTest, OnlyColumnsThatAreTimesAreTaken) {
  const auto made = *TableSchema::Make(
      arrow::schema({arrow::field("id", arrow::int64(), false), arrow::field("s", arrow::utf8()),
                     arrow::field("d", arrow::date32()), arrow::field("n", arrow::int32())}),
      {"id"});
  const auto why = [&](const TimeToLive& live) {
    const auto with = made->WithTimeToLive(live);
    return with ? std::string("taken") : with.error().message();
  };
  EXPECT_NE(why({.column = "s"}).find("expected a timestamp, date32, date64 or int64"),
            std::string::npos);
  EXPECT_NE(why({.column = "n"}).find("int32"), std::string::npos);
  EXPECT_NE(why({.column = "x"}).find("there is no column 'x'"), std::string::npos);
  EXPECT_NE(why({.column = "d", .unit = EpochUnit::kSeconds}).find("a unit is for int64 alone"),
            std::string::npos);
  EXPECT_NE(why({.column = "d", .micros = -1}).find("-1 microseconds"), std::string::npos);
  EXPECT_EQ(why({.column = "d", .micros = 0}), "taken");
  EXPECT_EQ(why({.column = "id", .micros = 5, .unit = EpochUnit::kNanos}), "taken");
}

TEST(ExpiryTest, ItIsKeptWithTheSchema) {
  const auto schema = SchemaBy(arrow::int64(), {.column = "at", .micros = 77'000'000,
                                                .unit = EpochUnit::kMillis});
  const std::string bytes = schema->Serialize();
  EXPECT_EQ(bytes.substr(0, 4), "VSC3");
  const auto parsed = TableSchema::Parse(bytes);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ((*parsed)->time_to_live(), schema->time_to_live());
  EXPECT_EQ((*parsed)->Serialize(), bytes);
  EXPECT_EQ(DescribeTimeToLive(**parsed), "77s by at (ms)");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(TableSchema::Parse(bytes.substr(0, size))) << size;
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {  // no byte makes it crash
    std::string other = bytes;
    other[at] = static_cast<char>(other[at] ^ 0x15);
    const auto read = TableSchema::Parse(other);
    EXPECT_TRUE(read || read.error().kind() == ErrorKind::kCorruption) << at;
  }
  const auto without = schema->WithTimeToLive(std::nullopt);
  EXPECT_EQ((*without)->Serialize().substr(0, 4), "VSC1");
}

}  // namespace
}  // namespace varve::testing
