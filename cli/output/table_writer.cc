// SPDX-License-Identifier: Apache-2.0
// A table for a person: names, types, rows, and how many there are. Widths are fixed by the first
// 1,000 rows; later cells that are wider are cut, so that rows stream.
#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "format_cell.h"
#include "output/row_writer.h"

namespace varve::cli {
namespace {

constexpr std::size_t kRowsToMeasure = 1000;
constexpr std::size_t kCellMin = 8;  // a cell is not squeezed below this
constexpr std::string_view kGap = "  ";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kPlain = "\x1b[0m";

// Columns on the screen, taking each code point for one.
std::size_t WidthOf(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// Cuts to `width` columns, the last of which then is an ellipsis.
std::string Cut(std::string_view text, std::size_t width) {
  if (WidthOf(text) <= width) return std::string(text);
  std::size_t at = 0;
  for (std::size_t seen = 0; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) continue;
    if (seen++ == width - 1) break;
  }
  return std::string(text.substr(0, at)) + "…";
}

// Control characters must not reach a terminal.
std::string Visible(const std::string& text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::ranges::none_of(text, is_control)) return text;
  std::string escaped;
  AppendJsonString(text, &escaped);
  return escaped.substr(1, escaped.size() - 2);
}

class TableWriter final : public RowWriter {
 public:
  TableWriter(ByteStream to, const std::shared_ptr<arrow::Schema>& schema, std::size_t columns_max,
              bool color)
      : to_(std::move(to)), columns_max_(columns_max), color_(color) {
    for (const auto& field : schema->fields()) {
      names_.push_back(Visible(field->name()));
      types_.push_back(field->type()->ToString());
      right_.push_back(arrow::is_numeric(field->type()->id()));
    }
  }

  Done Write(const arrow::RecordBatch& batch) override {
    for (std::int64_t row = 0; row < batch.num_rows(); ++row) {
      std::vector<std::string> cells;
      for (int i = 0; i < batch.num_columns(); ++i) {
        std::string cell;
        AppendText(*batch.column(i), row, &cell);
        cells.push_back(Visible(cell));
      }
      ++rows_;
      if (widths_.empty() && waiting_.size() < kRowsToMeasure) {
        waiting_.push_back(std::move(cells));
        continue;
      }
      CLI_TRY(Start());
      CLI_TRY(Line(cells, {}));
    }
    return {};
  }

  Done Finish() override {
    CLI_TRY(Start());
    std::string footer = fmt::format("{} {}", WithThousands(rows_), rows_ == 1 ? "row" : "rows");
    if (shown_ < names_.size()) {
      footer += fmt::format(", {} of {} columns shown (choose with --columns)", shown_,
                            names_.size());
    }
    return Send(Colored(footer, kDim) + "\n");
  }

 private:
  // Fixes the widths and writes what waited for them.
  Done Start() {
    if (started_) return {};
    started_ = true;
    ChooseWidths();
    CLI_TRY(Line(names_, kBold));
    CLI_TRY(Line(types_, kDim));
    for (const auto& cells : waiting_) CLI_TRY(Line(cells, {}));
    waiting_.clear();
    return {};
  }

  void ChooseWidths() {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      std::size_t width = std::max(WidthOf(names_[i]), WidthOf(types_[i]));
      for (const auto& cells : waiting_) width = std::max(width, WidthOf(cells[i]));
      widths_.push_back(width);
    }
    shown_ = widths_.size();
    if (columns_max_ == 0) return;
    while (Total() > columns_max_ && Squeeze()) {
    }
    while (shown_ > 1 && Total() > columns_max_) --shown_;
  }

  std::size_t Total() const {
    return std::accumulate(widths_.begin(), widths_.begin() + static_cast<std::ptrdiff_t>(shown_),
                           (shown_ - std::min<std::size_t>(shown_, 1)) * kGap.size());
  }

  // Takes a column of width from the widest; false when all are narrow.
  bool Squeeze() {
    const auto widest = std::ranges::max_element(widths_);
    if (widest == widths_.end() || *widest <= kCellMin) return false;
    --*widest;
    return true;
  }

  std::string Colored(const std::string& text, std::string_view color) const {
    if (!color_ || color.empty()) return text;
    return std::string(color) + text + std::string(kPlain);
  }

  Done Line(const std::vector<std::string>& cells, std::string_view color) {
    std::string line;
    for (std::size_t i = 0; i < shown_; ++i) {
      if (i > 0) line += kGap;
      const std::string cell = columns_max_ == 0 ? cells[i] : Cut(cells[i], widths_[i]);
      const std::size_t width = WidthOf(cell);
      const std::string pad(widths_[i] > width ? widths_[i] - width : 0, ' ');
      line += right_[i] ? pad + cell : cell + pad;
    }
    while (line.ends_with(' ')) line.pop_back();
    return Send(Colored(line, color) + "\n");
  }

  Done Send(const std::string& text) {
    CLI_ARROW_TRY(to_->Write(text.data(), static_cast<std::int64_t>(text.size())));
    return {};
  }

  const ByteStream to_;
  const std::size_t columns_max_;
  const bool color_;
  std::vector<std::string> names_;
  std::vector<std::string> types_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> waiting_;  // rows that fix the widths
  std::vector<std::size_t> widths_;
  std::size_t shown_ = 0;  // columns that fit
  std::uint64_t rows_ = 0;
  bool started_ = false;
};

}  // namespace

std::unique_ptr<RowWriter> MakeTableWriter(ByteStream to,
                                           const std::shared_ptr<arrow::Schema>& schema,
                                           std::size_t columns_max, bool color) {
  return std::make_unique<TableWriter>(std::move(to), schema, columns_max, color);
}

}  // namespace varve::cli
