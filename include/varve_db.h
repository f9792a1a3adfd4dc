/* SPDX-License-Identifier: Apache-2.0
 * varve for C, and for every language that can call C: rows come and go by the Arrow C data and
 * stream interfaces. The promises are those of varve/database.h.
 *
 *   varve_db* db = NULL;
 *   varve_error* error = NULL;
 *   const char* key[] = {"id"};
 *   varve_db_options options = {sizeof options};
 *   options.create_if_missing = 1;
 *   if (varve_db_open("shop.varve", &options, &db, &error) != VARVE_LOG_OK) {
 *     fprintf(stderr, "%s\n", varve_log_error_message(error));
 *     varve_log_error_free(error);
 *   }
 *   varve_db_create_table(db, "orders", &schema, key, 1, &error);
 *   varve_db_upsert(db, "orders", &array, &schema, NULL, &commit, &error);
 *
 * Errors, ownership of handles, and the ABI: as varve_log.h says of the log; the codes are its
 * codes, and varve_log_error_message and varve_log_error_free are for these errors too.
 *
 * Arrow. A struct that is given to a call is moved: the call releases it, also when it fails, and
 * leaves it released; copy what you want to keep. Only a NULL or an already released struct is
 * VARVE_LOG_INVALID and left alone. A struct that a call fills in is the caller's to release.
 * A batch is a struct array without nulls of its own: its children are the columns, by name.
 *
 * Threads. A database and a snapshot may be used by any threads at once, until they are freed; a
 * transaction, a cursor and a stream by one thread at a time (a cursor's cancel by any). What a
 * callback must not do stands with its type. Free what a database gave (snapshots, transactions,
 * streams, cursors) before the database. No call waits for a reader, and no reader for a call.
 *
 * Tags, versions, restoring, as of a moment or a tag: varve_db_versions.h. Tables, figures of the
 * database, plans of scans, extremes of columns: varve_db_report.h. */
#ifndef VARVE_DB_H_
#define VARVE_DB_H_
#include "varve_db_arrow.h"
#include "varve_log.h"

