// SPDX-License-Identifier: Apache-2.0
// What the parser builds with: typed operands, and the operators that combine them into Arrow
// expressions. Types are settled here; the parser knows grammar only.
//
// Comparing (Comparable): dictionaries compare as their values, extension types as their storage,
// float16 as float32, view types as their plain forms, decimal32 and decimal64 as decimal128. A
// literal takes the type of the other side exactly (view/literal.h); only a fraction compared with
// an integer column makes both float64.
// Computing: + - * of integers is checked int64, of floats float64, of decimals decimal; `/` gives
// float64 always, and x / 0 an infinity or NaN. Overflow fails the scan with an error.
// Nulls: SQL's three-valued logic.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <arrow/compute/expression.h>

#include "varve/error.h"
#include "view/caret.h"
#include "view/literal.h"

namespace varve {

// A part of a filter: an expression of a known type, or a literal whose type is still open.
struct Operand {
  arrow::compute::Expression expression;   // not bound; unset for an open literal
  std::shared_ptr<arrow::DataType> type;   // null for an open literal
  std::optional<Literal> literal;          // set for an open literal
  TextSpan span;
  int depth = 1;  // of the expression tree; Arrow walks it recursively
};

inline constexpr int kFilterDepthMax = 200;

class FilterBuilder {
 public:
  FilterBuilder(std::string_view text, std::shared_ptr<arrow::Schema> schema)
      : text_(text), schema_(std::move(schema)) {}

  Error ErrorAt(TextSpan where, std::string_view message) const {
    return CaretError(text_, where, message);
  }

  // A column, or a field inside a struct column when `path` has several names.
  Result<Operand> Column(const std::vector<std::string>& path, TextSpan span, bool quoted) const;
  static Operand Open(Literal literal, TextSpan span);
  static Operand Boolean(bool value, TextSpan span);

  // `op` is one of = != < <= > >=.
  Result<Operand> Compare(std::string_view op, const Operand& left, const Operand& right) const;
  // `op` is one of + - * /.
  Result<Operand> Compute(char op, const Operand& left, const Operand& right) const;
  Result<Operand> Negate(const Operand& operand, TextSpan span) const;
  Result<Operand> In(const Operand& value, const std::vector<Operand>& list, TextSpan span) const;
  Result<Operand> Like(const Operand& value, const Operand& pattern) const;
  Result<Operand> IsNull(const Operand& value, bool negated, TextSpan span) const;
  Result<Operand> Not(const Operand& operand, TextSpan span) const;
  // And or or of any number of operands, as a balanced tree: `a or b or c ...` may be thousands
  // long. `function` is and_kleene or or_kleene.
  Result<Operand> Combine(std::string_view function, std::vector<Operand> operands) const;
  // The operand as a boolean: a filter, or a part of `and`, `or`, `not`.
  Result<Operand> AsBoolean(const Operand& operand) const;

 private:
  Result<Operand> Settle(const Operand& open, const std::shared_ptr<arrow::DataType>& type) const;
  Result<Operand> SettleAlone(const Operand& operand) const;
  Result<Operand> Comparable(const Operand& operand) const;
  Result<Operand> Numeric(const Operand& operand) const;
  Result<Operand> Call(std::string_view function, std::vector<Operand> arguments, TextSpan span,
                       std::shared_ptr<arrow::compute::FunctionOptions> options = nullptr) const;
  Result<Operand> Cast(const Operand& operand, std::shared_ptr<arrow::DataType> type,
                       bool safe) const;
  Result<std::pair<Operand, Operand>> SettlePair(const Operand& left, const Operand& right) const;
  Result<std::optional<Operand>> SetLookup(const Operand& value, const std::vector<Operand>& list,
                                           TextSpan span) const;

  const std::string_view text_;
  const std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace varve
