// SPDX-License-Identifier: Apache-2.0
#include <arrow/io/compressed.h>
#include <arrow/util/compression.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "output/row_writer.h"
#include "process.h"

namespace varve::cli {
namespace {

constexpr std::pair<std::string_view, OutputFormat> kNames[] = {
    {"table", OutputFormat::kTable}, {"csv", OutputFormat::kCsv},
    {"json", OutputFormat::kJson},   {"arrow", OutputFormat::kArrow},
    {"parquet", OutputFormat::kParquet}};

constexpr std::pair<std::string_view, OutputFormat> kExtensions[] = {
    {".txt", OutputFormat::kTable},     {".csv", OutputFormat::kCsv},
    {".json", OutputFormat::kJson},     {".jsonl", OutputFormat::kJson},
    {".ndjson", OutputFormat::kJson},   {".arrow", OutputFormat::kArrow},
    {".feather", OutputFormat::kArrow}, {".ipc", OutputFormat::kArrow},
    {".arrows", OutputFormat::kArrow},  {".parquet", OutputFormat::kParquet}};

// Takes .gz or .zst off the end of a path.
arrow::Compression::type TakeCompression(std::string_view* path) {
  if (path->ends_with(".gz")) {
    path->remove_suffix(3);
    return arrow::Compression::GZIP;
  }
  if (path->ends_with(".zst")) {
    path->remove_suffix(4);
    return arrow::Compression::ZSTD;
  }
  return arrow::Compression::UNCOMPRESSED;
}

Outcome<OutputFormat> FormatOfPath(const std::string& path) {
  std::string_view name = path;
  const bool compressed = TakeCompression(&name) != arrow::Compression::UNCOMPRESSED;
  for (const auto& [extension, format] : kExtensions) {
    if (!name.ends_with(extension)) continue;
    if (!compressed || format == OutputFormat::kCsv || format == OutputFormat::kJson) return format;
    return WrongUsage(path + ": only CSV and JSON lines are written compressed");
  }
  return WrongUsage(path + ": cannot tell the format by the extension; give --format csv, json, "
                           "arrow or parquet");
}

// A writer that puts its file in place when it is finished.
class FileWriter final : public RowWriter {
 public:
  FileWriter(std::unique_ptr<RowWriter> rows, std::shared_ptr<ReplacedFile> file)
      : rows_(std::move(rows)), file_(std::move(file)) {}
  Done Write(const arrow::RecordBatch& batch) override { return rows_->Write(batch); }
  Done Finish() override {
    CLI_TRY(rows_->Finish());
    if (compressed_ != nullptr) CLI_ARROW_TRY(compressed_->Close());
    return file_->Commit();
  }

  Outcome<ByteStream> Compress(arrow::Compression::type compression) {
    CLI_ARROW(codec_, arrow::util::Codec::Create(compression));
    CLI_ARROW(compressed_, arrow::io::CompressedOutputStream::Make(codec_.get(), file_));
    return compressed_;
  }
  void set_rows(std::unique_ptr<RowWriter> rows) { rows_ = std::move(rows); }

 private:
  std::unique_ptr<RowWriter> rows_;
  std::shared_ptr<ReplacedFile> file_;
  std::unique_ptr<arrow::util::Codec> codec_;
  std::shared_ptr<arrow::io::CompressedOutputStream> compressed_;
};

bool IsInDatabase(const std::filesystem::path& file) {
  std::error_code ignored;
  const auto whole = std::filesystem::weakly_canonical(std::filesystem::absolute(file), ignored);
  for (auto folder = whole.parent_path(); folder != folder.root_path();
       folder = folder.parent_path()) {
    if (std::filesystem::is_directory(folder / "manifest", ignored) &&
        std::filesystem::is_directory(folder / "log", ignored)) {
      return true;
    }
  }
  return false;
}

Outcome<std::unique_ptr<RowWriter>> MakeWriter(OutputFormat format, ByteStream to,
                                               const std::shared_ptr<arrow::Schema>& schema,
                                               const OutputOptions& options) {
  const bool terminal = options.path.empty() && IsTerminal(STDOUT_FILENO);
  switch (format) {
    case OutputFormat::kTable:
      return MakeTableWriter(std::move(to), schema,
                             terminal ? static_cast<std::size_t>(TerminalColumns()) : 0,
                             options.color);
    case OutputFormat::kCsv: return MakeCsvWriter(std::move(to), *schema);
    case OutputFormat::kJson: return MakeJsonWriter(std::move(to), *schema);
    case OutputFormat::kArrow: {
      const bool as_file = !options.path.empty() && !options.path.ends_with(".arrows");
      return MakeArrowWriter(std::move(to), schema, as_file);
    }
    case OutputFormat::kParquet: return MakeParquetWriter(std::move(to), schema);
  }
  return WrongUsage("no writer for this format");
}

}  // namespace

Done CheckPlace(const std::string& path, bool overwrite) {
  std::error_code ignored;
  if (IsInDatabase(path)) {
    return WrongUsage(path + ": is inside a database, which holds nothing but its own files; name "
                             "another place");
  }
  const auto found = std::filesystem::status(path, ignored);
  if (!std::filesystem::exists(found)) return {};
  if (!std::filesystem::is_regular_file(found)) {
    return WrongUsage(path + ": is no regular file; leave out -o and redirect stdout");
  }
  if (overwrite) return {};
  return std::unexpected(Failure(Error(ErrorKind::kConflict,
                                       path + ": exists already; add --yes to overwrite it",
                                       ErrorReason::kAlreadyExists)));
}

Outcome<OutputFormat> ChooseFormat(const OutputOptions& options) {
  const bool terminal = options.path.empty() && IsTerminal(STDOUT_FILENO);
  for (const auto& [name, format] : kNames) {
    if (options.format != name) continue;
    if (terminal && (format == OutputFormat::kArrow || format == OutputFormat::kParquet)) {
      return WrongUsage("--format " + options.format +
                        " is not for a terminal; give -o FILE or a pipe");
    }
    return format;
  }
  if (!options.format.empty()) {
    return WrongUsage("--format: expected table, csv, json, arrow or parquet, found \"" +
                      options.format + "\"");
  }
  if (!options.path.empty()) return FormatOfPath(options.path);
  if (options.json) return OutputFormat::kJson;
  return terminal ? OutputFormat::kTable : OutputFormat::kCsv;
}

Outcome<std::unique_ptr<RowWriter>> OpenOutput(const OutputOptions& options,
                                               const std::shared_ptr<arrow::Schema>& schema) {
  CLI_ASSIGN(const OutputFormat format, ChooseFormat(options));
  if (options.path.empty()) return MakeWriter(format, Stdout(), schema, options);
  CLI_TRY(CheckPlace(options.path, options.overwrite));
  CLI_ASSIGN(auto file, ReplacedFile::Open(options.path));
  auto writer = std::make_unique<FileWriter>(nullptr, file);
  ByteStream to = file;
  std::string_view name = options.path;
  if (const auto compression = TakeCompression(&name);
      compression != arrow::Compression::UNCOMPRESSED) {
    CLI_ASSIGN(to, writer->Compress(compression));
  }
  CLI_ASSIGN(auto rows, MakeWriter(format, std::move(to), schema, options));
  writer->set_rows(std::move(rows));
  return writer;
}

}  // namespace varve::cli
