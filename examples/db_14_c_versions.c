/* SPDX-License-Identifier: Apache-2.0
 * 14. Versions from C: writes that nobody waits for, a tag, a mistake, a look back at the tag and
 * at a moment, and the table as it was. The columns change, and the table's name. Then which tables
 * there are and were, what a scan of some keys would read, between which values a column lies, and a
 * transaction that deletes these keys.
 *
 *   usage: db_14_c_versions FOLDER */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varve_db_report.h>
#include <varve_db_versions.h>

#include "new_folder.h"

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

static struct ArrowSchema make_field(const char* name, int64_t flags) {
  struct ArrowSchema field = {0};
  field.format = "l"; /* int64 */
  field.name = name;
  field.flags = flags;
  field.release = release_schema;
  return field;
}

/* id int64 not null, cents int64 */
static struct ArrowSchema make_schema(void) {
  static struct ArrowSchema fields[2];
  static struct ArrowSchema* children[] = {&fields[0], &fields[1]};
  struct ArrowSchema whole = {0};
  fields[0] = make_field("id", 0);
  fields[1] = make_field("cents", ARROW_FLAG_NULLABLE);
  whole.format = "+s"; /* struct: a batch */
  whole.name = "";
  whole.n_children = 2;
  whole.children = children;
  whole.release = release_schema;
  return whole;
}

static struct ArrowArray make_column(const int64_t* value, const void** buffers) {
  struct ArrowArray column = {0};
  buffers[1] = value;
  column.length = 1;
  column.n_buffers = 2;
  column.buffers = buffers;
  column.release = release_array;
  return column;
}

/* One row. */
static struct ArrowArray make_row(const int64_t* id, const int64_t* cents) {
  static struct ArrowArray columns[2];
  static struct ArrowArray* children[] = {&columns[0], &columns[1]};
  static const void *ids[2], *values[2], *none[1];
  struct ArrowArray whole = {0};
  columns[0] = make_column(id, ids);
  columns[1] = make_column(cents, values);
  whole.length = 1;
  whole.n_buffers = 1;
  whole.buffers = none;
  whole.n_children = 2;
  whole.children = children;
  whole.release = release_array;
  return whole;
}

/* The sum of the second column, and how many rows there are. */
static int64_t sum_of(varve_db* db, const char* table, const varve_db_as_of* as_of,
                      int64_t* rows, varve_error** error) {
  varve_db_snapshot* snapshot = NULL;
  struct ArrowArrayStream stream;
  struct ArrowArray batch;
  int64_t sum = 0, i;
  *rows = 0;
  or_die(varve_db_snapshot_as_of(db, as_of, &snapshot, error), "snapshot", error);
  or_die(varve_db_scan(snapshot, table, NULL, &stream, error), "scan", error);
  varve_db_snapshot_free(snapshot);
  while (1) {
    expect(stream.get_next(&stream, &batch) == 0, "rows");
    if (batch.release == NULL) break;
    for (i = 0; i < batch.length; ++i) {
      sum += ((const int64_t*)batch.children[1]->buffers[1])[batch.children[1]->offset + i];
    }
    *rows += batch.length;
    batch.release(&batch);
  }
  stream.release(&stream);
  return sum;
}

/* Callbacks may come from several threads at once: each commit has a place of its own. */
static void remember(void* context, int code, const varve_db_commit* commit,
                     const varve_error* error) {
  (void)error;
  *(uint64_t*)context = code == VARVE_LOG_OK ? commit->commit : UINT64_MAX;
}

static int print_version(void* context, const varve_db_version* version) {
  *(int64_t*)context = version->time_micros; /* the oldest in the end */
  printf("  commit %" PRIu64 ", %s%s%s\n", version->commit,
         version->flushed ? "in Parquet" : "in the log", version->tags_size ? ", tag " : "",
         version->tags_size ? version->tags[0] : "");
  return 0;
}

static int count_tag(void* context, const varve_db_tag_info* tag) {
  printf("  tag %s is commit %" PRIu64 "\n", tag->name, tag->commit);
  ++*(int*)context;
  return 0;
}

enum { WRITES = 100 };

