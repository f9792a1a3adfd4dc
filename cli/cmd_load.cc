// SPDX-License-Identifier: Apache-2.0
// varve load: rows of files into a table, commit by commit. While one commit is on its way to the
// device, the rows of the next are read.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "commands.h"
#include "committer.h"
#include "format_cell.h"
#include "input/input_file.h"
#include "input/row_reader.h"
#include "names.h"
#include "process.h"
#include "progress.h"
#include "table.h"

namespace varve::cli {
namespace {

constexpr std::uint64_t kThreadsMax = 256;
constexpr std::uint64_t kMetricsMs = 1000;  // so that `varve top` can look on

struct LoadArguments {
  std::string database;
  std::string table;
  std::vector<std::string> files;
  bool create = false;
  std::string key;
  std::string schema;
  std::string rows_per_commit = "65536";
  std::string threads = "1";
  std::string ack;
  std::string mode;
  std::string columns;
  std::string producer;
  bool commits = false;
  std::vector<std::string> nulls;
  std::string input_format;
  std::string memory;
  std::string memtable_bytes;
};

// The options, checked before anything is touched.
struct Plan {
  std::vector<std::string> key;
  std::shared_ptr<arrow::Schema> schema;  // of --schema; null without
  std::int64_t rows_per_commit = 0;
  std::vector<std::string> columns;  // that an update sets; empty: all
  Committer::Options committer;

  bool Updates() const {
    return committer.mode == WriteMode::kUpdate || committer.mode == WriteMode::kUpdateExisting;
  }
};

using Rows = Outcome<std::shared_ptr<arrow::RecordBatch>>;

// Reads one batch ahead in a thread of its own.
class ReadAhead {
 public:
  ReadAhead(RowReader* reader, std::int64_t rows, arrow::internal::ThreadPool* pool)
      : reader_(reader), rows_(rows), pool_(pool) {}
  ~ReadAhead() {
    if (next_.is_valid()) next_.Wait();
  }

  Rows Next() {
    if (!next_.is_valid()) CLI_TRY(Start());
    next_.Wait();
    CLI_ARROW(Rows rows, next_.MoveResult());
    next_ = {};
    if (rows && *rows != nullptr) CLI_TRY(Start());
    return rows;
  }

 private:
  Done Start() {
    CLI_ARROW(next_,
              pool_->Submit([reader = reader_, rows = rows_] { return reader->Next(rows); }));
    return {};
  }

