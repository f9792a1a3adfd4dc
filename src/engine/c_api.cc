// SPDX-License-Identifier: Apache-2.0
// varve_db.h over varve::Database: checks what C passes, and changes the form of values.
#include <arrow/api.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "columns/arrow_errors.h"
#include "engine/c_database.h"
#include "engine/c_given.h"
#include "log/c_keys.h"

namespace {

using namespace varve;

constexpr std::uint64_t kLockWaitMicrosMax = std::uint64_t{1} << 60;
constexpr std::size_t kFirstOptionsBytes = 32;  // of ABI 1: members may be added behind
static_assert(sizeof(void*) != 8 ||
              offsetof(varve_db_options, metrics_interval_ms) == kFirstOptionsBytes);
static_assert(VARVE_DB_SERIALIZABLE == static_cast<int>(Isolation::kSerializable));

using Batch = std::shared_ptr<arrow::RecordBatch>;

Status ExportBatch(const arrow::RecordBatch& batch, ArrowArray* array, ArrowSchema* schema) {
  return FromArrow(arrow::ExportRecordBatch(batch, array, schema));
}

Status UpsertAll(Database* database, std::string_view table, arrow::RecordBatchReader* reader,
                 const CommitOptions& options, varve_db_commit* commit) {
  CommitInfo sum;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (const auto read = reader->ReadNext(&batch); !read.ok()) {
      return std::unexpected(ErrorFromArrow(read).Within("the stream that was given failed"));
    }
    if (batch == nullptr) return {};
    VARVE_ASSIGN(auto info, database->Upsert(table, batch, options));
    info.rows += sum.rows;
    info.log_bytes += sum.log_bytes;
    sum = info;
    Tell(commit, sum);
  }
}

struct Write {
  WriteRequest request;
  CommitOptions options;
};

// What varve_db_write and varve_db_write_then are given.
Result<Write> WriteOf(const varve_db* db, const char* table, GivenWrite* given) {
  VARVE_TRY(Need(db, "db"));
  VARVE_TRY(Need(table, "table"));
  VARVE_ASSIGN(const auto options, given->options());
  Write write;
  VARVE_ASSIGN(write.options, OptionsOf(options.level));
  if (options.producer != nullptr) {
    write.options.producer = Producer{options.producer, options.sequence};
  }
  VARVE_ASSIGN(write.request, given->Take(table, [db] { return db->database->GetSnapshot(); }));
  return write;
}

// What is a commit's is not a write's in a transaction.
Status CheckOfTransaction(const varve_db_write_options& options) {
  const auto refuse = [](std::string_view what) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("varve_db_write_options: `{}` is set, but a write of a transaction is "
                            "no commit; leave it 0{}",
                            what, what == "level" ? ", and give it to the commit" : ""));
  };
  if (options.producer != nullptr) return refuse("producer");
  if (options.sequence != 0) return refuse("sequence");
  if (options.level != 0) return refuse("level");
  return {};
}

using DatabaseWrite = Result<CommitInfo> (Database::*)(std::string_view, const Batch&,
                                                       const CommitOptions&);
int WriteRows(varve_db* db, const char* table, ArrowArray* rows, ArrowSchema* schema, int level,
              varve_db_commit* commit, varve_error** error, DatabaseWrite write) {
  return Guarded(
      error,
      [&]() -> Status {
        ArrowRows given(rows, schema);
        VARVE_TRY(Need(db, "db"));
        VARVE_TRY(Need(table, "table"));
        VARVE_ASSIGN(const auto options, OptionsOf(level));
        VARVE_ASSIGN(const auto batch, given.Take());
        VARVE_ASSIGN(const auto info, (db->database.get()->*write)(table, batch, options));
        Tell(commit, info);
        return {};
      },
      kUnknownOutcomeCode);
}

using TransactionWrite = Status (Transaction::*)(std::string_view, const Batch&);
int WriteRows(varve_db_transaction* transaction, const char* table, ArrowArray* rows,
              ArrowSchema* schema, varve_error** error, TransactionWrite write) {
  return Guarded(error, [&]() -> Status {
    ArrowRows given(rows, schema);
    VARVE_TRY(Need(transaction, "transaction"));
    VARVE_TRY(Need(table, "table"));
    VARVE_ASSIGN(const auto batch, given.Take());
    return (transaction->transaction.get()->*write)(table, batch);
  });
}

