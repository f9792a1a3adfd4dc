// SPDX-License-Identifier: Apache-2.0
// CSV and JSON lines. Values as format_cell.h says. In CSV a null is an empty field and an empty
// string is "", so that `varve load --null ''` reads both back.
#include <arrow/array.h>
#include <arrow/type.h>

#include <vector>

#include "format_cell.h"
#include "output/row_writer.h"

namespace varve::cli {
namespace {

constexpr std::size_t kChunkBytes = 64 << 10;

// Gathers text and hands it on in large pieces.
class TextWriter : public RowWriter {
 public:
  explicit TextWriter(ByteStream to) : to_(std::move(to)) {}
  Done Finish() override { return Send(); }

 protected:
  Done SendWhenFull() { return text_.size() < kChunkBytes ? Done() : Send(); }
  std::string text_;

 private:
  Done Send() {
    CLI_ARROW_TRY(to_->Write(text_.data(), static_cast<std::int64_t>(text_.size())));
    text_.clear();
    return {};
  }
  const ByteStream to_;
};

// Quotes text that would not read back as itself: the usual rule, and the empty string.
void AppendCsvField(std::string_view field, std::string* out) {
  const bool plain = !field.empty() && field.front() != '\xef' &&
                     field.find_first_of(",\"\r\n") == std::string_view::npos;
  if (plain) {
    out->append(field);
    return;
  }
  *out += '"';
  for (const char c : field) {
    if (c == '"') *out += '"';
    *out += c;
  }
  *out += '"';
}

class CsvWriter final : public TextWriter {
 public:
  CsvWriter(ByteStream to, const arrow::Schema& schema) : TextWriter(std::move(to)) {
    for (int i = 0; i < schema.num_fields(); ++i) {
      if (i > 0) text_ += ',';
      AppendCsvField(schema.field(i)->name(), &text_);
    }
    text_ += '\n';
  }

  Done Write(const arrow::RecordBatch& batch) override {
    std::string cell;
    for (std::int64_t row = 0; row < batch.num_rows(); ++row) {
      for (int i = 0; i < batch.num_columns(); ++i) {
        if (i > 0) text_ += ',';
        const arrow::Array& column = *batch.column(i);
        if (column.IsNull(row)) continue;
        cell.clear();
        AppendText(column, row, &cell);
        AppendCsvField(cell, &text_);
      }
      text_ += '\n';
      CLI_TRY(SendWhenFull());
    }
    return {};
  }
};

class JsonWriter final : public TextWriter {
 public:
  JsonWriter(ByteStream to, const arrow::Schema& schema) : TextWriter(std::move(to)) {
    for (int i = 0; i < schema.num_fields(); ++i) {
      std::string name = i == 0 ? "{" : ",";
      AppendJsonString(schema.field(i)->name(), &name);
      name += ':';
      names_.push_back(std::move(name));
    }
  }

  Done Write(const arrow::RecordBatch& batch) override {
    for (std::int64_t row = 0; row < batch.num_rows(); ++row) {
      if (batch.num_columns() == 0) text_ += '{';
      for (int i = 0; i < batch.num_columns(); ++i) {
        text_ += names_[static_cast<std::size_t>(i)];
        AppendJson(*batch.column(i), row, &text_);
      }
      text_ += "}\n";
      CLI_TRY(SendWhenFull());
    }
    return {};
  }

 private:
  std::vector<std::string> names_;  // {"a": and ,"b":
};

}  // namespace

std::unique_ptr<RowWriter> MakeCsvWriter(ByteStream to, const arrow::Schema& schema) {
  return std::make_unique<CsvWriter>(std::move(to), schema);
}

std::unique_ptr<RowWriter> MakeJsonWriter(ByteStream to, const arrow::Schema& schema) {
  return std::make_unique<JsonWriter>(std::move(to), schema);
}

}  // namespace varve::cli
