// SPDX-License-Identifier: Apache-2.0
#include "columns/type_probe.h"

#include <arrow/array.h>
#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>
#include <arrow/extension_type.h>
#include <arrow/io/memory.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>

#include "base/result.h"
#include "columns/array_cast.h"
#include "columns/arrow_errors.h"
#include "columns/batch_codec.h"
#include "columns/gather.h"
#include "columns/parquet_properties.h"
#include "columns/sample_values.h"

namespace varve {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

arrow::Result<BatchPtr> Sample(const std::shared_ptr<arrow::Field>& field) {
  constexpr std::int64_t kRows = 2;
  ARROW_ASSIGN_OR_RAISE(auto data, SampleValues(field->type(), kRows));
  auto array = arrow::MakeArray(data);
  if (field->nullable()) {
    ARROW_ASSIGN_OR_RAISE(auto null, arrow::MakeArrayOfNull(field->type(), 1));
    ARROW_ASSIGN_OR_RAISE(array, arrow::Concatenate({null, array, null}));
  }
  auto batch = arrow::RecordBatch::Make(arrow::schema({field}), array->length(), {array});
  ARROW_RETURN_NOT_OK(batch->ValidateFull());
  return batch;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> Write(const arrow::RecordBatch& batch) {
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create());
  ARROW_ASSIGN_OR_RAISE(
      auto writer, parquet::arrow::FileWriter::Open(*batch.schema(), arrow::default_memory_pool(),
                                                    sink, parquet::default_writer_properties(),
                                                    ArrowWriterSettings()));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(batch));
  ARROW_RETURN_NOT_OK(writer->Close());
  return sink->Finish();
}

arrow::Result<BatchPtr> Read(std::shared_ptr<arrow::Buffer> bytes) {
  parquet::arrow::FileReaderBuilder builder;
  ARROW_RETURN_NOT_OK(builder.Open(std::make_shared<arrow::io::BufferReader>(std::move(bytes))));
  builder.properties(ArrowReaderSettings());
  ARROW_ASSIGN_OR_RAISE(auto reader, builder.Build());
  ARROW_ASSIGN_OR_RAISE(auto table, reader->ReadTable());
  return table->CombineChunksToBatch();
}

Status Survives(const BatchPtr& batch) {
  // What the log and the merge do with a batch must work as well.
  VARVE_ASSIGN(auto logged, EncodeBatch(*batch));
  VARVE_ASSIGN(auto decoded, DecodeBatch(std::string_view(*logged), batch->schema()));
  const auto rows = batch->num_rows();
  VARVE_ASSIGN(auto twice, Gather(batch->schema(), {{decoded, 0, rows}, {batch, 0, rows}}));
  VARVE_ASSIGN(auto stored, ToParquet(twice));
  VARVE_ASSIGN(auto bytes, FromArrow(Write(*stored)));
  VARVE_ASSIGN(auto read, FromArrow(Read(std::move(bytes))));
  VARVE_ASSIGN(auto back, CastToSchema(read, batch->schema()));
  VARVE_TRY(FromArrow(back->ValidateFull()));
  const auto plain = WithoutDictionaries(batch->column(0)->type());
  VARVE_ASSIGN(auto before, FromArrow(CastArray(twice->column_data(0), plain)));
  VARVE_ASSIGN(auto after, FromArrow(CastArray(back->column_data(0), plain)));
  if (arrow::MakeArray(before)->Equals(arrow::MakeArray(after))) return {};
  return Fail(ErrorKind::kInvalid, "the values that come back differ");
}

Status SurvivesWithAndWithoutRows(const std::shared_ptr<arrow::Field>& field) {
  VARVE_ASSIGN(auto empty, FromArrow(arrow::RecordBatch::MakeEmpty(arrow::schema({field}))));
  VARVE_TRY(Survives(empty));
  VARVE_ASSIGN(auto sample, FromArrow(Sample(field)));
  return Survives(sample);
}

// What to use in place of a type that is refused, looking into nested ones.
std::string Advice(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::RUN_END_ENCODED: {
      const auto& values = static_cast<const arrow::RunEndEncodedType&>(type).value_type();
      return fmt::format("use {}: Parquet packs runs of equal values by itself",
                         values->ToString());
    }
    case arrow::Type::SPARSE_UNION:
    case arrow::Type::DENSE_UNION: return "use a struct with one nullable field for each choice";
    case arrow::Type::LIST_VIEW:
    case arrow::Type::LARGE_LIST_VIEW:
      return fmt::format("use list<{}>", type.field(0)->type()->ToString());
    case arrow::Type::INTERVAL_MONTHS: return "use int32 months";
    case arrow::Type::INTERVAL_DAY_TIME:
    case arrow::Type::INTERVAL_MONTH_DAY_NANO:
      return "use a struct of integers, or a duration where months do not matter";
    default: break;
  }
  for (const auto& field : type.fields()) {
    if (auto advice = Advice(*field->type()); !advice.empty()) return advice;
  }
  return "";
}

// The first type, this one or one inside, for which `is` holds.
const arrow::DataType* FindType(const arrow::DataType& type, bool (*is)(const arrow::DataType&)) {
  if (is(type)) return &type;
  if (type.id() == arrow::Type::EXTENSION) {
    return FindType(*static_cast<const arrow::ExtensionType&>(type).storage_type(), is);
  }
  if (type.id() == arrow::Type::DICTIONARY) {
    return FindType(*static_cast<const arrow::DictionaryType&>(type).value_type(), is);
  }
  for (const auto& field : type.fields()) {
    if (const auto* found = FindType(*field->type(), is)) return found;
  }
  return nullptr;
}

// A batch has a dictionary of its own, but rows of many batches meet in one: 8 and 16 bits would
// overflow long after the commits were acknowledged.
bool IsNarrowDictionary(const arrow::DataType& type) {
  return type.id() == arrow::Type::DICTIONARY &&
         static_cast<const arrow::DictionaryType&>(type).index_type()->byte_width() < 4;
}

// Arrow's files and messages keep all that a slice of a list view was cut from, and Parquet stores
// it as a list anyway.
bool IsListView(const arrow::DataType& type) {
  return type.id() == arrow::Type::LIST_VIEW || type.id() == arrow::Type::LARGE_LIST_VIEW;
}

}  // namespace

Status CheckFieldSurvivesParquet(const std::shared_ptr<arrow::Field>& field) {
  const auto& type = *field->type();
  if (const auto* narrow = FindType(type, IsNarrowDictionary)) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("column '{}' of type {}: 8- and 16-bit dictionary indices overflow "
                            "when rows of many batches meet; declare {} with int32 indices "
                            "(batches may still bring narrower ones)",
                            field->name(), type.ToString(), narrow->ToString()),
                ErrorReason::kUnsupportedFormat);
  }
  Status status;
  try {
    status = FindType(type, IsListView) ? Fail(ErrorKind::kInvalid, "as a view")
                                        : SurvivesWithAndWithoutRows(field);
  } catch (const std::exception& exception) {  // Parquet's core throws
    status = Fail(ErrorKind::kInvalid, exception.what());
  }
  if (status) return {};
  auto advice = Advice(type);
  if (advice.empty()) advice = "use a type that Parquet can hold";
  return Fail(ErrorKind::kInvalid,
              fmt::format("column '{}' of type {} cannot be stored in Parquet ({}); {}",
                          field->name(), type.ToString(), status.error().message(), advice),
              ErrorReason::kUnsupportedFormat);
}

}  // namespace varve
