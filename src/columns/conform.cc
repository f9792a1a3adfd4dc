// SPDX-License-Identifier: Apache-2.0
// TableSchema::Conform: is this batch one of the table's, and if not, what exactly differs?
#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/result.h"
#include "columns/array_cast.h"
#include "columns/arrow_errors.h"
#include "columns/required_values.h"
#include "columns/table_schema.h"

namespace varve {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr std::size_t kDifferencesShown = 10;

// Equal but for what CastArray can relabel without looking at values.
bool Alike(const arrow::DataType& a, const arrow::DataType& b) {
  if (a.id() != b.id()) return false;
  if (a.id() == arrow::Type::DICTIONARY) {
    const auto& left = static_cast<const arrow::DictionaryType&>(a);
    const auto& right = static_cast<const arrow::DictionaryType&>(b);
    return left.ordered() == right.ordered() && Alike(*left.value_type(), *right.value_type());
  }
  if (a.num_fields() == 0 || a.id() == arrow::Type::EXTENSION) return a.Equals(b);
  if (a.num_fields() != b.num_fields()) return false;
  if (a.id() == arrow::Type::FIXED_SIZE_LIST &&
      static_cast<const arrow::FixedSizeListType&>(a).list_size() !=
          static_cast<const arrow::FixedSizeListType&>(b).list_size()) {
    return false;
  }
  for (int i = 0; i < a.num_fields(); ++i) {
    if (a.id() == arrow::Type::STRUCT && a.field(i)->name() != b.field(i)->name()) return false;
    if (!Alike(*a.field(i)->type(), *b.field(i)->type())) return false;
  }
  return true;
}

// Collects what differs between the fields a table wants and those a batch has.
class Differences {
 public:
  void Add(std::string text) {
    if (++count_ <= kDifferencesShown) list_.push_back(std::move(text));
  }
  Status AsStatus(std::string_view what) const {
    if (count_ == 0) return {};
    std::string text = fmt::format("the {}: {}", what, fmt::join(list_, "; "));
    if (count_ > kDifferencesShown) {
      text += fmt::format("; and {} more differences", count_ - kDifferencesShown);
    }
    return Fail(ErrorKind::kInvalid, text + "; give the columns that it has, as they are");
  }

 private:
  std::vector<std::string> list_;
  std::size_t count_ = 0;
};

// Index in the batch of each wanted field, or -1 where `differences` says why not.
std::vector<int> FindFields(const arrow::Schema& wanted, const arrow::Schema& batch,
                            Differences* differences) {
  std::vector<int> found;
  for (const auto& field : wanted.fields()) {
    const auto places = batch.GetAllFieldIndices(field->name());
    found.push_back(places.size() == 1 ? places[0] : -1);
    if (places.empty()) {
      differences->Add(
          fmt::format("column '{}' ({}) is missing", field->name(), field->type()->ToString()));
    } else if (places.size() > 1) {
      differences->Add(fmt::format("column '{}' appears {} times", field->name(), places.size()));
    } else if (!Alike(*batch.field(places[0])->type(), *field->type())) {
      differences->Add(fmt::format("column '{}': table has {}, batch has {}", field->name(),
                                   field->type()->ToString(),
                                   batch.field(places[0])->type()->ToString()));
    }
  }
  return found;
}

Status CheckStructure(const BatchPtr& batch) {
  if (!batch) return Fail(ErrorKind::kInvalid, "no batch given");
  const auto valid = batch->Validate();
  if (!valid.ok()) return Fail(ErrorKind::kInvalid, "malformed batch: " + valid.message());
  return {};
}

// The columns at `found`, as the fields of `schema`.
Result<BatchPtr> TakeFields(const std::shared_ptr<arrow::Schema>& schema, const BatchPtr& batch,
                          const std::vector<int>& found) {
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (int i = 0; i < schema->num_fields(); ++i) {
    const auto& field = *schema->field(i);
    auto column = CastArray(batch->column_data(found[static_cast<std::size_t>(i)]), field.type());
    if (!column.ok()) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("column '{}': {}", field.name(), column.status().message()));
    }
    column = WithoutNullsInDictionaries(*std::move(column));
    if (!column.ok()) return std::unexpected(ErrorFromArrow(column.status()));
    columns.push_back(*std::move(column));
  }
  return arrow::RecordBatch::Make(schema, batch->num_rows(), std::move(columns));
}

Status CheckKeyValues(const arrow::RecordBatch& batch, const std::vector<int>& key_columns) {
  for (const int index : key_columns) {
    const auto row = FirstNull(*batch.column(index));
    if (!row) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("row {}: key column '{}' is null; every key column needs a value", *row,
                            batch.schema()->field(index)->name()));
  }
  return {};
}

}  // namespace

Result<BatchPtr> TableSchema::Conform(const BatchPtr& batch) const {
  VARVE_TRY(CheckStructure(batch));
  Differences differences;
  const auto found = FindFields(*schema_, *batch->schema(), &differences);
  for (const auto& field : batch->schema()->fields()) {
    if (schema_->GetFieldIndex(field->name()) >= 0) continue;
    differences.Add(fmt::format("column '{}' ({}) is not in the table", field->name(),
                                field->type()->ToString()));
  }
  VARVE_TRY(differences.AsStatus("batch does not fit the table"));
  VARVE_ASSIGN(auto rows, TakeFields(schema_, batch, found));
  VARVE_TRY(CheckKeyValues(*rows, key_columns_));
  VARVE_TRY(CheckRequiredValues(*rows));
  return rows;
}

Result<BatchPtr> TableSchema::ConformKeys(const BatchPtr& batch) const {
  VARVE_TRY(CheckStructure(batch));
  Differences differences;
  const auto found = FindFields(*key_schema_, *batch->schema(), &differences);
  VARVE_TRY(differences.AsStatus("keys do not fit the table's key"));
  VARVE_ASSIGN(auto keys, TakeFields(key_schema_, batch, found));
  std::vector<int> all;
  for (int i = 0; i < key_schema_->num_fields(); ++i) all.push_back(i);
  VARVE_TRY(CheckKeyValues(*keys, all));
  return keys;
}

}  // namespace varve
