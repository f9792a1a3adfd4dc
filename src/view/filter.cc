// SPDX-License-Identifier: Apache-2.0
#include "view/filter.h"

#include <arrow/array.h>
#include <arrow/compute/api.h>
#include <arrow/record_batch.h>

#include <algorithm>

#include "base/check.h"
#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/arrow_init.h"
#include "columns/gather.h"
#include "view/caret.h"

namespace varve {
namespace {

namespace cp = arrow::compute;

std::string FirstName(const arrow::FieldRef& ref) {
  if (const std::string* name = ref.name()) return *name;
  if (const auto* nested = ref.nested_refs(); nested && !nested->empty()) {
    return FirstName(nested->front());
  }
  return ref.ToString();
}

Status CheckFields(const cp::Expression& expression, const arrow::Schema& schema) {
  for (const arrow::FieldRef& ref : cp::FieldsInExpression(expression)) {
    if (!ref.FindAll(schema).empty()) continue;
    const std::string name = FirstName(ref);
    const bool nested = schema.GetFieldByName(name) != nullptr;
    return Fail(ErrorKind::kInvalid,
                nested ? "filter: column '" + name + "' has no field " + ref.ToString()
                       : "filter: unknown column '" + name + "'" +
                             DidYouMean(name, schema.field_names()));
  }
  return {};
}

// The accepted rows as slices; for types that Arrow's own Filter does not know.
std::vector<RowSlice> Runs(const std::shared_ptr<arrow::RecordBatch>& batch,
                           const arrow::BooleanArray& mask) {
  std::vector<RowSlice> slices;
  for (std::int64_t row = 0; row < mask.length(); ++row) {
    if (mask.IsNull(row) || !mask.Value(row)) continue;
    if (!slices.empty() && slices.back().start + slices.back().length == row) {
      ++slices.back().length;
    } else {
      slices.push_back({batch, row, 1});
    }
  }
  return slices;
}

}  // namespace

Result<cp::Expression> BindFilter(const cp::Expression& expression, const arrow::Schema& schema) {
  InitializeArrow();
  if (!expression.is_valid()) return Fail(ErrorKind::kInvalid, "filter: the expression is empty");
  VARVE_TRY(CheckFields(expression, schema));
  auto bound = expression.Bind(schema);
  if (!bound.ok()) {
    return Fail(ErrorKind::kInvalid,
                "filter does not fit the types of the columns: " + bound.status().message() +
                    "; compare a column with a value of its own type, or cast it");
  }
  if (!bound->IsScalarExpression()) {
    return Fail(ErrorKind::kInvalid,
                "filter: " + expression.ToString() + " is not made of scalar functions");
  }
  if (bound->type()->id() != arrow::Type::BOOL) {
    return Fail(ErrorKind::kInvalid, "filter: " + expression.ToString() + " gives " +
                                         bound->type()->ToString() + ", not true or false");
  }
  return *std::move(bound);
}

FilterEvaluator::FilterEvaluator(cp::Expression bound, std::shared_ptr<arrow::Schema> table)
    : bound_(std::move(bound)), table_(std::move(table)) {
  VARVE_CHECK(bound_.IsBound());
  for (const arrow::FieldRef& ref : cp::FieldsInExpression(bound_)) {
    columns_.push_back(ref.FindAll(*table_).front().indices().front());
  }
  std::sort(columns_.begin(), columns_.end());
  columns_.erase(std::unique(columns_.begin(), columns_.end()), columns_.end());
  // Columns the filter does not read are never looked at; a scalar holds their place.
  frame_.values.assign(static_cast<std::size_t>(table_->num_fields()),
                       arrow::Datum(std::make_shared<arrow::NullScalar>()));
}

Result<FilterEvaluator::Selection> FilterEvaluator::Evaluate(const arrow::RecordBatch& batch,
                                                             const std::vector<int>& positions) {
  VARVE_CHECK(positions.size() == columns_.size());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    frame_.values[static_cast<std::size_t>(columns_[i])] = batch.column(positions[i]);
  }
  frame_.length = batch.num_rows();
  auto evaluated = cp::ExecuteScalarExpression(bound_, frame_);
  if (!evaluated.ok()) {
    return Fail(ErrorKind::kInvalid,
                "the filter cannot be computed for some row: " + evaluated.status().message() +
                    ", in " + bound_.ToString());
  }
  if (evaluated->is_scalar()) {
    const auto& value = evaluated->scalar_as<arrow::BooleanScalar>();
    return Selection{value.is_valid && value.value ? batch.num_rows() : 0, nullptr};
  }
  auto mask = std::static_pointer_cast<arrow::BooleanArray>(evaluated->make_array());
  VARVE_CHECK(mask->length() == batch.num_rows());
  const std::int64_t accepted = mask->true_count();
  if (accepted == 0 || accepted == batch.num_rows()) return Selection{accepted, nullptr};
  return Selection{accepted, std::move(mask)};
}

Result<std::shared_ptr<arrow::RecordBatch>> FilterEvaluator::Apply(
    const std::shared_ptr<arrow::RecordBatch>& batch, const Selection& selection) {
  if (selection.mask == nullptr) return batch->Slice(0, selection.accepted);
  if (batch->num_columns() == 0) {
    return arrow::RecordBatch::Make(batch->schema(), selection.accepted,
                                    std::vector<std::shared_ptr<arrow::Array>>());
  }
  auto filtered = cp::Filter(batch, selection.mask);
  if (filtered.ok()) return filtered->record_batch();
  if (!filtered.status().IsNotImplemented()) {
    return std::unexpected(ErrorFromArrow(filtered.status()));
  }
  return Gather(batch->schema(), Runs(batch, *selection.mask));
}

}  // namespace varve