template <typename Source>  // a Snapshot or a Transaction
Status ScanInto(Source* source, const Snapshot& schemas, const char* table, GivenScan* options,
                ArrowArrayStream* out) {
  VARVE_TRY(Need(table, "table"));
  VARVE_TRY(Need(out, "out"));
  VARVE_ASSIGN(const auto schema, schemas.Schema(table));
  VARVE_ASSIGN(const auto scan, options->Take(schema));
  VARVE_ASSIGN(auto reader, source->Scan(table, scan));
  return ExportReader(std::move(reader), out);
}

template <typename Source>
Status GetInto(Source* source, const char* table, ArrowRows* keys, ArrowArray* rows,
               ArrowSchema* schema) {
  VARVE_TRY(Need(table, "table"));
  VARVE_TRY(Need(rows, "rows"));
  VARVE_TRY(Need(schema, "schema"));
  VARVE_ASSIGN(const auto batch, keys->Take());
  VARVE_ASSIGN(const auto found, source->Get(table, batch));
  return ExportBatch(*found, rows, schema);
}

}  // namespace

extern "C" {

int varve_db_abi(void) { return VARVE_DB_ABI; }

int varve_db_open(const char* path, const varve_db_options* given, varve_db** db,
                  varve_error** error) {
  if (db != nullptr) *db = nullptr;
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(path, "path"));
    VARVE_TRY(Need(db, "db"));
    VARVE_ASSIGN(const auto options, Sized("varve_db_options", given, kFirstOptionsBytes));
    OpenOptions open{.create_if_missing = options.create_if_missing != 0,
                     .read_only = options.read_only != 0,
                     .lease = options.without_lease == 0,
                     .lock_wait_micros = static_cast<std::int64_t>(
                         std::min(options.lock_wait_micros, kLockWaitMicrosMax)),
                     .compaction = options.tiered != 0 ? CompactionStrategy::kTiered
                                                       : CompactionStrategy::kLeveled,
                     .metrics_interval_ms = options.metrics_interval_ms};
    if (options.memory_bytes != 0) open.memory_bytes = options.memory_bytes;
    if (options.memtable_bytes_max != 0) open.memtable_bytes_max = options.memtable_bytes_max;
    if (options.log_segment_bytes_max != 0) {
      open.log_segment_bytes_max = options.log_segment_bytes_max;
    }
    if ((options.current_key == nullptr) != (options.key == nullptr)) {
      return Fail(ErrorKind::kInvalid, "options: expected both of current_key and key, or neither");
    }
    auto handle = std::make_unique<varve_db>();
    if (options.key != nullptr) {
      handle->keys = std::make_unique<CallbackKeys>(options.current_key, options.key,
                                                    options.key_context);
      open.keys = handle->keys.get();
    }
    VARVE_ASSIGN(handle->database, Database::Open(path, open));
    *db = handle.release();
    return {};
  });
}

int varve_db_close(varve_db* db, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    return db->database->Close();
  });
}

void varve_db_free(varve_db* db) { delete db; }

int varve_db_create_table(varve_db* db, const char* table, ArrowSchema* schema,
                          const char* const* key, std::size_t key_size, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    const Given given(schema);
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(table, "table"));
    VARVE_TRY(given.Check("the schema"));
    std::vector<std::string> names;
    if (key_size > 0) VARVE_TRY(Need(key, "key"));
    for (std::size_t i = 0; i < key_size; ++i) {
      VARVE_TRY(Need(key[i], fmt::format("name {} of the key", i)));
      names.emplace_back(key[i]);
    }
    auto imported = arrow::ImportSchema(schema);
    if (!imported.ok()) {
      return Fail(ErrorKind::kInvalid,
                  "what was given is no schema of Arrow: " + imported.status().message());
    }
    return db->database->CreateTable(table, *imported, names);
  });
}

int varve_db_upsert(varve_db* db, const char* table, ArrowArray* rows, ArrowSchema* schema,
                    int level, varve_db_commit* commit, varve_error** error) {
  return WriteRows(db, table, rows, schema, level, commit, error, &Database::Upsert);
}

int varve_db_delete(varve_db* db, const char* table, ArrowArray* keys, ArrowSchema* schema,
                    int level, varve_db_commit* commit, varve_error** error) {
  return WriteRows(db, table, keys, schema, level, commit, error, &Database::Delete);
}