  RowReader* const reader_;
  const std::int64_t rows_;
  arrow::internal::ThreadPool* const pool_;
  arrow::Future<Rows> next_;
};

Outcome<WriteMode> ParseMode(const std::string& text) {
  if (text.empty() || text == "upsert") return WriteMode::kUpsert;
  if (text == "insert") return WriteMode::kInsert;
  if (text == "insert-missing") return WriteMode::kInsertMissing;
  if (text == "update") return WriteMode::kUpdate;
  if (text == "update-existing") return WriteMode::kUpdateExisting;
  return WrongUsage(fmt::format("--mode: expected upsert, insert, insert-missing, update or "
                                "update-existing, found '{}'",
                                text));
}

Done PlanWrites(const LoadArguments& options, Plan* plan) {
  Committer::Options& committer = plan->committer;
  CLI_ASSIGN(committer.mode, ParseMode(options.mode));
  if (!options.columns.empty()) {
    if (!plan->Updates()) return WrongUsage("--columns names what --mode update sets");
    CLI_ASSIGN(plan->columns, SplitNames("--columns", options.columns));
  }
  committer.producer = options.producer;
  if (!options.producer.empty() && committer.threads > 1) {
    return WrongUsage("--producer numbers the commits in the order of the rows: it goes with "
                      "--threads 1");
  }
  return {};
}

Outcome<Plan> MakePlan(const Session& session, const LoadArguments& options) {
  Plan plan;
  CLI_TRY(RefuseRemote(options.database));
  if (!options.key.empty()) {
    CLI_ASSIGN(plan.key, SplitNames("--key", options.key));
  }
  if (!options.schema.empty()) {
    CLI_ASSIGN(plan.schema, ParseSchemaFlag(options.schema));
  }
  if (!options.create && !(options.key.empty() && options.schema.empty())) {
    return WrongUsage("--key and --schema describe a new table: add --create");
  }
  CLI_ASSIGN(const auto rows, ParseCount("--rows-per-commit", options.rows_per_commit, 1));
  plan.rows_per_commit = static_cast<std::int64_t>(std::min<std::uint64_t>(rows, 1u << 30));
  CLI_ASSIGN(const auto threads, ParseCount("--threads", options.threads, 1));
  if (threads > kThreadsMax) {
    return WrongUsage(
        fmt::format("--threads: expected at most {}, found {}", kThreadsMax, threads));
  }
  plan.committer = {.table = options.table,
                    .commit = {.ack = session.environment.ack},
                    .threads = static_cast<int>(threads),
                    .print_commits = options.commits};
  if (!options.ack.empty()) {
    CLI_ASSIGN(plan.committer.commit.ack, ParseAckLevel("--ack", options.ack));
  }
  CLI_TRY(PlanWrites(options, &plan));
  // A file that cannot be opened must not leave half a load behind.
  for (const std::string& file : options.files) {
    CLI_TRY(CheckInputFile(file, options.input_format));
  }
  return plan;
}

// A table that is there already must be the one that --create describes.
Done CheckExisting(const Plan& plan, const Table& table) {
  const auto refuse = [&](const std::string& how) {
    return std::unexpected(Failure(
        Error(ErrorKind::kConflict, "table " + table.name + " exists already, " + how,
              ErrorReason::kAlreadyExists)));
  };
  if (!plan.key.empty() && plan.key != table.key) {
    return refuse(fmt::format("with key {}, not {}", fmt::join(table.key, ","),
                              fmt::join(plan.key, ",")));
  }
  if (plan.schema != nullptr && !plan.schema->Equals(*table.schema)) {
    return refuse(fmt::format("with other columns:\n{}\nnot\n{}", table.schema->ToString(),
                              plan.schema->ToString()));
  }
  return {};
}

// What the files must have: all columns, or the key's and those that an update sets.
Outcome<std::shared_ptr<arrow::Schema>> ColumnsToRead(const Plan& plan, const Table& table) {
  if (plan.columns.empty()) return table.schema;
  CLI_TRY(table.CheckColumns(plan.columns));
  arrow::FieldVector fields = table.KeySchema()->fields();
  for (const std::string& name : plan.columns) {
    const auto& key = table.key;
    if (std::find(key.begin(), key.end(), name) == key.end()) {
      fields.push_back(table.schema->GetFieldByName(name));
    }
  }
  return arrow::schema(std::move(fields));
}

// A reader whose first batch was taken already, and is given out again.
class Resumed final : public RowReader {
 public:
  Resumed(std::unique_ptr<RowReader> rest, std::shared_ptr<arrow::RecordBatch> first)
      : rest_(std::move(rest)), first_(std::move(first)) {}
  const std::shared_ptr<arrow::Schema>& schema() const override { return rest_->schema(); }
  Rows Next(std::int64_t rows) override {
    return first_ != nullptr ? std::exchange(first_, nullptr) : rest_->Next(rows);
  }
  std::uint64_t stored_bytes() const override { return rest_->stored_bytes(); }

