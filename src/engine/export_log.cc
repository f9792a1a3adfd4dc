// SPDX-License-Identifier: Apache-2.0
// ExportLog: the rows of a log as Parquet files, whatever else of the database can be read.
#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "columns/arrow_errors.h"
#include "columns/parquet_properties.h"
#include "engine/commit_record.h"
#include "engine/environment.h"
#include "log/log_keys.h"
#include "manifest/manifest.h"
#include "run/object_sink.h"
#include "varve/log.h"
#include "varve/log_reader.h"
#include "varve/backup.h"

namespace varve {
namespace {

constexpr std::int64_t kGroupRows = 65'536;  // and the commit that reaches so many, whole

// The rows of one table, as one file.
class TableFile {
 public:
  // Not set, the file's columns are those of `schema`, behind three of ours.
  static Result<std::unique_ptr<TableFile>> Open(ObjectStore* store, const std::string& name,
                                                 const TableSchema& schema) {
    std::unique_ptr<TableFile> file(new TableFile());
    arrow::FieldVector fields = {
        arrow::field("varve_commit", arrow::int64(), false),
        arrow::field("varve_time", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), false),
        arrow::field("varve_kind", arrow::utf8(), false)};
    for (const auto& field : schema.schema()->fields()) {
      const bool is_key = schema.key_schema()->GetFieldIndex(field->name()) >= 0;
      fields.push_back(is_key ? field : field->WithNullable(true));
    }
    file->schema_ = arrow::schema(std::move(fields));
    VARVE_ASSIGN(auto writer, store->NewWriter(name));
    file->sink_ = std::make_shared<ObjectSink>(std::move(writer));
    const auto properties = parquet::WriterProperties::Builder()
                                .created_by("varve")
                                ->compression(parquet::Compression::ZSTD)
                                ->build();
    VARVE_ASSIGN(file->writer_,
                 FromArrow(parquet::arrow::FileWriter::Open(
                     *ParquetSchema(*file->schema_), arrow::default_memory_pool(), file->sink_,
                     properties, ArrowWriterSettings())));
    return file;
  }

  Status Add(const CommitHeader& commit, RowKind kind, const arrow::RecordBatch& rows) {
    VARVE_ASSIGN(auto batch, FromArrow(Whole(commit, kind, rows)));
    rows_ += batch->num_rows();
    batches_.push_back(std::move(batch));
    return rows_ < kGroupRows ? Status() : Write();
  }

  Status Finish() {
    VARVE_TRY(Write());
    sink_->EndData();
    VARVE_TRY(FromArrow(writer_->Close()));
    return sink_->Finish();
  }

  ~TableFile() {
    // Parquet's writer, when dropped, tries to complete the file: let it find the sink closed.
    if (sink_ != nullptr && sink_->Close().ok()) writer_.reset();
  }

 private:
  TableFile() = default;

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Whole(const CommitHeader& commit,
                                                           RowKind kind,
                                                           const arrow::RecordBatch& rows) const {
    const std::int64_t count = rows.num_rows();
    arrow::ArrayVector columns;
    const auto repeat = [&](const std::shared_ptr<arrow::DataType>& type,
                            auto value) -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(const auto scalar, arrow::MakeScalar(type, value));
      ARROW_ASSIGN_OR_RAISE(auto column, arrow::MakeArrayFromScalar(*scalar, count));
      columns.push_back(std::move(column));
      return arrow::Status::OK();
    };
    ARROW_RETURN_NOT_OK(repeat(arrow::int64(), static_cast<std::int64_t>(commit.commit.value)));
    ARROW_RETURN_NOT_OK(repeat(schema_->field(1)->type(), commit.time.micros));
    ARROW_RETURN_NOT_OK(
        repeat(arrow::utf8(), std::string(kind == RowKind::kDelete ? "delete" : "upsert")));
    for (int i = 3; i < schema_->num_fields(); ++i) {
      auto column = rows.GetColumnByName(schema_->field(i)->name());
      if (column == nullptr) {  // a delete has its key alone
        ARROW_ASSIGN_OR_RAISE(column, arrow::MakeArrayOfNull(schema_->field(i)->type(), count));
      }
      columns.push_back(std::move(column));
    }
    return arrow::RecordBatch::Make(schema_, count, std::move(columns));
  }