static void write_without_waiting(varve_db* db, varve_error** error) {
  static uint64_t commits[WRITES];
  varve_db_write_options options = {0};
  int64_t i;
  options.size = sizeof options;
  options.level = VARVE_LOG_DURABLE;
  for (i = 0; i < WRITES; ++i) {
    const int64_t cents = 100;
    struct ArrowSchema schema = make_schema();
    struct ArrowArray row = make_row(&i, &cents);
    or_die(varve_db_write_then(db, "orders", &row, &schema, &options, remember, &commits[i], error),
           "write", error);
  }
  or_die(varve_db_sync(db, error), "sync", error); /* durable; the callbacks may still be to come */
  or_die(varve_db_close(db, error), "close", error); /* but not after this */
  for (i = 0; i < WRITES; ++i) expect(commits[i] == (uint64_t)i + 1, "each commit in order");
  printf("%d commits, none waited for\n", WRITES);
}

static void change_columns(varve_db* db, varve_error** error) {
  const int64_t none = 0;
  const void* buffers[2] = {NULL, NULL};
  struct ArrowSchema field = make_field("discount", ARROW_FLAG_NULLABLE);
  struct ArrowArray value = make_column(&none, buffers);
  varve_db_column_change add = {0}, rename = {0};
  const varve_db_column_change* const changes[] = {&add, &rename};
  uint64_t commit = 0;
  add.size = rename.size = sizeof add;
  add.kind = VARVE_DB_ADD_COLUMN;
  add.field = &field;
  add.value = &value;
  rename.kind = VARVE_DB_RENAME_COLUMN;
  rename.name = "cents";
  rename.to = "price";
  or_die(varve_db_alter_table(db, "orders", changes, 2, &commit, error), "alter", error);
  or_die(varve_db_rename_table(db, "orders", "sales", &commit, error), "rename", error);
  printf("other columns and another name: commit %" PRIu64 "\n", commit);
}

static void look_back(varve_db* db, varve_error** error) {
  const int64_t id = 7, wrong = 1000000;
  int64_t rows = 0, oldest = 0;
  int tags = 0;
  varve_db_as_of good = {0}, moment = {0};
  varve_db_restored restored = {0};
  struct ArrowSchema schema = make_schema();
  struct ArrowArray row = make_row(&id, &wrong);
  good.size = moment.size = sizeof good;
  good.kind = VARVE_DB_AT_TAG;
  good.tag = "good";
  or_die(varve_db_tag(db, "good", NULL, 0, NULL, error), "tag", error);
  or_die(varve_db_upsert(db, "orders", &row, &schema, VARVE_LOG_DURABLE, NULL, error), "upsert",
         error);
  expect(sum_of(db, "orders", NULL, &rows, error) == 1009900, "the mistake");
  expect(sum_of(db, "orders", &good, &rows, error) == 10000 && rows == WRITES, "the tagged version");

  printf("versions:\n");
  or_die(varve_db_versions(db, 0, print_version, &oldest, error), "versions", error);
  moment.kind = VARVE_DB_AT_TIME;
  moment.time_micros = oldest;
  expect(sum_of(db, "orders", &moment, &rows, error) > 0, "a moment");
  or_die(varve_db_restore_table(db, "orders", &good, NULL, &restored, error), "restore", error);
  expect(restored.rows_written == 1 && restored.rows_deleted == 0, "one row differs");
  expect(sum_of(db, "orders", NULL, &rows, error) == 10000, "the table as it was");
  or_die(varve_db_tags(db, count_tag, &tags, error), "tags", error);
  expect(tags == 1, "one tag");
}

static int print_table(void* context, const varve_db_table* table) {
  printf("  %s: %" PRId64 " columns, key %s\n", table->name, table->schema->n_children, table->key[0]);
  *(int64_t*)context = table->schema->n_children;
  return 0;
}

/* The keys from 90 on. A call that is given them takes `bound` and `schema`. */
static varve_db_key_range from_ninety(struct ArrowArray* bound, struct ArrowSchema* schema) {
  static const int64_t ninety = 90;
  varve_db_key_range range = {0};
  *bound = make_row(&ninety, &ninety);
  *schema = make_schema();
  bound->n_children = schema->n_children = 1; /* of key columns alone */
  range.size = sizeof range;
  range.lower = bound;
  range.lower_schema = schema;
  return range;
}

