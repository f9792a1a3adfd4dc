// SPDX-License-Identifier: Apache-2.0
#include "input/columnar_reader.h"

#include <arrow/compute/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/table.h>
#include <arrow/util/checked_cast.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <parquet/arrow/reader.h>

#include <deque>

#include "format_cell.h"
#include "names.h"
#include "parse_cell.h"

namespace varve::cli {
namespace {

using arrow::DataType;
using arrow::Type;

constexpr char kArrowFileMagic[] = {'A', 'R', 'R', 'O', 'W', '1'};

// Kinds of types between which a checked cast loses nothing that a person would miss.
enum class Family { kInteger, kFloat, kDecimal, kText, kBinary, kTime, kTimestamp, kDate, kOther };

Family FamilyOf(const DataType& type) {
  const Type::type id = type.id();
  if (arrow::is_integer(id)) return Family::kInteger;
  if (arrow::is_floating(id)) return Family::kFloat;
  if (arrow::is_decimal(id)) return Family::kDecimal;
  if (IsString(type)) return Family::kText;
  if (arrow::is_binary_like(id) || id == Type::LARGE_BINARY || id == Type::BINARY_VIEW ||
      id == Type::FIXED_SIZE_BINARY) {
    return Family::kBinary;
  }
  if (arrow::is_time(id)) return Family::kTime;
  if (arrow::is_date(id)) return Family::kDate;
  if (id == Type::TIMESTAMP) return Family::kTimestamp;
  return Family::kOther;
}

bool HasZone(const DataType& type) {
  return type.id() == Type::TIMESTAMP &&
         !arrow::internal::checked_cast<const arrow::TimestampType&>(type).timezone().empty();
}

bool IsNarrowing(const DataType& from, const DataType& to) {
  return FamilyOf(from) == Family::kFloat && FamilyOf(to) == Family::kFloat &&
         from.bit_width() > to.bit_width();
}

bool CanCast(const std::shared_ptr<DataType>& from, const std::shared_ptr<DataType>& to);

// For nested types of one kind. A list's item has no name that matters.
bool CanCastFields(const DataType& from, const DataType& to) {
  if (from.num_fields() != to.num_fields()) return false;
  for (int i = 0; i < from.num_fields(); ++i) {
    if (from.id() == Type::STRUCT && from.field(i)->name() != to.field(i)->name()) return false;
    if (!CanCast(from.field(i)->type(), to.field(i)->type())) return false;
    if (IsNarrowing(*from.field(i)->type(), *to.field(i)->type())) return false;
  }
  return true;
}

bool CanCast(const std::shared_ptr<DataType>& from, const std::shared_ptr<DataType>& to) {
  const auto a = PlainType(from);
  const auto b = PlainType(to);
  if (a->Equals(*b) || a->id() == Type::NA) return true;
  if (a->id() == b->id() && IsNested(*a)) return CanCastFields(*a, *b);
  const Family family = FamilyOf(*a);
  return family != Family::kOther && family == FamilyOf(*b) && HasZone(*a) == HasZone(*b);
}

// Arrow's cast makes infinities of numbers that a narrower float does not reach.
arrow::Status CheckReach(const std::shared_ptr<arrow::Array>& wide,
                         const std::shared_ptr<arrow::Array>& narrow) {
  ARROW_ASSIGN_OR_RAISE(auto back, arrow::compute::Cast(*narrow, wide->type()));
  ARROW_ASSIGN_OR_RAISE(auto before, arrow::compute::CallFunction("is_inf", {wide}));
  ARROW_ASSIGN_OR_RAISE(auto after, arrow::compute::CallFunction("is_inf", {back}));
  if (before.Equals(after)) return arrow::Status::OK();
  return arrow::Status::Invalid("a value is too large for ", narrow->type()->ToString());
}

// The columns of a new table like a file.
std::shared_ptr<arrow::Schema> OwnSchema(const arrow::Schema& from) {
  arrow::FieldVector fields;
  for (const auto& field : from.fields()) {
    fields.push_back(field->WithType(WithoutNullType(field->type())));
  }
  return arrow::schema(std::move(fields));
}

// A batch in the shape of `schema`. Rows count from 1 in messages.
class Conform {
 public:
  static Outcome<Conform> Make(std::string name, const std::shared_ptr<arrow::Schema>& from,
                               const InputOptions& options) {
    Conform conform;
    conform.name_ = std::move(name);
    conform.schema_ = ColumnsFound(options, [&from](const std::string& column) {
      return !from->GetAllFieldIndices(column).empty();
    });
    if (conform.schema_ == nullptr) conform.schema_ = OwnSchema(*from);
    for (const auto& field : conform.schema_->fields()) {
      const auto places = from->GetAllFieldIndices(field->name());
      if (places.size() != 1) {
        return BadData(fmt::format("{}: has {} column {}; expected {}, found {}", conform.name_,
                                   places.empty() ? "no" : "more than one", field->name(),
                                   fmt::join(conform.schema_->field_names(), ","),
                                   fmt::join(from->field_names(), ",")));
      }
      const auto& found = from->field(places[0])->type();
      if (!CanCast(found, field->type())) {
        return BadData(fmt::format("{}: column {}: expected {}, found {}", conform.name_,
                                   field->name(), field->type()->ToString(), found->ToString()));
      }
      conform.places_.push_back(places[0]);
      conform.required_.push_back(MustHaveValue(options, *field));
    }
    if (!options.ignore_other_columns) CLI_TRY(conform.RefuseOthers(*from, options));
    return conform;
  }

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

