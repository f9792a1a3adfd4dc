// SPDX-License-Identifier: Apache-2.0
#include "run/column_map.h"

#include <arrow/api.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "columns/array_cast.h"
#include "columns/arrow_errors.h"
#include "columns/take_rows.h"

namespace varve {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// `rows` times the one value.
arrow::Result<ArrayPtr> Repeat(const std::shared_ptr<arrow::DataType>& type, const ArrayPtr& value,
                               std::int64_t rows) {
  if (value == nullptr) return arrow::MakeArrayOfNull(type, rows);
  arrow::Int64Builder zeros;
  ARROW_RETURN_NOT_OK(
      zeros.AppendValues(std::vector<std::int64_t>(static_cast<std::size_t>(rows))));
  ARROW_ASSIGN_OR_RAISE(const auto indices, zeros.Finish());
  return TakeRows(value, static_cast<const arrow::Int64Array&>(*indices));
}

}  // namespace

ColumnMap::ColumnMap(const TableSchema& from, std::shared_ptr<const TableSchema> to)
    : to_(std::move(to)) {
  for (const std::uint32_t id : to_->identity().ids) sources_.push_back(from.FindColumn(id));
}

const std::shared_ptr<arrow::DataType>& ColumnMap::TypeOf(int column) const {
  return to_->schema()->field(column)->type();
}

const std::shared_ptr<arrow::Array>& ColumnMap::DefaultOf(int column) const {
  return to_->identity().defaults[static_cast<std::size_t>(column)];
}

ColumnMap::Selection ColumnMap::Select(const std::vector<int>& columns) const {
  Selection selection{.columns = columns, .read = {}, .places = {}};
  for (const int column : columns) {
    const int source = SourceOf(column);
    auto& read = selection.read;
    const auto at = std::ranges::find(read, source);
    selection.places.push_back(source < 0 ? -1 : static_cast<int>(at - read.begin()));
    if (source >= 0 && at == read.end()) read.push_back(source);
  }
  return selection;
}

Result<BatchPtr> ColumnMap::Show(const arrow::RecordBatch& rows, const Selection& selection) const {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  const auto show = [&](int column, int place) -> arrow::Result<ArrayPtr> {
    const auto& field = fields.back();
    if (place < 0) return Repeat(field->type(), DefaultOf(column), rows.num_rows());
    if (rows.column(place)->type()->Equals(*field->type())) return rows.column(place);
    ARROW_ASSIGN_OR_RAISE(const auto cast, CastArray(rows.column_data(place), field->type()));
    return arrow::MakeArray(cast);
  };
  for (std::size_t i = 0; i < selection.columns.size(); ++i) {
    fields.push_back(to_->schema()->field(selection.columns[i]));
    auto column = show(selection.columns[i], selection.places[i]);
    if (!column.ok()) {
      return std::unexpected(ErrorFromArrow(column.status())
                                 .Within(fmt::format("column '{}' of rows with former columns",
                                                     fields.back()->name())));
    }
    columns.push_back(*std::move(column));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows.num_rows(),
                                  std::move(columns));
}

namespace {

// A batch is shown when the cursor comes to it, for batch() cannot fail.
class ShownCursor final : public ForwardingCursor {
 public:
  ShownCursor(std::unique_ptr<VersionCursor> cursor, std::shared_ptr<const ColumnMap> map,
              ColumnMap::Selection selection)
      : ForwardingCursor(std::move(cursor)),
        map_(std::move(map)),
        selection_(std::move(selection)) {}

  Status Next() override { return Moved(of().Next()); }
  Status Seek(std::string_view key) override { return Moved(of().Seek(key)); }
  Status Skip(std::int64_t count) override { return Moved(of().Skip(count)); }
  bool valid() const override { return shown_ != nullptr; }
  const BatchPtr& batch() const override { return shown_; }

 private:
  Status Moved(Status moved) {
    if (!moved || !of().valid()) {
      shown_.reset();
      source_.reset();
      return moved;
    }
    if (of().batch() == source_) return {};
    source_ = of().batch();
    auto shown = map_->Show(*source_, selection_);
    if (!shown) {
      shown_.reset();
      return std::unexpected(std::move(shown).error());
    }
    shown_ = *std::move(shown);
    return {};
  }

  const std::shared_ptr<const ColumnMap> map_;
  const ColumnMap::Selection selection_;
  BatchPtr source_;  // of shown_
  BatchPtr shown_;   // null: the cursor is not valid
};

}  // namespace

std::unique_ptr<VersionCursor> ShowUnder(std::unique_ptr<VersionCursor> of,
                                         std::shared_ptr<const ColumnMap> map,
                                         ColumnMap::Selection selection) {
  return std::make_unique<ShownCursor>(std::move(of), std::move(map), std::move(selection));
}

}  // namespace varve
