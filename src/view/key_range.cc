// SPDX-License-Identifier: Apache-2.0
#include "view/key_range.h"

#include <arrow/api.h>

#include <numeric>

#include "base/result.h"
#include "view/key_interval.h"

namespace varve {
namespace {

KeyBounds NoKeys() { return {"", ""}; }

void Narrow(KeyBounds* bounds, const KeyBounds& other) {
  if (other.lower > bounds->lower) bounds->lower = other.lower;
  if (other.upper && (!bounds->upper || *other.upper < *bounds->upper)) bounds->upper = other.upper;
}

void AddText(std::string* text, const std::string& part) {
  if (part.empty()) return;
  *text += (text->empty() ? "" : " and ") + part;
}

// The bounds of whole keys that the intervals of the columns allow.
KeyBounds Compose(const std::vector<KeyInterval>& intervals, std::string* text) {
  KeyBounds bounds;
  std::string prefix;
  for (const KeyInterval& interval : intervals) {
    if (interval.Empty()) return NoKeys();
  }
  for (const KeyInterval& interval : intervals) {
    AddText(text, interval.lower_text);
    if (interval.point) {
      prefix += interval.lower;
      continue;
    }
    AddText(text, interval.upper_text);
    bounds.lower = prefix + interval.lower;
    bounds.upper = interval.upper ? std::optional(prefix + *interval.upper) : PrefixEnd(prefix);
    return bounds;
  }
  bounds.lower = prefix;
  bounds.upper = PrefixEnd(prefix);
  return bounds;
}

std::string RowText(const arrow::RecordBatch& row) {
  std::string text = "(";
  for (const auto& column : row.columns()) {
    auto value = column->GetScalar(0);
    text += (text.size() > 1 ? ", " : "") + (value.ok() ? (*value)->ToString() : "?");
  }
  return text + ")";
}

// The bytes of one bound of a KeyRange; `which` is "lower" or "upper".
Result<std::string> EncodeBound(const TableSchema& schema, const arrow::RecordBatch& row,
                                std::string_view which) {
  const std::string where = "key range: the " + std::string(which) + " bound ";
  if (row.num_rows() != 1) {
    return Fail(ErrorKind::kInvalid,
                where + "has " + std::to_string(row.num_rows()) + " rows; expected one");
  }
  const int columns = row.num_columns();
  if (columns == 0 || columns > schema.key_schema()->num_fields()) {
    return Fail(ErrorKind::kInvalid, where + "has " + std::to_string(columns) +
                                         " columns; expected the first one or more of the key's " +
                                         std::to_string(schema.key_schema()->num_fields()));
  }
  for (int i = 0; i < columns; ++i) {
    const auto& expected = schema.key_schema()->field(i);
    const auto& found = row.schema()->field(i);
    if (found->name() == expected->name() && found->type()->Equals(expected->type())) continue;
    return Fail(ErrorKind::kInvalid, where + "has column '" + found->name() + "' of type " +
                                         found->type()->ToString() + " at place " +
                                         std::to_string(i + 1) + "; expected '" +
                                         expected->name() + "' of type " +
                                         expected->type()->ToString());
  }
  std::vector<int> places(static_cast<std::size_t>(columns));
  std::iota(places.begin(), places.end(), 0);
  auto keys = schema.key_codec().Encode(row, places, 0, 1);
  if (!keys) return std::unexpected(keys.error().Within("key range: the " + std::string(which) +
                                                        " bound"));
  return std::string((*keys)[0]);
}

Result<KeyBounds> BoundsOf(const TableSchema& schema, const KeyRange& range, std::string* text) {
  KeyBounds bounds;
  if (range.lower != nullptr) {
    VARVE_ASSIGN(std::string key, EncodeBound(schema, *range.lower, "lower"));
    const auto lower = range.lower_inclusive ? std::optional(key) : PrefixEnd(key);
    if (!lower) return NoKeys();  // after the greatest key there is none
    bounds.lower = *lower;
    AddText(text, (range.lower_inclusive ? "key >= " : "key > ") + RowText(*range.lower));
  }
  if (range.upper != nullptr) {
    VARVE_ASSIGN(std::string key, EncodeBound(schema, *range.upper, "upper"));
    bounds.upper = range.upper_inclusive ? PrefixEnd(key) : std::optional(key);
    AddText(text, (range.upper_inclusive ? "key <= " : "key < ") + RowText(*range.upper));
  }
  return bounds;
}

}  // namespace

Result<PlannedRange> PlanKeyRange(const TableSchema& schema, const KeyRange& range,
                                  const arrow::compute::Expression* filter) {
  PlannedRange plan;
  std::string text;
  VARVE_ASSIGN(plan.bounds, BoundsOf(schema, range, &text));
  if (filter != nullptr) {
    Narrow(&plan.bounds, Compose(IntervalsOf(schema, *filter), &text));
  }
  if (plan.Empty()) {
    plan.bounds = NoKeys();
    plan.text = "none";
  } else if (!text.empty()) {
    plan.text = text;
  }
  return plan;
}

}  // namespace varve
