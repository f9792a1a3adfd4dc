// SPDX-License-Identifier: Apache-2.0
// varve delete: rows by key, in commits of at most 65,536 rows, or by condition, in one commit.
// Without --yes only the count is shown.
#include <arrow/compute/api.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <functional>

#include "commands.h"
#include "format_cell.h"
#include "input/row_reader.h"
#include "point_in_time.h"
#include "process.h"
#include "table.h"

namespace varve::cli {
namespace {

constexpr std::int64_t kCommitRows = 65536;

struct DeleteArguments {
  std::string database;
  std::string table;
  std::string keys;
  std::string where;
  std::string input_format;
  std::string ack;
  std::vector<std::string> nulls;
  bool yes = false;
};

struct Deleted {
  std::uint64_t rows = 0;
  std::uint64_t missing = 0;  // keys of --keys that no row has
  std::uint64_t commits = 0;
  CommitNumber last;
};

using KeyBatch = std::shared_ptr<arrow::RecordBatch>;
// The keys of rows that exist, batch by batch.
using EachKeys = std::function<Done(const KeyBatch&)>;

Done KeysOfFile(const DeleteArguments& options, const Table& table, Deleted* deleted,
                const EachKeys& each) {
  const InputOptions input{.format = options.input_format,
                           .schema = table.KeySchema(),
                           .nulls = options.nulls,
                           .ignore_other_columns = true,
                           .whole_lines = true,
                           .key = table.key};
  CLI_ASSIGN(auto rows, OpenRows(options.keys, input));
  while (!Interrupted()) {
    CLI_ASSIGN(auto keys, rows->Next(kCommitRows));
    if (keys == nullptr) return {};
    std::vector<bool> found;
    CLI_TRY(table.snapshot->Get(table.name, keys, &found));
    arrow::BooleanBuilder mask;
    CLI_ARROW_TRY(mask.AppendValues(found));
    CLI_ARROW(auto flags, mask.Finish());
    CLI_ARROW(auto present, arrow::compute::Filter(keys, flags));
    const std::int64_t before = keys->num_rows();
    keys = present.record_batch();
    deleted->missing += static_cast<std::uint64_t>(before - keys->num_rows());
    if (keys->num_rows() > 0) CLI_TRY(each(keys));
  }
  return InterruptedFailure("interrupted");
}

// One commit, of what is there when it is made.
Done DeleteWhere(const DeleteArguments& options, const CommitOptions& commit, Database* database,
                 const Table& table, Deleted* deleted) {
  CLI_ASSIGN(const auto filter, ParseWhere(options.where, table));
  if (options.yes) {
    CLI_ASSIGN(const auto info,
               database->Write(table.name, {.mode = WriteMode::kDeleteWhere, .filter = filter},
                               commit));
    deleted->rows = info.rows;
    deleted->commits = info.rows > 0 ? 1 : 0;
    deleted->last = info.rows > 0 ? info.commit : CommitNumber{};
    return {};
  }
  ScanOptions scan;
  scan.columns = std::vector<std::string>{};
  scan.filter = filter;
  CLI_ASSIGN(auto reader, table.snapshot->Scan(table.name, scan));
  while (!Interrupted()) {
    KeyBatch rows;
    CLI_ARROW_TRY(reader->ReadNext(&rows));
    if (rows == nullptr) return {};
    deleted->rows += static_cast<std::uint64_t>(rows->num_rows());
  }
  return InterruptedFailure("interrupted");
}

Done DeleteKeys(const DeleteArguments& options, const CommitOptions& commit, Database* database,
                const Table& table, Deleted* deleted) {
  const EachKeys each = [&](const KeyBatch& keys) -> Done {
    deleted->rows += static_cast<std::uint64_t>(keys->num_rows());
    if (!options.yes) return {};
    auto info = database->Delete(table.name, keys, commit);
    if (!info) {
      deleted->rows -= static_cast<std::uint64_t>(keys->num_rows());
      return std::unexpected(Failure(std::move(info).error()));
    }
    ++deleted->commits;
    deleted->last = info->commit;
    return {};
  };
  return KeysOfFile(options, table, deleted, each);
}

Done Report(const Session& session, const DeleteArguments& options, const Deleted& deleted) {
  const Json document = {{"table", options.table},
                         {"dry_run", !options.yes},
                         {"rows", deleted.rows},
                         {"missing", deleted.missing},
                         {"commits", deleted.commits},
                         {"last_commit", deleted.last.value}};
  std::string text =
      fmt::format("{} {} of {}", options.yes ? "deleted" : "would delete",
                  Counted(deleted.rows, "row"), options.table);
  if (deleted.missing > 0) {
    text += fmt::format("; without a row: {}", Counted(deleted.missing, "key"));
  }
  if (deleted.commits > 0) text += fmt::format(" (last commit {})", deleted.last.value);
  if (!options.yes) text += "; nothing was changed: add --yes";
  return PrintResult(session, document, text + "\n");
}

Outcome<ExitCode> Run(const Session& session, const DeleteArguments& options) {
  if (options.keys.empty() == options.where.empty()) {
    return WrongUsage("delete needs either --keys FILE or --where EXPR");
  }
  CommitOptions commit{.ack = session.environment.ack};
  if (!options.ack.empty()) {
    CLI_ASSIGN(commit.ack, ParseAckLevel("--ack", options.ack));
  }
  const OpenMode mode = options.yes ? OpenMode::kWrite : OpenMode::kRead;
  CLI_ASSIGN(auto database, OpenDatabase(session, options.database, mode));
  CLI_ASSIGN(const Table table, FindTable(*database, options.table));
  Deleted deleted;
  const auto erase = options.keys.empty() ? DeleteWhere : DeleteKeys;
  if (auto done = erase(options, commit, database.get(), table, &deleted); !done) {
    Failure failure = std::move(done).error();
    if (deleted.commits == 0) return std::unexpected(std::move(failure));
    const Error& error = failure.error;
    return std::unexpected(Failure(
        Error(error.kind(),
              fmt::format("{}; deleted before: {}, in {}", error.message(),
                          Counted(deleted.rows, "row"), Counted(deleted.commits, "commit")),
              error.reason()),
        failure.exit));
  }
  CLI_TRY(Report(session, options, deleted));
  return kExitDone;
}

}  // namespace

void AddDelete(CLI::App* app, Session* session) {
  auto [verb, options] = AddVerb<DeleteArguments>(
      app, session, "delete", "Delete rows by key or by condition",
      "varve delete flights.varve flights --where \"origin = 'JFK'\" --yes\n"
      "\n"
      "--where is one commit; --keys is read and deleted in commits of at most 65,536 rows.\n"
      "Without --yes nothing is changed. Binary keys of --keys are hexadecimal.",
      Run);
  verb.Add("DB", &options->database, "Folder of the database").Required();
  AddWait(verb, session);
  verb.Add("TABLE", &options->table, "Name of the table").Required();
  verb.Add("--keys", &options->keys, "File with the key columns; others are ignored");
  verb.Add("--where", &options->where, kWhereHelp).NotEmpty();
  verb.Add("--input-format", &options->input_format, "Format of the file, not by extension");
  verb.Add("--null", &options->nulls, "Text that means null in CSV; repeatable").OneEachTime();
  verb.Add("--ack", &options->ack, "durable, written or buffered");
  verb.AddFlag("--yes", &options->yes, "Delete; otherwise show how many rows would go");
}

}  // namespace varve::cli