 private:
  const std::unique_ptr<RowReader> rest_;
  std::shared_ptr<arrow::RecordBatch> first_;
};

void Warn(const Session& session, const std::string& message) {
  if (session.json) return PrintError(Json{{"warning", message}}.dump() + "\n");
  PrintError("varve: warning: " + message + "\n");
}

// The first file of a new table, read for a while: rows that cannot be read must not leave a table
// behind, whose types may be the reason, nor a database.
Outcome<std::unique_ptr<RowReader>> FirstRows(const Session& session, const LoadArguments& options,
                                              const Plan& plan) {
  if (plan.key.empty()) {
    return WrongUsage("table " + options.table + " is new: name its key columns with --key");
  }
  const InputOptions input{.format = options.input_format,
                           .schema = plan.schema,
                           .nulls = options.nulls,
                           .key = plan.key};
  CLI_ASSIGN(auto reader, OpenRows(options.files[0], input));
  CLI_ASSIGN(auto rows, reader->Next(plan.rows_per_commit));
  if (rows == nullptr && reader->types_inferred()) {
    Warn(session, fmt::format("{} has no rows to tell types by: the columns of {} are strings; "
                              "--schema gives them others", options.files[0], options.table));
  }
  return std::make_unique<Resumed>(std::move(reader), std::move(rows));
}

// What the files are read for.
struct Target {
  std::shared_ptr<arrow::Schema> schema;  // of their rows
  std::vector<std::string> key;           // of the table
};

// Finds the table, or makes it with the columns of --schema or of the first file. When the first
// file had to be opened for that, *first is its reader.
Outcome<Target> PrepareTable(const Session& session, const LoadArguments& options, const Plan& plan,
                             Database* database, std::unique_ptr<RowReader>* first) {
  auto table = FindTable(*database, options.table);
  if (table) {
    CLI_TRY(CheckExisting(plan, *table));
    CLI_ASSIGN(auto schema, ColumnsToRead(plan, *table));
    return Target{std::move(schema), table->key};
  }
  if (table.error().error.kind() != ErrorKind::kNotFound) return std::unexpected(table.error());
  if (!options.create) {
    return NotFound(table.error().error.message() + "; make it with --create --key COLUMNS");
  }
  if (*first == nullptr) {
    CLI_ASSIGN(*first, FirstRows(session, options, plan));
  }
  const auto schema = (*first)->schema();
  CLI_TRY(database->CreateTable(options.table, schema, plan.key));
  return Target{schema, plan.key};
}

class Load {
 public:
  Load(const LoadArguments& options, const Plan& plan, Committer* committer)
      : options_(options), plan_(plan), committer_(committer), progress_("load") {
    for (const std::string& file : options.files) {
      const std::uint64_t bytes = InputBytes(file);
      bytes_total_ += bytes;
    }
  }

  Done Run(const Target& target, std::unique_ptr<RowReader> first) {
    CLI_ARROW(pool_, arrow::internal::ThreadPool::Make(1));
    const InputOptions input{.format = options_.input_format,
                             .schema = target.schema,
                             .nulls = options_.nulls,
                             .ignore_other_columns = !plan_.columns.empty(),
                             .whole_lines = plan_.Updates(),
                             .key = target.key,
                             .some_columns = plan_.Updates() && plan_.columns.empty()};
    for (const std::string& file : options_.files) {
      std::unique_ptr<RowReader> reader = std::exchange(first, nullptr);
      if (reader == nullptr) {
        CLI_ASSIGN(reader, OpenRows(file, input));
      }
      CLI_TRY(LoadFile(file, reader.get()));
      bytes_before_ += InputBytes(file);
    }
    return {};
  }

  void ClearProgress() { progress_.Clear(); }

 private:
  Done LoadFile(const std::string& file, RowReader* reader) {
    std::int64_t first_row = 1;
    ReadAhead rows(reader, plan_.rows_per_commit, pool_.get());
    while (!Interrupted()) {
      Rows batch = rows.Next();
      if (Interrupted()) break;
      if (!batch) return std::unexpected(std::move(batch).error());
      if (*batch == nullptr) return {};
      const std::int64_t next_row = first_row + (*batch)->num_rows();
      CLI_TRY(committer_->Submit(*std::move(batch), file == "-" ? "stdin" : file, first_row));
      first_row = next_row;
      progress_.Update(bytes_before_ + reader->stored_bytes(), bytes_total_,
                       committer_->loaded().rows);
    }
    return InterruptedFailure("interrupted");
  }

