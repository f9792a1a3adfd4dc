// SPDX-License-Identifier: Apache-2.0
#include "view/filter_parser.h"

#include <arrow/compute/expression.h>
#include <arrow/type.h>

#include <algorithm>
#include <array>

#include "base/result.h"
#include "columns/arrow_init.h"
#include "view/filter.h"
#include "view/filter_builder.h"
#include "view/lexer.h"

namespace varve {
namespace {

constexpr std::array<std::string_view, 10> kKeywords = {
    "and", "or", "not", "in", "between", "like", "is", "null", "true", "false"};

// `word` is lower case.
bool EqualsIgnoringCase(std::string_view text, std::string_view word) {
  return std::equal(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

bool IsKeyword(const Token& token) {
  return token.kind == TokenKind::kName &&
         std::any_of(kKeywords.begin(), kKeywords.end(),
                     [&](auto word) { return EqualsIgnoringCase(token.text, word); });
}

bool IsCompareSymbol(std::string_view text) {
  return text == "=" || text == "!=" || text == "<" || text == "<=" || text == ">" || text == ">=";
}

class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens, std::shared_ptr<arrow::Schema> schema)
      : builder_(text, std::move(schema)), tokens_(std::move(tokens)) {}

  Result<arrow::compute::Expression> Run() {
    VARVE_ASSIGN(Operand filter, Or());
    if (Peek().kind != TokenKind::kEnd) return FailAt(Peek(), TrailingMessage());
    VARVE_ASSIGN(filter, builder_.AsBoolean(filter));
    return std::move(filter.expression);
  }

 private:
  const Token& Peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& Take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool IsWord(std::string_view word, std::size_t ahead = 0) const {
    return Peek(ahead).kind == TokenKind::kName && EqualsIgnoringCase(Peek(ahead).text, word);
  }
  bool IsSymbol(std::string_view symbol) const {
    return Peek().kind == TokenKind::kSymbol && Peek().text == symbol;
  }
  bool TakeWord(std::string_view word) { return IsWord(word) && (Take(), true); }
  bool TakeSymbol(std::string_view symbol) { return IsSymbol(symbol) && (Take(), true); }

  std::unexpected<Error> FailAt(const Token& token, std::string_view message) const {
    return std::unexpected(builder_.ErrorAt(token.span, message));
  }
  Status ExpectSymbol(std::string_view symbol, std::string_view why) {
    if (TakeSymbol(symbol)) return {};
    return FailAt(Peek(), "expected " + std::string(symbol) + std::string(why));
  }
  // From `begin` to the end of the last token taken.
  TextSpan Since(std::size_t begin) const { return {begin, tokens_[at_ - 1].span.end}; }

  std::string TrailingMessage() const {
    if (Peek().kind == TokenKind::kSymbol && IsCompareSymbol(Peek().text)) {
      return "comparisons do not chain; join two of them with 'and'";
    }
    if (IsSymbol(")")) return "this ) closes nothing";
    return "expected 'and', 'or', an operator or the end";
  }

  // Counts nesting, so that hostile text cannot exhaust the stack.
  class Nesting {
   public:
    explicit Nesting(int* depth) : depth_(depth) { ++*depth_; }
    ~Nesting() { --*depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    bool too_deep() const { return *depth_ > kFilterNestingMax; }

   private:
    int* const depth_;
  };
  std::unexpected<Error> TooDeep() const {
    return FailAt(Peek(), "nested over " + std::to_string(kFilterNestingMax) + " levels deep");
  }

  Result<Operand> Or() {
    const Nesting nesting(&depth_);
    if (nesting.too_deep()) return TooDeep();
    return Chain("or", "or_kleene", &Parser::And);
  }
  Result<Operand> And() { return Chain("and", "and_kleene", &Parser::Not); }

  Result<Operand> Chain(std::string_view word, std::string_view function,
                        Result<Operand> (Parser::*next)()) {
    VARVE_ASSIGN(Operand first, (this->*next)());
    if (!IsWord(word)) return first;
    std::vector<Operand> operands = {std::move(first)};
    while (TakeWord(word)) {
      VARVE_ASSIGN(Operand operand, (this->*next)());
      operands.push_back(std::move(operand));
    }
    return builder_.Combine(function, std::move(operands));
  }

  Result<Operand> Not() {
    if (!IsWord("not")) return Predicate();
    const Nesting nesting(&depth_);
    if (nesting.too_deep()) return TooDeep();
    const std::size_t begin = Take().span.begin;
    VARVE_ASSIGN(Operand operand, Not());
    return builder_.Not(operand, Since(begin));
  }

  Result<Operand> Predicate() {
    VARVE_ASSIGN(Operand left, Sum());
    if (Peek().kind == TokenKind::kSymbol && IsCompareSymbol(Peek().text)) {
      const std::string op = Take().text;
      VARVE_ASSIGN(Operand right, Sum());
      return builder_.Compare(op, left, right);
    }
    if (TakeWord("is")) {
      const bool negated = TakeWord("not");
      if (!TakeWord("null")) return FailAt(Peek(), "expected 'null' or 'not null' after 'is'");
      return builder_.IsNull(left, negated, Since(left.span.begin));
    }
    const bool negated = IsWord("not");
    const std::size_t ahead = negated ? 1 : 0;
    if (!IsWord("between", ahead) && !IsWord("in", ahead) && !IsWord("like", ahead)) {
      if (negated) return FailAt(Peek(1), "expected 'between', 'in' or 'like' after 'not'");
      return left;
    }
    if (negated) Take();
    VARVE_ASSIGN(Operand result, Range(left));
    return negated ? builder_.Not(result, Since(left.span.begin)) : result;
  }

  // between, in, like
  Result<Operand> Range(const Operand& left) {
    if (TakeWord("between")) {
      VARVE_ASSIGN(Operand low, Sum());
      if (!TakeWord("and")) return FailAt(Peek(), "expected 'and' between the two bounds");
      VARVE_ASSIGN(Operand high, Sum());
      VARVE_ASSIGN(Operand above, builder_.Compare(">=", left, low));
      VARVE_ASSIGN(Operand below, builder_.Compare("<=", left, high));
      return builder_.Combine("and_kleene", {std::move(above), std::move(below)});
    }
    if (TakeWord("like")) {
      VARVE_ASSIGN(Operand pattern, Sum());
      return builder_.Like(left, pattern);
    }
    Take();  // in
    VARVE_TRY(ExpectSymbol("(", " after 'in'"));
    std::vector<Operand> list;
    do {
      VARVE_ASSIGN(Operand item, Sum());
      list.push_back(std::move(item));
    } while (TakeSymbol(","));
    VARVE_TRY(ExpectSymbol(")", " or , in the list"));
    return builder_.In(left, list, Since(left.span.begin));
  }

  Result<Operand> Sum() {
    VARVE_ASSIGN(Operand left, Product());
    while (IsSymbol("+") || IsSymbol("-")) {
      const char op = Take().text.front();
      VARVE_ASSIGN(Operand right, Product());
      VARVE_ASSIGN(left, builder_.Compute(op, left, right));
    }
    return left;
  }

  Result<Operand> Product() {
    VARVE_ASSIGN(Operand left, Unary());
    while (IsSymbol("*") || IsSymbol("/")) {
      const char op = Take().text.front();
      VARVE_ASSIGN(Operand right, Unary());
      VARVE_ASSIGN(left, builder_.Compute(op, left, right));
    }
    return left;
  }

  Result<Operand> Unary() {
    if (!IsSymbol("-") && !IsSymbol("+")) return Primary();
    const Nesting nesting(&depth_);
    if (nesting.too_deep()) return TooDeep();
    const Token& sign = Take();
    VARVE_ASSIGN(Operand operand, Unary());
    return sign.text == "-" ? builder_.Negate(operand, Since(sign.span.begin)) : operand;
  }

  Result<Operand> Primary() {
    const Token& token = Peek();
    switch (token.kind) {
      case TokenKind::kInteger: return Open(LiteralKind::kInteger);
      case TokenKind::kFloat: return Open(LiteralKind::kFloat);
      case TokenKind::kString: return Open(LiteralKind::kString);
      case TokenKind::kBytes: return Open(LiteralKind::kBytes);
      case TokenKind::kQuotedName: return Column();
      case TokenKind::kName: break;
      case TokenKind::kEnd: return FailAt(token, "expected a column or a value before the end");
      case TokenKind::kSymbol:
        if (!TakeSymbol("(")) return FailAt(token, "expected a column or a value");
        return Parenthesized(token.span.begin);
    }
    if (IsWord("null")) return Open(LiteralKind::kNull);
    if (IsWord("true") || IsWord("false")) {
      const bool value = IsWord("true");
      return FilterBuilder::Boolean(value, Take().span);
    }
    if (IsKeyword(token)) {
      return FailAt(token, "expected a column or a value; a column named '" + token.text +
                               "' is written in double quotes");
    }
    return Column();
  }

  Result<Operand> Open(LiteralKind kind) {
    const Token& token = Take();
    return FilterBuilder::Open({kind, token.text}, token.span);
  }

  Result<Operand> Parenthesized(std::size_t begin) {
    VARVE_ASSIGN(Operand inner, Or());
    VARVE_TRY(ExpectSymbol(")", ""));
    inner.span = Since(begin);
    return inner;
  }

  Result<Operand> Column() {
    const Token& name = Take();
    std::vector<std::string> path = {name.text};
    if (IsSymbol("(")) {
      return FailAt(name, "filters have no functions; '" + name.text + "' cannot be called");
    }
    while (TakeSymbol(".")) {
      if (Peek().kind != TokenKind::kName && Peek().kind != TokenKind::kQuotedName) {
        return FailAt(Peek(), "expected a field name after the point");
      }
      path.push_back(Take().text);
    }
    return builder_.Column(path, Since(name.span.begin), name.kind == TokenKind::kQuotedName);
  }

  const FilterBuilder builder_;
  const std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<std::shared_ptr<const arrow::compute::Expression>> ParseFilter(
    std::string_view text, const std::shared_ptr<arrow::Schema>& schema) {
  InitializeArrow();
  VARVE_ASSIGN(auto tokens, Tokenize(text));
  VARVE_ASSIGN(auto parsed, Parser(text, std::move(tokens), schema).Run());
  VARVE_ASSIGN(auto bound, BindFilter(parsed, *schema));
  return std::make_shared<const arrow::compute::Expression>(std::move(bound));
}

}  // namespace varve