static void look_around(varve_db* db, const varve_db_as_of* good, varve_error** error) {
  struct ArrowArray bound, values;
  struct ArrowSchema schema;
  varve_db_key_range range;
  varve_db_scan_options some = {0};
  varve_db_snapshot* snapshot = NULL;
  char* json = NULL;
  int64_t columns = 0;
  printf("tables now, and at the tag:\n");
  or_die(varve_db_tables(db, print_table, &columns, error), "tables", error);
  expect(columns == 3, "the column that was added");
  or_die(varve_db_snapshot_as_of(db, good, &snapshot, error), "snapshot", error);
  or_die(varve_db_snapshot_tables(snapshot, print_table, &columns, error), "tables then", error);
  expect(columns == 2, "the columns of then");
  varve_db_snapshot_free(snapshot);

  or_die(varve_db_snapshot_take(db, NULL, &snapshot, error), "snapshot", error);
  range = from_ninety(&bound, &schema);
  some.size = sizeof some;
  some.range = &range;
  or_die(varve_db_explain(snapshot, "sales", &some, &json, error), "explain", error);
  printf("the plan of a scan: %s\n", json);
  varve_log_text_free(json);
  or_die(varve_db_min_max(snapshot, "sales", "id", NULL, &values, &schema, NULL, error), "extremes",
         error);
  expect(((const int64_t*)values.buffers[1])[1] == WRITES - 1, "the greatest id");
  values.release(&values);
  schema.release(&schema);
  varve_db_snapshot_free(snapshot);
}

static void delete_some(varve_db* db, varve_error** error) {
  struct ArrowArray bound;
  struct ArrowSchema schema;
  varve_db_key_range range = from_ninety(&bound, &schema);
  varve_db_write_options where = {0};
  varve_db_transaction* transaction = NULL;
  varve_db_commit commit = {0};
  where.size = sizeof where;
  where.mode = VARVE_DB_DELETE_WHERE;
  where.range = &range;
  or_die(varve_db_begin(db, VARVE_DB_SERIALIZABLE, &transaction, error), "begin", error);
  or_die(varve_db_transaction_write(transaction, "sales", NULL, NULL, &where, error), "delete",
         error);
  or_die(varve_db_transaction_commit(transaction, VARVE_LOG_DURABLE, &commit, error), "commit",
         error);
  varve_db_transaction_free(transaction);
  expect(commit.rows == WRITES - 90, "the keys from 90 on");
}

int main(int argc, char** argv) {
  const char* folder = NewFolder(argc, argv);
  const char* key[] = {"id"};
  varve_db_options options = {0};
  varve_db* db = NULL;
  varve_error* error = NULL;
  struct ArrowSchema schema = make_schema();
  varve_db_as_of good = {0};
  int64_t rows = 0;

  options.size = sizeof options;
  options.create_if_missing = 1;
  or_die(varve_db_open(folder, &options, &db, &error), "open", &error);
  or_die(varve_db_create_table(db, "orders", &schema, key, 1, &error), "create", &error);
  write_without_waiting(db, &error); /* and closes it */
  varve_db_free(db);
  or_die(varve_db_open(folder, NULL, &db, &error), "open", &error);
  look_back(db, &error);
  change_columns(db, &error);

  good.size = sizeof good;
  good.kind = VARVE_DB_AT_TAG;
  good.tag = "good";
  expect(sum_of(db, "orders", &good, &rows, &error) == 10000, "its former name, at the tag");
  expect(sum_of(db, "sales", NULL, &rows, &error) == 10000, "and its new one, now");
  look_around(db, &good, &error);
  delete_some(db, &error);
  expect(sum_of(db, "sales", NULL, &rows, &error) == 9000 && rows == 90, "what is left");
  or_die(varve_db_drop_table(db, "sales", NULL, &error), "drop", &error);
  expect(sum_of(db, "orders", &good, &rows, &error) == 10000, "it is there as of then");
  or_die(varve_db_close(db, &error), "close", &error);
  varve_db_free(db);
  return 0;
}
