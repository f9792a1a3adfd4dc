/* SPDX-License-Identifier: Apache-2.0
 * What a database says of itself, to C: its tables, its figures, what a scan would read, and
 * between which values a column lies. Nothing here changes anything. Errors, ownership, threads and
 * the ABI: as varve_db.h says.
 *
 *   char* json = NULL;
 *   varve_db_tables(db, print_table, NULL, &error);
 *   if (varve_db_explain(snapshot, "orders", &scan_options, &json, &error) == VARVE_LOG_OK) {
 *     puts(json);
 *     varve_log_text_free(json);
 *   }
 *
 * JSON. One object, without a line's end, in UTF-8, which the caller frees by varve_log_text_free.
 * The members that are named here stay, with their meaning; others may come. Numbers may pass 2^53.
 * The command line gives the same names: varve stats --json, varve scan --explain --json. */
#ifndef VARVE_DB_REPORT_H_
#define VARVE_DB_REPORT_H_

#include "varve_db.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As varve::TableInfo; lent to the callback until it returns. May grow at the end. */
typedef struct {
  const char* name;
  const char* const* key; /* names of its key columns, in key order */
  size_t key_size;
  /* A struct, whose children are the columns. The callback may move it away, by copying it and
   * setting its `release` to NULL; it is released otherwise. */
  struct ArrowSchema* schema;
  uint64_t id; /* its own for ever, whatever its name; 0 in the list of a snapshot */
} varve_db_table;
/* Not 0 ends the list, which is no error. May call any function of the database. */
typedef int (*varve_db_each_table)(void* context, const varve_db_table* table);
/* The tables that there are now, by name. No I/O. INVALID, CLOSED: the database was closed. */
VARVE_LOG_API int varve_db_tables(varve_db* db, varve_db_each_table each, void* context,
                                  varve_error** error);
/* Those that there were as of a snapshot, under the names and with the columns of then. */
VARVE_LOG_API int varve_db_snapshot_tables(const varve_db_snapshot* snapshot,
                                           varve_db_each_table each, void* context,
                                           varve_error** error);

/* The figures of varve::DatabaseStats, as JSON:
 *   commit, visible, durable  commits: the last given out, shown by snapshots, on the device
 *   tables      of each: name, id, key (array of names), rows_estimate, memtable {rows, bytes},
 *               levels (array of {runs, bytes, rows}; rows are versions of rows). rows_estimate is
 *               an upper bound: the rows written, less what was replaced or deleted before it was
 *               flushed; exact when each key was written once
 *   memtable    {bytes}: what is not flushed yet, of all tables
 *   memory      {bytes, bytes_max, peak, holders}; holders has of each name {bytes, peak}
 *   log         {segments, bytes, first_lsn, last_lsn, durable_lsn}
 *   recovery    {segments, units, records, bytes, torn_bytes} of the open
 *   manifest    {number}
 *   read_cache  {bytes, bytes_max, hits, misses} of lookups by key; hits and misses since the open
 *   tail_cache  {bytes, bytes_max, runs, hits, misses} of runs that were opened to be read
 *   flushes, commit_stall_micros  since the open; the latter what commits waited for memory
 *   commits_stalled               that wait for memory now
 * No I/O, and quick: it may be asked every second. INVALID, CLOSED: the database was closed. */
VARVE_LOG_API int varve_db_stats(varve_db* db, char** json, varve_error** error);

/* The same and what was counted since the open, in Prometheus' text form; each name is begun by
 * `prefix` (NULL: "varve_"). docs/operating.md lists the names. The text is freed with
 * varve_log_text_free. INVALID, CLOSED: the database was closed. */
VARVE_LOG_API int varve_db_prometheus(varve_db* db, const char* prefix, char** text,
                                      varve_error** error);

/* What varve_db_scan with these options (NULL: everything) would read and skip, as JSON:
 *   as_of       the snapshot's commit
 *   key_range   the keys that it looks for, as text, out of range and filter; "all", "none"
 *   filter      what is asked of each row, as text; "" for nothing
 *   sources     of each memtable and file: name, rows, bytes, bytes_read, row_groups,
 *               row_groups_read, reason (why all or a part of it is skipped; "" when it is read)
 * It reads no row, at most statistics of files; `stop` means nothing. Codes: as varve_db_scan. */
VARVE_LOG_API int varve_db_explain(const varve_db_snapshot* snapshot, const char* table,
                                   const varve_db_scan_options* options, char** json,
                                   varve_error** error);

/* The least and the greatest value of a column in the rows that the scan would give (`options`
 * without columns, reverse and limit; NULL: all rows), exactly; from the statistics of files where
 * these are. `values` gets an array of two values, the least first, both null when the column has
 * none but nulls, or there are no rows; NaN counts only where there is nothing else. `schema` gets
 * its field: the column's name and type, but of dictionaries and extension types the plain one, of
 * views utf8 or binary, of half floats float. Both are the caller's to release. `rows_scanned`,
 * which may be NULL, gets how many rows had to be read for it.
 * NOT_FOUND: table or column. INVALID: a type without an order, such as lists and structs. */
VARVE_LOG_API int varve_db_min_max(const varve_db_snapshot* snapshot, const char* table,
                                   const char* column, const varve_db_scan_options* options,
                                   struct ArrowArray* values, struct ArrowSchema* schema,
                                   uint64_t* rows_scanned, varve_error** error);

#ifdef __cplusplus
}
#endif
#endif