  Outcome<std::shared_ptr<arrow::RecordBatch>> Apply(const arrow::RecordBatch& batch,
                                                    std::int64_t first_row) const {
    std::vector<std::shared_ptr<arrow::Array>> columns;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const auto& field = schema_->field(static_cast<int>(i));
      auto column = ConvertColumn(batch.column(places_[i]), field->type());
      if (!column.ok()) {
        return BadData(fmt::format("{}: column {}: {}", name_, field->name(),
                                   column.status().message()));
      }
      if (required_[i] && (*column)->null_count() > 0) {
        std::int64_t row = 0;
        while (row < batch.num_rows() && !(*column)->IsNull(row)) ++row;
        if (row == batch.num_rows()) {  // the count is the file's
          const auto nulls = static_cast<std::uint64_t>((*column)->null_count());
          return BadData(fmt::format("{}: rows {} to {}, column {}: the file counts {} and has "
                                     "none",
                                     name_, first_row, first_row + row - 1, field->name(),
                                     Counted(nulls, "null")));
        }
        return BadData(fmt::format("{}: row {}, column {}: {}", name_, first_row + row,
                                   field->name(), kNullRefused));
      }
      columns.push_back(*std::move(column));
    }
    return arrow::RecordBatch::Make(schema_, batch.num_rows(), std::move(columns));
  }

 private:
  static arrow::Result<std::shared_ptr<arrow::Array>> ConvertColumn(
      std::shared_ptr<arrow::Array> column, const std::shared_ptr<DataType>& to) {
    if (column->type()->Equals(*to)) return column;
    while (column->type_id() == Type::EXTENSION) {
      column = arrow::internal::checked_cast<const arrow::ExtensionArray&>(*column).storage();
    }
    const auto plain = PlainType(to);
    if (column->type_id() == Type::DICTIONARY) {  // which cannot become views at once
      ARROW_ASSIGN_OR_RAISE(column, arrow::compute::Cast(*column, PlainType(column->type())));
    }
    ARROW_ASSIGN_OR_RAISE(auto cast, arrow::compute::Cast(*column, plain));
    if (IsNarrowing(*column->type(), *plain)) ARROW_RETURN_NOT_OK(CheckReach(column, cast));
    return RestoreColumn(cast, to);
  }

  Done RefuseOthers(const arrow::Schema& from, const InputOptions& options) const {
    for (const auto& field : from.fields()) {
      if (schema_->GetFieldByName(field->name()) != nullptr) continue;
      const auto expected = (options.schema != nullptr ? options.schema : schema_)->field_names();
      return BadData(fmt::format("{}: has column {}, which is not in the schema; expected {}{}",
                                 name_, field->name(), fmt::join(expected, ","),
                                 DidYouMean(field->name(), expected)));
    }
    return {};
  }

  std::string name_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<int> places_;     // schema column -> column of the file
  std::vector<bool> required_;  // schema columns: null is refused
};

// Batches of whatever size in, batches of the asked size out.
class ColumnarReader final : public RowReader {
 public:
  ColumnarReader(InputFile file, Conform conform, std::shared_ptr<arrow::RecordBatchReader> batches)
      : file_(std::move(file)), conform_(std::move(conform)), batches_(std::move(batches)) {}

  const std::shared_ptr<arrow::Schema>& schema() const override { return conform_.schema(); }

  // Parquet and IPC files are read through a handle of their own; then progress is by rows only.
  std::uint64_t stored_bytes() const override { return 0; }

