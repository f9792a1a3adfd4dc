// SPDX-License-Identifier: Apache-2.0
#include "columns/alter_schema.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <string>

namespace varve::testing {
namespace {

using SchemaPtr = std::shared_ptr<const TableSchema>;

// id int64 not null (the key), a int32, b utf8 not null.
SchemaPtr Before() {
  return *TableSchema::Make(arrow::schema({arrow::field("id", arrow::int64(), false),
                                           arrow::field("a", arrow::int32()),
                                           arrow::field("b", arrow::utf8(), false)}),
                            {"id"});
}

SchemaPtr Altered(const SchemaPtr& before, const std::vector<ColumnChange>& changes) {
  auto after = AlterSchema(*before, changes);
  EXPECT_TRUE(after) << after.error().message();
  if (!after) return before;
  EXPECT_TRUE(CheckFollows(*before, **after)) << "what it made does not follow";
  return *after;
}

void ExpectRefused(const std::vector<ColumnChange>& changes, const std::string& why,
                   ErrorKind kind = ErrorKind::kInvalid) {
  const auto after = AlterSchema(*Before(), changes);
  ASSERT_FALSE(after) << why;
  EXPECT_EQ(after.error().kind(), kind) << after.error().message();
  EXPECT_NE(after.error().message().find(why), std::string::npos) << after.error().message();
}

void ExpectSame(const TableSchema& a, const TableSchema& b) {
  EXPECT_TRUE(a.schema()->Equals(b.schema())) << b.schema()->ToString();
  EXPECT_EQ(a.key_names(), b.key_names());
  EXPECT_EQ(a.identity().ids, b.identity().ids);
  EXPECT_EQ(a.identity().next_id, b.identity().next_id);
  for (std::size_t i = 0; i < a.identity().ids.size(); ++i) {
    const auto &x = a.identity().defaults[i], &y = b.identity().defaults[i];
    ASSERT_EQ(x == nullptr, y == nullptr);
    EXPECT_TRUE(x == nullptr || x->Equals(y));
  }
}

void ExpectKept(const SchemaPtr& schema) {
  const auto bytes = schema->Serialize();
  const auto parsed = TableSchema::Parse(bytes);
  ASSERT_TRUE(parsed) << parsed.error().message();
  ExpectSame(**parsed, *schema);
  EXPECT_EQ((*parsed)->Serialize(), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = TableSchema::Parse(std::string_view(bytes).substr(0, size));
    EXPECT_TRUE(cut || cut.error().kind() == ErrorKind::kCorruption) << size;
  }
}

TEST(AlterSchema, IdsStayWithTheirColumnsAndAreNeverUsedAgain) {
  const auto before = Before();
  EXPECT_TRUE(before->plain());
  EXPECT_EQ(before->identity().ids, (std::vector<std::uint32_t>{1, 2, 3}));
  const auto renamed = Altered(before, {RenameColumn{"a", "x"}, RenameColumn{"id", "key"}});
  EXPECT_TRUE(renamed->plain()) << "names are no identity";
  EXPECT_EQ(renamed->key_names(), std::vector<std::string>{"key"});
  const auto dropped = Altered(renamed, {DropColumn{"b"}});
  EXPECT_EQ(dropped->identity().ids, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_FALSE(dropped->plain());
  const auto again = Altered(dropped, {AddColumn{arrow::field("b", arrow::utf8())}});
  EXPECT_EQ(again->identity().ids, (std::vector<std::uint32_t>{1, 2, 4}));
  EXPECT_EQ(again->FindColumn(3), -1);
  EXPECT_EQ(again->FindColumn(4), 2);
  const auto swapped = Altered(
      before, {RenameColumn{"a", "t"}, RenameColumn{"b", "a"}, RenameColumn{"t", "b"}});
  EXPECT_EQ(swapped->schema()->field(2)->name(), "a");
  EXPECT_EQ(swapped->schema()->field(2)->type()->id(), arrow::Type::STRING);
  for (const auto& schema : {before, renamed, dropped, again, swapped}) ExpectKept(schema);
}

TEST(AlterSchema, DroppingABeforeTheKeyLeavesTheKey) {
  const auto before =
      *TableSchema::Make(arrow::schema({arrow::field("a", arrow::int8()),
                                        arrow::field("k", arrow::utf8()),
                                        arrow::field("b", arrow::int8()),
                                        arrow::field("j", arrow::int64())}),
                         {"j", "k"});
  const auto after = Altered(before, {DropColumn{"a"}, DropColumn{"b"}});
  EXPECT_EQ(after->key_names(), (std::vector<std::string>{"j", "k"}));
  EXPECT_EQ(after->key_columns(), (std::vector<int>{1, 0}));
  ExpectKept(after);
}

TEST(AlterSchema, DefaultsAreOfTheColumnsTypeAndWidenWithIt) {
  const auto before = Before();
  const auto added =
      Altered(before, {AddColumn{arrow::field("n", arrow::int16(), false), arrow::MakeScalar(7)},
                       AddColumn{arrow::field("s", arrow::utf8()), arrow::MakeScalar("x")},
                       AddColumn{arrow::field("z", arrow::list(arrow::int8()))}});
  const auto& defaults = added->identity().defaults;
  EXPECT_TRUE(defaults[3]->Equals(*arrow::MakeArrayFromScalar(arrow::Int16Scalar(7), 1)));
  EXPECT_EQ(defaults[4]->type_id(), arrow::Type::STRING);
  EXPECT_EQ(defaults[5], nullptr);
  ExpectKept(added);
  const auto wide = Altered(added, {WidenColumn{arrow::field("n", arrow::int64())},
                                    WidenColumn{arrow::field("s", arrow::large_utf8())}});
  EXPECT_EQ(wide->identity().defaults[3]->type_id(), arrow::Type::INT64);
  EXPECT_EQ(wide->identity().defaults[4]->type_id(), arrow::Type::LARGE_STRING);
  ExpectKept(wide);
}

TEST(AlterSchema, RefusesWhatCannotBe) {
  const auto n = [](std::shared_ptr<arrow::DataType> type, bool nullable = true) {
    return arrow::field("n", std::move(type), nullable);
  };
  ExpectRefused({}, "no change");
  ExpectRefused({DropColumn{"zz"}}, "'zz'; the table has id, a, b", ErrorKind::kNotFound);
  ExpectRefused({DropColumn{"id"}}, "a key column cannot be dropped");
  ExpectRefused({RenameColumn{"zz", "y"}}, "'zz'", ErrorKind::kNotFound);
  ExpectRefused({RenameColumn{"a", "b"}}, "'b': the table has a column of this name");
  ExpectRefused({RenameColumn{"a", "_varve_x"}}, "varve's own");
  ExpectRefused({RenameColumn{"a", ""}}, "empty");
  ExpectRefused({AddColumn{}}, "no field");
  ExpectRefused({AddColumn{arrow::field("a", arrow::int8())}}, "'a': the table has a column");
  ExpectRefused({AddColumn{n(arrow::int8(), false)}}, "'n': it must not be null, so it needs");
  ExpectRefused({AddColumn{n(arrow::int8()), arrow::MakeScalar(300)}}, "300 is no value of int8");
  ExpectRefused({AddColumn{n(arrow::int32()), arrow::MakeScalar("seven")}}, "'n'");
  ExpectRefused({AddColumn{n(arrow::utf8()), arrow::MakeScalar(std::string(2000, 'x'))}},
                "at most 1024");
  ExpectRefused({AddColumn{n(arrow::dense_union({arrow::field("x", arrow::int8())}))}}, "'n'");
  ExpectRefused({WidenColumn{arrow::field("id", arrow::int64())}},
                "a key column cannot be widened");
  ExpectRefused({WidenColumn{arrow::field("a", arrow::int16())}}, "int32 cannot become int16");
  ExpectRefused({WidenColumn{arrow::field("a", arrow::int64(), false)}}, "not null");
  ExpectRefused({WidenColumn{arrow::field("b", arrow::binary())}}, "string not null cannot become");
  ExpectRefused({AddColumn{n(arrow::int8())}, DropColumn{"n"}, RenameColumn{"n", "m"}}, "'n'",
                ErrorKind::kNotFound);
}

TEST(AlterSchema, WidensWhereNoValueAndNoOrderIsLost) {
  using namespace arrow;
  const std::vector<std::pair<std::shared_ptr<DataType>, std::shared_ptr<DataType>>> wide = {
      {int8(), int16()},       {int8(), int64()},
      {uint8(), uint32()},     {uint8(), int16()},
      {uint32(), int64()},     {float32(), float64()},
      {utf8(), large_utf8()},  {binary(), large_binary()},
      {decimal128(5, 2), decimal128(9, 2)}, {decimal128(5, 2), decimal256(50, 2)},
      {date32(), timestamp(TimeUnit::MILLI)}};
  for (const auto& [from, to] : wide) {
    EXPECT_TRUE(CanWiden(*from, *to)) << from->ToString() << " to " << to->ToString();
    EXPECT_FALSE(CanWiden(*to, *from)) << to->ToString() << " to " << from->ToString();
  }
  const std::vector<std::pair<std::shared_ptr<DataType>, std::shared_ptr<DataType>>> others = {
      {int8(), uint8()},       {int8(), uint64()},
      {uint8(), int8()},       {uint64(), int64()},
      {int32(), float64()},    {utf8(), binary()},
      {decimal128(5, 2), decimal128(9, 3)}, {date32(), timestamp(TimeUnit::MICRO)},
      {date32(), timestamp(TimeUnit::MILLI, "UTC")},
      {timestamp(TimeUnit::MILLI), timestamp(TimeUnit::MICRO)},
      {list(int8()), list(int16())}};
  for (const auto& [from, to] : others) {
    EXPECT_FALSE(CanWiden(*from, *to)) << from->ToString() << " to " << to->ToString();
  }
}

TEST(AlterSchema, ASchemaThatDoesNotFollowIsKnown) {
  const auto before = Before();
  const auto make = [](const arrow::FieldVector& fields, std::vector<std::uint32_t> ids,
                       std::uint32_t next, std::vector<std::string> key = {"id"}) {
    ColumnIdentity identity{.ids = std::move(ids), .next_id = next, .defaults = {}};
    identity.defaults.resize(fields.size());
    return *TableSchema::Make(arrow::schema(fields), key, std::move(identity));
  };
  const auto id = arrow::field("id", arrow::int64(), false);
  const auto a = arrow::field("a", arrow::int32());
  EXPECT_TRUE(CheckFollows(*before, *make({id, a}, {1, 2}, 4)));
  EXPECT_FALSE(CheckFollows(*before, *make({id, a}, {1, 2}, 3))) << "an id would be used again";
  EXPECT_FALSE(CheckFollows(*make({id, a}, {1, 2}, 4), *make({id, a}, {1, 3}, 4)));
  EXPECT_FALSE(CheckFollows(*before, *make({id->WithType(arrow::int32()), a}, {1, 2}, 4)));
  EXPECT_FALSE(CheckFollows(*before, *make({id, a}, {1, 2}, 4, {"id", "a"})));
  EXPECT_FALSE(CheckFollows(*before, *make({id, a}, {2, 1}, 4))) << "another column is the key";
  EXPECT_FALSE(CheckFollows(*before, *make({id, a->WithType(arrow::utf8())}, {1, 2}, 4)));
  EXPECT_FALSE(CheckFollows(*before, *make({id, a->WithNullable(false)}, {1, 2}, 4)));
  EXPECT_FALSE(CheckFollows(*before, *make({id, a->WithNullable(false)}, {1, 4}, 5)));
}

TEST(AlterSchema, IdsThatCannotBeAreRefused) {
  const auto schema = arrow::schema({arrow::field("a", arrow::int8())});
  const auto make = [&](std::vector<std::uint32_t> ids, std::uint32_t next, std::size_t defaults) {
    ColumnIdentity identity{.ids = std::move(ids), .next_id = next, .defaults = {}};
    identity.defaults.resize(defaults);
    return TableSchema::Make(schema, {"a"}, std::move(identity)).has_value();
  };
  EXPECT_TRUE(make({1}, 2, 1));
  EXPECT_TRUE(make({5}, 9, 1));
  EXPECT_FALSE(make({0}, 2, 1));
  EXPECT_FALSE(make({2}, 2, 1));
  EXPECT_FALSE(make({1, 2}, 3, 1));
  EXPECT_FALSE(make({1}, UINT32_MAX, 1));
  EXPECT_FALSE(make({1}, 2, 2));
}

}  // namespace
}  // namespace varve::testing