  Status Write() {
    if (batches_.empty()) return {};
    VARVE_ASSIGN(const auto table,
                 FromArrow(arrow::Table::FromRecordBatches(schema_, batches_)));
    VARVE_ASSIGN(const auto whole, FromArrow(table->CombineChunksToBatch()));
    VARVE_ASSIGN(const auto stored, ToParquet(whole));
    VARVE_ASSIGN(const auto group, FromArrow(arrow::Table::FromRecordBatches({stored})));
    VARVE_TRY(FromArrow(writer_->WriteTable(*group, group->num_rows())));
    batches_.clear();
    rows_ = 0;
    return {};
  }

  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<ObjectSink> sink_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  arrow::RecordBatchVector batches_;
  std::int64_t rows_ = 0;
};

class Exporter {
 public:
  Exporter(const std::string& path, const std::string& destination,
           const ExportLogOptions& options, const Components& components)
      : path_(path),
        destination_(destination),
        options_(options),
        environment_(components, path, options.keys),
        to_({.files = environment_.files(), .store = nullptr, .clock = environment_.clock(),
             .random = environment_.random(), .executor = components.executor, .trace = nullptr},
            destination) {}

  Result<ExportedLog> Run() {
    VARVE_TRY(CheckPlaces());
    VARVE_TRY(FindState());
    if (environment_.keys() != nullptr) {
      VARVE_TRY(CheckKeysOfLog(environment_.files(), LogFolder(path_), environment_.keys()));
    }
    VARVE_ASSIGN(auto verified,
                 VerifyLog(LogFolder(path_), environment_.ForLog(), environment_.keys()));
    for (LogDamage& damage : verified.damages) {
      result_.damages.push_back({JoinPath(LogFolder(path_), damage.file), damage.offset,
                                 std::move(damage.message)});
    }
    VARVE_TRY(environment_.files()->CreateDirectories(destination_));
    const auto log = Log::Open(LogFolder(path_), {.keys = environment_.keys(), .read_only = true},
                               [this](const LogUnit& unit) { return Take(unit); },
                               {.mode = RecoveryMode::kSalvage}, environment_.ForLog());
    if (!log) return std::unexpected(log.error());
    for (auto& [table, file] : files_) {
      if (file != nullptr) VARVE_TRY(file->Finish());
    }
    for (auto& [id, table] : tables_) result_.tables.push_back(std::move(table));
    return std::move(result_);
  }

 private:
  Status CheckPlaces() const {
    Files* const files = environment_.files();
    const auto log = files->Info(LogFolder(path_));
    if (!log && log.error().kind() != ErrorKind::kNotFound) return std::unexpected(log.error());
    if (!log) {
      return Fail(ErrorKind::kNotFound, fmt::format("there is no log in '{}'", path_));
    }
    const auto entries = files->List(destination_);
    if (!entries && entries.error().kind() == ErrorKind::kNotFound) return {};
    if (!entries) return std::unexpected(entries.error());
    if (entries->empty()) return {};
    return Fail(ErrorKind::kInvalid, fmt::format("'{}' holds '{}'; give a new or empty folder",
                                                 destination_, entries->front().name));
  }

  // As far as there is one: it knows the columns, and which commits are in files.
  Status FindState() {
    const auto found = [this](const std::string& object, std::uint64_t offset,
                              const std::string& what) {
      result_.damages.push_back({environment_.store()->Describe(object), offset, what});
    };
    Manifest::Counts counts;
    auto state = Manifest::Verify(environment_.store(), found, &counts, environment_.keys());
    if (state) {
      state_ = *std::move(state);
      return {};
    }
    const Error& error = state.error();
    const bool lost = error.kind() == ErrorKind::kCorruption ||
                      (error.kind() == ErrorKind::kNotFound &&
                       error.reason() == ErrorReason::kNone);
    if (!lost) return std::unexpected(error);
    found("manifest/", 0, error.message());
    return {};
  }

