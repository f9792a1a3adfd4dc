// SPDX-License-Identifier: Apache-2.0
// The language of filters, and that of schemas. Input: a byte of options, then text.
#include <arrow/api.h>
#include <arrow/compute/expression.h>

#include "fuzz/input.h"
#include "fuzz/oracle.h"
#include "fuzz/target.h"
#include "varve/snapshot.h"
#include "view/filter.h"

namespace varve::fuzz {
namespace {

constexpr std::uint8_t kSchema = 1;
constexpr std::int64_t kRows = 5;

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Column(Builder builder, const std::vector<Value>& values) {
  for (const auto& value : values) FUZZ_EXPECT(builder.Append(value).ok(), "no memory");
  while (builder.length() < kRows) FUZZ_EXPECT(builder.AppendNull().ok(), "no memory");
  return *builder.Finish();
}

std::shared_ptr<arrow::RecordBatch> MakeRows() {
  const auto a = Column(arrow::Int64Builder(), std::vector<std::int64_t>{1, -7, 4, 0});
  const auto b = Column(arrow::StringBuilder(), std::vector<std::string>{"x", "", "abc"});
  const auto c = Column(arrow::DoubleBuilder(), std::vector<double>{0.5, -0.0, 1e300, 3});
  const auto d = Column(arrow::BooleanBuilder(), std::vector<bool>{true, false, true});
  const auto e =
      Column(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                                     arrow::default_memory_pool()),
             std::vector<std::int64_t>{0, 1'600'000'000'000'000});
  const auto f = Column(arrow::Date32Builder(), std::vector<std::int32_t>{0, 18'000, -1});
  const auto g = *arrow::StructArray::Make({a, b}, std::vector<std::string>{"x", "and"});
  const auto h = Column(arrow::BinaryBuilder(), std::vector<std::string>{"\1\2", "z"});
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("a", a->type()), arrow::field("b", b->type()),
                     arrow::field("c", c->type()), arrow::field("d", d->type()),
                     arrow::field("e", e->type()), arrow::field("f", f->type()),
                     arrow::field("g", g->type()), arrow::field("or", h->type())}),
      kRows, {a, b, c, d, e, f, g, h});
}

// The rows that a filter accepts of a batch, or nothing when it gives an error.
std::optional<std::vector<bool>> Accepted(FilterEvaluator* filter,
                                          const std::shared_ptr<arrow::RecordBatch>& rows) {
  std::vector<int> positions;
  for (const int column : filter->columns()) positions.push_back(column);
  const auto selection = filter->Evaluate(*rows, positions);
  if (!selection) {
    FUZZ_EXPECT(selection.error().kind() == ErrorKind::kInvalid, selection.error().message());
    return std::nullopt;
  }
  std::vector<bool> accepted;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < rows->num_rows(); ++i) {
    const auto& mask = selection->mask;
    accepted.push_back(mask == nullptr ? selection->accepted != 0
                                       : mask->IsValid(i) && mask->Value(i));
    count += accepted.back() ? 1 : 0;
  }
  FUZZ_EXPECT(count == selection->accepted, "another count");
  return accepted;
}

void TestFilter(std::string_view text) {
  static const auto rows = MakeRows();
  const auto parsed = ParseFilter(text, rows->schema());
  if (!parsed) {
    FUZZ_EXPECT(parsed.error().kind() == ErrorKind::kInvalid, parsed.error().message());
    FUZZ_EXPECT(!parsed.error().message().empty(), text);
    return;
  }
  const auto bound = BindFilter(**parsed, *rows->schema());
  FUZZ_EXPECT(bound.has_value(), bound.error().message());
  FilterEvaluator filter(*bound, rows->schema());
  const auto all = Accepted(&filter, rows);
  // A row alone is accepted or not as among others.
  bool failed = false;
  for (std::int64_t i = 0; i < kRows; ++i) {
    const auto one = Accepted(&filter, rows->Slice(i, 1));
    failed = failed || !one;
    if (all && one) FUZZ_EXPECT(one->front() == (*all)[static_cast<std::size_t>(i)], text);
  }
  FUZZ_EXPECT(all || failed, text);
}

void TestSchema(std::string_view text) {
  const auto parsed = ParseSchema(text);
  if (!parsed) {
    FUZZ_EXPECT(parsed.error().kind() == ErrorKind::kInvalid, parsed.error().message());
    return;
  }
  FUZZ_EXPECT((*parsed)->num_fields() > 0, text);
}

}  // namespace

void FuzzOne(Input input) {
  const auto options = input.Take<std::uint8_t>();
  const auto text = input.TakeRest();
  if ((options & kSchema) != 0) return TestSchema(text);
  TestFilter(text);
}

std::vector<std::string> FuzzSeeds() {
  std::vector<std::string> seeds;
  for (const char* text :
       {"a > 3 and (b in ('x','y') or c is null) and e between '2001-01-01' and '2030-12-31'",
        "not d or b like 'a%_c' and g.x * 2 - 1 >= -a / 3", "\"or\" = x'0102' or g.\"and\" <> ''",
        "f < '2020-02-29' and c not in (1, 2.5, 1e300) and b is not null", "d", "true or null",
        "(((((a)))) + +- - 1) = 0x", "c = 1e400 or a = 99999999999999999999",
        "e = '1970-01-01T00:00:00.000001Z'", "a between 1 and 2 and 3 < 4"}) {
    seeds.push_back('\0' + std::string(text));
  }
  for (const char* text :
       {"id int64, name utf8, at timestamp[us, UTC], tags list<utf8>",
        "a struct<b: decimal128(10, 2) not null, c: map<utf8, list<int8>>>, d dictionary<int16, "
        "utf8>",
        "f fixed_size_binary[16], g fixed_size_list<float>[3], h large_utf8 not null"}) {
    seeds.push_back('\1' + std::string(text));
  }
  return seeds;
}

}  // namespace varve::fuzz