  const LoadArguments& options_;
  const Plan& plan_;
  Committer* const committer_;
  std::shared_ptr<arrow::internal::ThreadPool> pool_;  // the one thread that reads ahead
  Progress progress_;
  std::uint64_t bytes_total_ = 0;
  std::uint64_t bytes_before_ = 0;  // of the files that are done
};

// The failure, and what of the load is kept nevertheless.
Failure WithKept(const Failure& failure, const Loaded& loaded) {
  const std::string kept =
      loaded.commits == 0
          ? "no rows of this load are kept"
          : fmt::format("{} of this load {} kept, in {}; the last is commit {}",
                        Counted(loaded.rows, "row"), loaded.rows == 1 ? "is" : "are",
                        Counted(loaded.commits, "commit"), loaded.last.value);
  const Error& error = failure.error;
  return Failure(Error(error.kind(), error.message() + "\n" + kept, error.reason()), failure.exit);
}

Done Report(const Session& session, const LoadArguments& options, const Loaded& loaded,
            double seconds) {
  const std::uint64_t kept = loaded.rows - loaded.passed - loaded.repeated;
  const Json document = {{"table", options.table},          {"files", options.files},
                         {"rows", loaded.rows},             {"commits", loaded.commits},
                         {"kept", kept},
                         {"passed", loaded.passed},         {"repeated", loaded.repeated},
                         {"skipped", loaded.skipped},
                         {"first_commit", loaded.first.value}, {"last_commit", loaded.last.value},
                         {"seconds", seconds}};
  const std::string last =
      loaded.commits == 0 ? "" : fmt::format(" (last commit {})", loaded.last.value);
  std::string text = fmt::format("loaded {}{} into {} in {}{}, {:.2f} s\n",
                                 loaded.passed > 0 ? WithThousands(kept) + " of " : "",
                                 Counted(loaded.rows, "row"), options.table,
                                 Counted(loaded.commits, "commit"), last, seconds);
  if (loaded.repeated > 0) {
    text += fmt::format("of them {} had a key that came again in the same commit, where the last "
                        "row counts\n",
                        WithThousands(loaded.repeated));
  }
  if (loaded.passed > 0) {
    text += fmt::format("read {}, kept {}, passed over {} whose key was {} (--mode {})\n",
                        WithThousands(loaded.rows), WithThousands(kept),
                        WithThousands(loaded.passed),
                        options.mode == "insert-missing" ? "there already" : "not there",
                        options.mode);
  }
  if (loaded.skipped > 0) {
    text += fmt::format("skipped {} that {} had loaded before\n", Counted(loaded.skipped, "row"),
                        options.producer);
  }
  if (!options.commits) return PrintResult(session, document, text);
  // stdout holds the commits and nothing else.
  PrintError(session.json ? document.dump() + "\n" : text);
  return {};
}

Outcome<ExitCode> Run(const Session& session, const LoadArguments& options) {
  const double start = SteadySeconds();
  CLI_ASSIGN(const Plan plan, MakePlan(session, options));
  const OpenMode mode = options.create ? OpenMode::kCreate : OpenMode::kWrite;
  std::unique_ptr<RowReader> first;
  std::error_code unknown;  // then Open says what is in its way
  if (options.create && !std::filesystem::exists(options.database, unknown) && !unknown) {
    CLI_ASSIGN(first, FirstRows(session, options, plan));
    CLI_TRY(Database::CheckTable(options.table, first->schema(), plan.key));
  }
  CLI_ASSIGN(auto database,
             OpenDatabase(session, options.database, mode,
                          {.memory = options.memory,
                           .memtable_bytes = options.memtable_bytes,
                           .hint = "to make it with this table, add --create --key COLUMNS",
                           .metrics_ms = kMetricsMs}));
  CLI_ASSIGN(const Target target, PrepareTable(session, options, plan, database.get(), &first));
  CLI_ASSIGN(auto committer, Committer::Make(database.get(), plan.committer));
  Load load(options, plan, committer.get());
  Done done = load.Run(target, std::move(first));
  // A batch that was handed over is waited for, whatever became of the next one.
  if (Done finished = committer->Finish(); done && !finished) done = std::move(finished);
  if (done) done = committer->CheckWhole();
  load.ClearProgress();
  if (!done) return std::unexpected(WithKept(done.error(), committer->loaded()));
  CLI_TRY(database->Close());
  CLI_TRY(Report(session, options, committer->loaded(), SteadySeconds() - start));
  return kExitDone;
}

void AddFlags(VerbLine verb, LoadArguments* options) {
  verb.AddFlag("--create", &options->create,
               "Make the table, and the database, when there is none; types are taken from "
               "the first file");
  verb.Add("--key", &options->key,
           "Key columns of a new table, in key order: a,b; a name with a comma in double quotes");
  verb.Add("--schema", &options->schema, "Columns and types of a new table");
  verb.Add("--rows-per-commit", &options->rows_per_commit, "Rows in a commit (65536)").Type("N");
  verb.Add("--threads", &options->threads,
           "Threads that commit (1); with more, the order of commits is open")
      .Type("N");
  verb.Add("--ack", &options->ack,
           "Count a commit when it is durable, written or buffered (durable)");
  verb.Add("--mode", &options->mode,
           "upsert (default), insert (a key that is there is an error), insert-missing, update (a "
           "key that is not there is an error) or update-existing")
      .Type("MODE");
  verb.Add("--columns", &options->columns,
           "Columns that an update sets, as --key; the files have the key and these, others are "
           "ignored. Without it an update sets the columns that a file has");
  verb.Add("--producer", &options->producer,
           "Commit each row exactly once under this id: run the same load again after a crash, "
           "and it goes on where it was")
      .Type("ID");
  verb.AddFlag("--commits", &options->commits,
               "Print a line of JSON for each commit, after its ack");
  verb.Add("--null", &options->nulls,
           "Text that means null in CSV, in string columns too; one each time: --null NA --null ''")
      .OneEachTime();
  verb.Add("--input-format", &options->input_format,
           "csv, tsv, jsonl, parquet or arrow (csv.gz, jsonl.zst): not by extension");
  verb.Add("--memory", &options->memory, "What the database may hold in memory (512 MiB)")
      .Type("N");
  verb.Add("--memtable-bytes", &options->memtable_bytes, "Memory for rows not yet flushed")
      .Type("N");
}

}  // namespace

void AddLoad(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<LoadArguments>(
      app, session, "load", "Insert or replace rows from files",
      "varve load flights.varve flights flights.csv.gz --create \\\n"
      "    --key year,month,day,carrier,flight,origin,time_hour --commits\n"
      "\n"
      "Reads .csv .tsv .jsonl .json .ndjson (also .gz and .zst), .parquet .arrow .feather .ipc,\n"
      "and - for stdin. CSV has a header line, with the columns in any order. In columns that are\n"
      "not strings, an empty field, NA, N/A, NULL and null mean null; in string columns only what\n"
      "--null names. Types of a new table come from the first 16 MiB of text.\n"
      "When a row cannot be read, its commit is not made and earlier commits stay.\n"
      "With --producer the database keeps with each commit how many rows of the load it has. A\n"
      "load that was killed is run again with the same files, which may have grown at the end: so\n"
      "many rows are passed over. The id counts for this table. Give other files another id.\n"
      "Of rows with one key in one commit the last counts, in every --mode.\n"
      "A field that a line of JSON does not have is null, one that the table does not have is an\n"
      "error. An update changes only what is given, and leaves other columns as they are: without\n"
      "--columns it sets those in the header of a CSV file, in the schema of a Parquet or Arrow\n"
      "file, or in the first line of JSON. Every line of JSON must have the same fields then, or\n"
      "those of --columns; say null where null is meant. A struct is one column, set whole.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required().NotEmpty();
  AddWait(verb, session);
  verb.Add("TABLE", &options->table, "Name of the table").Required();
  verb.Add("FILE", &options->files, "Files, in this order; - is stdin").Required();
  AddFlags(verb, options.get());
}

}  // namespace varve::cli