  // What does not decode is damage of that unit alone.
  Status Take(const LogUnit& unit) {
    const auto commit = DecodeCommit(unit.records);
    if (!commit) return Damaged(unit, commit.error());
    const CommitNumber number = commit->header.commit;
    if (!options_.all && state_ != nullptr && number <= state_->commit) return {};
    if (!seen_.insert(number.value).second) return {};
    for (const DecodedPart& part : commit->parts) VARVE_TRY(TakePart(unit, *commit, part));
    ++result_.commits;
    if (result_.first == CommitNumber{} || number < result_.first) result_.first = number;
    result_.last = std::max(result_.last, number);
    return {};
  }

  Status Damaged(const LogUnit& unit, const Error& error) {
    if (error.kind() != ErrorKind::kCorruption) return std::unexpected(error);
    result_.damages.push_back({LogFolder(path_), 0,
                               fmt::format("LSN {}: {}", unit.lsn.value, error.message())});
    return {};
  }

  const TableState* FindTable(std::uint32_t id) const {
    if (state_ == nullptr) return nullptr;
    if (const TableState* const table = state_->FindTable(id)) return table;
    const auto dropped = state_->dropped.find(id);
    return dropped == state_->dropped.end() ? nullptr : dropped->second.get();
  }

  Status TakePart(const LogUnit& unit, const DecodedCommit& commit, const DecodedPart& part) {
    const TableState* const table = FindTable(part.table_id);
    const auto schema = table == nullptr ? nullptr : table->FindSchema(part.schema_id);
    const auto key = std::pair(part.table_id, part.schema_id);
    auto [at, is_new] = tables_.try_emplace(key);
    if (is_new) VARVE_TRY(Begin(key, table, schema.get(), &at->second));
    if (schema != nullptr) {
      const auto batch = DecodePart(part, *schema);
      if (!batch) return Damaged(unit, batch.error());
      VARVE_TRY(files_.at(key)->Add(commit.header, part.kind, *batch->rows));
    }
    at->second.rows += part.rows;
    if (part.kind == RowKind::kDelete) at->second.deletes += part.rows;
    return {};
  }

  // Each of a table's columns of then gets a file of its own.
  Status Begin(std::pair<std::uint32_t, std::uint32_t> key, const TableState* table,
               const TableSchema* schema, ExportedTable* exported) {
    exported->table = table == nullptr ? fmt::format("table-{}", key.first) : table->name;
    if (schema == nullptr) return {};
    std::string name = exported->table;
    const bool is_former = table->schema_id != key.second || table->dropped != CommitNumber{};
    if (is_former) name += fmt::format("-{}-{}", key.first, key.second);
    name += ".parquet";
    VARVE_ASSIGN(files_[key], TableFile::Open(to_.store(), name, *schema));
    exported->file = JoinPath(destination_, name);
    return {};
  }

  using TableKey = std::pair<std::uint32_t, std::uint32_t>;  // its id, and that of its columns

  const std::string path_;
  const std::string destination_;
  const ExportLogOptions options_;
  Environment environment_;
  Environment to_;
  std::shared_ptr<const ManifestState> state_;  // null: none can be read
  std::map<TableKey, ExportedTable> tables_;
  std::map<TableKey, std::unique_ptr<TableFile>> files_;
  std::set<std::uint64_t> seen_;  // commits
  ExportedLog result_;
};

}  // namespace

Result<ExportedLog> ExportLog(const std::string& path, const std::string& destination,
                              const ExportLogOptions& options, const Components& components) {
  return Exporter(path, destination, options, components).Run();
}

}  // namespace varve
