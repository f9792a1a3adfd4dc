/* SPDX-License-Identifier: Apache-2.0
 * 13. The database from C: rows go in as one batch of the Arrow C data interface, and come back by
 * its stream interface. A real program gets such structs from its Arrow library (nanoarrow, Arrow
 * GLib, a dataframe); here they are put together by hand, so that nothing else is needed.
 *
 *   usage: db_13_c_api FOLDER */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varve_db.h>

#include "new_folder.h"

enum { ROWS = 3 };

static void or_die(int code, const char* what, varve_error** error) {
  if (code == VARVE_LOG_OK) return;
  fprintf(stderr, "%s: %s/%s: %s\n", what, varve_log_kind_name(code), varve_log_reason_name(code),
          *error == NULL ? "" : varve_log_error_message(*error));
  exit(1);
}

static void expect(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "expected: %s\n", what);
  exit(1);
}

/* All that the structs below point to is static: there is nothing to free. */
static void release_schema(struct ArrowSchema* schema) { schema->release = NULL; }
static void release_array(struct ArrowArray* array) { array->release = NULL; }

/* id int64 not null, cents int64 */
static struct ArrowSchema make_schema(void) {
  static struct ArrowSchema fields[2];
  static struct ArrowSchema* children[] = {&fields[0], &fields[1]};
  struct ArrowSchema whole = {0};
  const char* names[] = {"id", "cents"};
  int i;
  for (i = 0; i < 2; ++i) {
    memset(&fields[i], 0, sizeof fields[i]);
    fields[i].format = "l"; /* int64 */
    fields[i].name = names[i];
    fields[i].flags = i == 0 ? 0 : ARROW_FLAG_NULLABLE;
    fields[i].release = release_schema;
  }
  whole.format = "+s"; /* struct: a batch */
  whole.name = "";
  whole.n_children = 2;
  whole.children = children;
  whole.release = release_schema;
  return whole;
}

static struct ArrowArray make_rows(const int64_t* ids, const int64_t* cents) {
  static struct ArrowArray columns[2];
  static struct ArrowArray* children[] = {&columns[0], &columns[1]};
  static const void* buffers[2][2]; /* validity (NULL: no nulls) and values */
  static const void* none[1];
  struct ArrowArray whole = {0};
  int i;
  buffers[0][1] = ids;
  buffers[1][1] = cents;
  for (i = 0; i < 2; ++i) {
    memset(&columns[i], 0, sizeof columns[i]);
    columns[i].length = ROWS;
    columns[i].n_buffers = 2;
    columns[i].buffers = buffers[i];
    columns[i].release = release_array;
  }
  whole.length = ROWS;
  whole.n_buffers = 1;
  whole.buffers = none;
  whole.n_children = 2;
  whole.children = children;
  whole.release = release_array;
  return whole;
}

/* Prints what a stream gives; the sum of the second column. */
static int64_t drain(struct ArrowArrayStream* stream) {
  struct ArrowArray batch;
  int64_t sum = 0, i;
  while (1) {
    const int64_t *ids, *cents;
    if (stream->get_next(stream, &batch) != 0) {
      fprintf(stderr, "scan: %s\n", stream->get_last_error(stream));
      exit(1);
    }
    if (batch.release == NULL) break;
    ids = (const int64_t*)batch.children[0]->buffers[1] + batch.children[0]->offset;
    cents = (const int64_t*)batch.children[1]->buffers[1] + batch.children[1]->offset;
    for (i = 0; i < batch.length; ++i) {
      printf("  order %" PRId64 ": %" PRId64 " cents\n", ids[i], cents[i]);
      sum += cents[i];
    }
    batch.release(&batch);
  }
  stream->release(stream);
  return sum;
}

int main(int argc, char** argv) {
  const char* folder = NewFolder(argc, argv);
  const char* key[] = {"id"};
  const int64_t ids[ROWS] = {1, 2, 3}, cents[ROWS] = {120, 250, 80};
  varve_db_options options = {0};
  varve_db_scan_options dear = {0};
  varve_db_commit commit = {0};
  varve_db_snapshot* snapshot = NULL;
  varve_db* db = NULL;
  varve_error* error = NULL;
  struct ArrowSchema schema = make_schema();
  struct ArrowArray rows = make_rows(ids, cents);
  struct ArrowArrayStream stream;

  expect(varve_db_abi() == VARVE_DB_ABI, "the library that this was compiled for");
  options.size = sizeof options;
  options.create_if_missing = 1;
  or_die(varve_db_open(folder, &options, &db, &error), "open", &error);
  or_die(varve_db_create_table(db, "orders", &schema, key, 1, &error), "create", &error);

  schema = make_schema(); /* the call above took the first one */
  or_die(varve_db_upsert(db, "orders", &rows, &schema, VARVE_LOG_DURABLE, &commit, &error),
         "upsert", &error);
  printf("commit %" PRIu64 ": %" PRIu64 " rows are durable\n", commit.commit, commit.rows);

  or_die(varve_db_snapshot_take(db, NULL, &snapshot, &error), "snapshot", &error);
  or_die(varve_db_scan(snapshot, "orders", NULL, &stream, &error), "scan", &error);
  expect(drain(&stream) == 450, "all orders");

  dear.size = sizeof dear;
  dear.filter = "cents > 100";
  dear.reverse = 1;
  printf("the dear ones, last first:\n");
  or_die(varve_db_scan(snapshot, "orders", &dear, &stream, &error), "scan", &error);
  expect(drain(&stream) == 370, "two orders");

  varve_db_snapshot_free(snapshot);
  or_die(varve_db_close(db, &error), "close", &error);
  varve_db_free(db);
  return 0;
}