#ifdef __cplusplus
extern "C" {
#endif
#define VARVE_DB_ABI 1
/* The VARVE_DB_ABI of the library that is linked; the program's must be the same. */
VARVE_LOG_API int varve_db_abi(void);

typedef varve_log_error varve_error;
typedef struct varve_db varve_db;
typedef struct varve_db_snapshot varve_db_snapshot;
typedef struct varve_db_transaction varve_db_transaction;

/* As varve::OpenOptions. A zero is the default. */
typedef struct {
  size_t size; /* sizeof of this struct */
  uint64_t memtable_bytes_max, log_segment_bytes_max;
  uint8_t create_if_missing, read_only, without_lease, tiered, reserved[4];
  uint64_t metrics_interval_ms, lock_wait_micros;
  varve_log_current_key current_key; /* of an encrypted database, as in varve_log_options: called */
  varve_log_key key; void* key_context; /* until it is freed */ uint64_t memory_bytes;
} varve_db_options;

/* As varve::CommitInfo. `repeat`: 1 when the producer's sequence was committed before, and this is
 * the number of that commit. */
typedef struct { uint64_t commit, lsn, rows, log_bytes, group_units, repeat; } varve_db_commit;

/* Opens or creates the database in the folder `path`; `options` NULL: the defaults. *db is NULL
 * after a failure. Codes: as varve::Database::Open. */
VARVE_LOG_API int varve_db_open(const char* path, const varve_db_options* options, varve_db** db,
                                varve_error** error);
/* Makes everything durable and releases the lock. Later calls get INVALID, CLOSED. */
VARVE_LOG_API int varve_db_close(varve_db* db, varve_error** error);
/* Frees the handle. What was acknowledged as durable is kept, closed or not. */
VARVE_LOG_API void varve_db_free(varve_db* db);

/* Makes a table of the struct type `schema`, whose key are `key_size` of its columns, in order. */
VARVE_LOG_API int varve_db_create_table(varve_db* db, const char* table,
                                        struct ArrowSchema* schema, const char* const* key,
                                        size_t key_size, varve_error** error);

/* A table is dropped, or gets another name, as one commit, whose number `commit` gets unless it is
 * NULL; older versions show it as it was. Codes, here and below: as varve::Database::DropTable. */
VARVE_LOG_API int varve_db_drop_table(varve_db* db, const char* table, uint64_t* commit,
                                      varve_error** error);
VARVE_LOG_API int varve_db_rename_table(varve_db* db, const char* table, const char* to,
                                        uint64_t* commit, varve_error** error);
/* As varve::ColumnChange. What a kind does not use must be NULL. */
enum varve_db_change_kind {
  VARVE_DB_ADD_COLUMN,    /* `field`; `value`, NULL for null: what rows that are there show */
  VARVE_DB_DROP_COLUMN, VARVE_DB_RENAME_COLUMN, /* `name`; `name`, `to` */
  VARVE_DB_WIDEN_COLUMN, /* `field`: the column of this name becomes it */
  VARVE_DB_SET_TTL, VARVE_DB_DROP_TTL /* by column `name`; an int64 is in us, ms, s, ns: `unit` */
};
typedef struct {
  size_t size;
  const char* name;
  const char* to;
  struct ArrowSchema* field; /* moved, as is */
  struct ArrowArray* value;  /* of the field's type, with one value */
  int32_t kind;              /* of varve_db_change_kind */
  int32_t unit; int64_t ttl_micros;
} varve_db_column_change;
/* All changes, one after the other, as one commit. */
VARVE_LOG_API int varve_db_alter_table(varve_db* db, const char* table,
                                       const varve_db_column_change* const* changes,
                                       size_t changes_size, uint64_t* commit, varve_error** error);

/* Inserts or replaces rows, or deletes by key, as one commit. `level`: of varve_log_level; `commit`
 * may be NULL. Codes: as varve::Database::Upsert. */
VARVE_LOG_API int varve_db_upsert(varve_db* db, const char* table, struct ArrowArray* rows,
                                  struct ArrowSchema* schema, int level, varve_db_commit* commit,
                                  varve_error** error);
VARVE_LOG_API int varve_db_delete(varve_db* db, const char* table, struct ArrowArray* keys,
                                  struct ArrowSchema* schema, int level, varve_db_commit* commit,
                                  varve_error** error);
/* As varve::KeyRange: the keys of a scan, of changes, of a delete; a zeroed struct with `size` set
 * is all of them. A bound is a batch of one row: the first one or more key columns, in key order,
 * by name, without nulls; NULL for both its pointers is no bound. All keys that begin with a bound
 * of fewer columns are on one side of it: within, when it is inclusive. Bounds are moved by the
 * call, also when it fails; only when the `size` of this struct, or of the one that points to it,
 * is refused are they left alone. INVALID: a bound of another shape. A range may hold no key. */
typedef struct {
  size_t size;
  struct ArrowArray* lower;
  struct ArrowSchema* lower_schema;
  struct ArrowArray* upper;
  struct ArrowSchema* upper_schema;
  uint8_t lower_exclusive, upper_inclusive, reserved[6]; /* zero: lower <= key < upper */
} varve_db_key_range;

/* As varve::WriteMode. */
enum varve_db_mode {
  VARVE_DB_UPSERT,
  VARVE_DB_DELETE,
  VARVE_DB_INSERT,
  VARVE_DB_INSERT_MISSING,
  VARVE_DB_UPDATE,
  VARVE_DB_UPDATE_EXISTING,
  VARVE_DB_DELETE_WHERE
};
/* As varve::WriteRequest and varve::CommitOptions. `size` and `level` must be set; the rest zeroed
 * is an upsert. */
typedef struct {
  size_t size;
  const char* producer;       /* with `sequence`, makes the commit exactly once; NULL: none */
  uint64_t sequence;
  const uint8_t* deletes;     /* VARVE_DB_UPSERT: a bit a row, lowest first: 1 deletes the key */
  const char* filter;         /* VARVE_DB_DELETE_WHERE: as varve::ParseFilter reads it */
  int32_t mode, level;        /* of varve_db_mode and varve_log_level */
  const varve_db_key_range* range; /* VARVE_DB_DELETE_WHERE: with `filter`, both; NULL: all keys */
  uint64_t* rows_passed; /* gets how many rows the mode left out, after success; NULL: not wanted.
                            Of varve_db_write_then before `done` is called, and lent until then */
} varve_db_write_options;
/* Any write to one table, as one commit; `rows` and `schema` are NULL when the mode takes none.
 * Codes: as varve::Database::Write. */
VARVE_LOG_API int varve_db_write(varve_db* db, const char* table, struct ArrowArray* rows,
                                 struct ArrowSchema* schema, const varve_db_write_options* options,
                                 varve_db_commit* commit, varve_error** error);
/* Called once, by a thread of the database or by the caller's. `code` is VARVE_LOG_OK and `commit`
 * is there, or `error` is; both are lent until it returns. Several may be called at once. It must
 * be quick, and must not call functions of this database that wait, nor free or close it. */
typedef void (*varve_db_done)(void* context, int code, const varve_db_commit* commit,
                              const varve_error* error);
/* varve_db_write without waiting for the device: so one thread keeps many commits on their way. It
 * prepares the rows and gives the commit its number, in the order of the calls. After VARVE_LOG_OK
 * `done` is called, also for what is refused or fails later, before this returns or after; after
 * another code never. varve_db_close and varve_db_free wait until all were called. */
VARVE_LOG_API int varve_db_write_then(varve_db* db, const char* table, struct ArrowArray* rows,
                                      struct ArrowSchema* schema,
                                      const varve_db_write_options* options, varve_db_done done,
                                      void* context, varve_error** error);
/* The newest sequence that a producer committed, once it is durable, and its commit: where it goes
 * on after a crash. *known is 0 when there is none (any more). */
VARVE_LOG_API int varve_db_last_of(varve_db* db, const char* producer, uint8_t* known,
                                   uint64_t* sequence, uint64_t* commit, varve_error** error);
/* Upserts every batch of a stream, each as one commit; `commit` tells of the last one, with the
 * rows of all. After a failure the batches before the one that failed are kept, and `commit`, when
 * given, tells of them. */
VARVE_LOG_API int varve_db_upsert_stream(varve_db* db, const char* table,
                                         struct ArrowArrayStream* batches, int level,
                                         varve_db_commit* commit, varve_error** error);
/* Writes all rows so far to Parquet; makes every commit so far durable. */
VARVE_LOG_API int varve_db_flush(varve_db* db, varve_error** error);
VARVE_LOG_API int varve_db_sync(varve_db* db, varve_error** error);
/* As varve::Database::Rekey; *older_keys (may be NULL): how many other keys are still needed. */
VARVE_LOG_API int varve_db_rekey(varve_db* db, uint64_t* older_keys, varve_error** error);

/* A snapshot of the newest version, or as of `commit` when that is not NULL. */
VARVE_LOG_API int varve_db_snapshot_take(varve_db* db, const uint64_t* commit,
                                         varve_db_snapshot** snapshot, varve_error** error);
VARVE_LOG_API uint64_t varve_db_snapshot_commit(const varve_db_snapshot* snapshot);
VARVE_LOG_API void varve_db_snapshot_free(varve_db_snapshot* snapshot); /* takes NULL */

/* Ends what was started with it (scans, counts, changes) before its end: INVALID, CLOSED, or an
 * error of the stream whose get_last_error says "cancelled". It stays asked for. */
typedef struct varve_db_stop varve_db_stop;
VARVE_LOG_API int varve_db_stop_new(varve_db_stop** stop, varve_error** error);
VARVE_LOG_API void varve_db_stop_request(varve_db_stop* stop); /* by any thread; takes NULL */
VARVE_LOG_API void varve_db_stop_free(varve_db_stop* stop);    /* streams may go on; takes NULL */

/* As varve::ScanOptions; a zeroed struct with `size` set is a scan of everything. */
typedef struct {
  size_t size;
  const char* const* columns; /* NULL: all, in the order of the schema */
  size_t columns_size;
  const char* filter;      /* as varve::ParseFilter reads it; NULL: none */
  uint64_t limit;          /* when has_limit */
  int64_t batch_rows_max;  /* 0: the default */
  uint8_t has_limit, reverse, unordered, reserved[5];
  const varve_db_key_range* range; /* NULL: all keys */
  const varve_db_stop* stop;       /* NULL: nobody stops it */
} varve_db_scan_options;

/* Streams the rows of a table in key order; `options` NULL: everything. An error while streaming
 * is the stream's (get_last_error). */
VARVE_LOG_API int varve_db_scan(const varve_db_snapshot* snapshot, const char* table,
                                const varve_db_scan_options* options, struct ArrowArrayStream* out,
                                varve_error** error);
/* How many rows that scan would give, without columns and reverse; from metadata where it can. */
VARVE_LOG_API int varve_db_count(const varve_db_snapshot* snapshot, const char* table,
                                 const varve_db_scan_options* options, uint64_t* rows,
                                 varve_error** error);
/* Looks rows up by key: one row for each key that is there, in the order of `keys`. */
VARVE_LOG_API int varve_db_get(const varve_db_snapshot* snapshot, const char* table,
                               struct ArrowArray* keys, struct ArrowSchema* keys_schema,
                               struct ArrowArray* rows, struct ArrowSchema* schema,
                               varve_error** error);

/* As varve::ChangesOptions; a zeroed struct with `size` set: all columns, nothing of before. */
typedef struct {
  size_t size;
  const char* const* columns; /* NULL: all, in the order of the schema */
  size_t columns_size;
  int64_t batch_rows_max; /* 0: the default */
  uint8_t before_images, reserved[7];
  const varve_db_key_range* range; /* NULL: all keys */
  const varve_db_stop* stop;       /* NULL: nobody stops it */
} varve_db_changes_options;

/* Streams what the commits after `after`, up to that of the snapshot, changed in a table, as
 * varve::Snapshot::Changes; `options` NULL: see above. */
VARVE_LOG_API int varve_db_changes(const varve_db_snapshot* snapshot, const char* table,
                                   uint64_t after, const varve_db_changes_options* options,
                                   struct ArrowArrayStream* out, varve_error** error);

/* As varve::ChangeCursor: changes as they are committed. One thread at a time, except cancel, which
 * any may call. `next` waits `timeout_ms` at most; when nothing came it leaves rows->release NULL.
 * Save the position together with what was made of the rows, and follow from it after a restart. */
typedef struct varve_db_cursor varve_db_cursor;
VARVE_LOG_API int varve_db_follow(varve_db* db, const char* table, uint64_t after,
                                  const varve_db_changes_options* options, varve_db_cursor** cursor,
                                  varve_error** error);
VARVE_LOG_API int varve_db_cursor_next(varve_db_cursor* cursor, uint64_t timeout_ms,
                                       struct ArrowArray* rows, struct ArrowSchema* schema,
                                       varve_error** error);
VARVE_LOG_API uint64_t varve_db_cursor_position(const varve_db_cursor* cursor);
VARVE_LOG_API void varve_db_cursor_cancel(varve_db_cursor* cursor);
VARVE_LOG_API void varve_db_cursor_free(varve_db_cursor* cursor); /* takes NULL */

/* As varve::Transaction. It ends by commit, also by one that fails, or by free. */
enum varve_db_isolation { VARVE_DB_SNAPSHOT, VARVE_DB_SERIALIZABLE };
VARVE_LOG_API int varve_db_begin(varve_db* db, int isolation, varve_db_transaction** transaction,
                                 varve_error** error);
/* What it reads is as of this commit; 0 for NULL. */
VARVE_LOG_API uint64_t varve_db_transaction_snapshot(const varve_db_transaction* transaction);
VARVE_LOG_API int varve_db_transaction_upsert(varve_db_transaction* transaction, const char* table,
                                              struct ArrowArray* rows, struct ArrowSchema* schema,
                                              varve_error** error);
VARVE_LOG_API int varve_db_transaction_delete(varve_db_transaction* transaction, const char* table,
                                              struct ArrowArray* keys, struct ArrowSchema* schema,
                                              varve_error** error);
/* Any write, as varve_db_write; of the options `producer`, `sequence` and `level` must be zero, for
 * it is the commit that has them. What its mode looks at (keys of INSERT and UPDATE, the range of
 * DELETE_WHERE) counts as read. A write that is refused leaves what was written as it was, and the
 * transaction goes on. */
VARVE_LOG_API int varve_db_transaction_write(varve_db_transaction* transaction, const char* table,
                                             struct ArrowArray* rows, struct ArrowSchema* schema,
                                             const varve_db_write_options* options,
                                             varve_error** error);
VARVE_LOG_API int varve_db_transaction_scan(varve_db_transaction* transaction, const char* table,
                                            const varve_db_scan_options* options,
                                            struct ArrowArrayStream* out, varve_error** error);
VARVE_LOG_API int varve_db_transaction_get(varve_db_transaction* transaction, const char* table,
                                           struct ArrowArray* keys,
                                           struct ArrowSchema* keys_schema,
                                           struct ArrowArray* rows, struct ArrowSchema* schema,
                                           varve_error** error);
VARVE_LOG_API int varve_db_transaction_savepoint(varve_db_transaction* transaction,
                                                 uint64_t* savepoint, varve_error** error);
VARVE_LOG_API int varve_db_transaction_rollback_to(varve_db_transaction* transaction,
                                                   uint64_t savepoint, varve_error** error);
VARVE_LOG_API int varve_db_transaction_commit(varve_db_transaction* transaction, int level,
                                              varve_db_commit* commit, varve_error** error);
/* The same without waiting, as varve_db_write_then: whether it is in conflict is known to `done`
 * before this returns. The transaction has ended; free it. */
VARVE_LOG_API int varve_db_transaction_commit_then(varve_db_transaction* transaction, int level,
                                                   varve_db_done done, void* context,
                                                   varve_error** error);
VARVE_LOG_API void varve_db_transaction_free(varve_db_transaction* transaction); /* takes NULL */

#ifdef __cplusplus
}
#endif
#endif