int varve_db_write(varve_db* db, const char* table, ArrowArray* rows, ArrowSchema* schema,
                   const varve_db_write_options* options, varve_db_commit* commit,
                   varve_error** error) {
  return Guarded(
      error,
      [&]() -> Status {
        GivenWrite given(rows, schema, options);
        VARVE_ASSIGN(const auto write, WriteOf(db, table, &given));
        VARVE_ASSIGN(const auto info, db->database->Write(table, write.request, write.options));
        Tell(commit, info);
        if (given.rows_passed() != nullptr) *given.rows_passed() = info.rows_passed;
        return {};
      },
      kUnknownOutcomeCode);
}

int varve_db_write_then(varve_db* db, const char* table, ArrowArray* rows, ArrowSchema* schema,
                        const varve_db_write_options* options, varve_db_done done, void* context,
                        varve_error** error) {
  if (done == nullptr) {
    return Guarded(error, [&]() -> Status {
      const GivenWrite given(rows, schema, options);  // is taken all the same
      return Need(nullptr, "done");
    });
  }
  return CallingBack(done, context, error, [&](const std::shared_ptr<DoneInC>& then) -> Status {
    GivenWrite given(rows, schema, options);
    VARVE_ASSIGN(const auto write, WriteOf(db, table, &given));
    then->TellRowsPassed(given.rows_passed());
    db->database->WriteThen(table, write.request, write.options, InCpp(then));
    return {};
  });
}

int varve_db_last_of(varve_db* db, const char* producer, std::uint8_t* known,
                     std::uint64_t* sequence, std::uint64_t* commit, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(producer, "producer"));
    VARVE_TRY(Need(known, "known"));
    VARVE_ASSIGN(const auto last, db->database->LastOf(producer));
    *known = last ? 1 : 0;
    if (last && sequence != nullptr) *sequence = last->sequence;
    if (last && commit != nullptr) *commit = last->commit.value;
    return {};
  });
}

int varve_db_upsert_stream(varve_db* db, const char* table, ArrowArrayStream* batches, int level,
                           varve_db_commit* commit, varve_error** error) {
  return Guarded(
      error,
      [&]() -> Status {
        const Given given(batches);
        Tell(commit, {});
        VARVE_TRY(Need(db, "db"));
        VARVE_TRY(Need(table, "table"));
        VARVE_TRY(given.Check("the stream"));
        VARVE_ASSIGN(const auto options, OptionsOf(level));
        auto reader = arrow::ImportRecordBatchReader(batches);
        if (!reader.ok()) {
          return Fail(ErrorKind::kInvalid,
                      "what was given is no stream of Arrow: " + reader.status().message());
        }
        return UpsertAll(db->database.get(), table, reader->get(), options, commit);
      },
      kUnknownOutcomeCode);
}

int varve_db_rekey(varve_db* db, uint64_t* older_keys, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_ASSIGN(const auto needed, db->database->Rekey());
    if (older_keys != nullptr) *older_keys = needed.size() - 1;
    return {};
  });
}

int varve_db_flush(varve_db* db, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    return db->database->Flush();
  });
}

int varve_db_sync(varve_db* db, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    return db->database->Sync();
  });
}

int varve_db_snapshot_take(varve_db* db, const std::uint64_t* commit, varve_db_snapshot** snapshot,
                           varve_error** error) {
  if (snapshot != nullptr) *snapshot = nullptr;
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(snapshot, "snapshot"));
    const AsOf as_of = commit == nullptr ? AsOf() : AsOf(CommitNumber{*commit});
    auto handle = std::make_unique<varve_db_snapshot>();
    VARVE_ASSIGN(handle->snapshot, db->database->GetSnapshot(as_of));
    *snapshot = handle.release();
    return {};
  });
}

std::uint64_t varve_db_snapshot_commit(const varve_db_snapshot* snapshot) {
  return snapshot == nullptr ? 0 : snapshot->snapshot->commit().value;
}

void varve_db_snapshot_free(varve_db_snapshot* snapshot) { delete snapshot; }

int varve_db_stop_new(varve_db_stop** stop, varve_error** error) {
  if (stop != nullptr) *stop = nullptr;
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(stop, "stop"));
    *stop = new varve_db_stop();
    return {};
  });
}

void varve_db_stop_request(varve_db_stop* stop) {
  if (stop != nullptr) stop->source.request_stop();
}

void varve_db_stop_free(varve_db_stop* stop) { delete stop; }

int varve_db_scan(const varve_db_snapshot* snapshot, const char* table,
                  const varve_db_scan_options* options, ArrowArrayStream* out,
                  varve_error** error) {
  return Guarded(error, [&]() -> Status {
    GivenScan given(options);
    VARVE_TRY(Need(snapshot, "snapshot"));
    return ScanInto(snapshot->snapshot.get(), *snapshot->snapshot, table, &given, out);
  });
}