  Outcome<std::shared_ptr<arrow::RecordBatch>> Next(std::int64_t rows) override {
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    std::int64_t have = 0;
    while (have < rows) {
      if (rest_ == nullptr || rest_->num_rows() == 0) {
        auto status = batches_->ReadNext(&rest_);
        if (status.ok() && rest_ != nullptr) status = rest_->Validate();  // as long as they say
        if (!status.ok()) return BadData(file_.name + ": " + status.message());
        if (rest_ == nullptr) break;
      }
      const std::int64_t take = std::min(rows - have, rest_->num_rows());
      parts.push_back(rest_->Slice(0, take));
      rest_ = rest_->Slice(take);
      have += take;
    }
    if (have == 0) return nullptr;
    const std::int64_t first = rows_ + 1;
    rows_ += have;
    if (parts.size() == 1) return conform_.Apply(*parts[0], first);
    CLI_ARROW(auto whole, arrow::ConcatenateRecordBatches(parts));
    return conform_.Apply(*whole, first);
  }

 private:
  const InputFile file_;
  const Conform conform_;
  const std::shared_ptr<arrow::RecordBatchReader> batches_;
  std::shared_ptr<arrow::RecordBatch> rest_;  // read, not yet given out
  std::int64_t rows_ = 0;                     // given out
};

// Owns the Parquet reader for as long as its batches are read.
class ParquetBatches final : public arrow::RecordBatchReader {
 public:
  ParquetBatches(std::unique_ptr<parquet::arrow::FileReader> file,
                 std::unique_ptr<arrow::RecordBatchReader> batches)
      : file_(std::move(file)), batches_(std::move(batches)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return batches_->schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    return batches_->ReadNext(batch);
  }

 private:
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
};

// The batches of an IPC file, one after the other.
class IpcFileBatches final : public arrow::RecordBatchReader {
 public:
  explicit IpcFileBatches(std::shared_ptr<arrow::ipc::RecordBatchFileReader> file)
      : file_(std::move(file)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return file_->schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (next_ == file_->num_record_batches()) {
      *batch = nullptr;
      return arrow::Status::OK();
    }
    return file_->ReadRecordBatch(next_++).Value(batch);
  }

 private:
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> file_;
  int next_ = 0;
};

Outcome<std::unique_ptr<RowReader>> MakeReader(InputFile file, const InputOptions& options,
                                               std::shared_ptr<arrow::RecordBatchReader> batches) {
  CLI_ASSIGN(auto conform, Conform::Make(file.name, batches->schema(), options));
  return std::make_unique<ColumnarReader>(std::move(file), std::move(conform), std::move(batches));
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> ReadParquet(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto source, arrow::io::ReadableFile::Open(path));
  parquet::arrow::FileReaderBuilder builder;
  ARROW_RETURN_NOT_OK(builder.Open(source));
  std::unique_ptr<parquet::arrow::FileReader> reader;
  ARROW_RETURN_NOT_OK(builder.Build(&reader));
  ARROW_ASSIGN_OR_RAISE(auto batches, reader->GetRecordBatchReader());
  return std::make_shared<ParquetBatches>(std::move(reader), std::move(batches));
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> ReadIpcFile(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto source, arrow::io::ReadableFile::Open(path));
  ARROW_ASSIGN_OR_RAISE(auto file, arrow::ipc::RecordBatchFileReader::Open(source));
  return std::make_shared<IpcFileBatches>(std::move(file));
}

arrow::Result<bool> IsIpcFile(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto source, arrow::io::ReadableFile::Open(path));
  ARROW_ASSIGN_OR_RAISE(auto start, source->Read(sizeof kArrowFileMagic));
  return std::string_view(*start) == std::string_view(kArrowFileMagic, sizeof kArrowFileMagic);
}

}  // namespace

Outcome<std::unique_ptr<RowReader>> OpenParquet(InputFile file, const InputOptions& options) {
  if (!file.is_regular) {
    return WrongUsage(file.name + ": Parquet cannot be read from a pipe, because its index is at "
                                  "its end; give a file");
  }
  auto batches = ReadParquet(file.path);
  if (!batches.ok()) {
    return BadData(file.name + ": not a readable Parquet file: " + batches.status().message());
  }
  return MakeReader(std::move(file), options, *std::move(batches));
}

Outcome<std::unique_ptr<RowReader>> OpenArrow(InputFile file, const InputOptions& options) {
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> batches(nullptr);
  const auto is_file = file.is_regular ? IsIpcFile(file.path) : arrow::Result<bool>(false);
  if (is_file.ok() && *is_file) {
    batches = ReadIpcFile(file.path);
  } else {
    batches = arrow::ipc::RecordBatchStreamReader::Open(file.plain);
  }
  if (!batches.ok()) {
    return BadData(file.name + ": not a readable Arrow IPC file or stream: " +
                   batches.status().message());
  }
  return MakeReader(std::move(file), options, *std::move(batches));
}

}  // namespace varve::cli
