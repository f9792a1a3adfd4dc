/* SPDX-License-Identifier: Apache-2.0
 * The database's versions from C: reading as of a commit, a moment or a tag; the list of versions;
 * tags; restoring a table. Errors, ownership, threads and the ABI: as varve_db.h says.
 *
 *   varve_db_as_of then = {sizeof then};
 *   then.kind = VARVE_DB_AT_TAG;
 *   then.tag = "before-import";
 *   varve_db_snapshot_as_of(db, &then, &snapshot, &error);
 *   varve_db_restore_table(db, "orders", &then, NULL, &restored, &error); */
#ifndef VARVE_DB_VERSIONS_H_
#define VARVE_DB_VERSIONS_H_

#include "varve_db.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As varve::AsOf: which version. What the kind does not use must be 0 or NULL. A NULL instead of
 * the struct is VARVE_DB_NEWEST. */
enum varve_db_as_of_kind {
  VARVE_DB_NEWEST,    /* the newest visible commit */
  VARVE_DB_AT_COMMIT, /* `commit` */
  VARVE_DB_AT_TIME,   /* the newest commit that was not made after `time_micros` */
  VARVE_DB_AT_TAG     /* the commit that `tag` names */
};
typedef struct {
  size_t size; /* sizeof of this struct */
  const char* tag;
  uint64_t commit;
  int64_t time_micros; /* since 1970-01-01T00:00:00Z, by the writer's clock */
  int32_t kind;        /* of varve_db_as_of_kind */
  int32_t reserved;
} varve_db_as_of;

/* A snapshot as of a version. Codes: NOT_FOUND when it lies in the future or before the first
 * readable version (the message names that), or is no tag; of a moment also UNAVAILABLE and
 * CORRUPTION, since it may read one small file. */
VARVE_LOG_API int varve_db_snapshot_as_of(varve_db* db, const varve_db_as_of* as_of,
                                          varve_db_snapshot** snapshot, varve_error** error);

/* As varve::Version; lent to the callback until it returns. May grow at the end. */
typedef struct {
  uint64_t commit;
  int64_t time_micros;
  uint64_t runs, rows, bytes; /* versions of rows in runs, and bytes of those */
  uint64_t flushed;           /* 0: this commit is still only in the log */
  const char* const* tags;    /* that name it */
  size_t tags_size;
} varve_db_version;
/* Not 0 ends the list, which is no error. May call any function of the database. */
typedef int (*varve_db_each_version)(void* context, const varve_db_version* version);
/* Newest first: each flush, each commit since the last one, each that has a tag; at most `limit`,
 * 0 being no limit. */
VARVE_LOG_API int varve_db_versions(varve_db* db, uint64_t limit, varve_db_each_version each,
                                    void* context, varve_error** error);

/* As varve::TagInfo. `name` is lent to a callback, and NULL elsewhere: the caller knows it. */
typedef struct {
  const char* name;
  uint64_t commit;
  int64_t time_micros; /* when that commit was made */
  int64_t made_micros; /* when the tag was */
} varve_db_tag_info;
/* Names a commit, durably; `as_of` NULL: the newest. `replace` not 0: a tag of this name may be
 * there, and then moves; otherwise it is CONFLICT, ALREADY_EXISTS. `info` may be NULL, here and
 * below. Other codes: as varve::Database::Tag. */
VARVE_LOG_API int varve_db_tag(varve_db* db, const char* name, const varve_db_as_of* as_of,
                               int replace, varve_db_tag_info* info, varve_error** error);
/* Takes the name away, and gives what it named. NOT_FOUND says which tags there are. */
VARVE_LOG_API int varve_db_untag(varve_db* db, const char* name, varve_db_tag_info* info,
                                 varve_error** error);
/* By name. Not 0 ends the list, as above. */
typedef int (*varve_db_each_tag)(void* context, const varve_db_tag_info* tag);
VARVE_LOG_API int varve_db_tags(varve_db* db, varve_db_each_tag each, void* context,
                                varve_error** error);

/* As varve::RestoreOptions and varve::CommitOptions. `size` and `level` must be set. NULL instead
 * of the struct: durable, and for real. */
typedef struct {
  size_t size;
  const char* producer; /* with `sequence`, makes the commit exactly once; NULL: none */
  uint64_t sequence;
  int32_t level;                /* of varve_log_level */
  uint8_t dry_run, reserved[3]; /* not 0: commits nothing, only says what there is to do */
} varve_db_restore_options;
/* As varve::RestoreInfo. */
typedef struct {
  uint64_t as_of, rows_written, rows_deleted;
  varve_db_commit commit; /* zeroed by a dry run */
} varve_db_restored;
/* Makes the rows of a table what they were at a version, as one commit of what differs. `restored`
 * may be NULL. Codes: as varve::Database::RestoreTable. */
VARVE_LOG_API int varve_db_restore_table(varve_db* db, const char* table,
                                         const varve_db_as_of* as_of,
                                         const varve_db_restore_options* options,
                                         varve_db_restored* restored, varve_error** error);

#ifdef __cplusplus
}
#endif
#endif