int varve_db_count(const varve_db_snapshot* snapshot, const char* table,
                   const varve_db_scan_options* options, std::uint64_t* rows, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    GivenScan given(options);
    VARVE_TRY(Need(snapshot, "snapshot"));
    VARVE_TRY(Need(table, "table"));
    VARVE_TRY(Need(rows, "rows"));
    VARVE_ASSIGN(const auto schema, snapshot->snapshot->Schema(table));
    VARVE_ASSIGN(const auto scan, given.Take(schema));
    VARVE_ASSIGN(const auto count, snapshot->snapshot->Count(table, scan));
    *rows = count.rows;
    return {};
  });
}

int varve_db_get(const varve_db_snapshot* snapshot, const char* table, ArrowArray* keys,
                 ArrowSchema* keys_schema, ArrowArray* rows, ArrowSchema* schema,
                 varve_error** error) {
  return Guarded(error, [&]() -> Status {
    ArrowRows given(keys, keys_schema);
    VARVE_TRY(Need(snapshot, "snapshot"));
    return GetInto(snapshot->snapshot.get(), table, &given, rows, schema);
  });
}

int varve_db_changes(const varve_db_snapshot* snapshot, const char* table, std::uint64_t after,
                     const varve_db_changes_options* given_options, ArrowArrayStream* out,
                     varve_error** error) {
  return Guarded(error, [&]() -> Status {
    GivenChanges given(given_options);
    VARVE_TRY(Need(snapshot, "snapshot"));
    VARVE_TRY(Need(table, "table"));
    VARVE_TRY(Need(out, "out"));
    VARVE_ASSIGN(const auto options, given.Take());
    VARVE_ASSIGN(auto reader, snapshot->snapshot->Changes(table, {after}, options));
    return ExportReader(std::move(reader), out);
  });
}

int varve_db_follow(varve_db* db, const char* table, std::uint64_t after,
                    const varve_db_changes_options* given_options, varve_db_cursor** cursor,
                    varve_error** error) {
  if (cursor != nullptr) *cursor = nullptr;
  return Guarded(error, [&]() -> Status {
    GivenChanges given(given_options);
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(table, "table"));
    VARVE_TRY(Need(cursor, "cursor"));
    VARVE_ASSIGN(const auto options, given.Take());
    auto handle = std::make_unique<varve_db_cursor>();
    VARVE_ASSIGN(handle->cursor, db->database->FollowChanges(table, CommitNumber{after}, options));
    handle->position = handle->cursor->position();
    *cursor = handle.release();
    return {};
  });
}

int varve_db_cursor_next(varve_db_cursor* cursor, std::uint64_t timeout_ms, ArrowArray* rows,
                         ArrowSchema* schema, varve_error** error) {
  if (rows != nullptr) rows->release = nullptr;
  if (schema != nullptr) schema->release = nullptr;
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(cursor, "cursor"));
    VARVE_TRY(Need(rows, "rows"));
    VARVE_TRY(Need(schema, "schema"));
    if (cursor->lost) {
      return Fail(ErrorKind::kUnavailable,
                  fmt::format("out of memory before: some changes could not be handed over; follow "
                              "again from commit {}",
                              cursor->position.value));
    }
    VARVE_ASSIGN(const auto batch, cursor->cursor->Next(timeout_ms));
    cursor->lost = true;
    if (batch != nullptr) VARVE_TRY(ExportBatch(*batch, rows, schema));
    cursor->lost = false;
    cursor->position = cursor->cursor->position();
    return {};
  });
}

std::uint64_t varve_db_cursor_position(const varve_db_cursor* cursor) {
  return cursor == nullptr ? 0 : cursor->position.value;
}

void varve_db_cursor_cancel(varve_db_cursor* cursor) {
  if (cursor != nullptr) cursor->cursor->Cancel();
}

void varve_db_cursor_free(varve_db_cursor* cursor) { delete cursor; }

int varve_db_begin(varve_db* db, int isolation, varve_db_transaction** transaction,
                   varve_error** error) {
  if (transaction != nullptr) *transaction = nullptr;
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(db, "db"));
    VARVE_TRY(Need(transaction, "transaction"));
    VARVE_ASSIGN(const auto level, EnumOf("isolation", isolation, Isolation::kSerializable));
    auto handle = std::make_unique<varve_db_transaction>();
    VARVE_ASSIGN(handle->transaction, db->database->Begin({.isolation = level}));
    VARVE_ASSIGN(handle->schemas, db->database->GetSnapshot(handle->transaction->snapshot()));
    *transaction = handle.release();
    return {};
  });
}

