// SPDX-License-Identifier: Apache-2.0
#include "view/lexer.h"

#include "base/bytes.h"
#include "base/result.h"

namespace varve {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool StartsName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool ContinuesName(char c) { return StartsName(c) || IsDigit(c); }

// Length of the UTF-8 sequence that starts `text` (RFC 3629: no overlong forms, no surrogates);
// zero when there is none.
std::size_t Utf8Length(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    const bool overlong = lead == 0xE0 && at(1) < 0xA0;
    const bool surrogate = lead == 0xED && at(1) >= 0xA0;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    const bool overlong = lead == 0xF0 && at(1) < 0x90;
    const bool beyond = lead == 0xF4 && at(1) >= 0x90;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> Run() {
    std::vector<Token> tokens;
    while (true) {
      while (at_ < text_.size() && IsSpace(text_[at_])) {
        ++at_;
        after_name_ = false;
      }
      begin_ = at_;
      VARVE_ASSIGN(Token token, Next());
      tokens.push_back(std::move(token));
      if (tokens.back().kind == TokenKind::kEnd) return tokens;
    }
  }

 private:
  char Peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  std::unexpected<Error> FailHere(std::string_view message) const {
    return std::unexpected(CaretError(text_, {begin_, at_}, message));
  }
  Token Make(TokenKind kind, std::string text) const {
    return {kind, std::move(text), {begin_, at_}};
  }

  Result<Token> Next() {
    if (at_ == text_.size()) return Make(TokenKind::kEnd, "");
    const char c = Peek();
    if ((c == 'x' || c == 'X') && Peek(1) == '\'') return Bytes();
    if (StartsName(c)) return Name();
    if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)) && !after_name_)) return Number();
    if (c == '\'') return Quoted(TokenKind::kString, "string: add the closing '");
    if (c == '"') {
      auto token = Quoted(TokenKind::kQuotedName, "quoted name: add the closing \"");
      after_name_ = true;
      return token;
    }
    return Symbol();
  }

  Result<Token> Name() {
    while (at_ < text_.size() && ContinuesName(text_[at_])) ++at_;
    after_name_ = true;
    return Make(TokenKind::kName, std::string(text_.substr(begin_, at_ - begin_)));
  }

  Result<Token> Number() {
    bool is_float = false;
    while (IsDigit(Peek())) ++at_;
    if (Peek() == '.') {
      is_float = true;
      ++at_;
      while (IsDigit(Peek())) ++at_;
    }
    const std::size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
    if ((Peek() == 'e' || Peek() == 'E') && IsDigit(Peek(1 + sign))) {
      is_float = true;
      at_ += 1 + sign;
      while (IsDigit(Peek())) ++at_;
    }
    if (ContinuesName(Peek())) {
      while (ContinuesName(Peek())) ++at_;
      return FailHere("this is neither a number nor a name; a name that starts with a digit is "
                      "written in double quotes");
    }
    after_name_ = false;
    return Make(is_float ? TokenKind::kFloat : TokenKind::kInteger,
                std::string(text_.substr(begin_, at_ - begin_)));
  }

  Result<Token> Quoted(TokenKind kind, std::string_view what) {
    const char quote = text_[at_++];
    after_name_ = false;
    std::string value;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c != quote) {
        value.push_back(c);
      } else if (Peek() == quote && at_ < text_.size()) {
        value.push_back(quote);
        ++at_;
      } else {
        return Make(kind, std::move(value));
      }
    }
    return FailHere("unclosed " + std::string(what));
  }

  Result<Token> Bytes() {
    ++at_;
    VARVE_ASSIGN(Token token, Quoted(TokenKind::kBytes, "byte string: add the closing '"));
    std::string bytes;
    if (!FromHex(token.text, &bytes)) {
      return FailHere("a byte string holds pairs of hexadecimal digits, as x'0aff'");
    }
    token.text = std::move(bytes);
    return token;
  }

  Result<Token> Symbol() {
    struct Spelling {
      std::string_view text, canonical;
    };
    // Longer ones first.
    static constexpr Spelling kSymbols[] = {
        {"==", "="}, {"!=", "!="}, {"<>", "!="}, {"<=", "<="}, {">=", ">="}, {"<", "<"},
        {">", ">"},  {"=", "="},   {"(", "("},   {")", ")"},   {",", ","},   {".", "."},
        {"+", "+"},  {"-", "-"},   {"*", "*"},   {"/", "/"},
    };
    after_name_ = false;
    for (const Spelling& symbol : kSymbols) {
      if (text_.substr(at_).starts_with(symbol.text)) {
        at_ += symbol.text.size();
        return Make(TokenKind::kSymbol, std::string(symbol.canonical));
      }
    }
    const char c = text_[at_++];
    if (c == '&' || c == '|') return FailHere("unexpected character; write 'and', 'or'");
    if (c == '!') return FailHere("unexpected character; write 'not', or '!='");
    return FailHere("unexpected character");
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;    // of the token being read
  bool after_name_ = false;  // a '.' right here leads to a field, and starts no number
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view text) {
  if (text.size() > kFilterBytesMax) {
    return Fail(ErrorKind::kInvalid, "the filter has " + std::to_string(text.size()) +
                                         " bytes; at most " + std::to_string(kFilterBytesMax) +
                                         " are read");
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = Utf8Length(text.substr(at));
    if (length == 0) {
      return Fail(ErrorKind::kInvalid,
                  "the filter is not UTF-8: bad byte at offset " + std::to_string(at));
    }
    at += length;
  }
  return Lexer(text).Run();
}

}  // namespace varve