std::uint64_t varve_db_transaction_snapshot(const varve_db_transaction* transaction) {
  return transaction == nullptr ? 0 : transaction->transaction->snapshot().value;
}

int varve_db_transaction_upsert(varve_db_transaction* transaction, const char* table,
                                ArrowArray* rows, ArrowSchema* schema, varve_error** error) {
  return WriteRows(transaction, table, rows, schema, error, &Transaction::Upsert);
}

int varve_db_transaction_delete(varve_db_transaction* transaction, const char* table,
                                ArrowArray* keys, ArrowSchema* schema, varve_error** error) {
  return WriteRows(transaction, table, keys, schema, error, &Transaction::Delete);
}

int varve_db_transaction_write(varve_db_transaction* transaction, const char* table,
                               ArrowArray* rows, ArrowSchema* schema,
                               const varve_db_write_options* options, varve_error** error) {
  return Guarded(error, [&]() -> Status {
    GivenWrite given(rows, schema, options);
    VARVE_TRY(Need(transaction, "transaction"));
    VARVE_TRY(Need(table, "table"));
    VARVE_ASSIGN(const auto known, given.options());
    VARVE_TRY(CheckOfTransaction(known));
    VARVE_ASSIGN(const auto request, given.Take(table, [transaction] {
      return Result<std::shared_ptr<Snapshot>>(transaction->schemas);
    }));
    std::uint64_t rows_passed = 0;
    VARVE_TRY(transaction->transaction->Write(table, request, &rows_passed));
    if (given.rows_passed() != nullptr) *given.rows_passed() = rows_passed;
    return {};
  });
}

int varve_db_transaction_scan(varve_db_transaction* transaction, const char* table,
                              const varve_db_scan_options* options, ArrowArrayStream* out,
                              varve_error** error) {
  return Guarded(error, [&]() -> Status {
    GivenScan given(options);
    VARVE_TRY(Need(transaction, "transaction"));
    return ScanInto(transaction->transaction.get(), *transaction->schemas, table, &given, out);
  });
}

int varve_db_transaction_get(varve_db_transaction* transaction, const char* table, ArrowArray* keys,
                             ArrowSchema* keys_schema, ArrowArray* rows, ArrowSchema* schema,
                             varve_error** error) {
  return Guarded(error, [&]() -> Status {
    ArrowRows given(keys, keys_schema);
    VARVE_TRY(Need(transaction, "transaction"));
    return GetInto(transaction->transaction.get(), table, &given, rows, schema);
  });
}

int varve_db_transaction_savepoint(varve_db_transaction* transaction, std::uint64_t* savepoint,
                                   varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(transaction, "transaction"));
    VARVE_TRY(Need(savepoint, "savepoint"));
    VARVE_ASSIGN(*savepoint, transaction->transaction->Savepoint());
    return {};
  });
}

int varve_db_transaction_rollback_to(varve_db_transaction* transaction, std::uint64_t savepoint,
                                     varve_error** error) {
  return Guarded(error, [&]() -> Status {
    VARVE_TRY(Need(transaction, "transaction"));
    return transaction->transaction->RollbackTo(savepoint);
  });
}

int varve_db_transaction_commit(varve_db_transaction* transaction, int level,
                                varve_db_commit* commit, varve_error** error) {
  return Guarded(
      error,
      [&]() -> Status {
        VARVE_TRY(Need(transaction, "transaction"));
        VARVE_ASSIGN(const auto options, OptionsOf(level));
        VARVE_ASSIGN(const auto info, transaction->transaction->Commit(options));
        Tell(commit, info);
        return {};
      },
      kUnknownOutcomeCode);
}

int varve_db_transaction_commit_then(varve_db_transaction* transaction, int level,
                                     varve_db_done done, void* context, varve_error** error) {
  return CallingBack(done, context, error, [&](const std::shared_ptr<DoneInC>& then) -> Status {
    VARVE_TRY(Need(transaction, "transaction"));
    VARVE_ASSIGN(const auto options, OptionsOf(level));
    transaction->transaction->CommitThen(options, InCpp(then));
    return {};
  });
}

void varve_db_transaction_free(varve_db_transaction* transaction) { delete transaction; }

}  // extern "C"
