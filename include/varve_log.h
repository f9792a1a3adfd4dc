/* SPDX-License-Identifier: Apache-2.0
 * varve::log for C, and for every language that can call C. The promises are those of varve/log.h;
 * docs/log.md is the manual.
 *
 *   varve_log_options options;
 *   varve_log_options_init(&options, sizeof options, VARVE_LOG_DEFAULT);
 *   varve_log* log = NULL;
 *   varve_log_error* error = NULL;
 *   if (varve_log_open("orders.log", &options, replay, state, &log, &error) != VARVE_LOG_OK) {
 *     fprintf(stderr, "%s\n", varve_log_error_message(error));
 *     varve_log_error_free(error);
 *   }
 *
 * Errors. Functions that can fail return a code: VARVE_LOG_OK, or one of varve_log_kind in the low
 * byte and one of varve_log_reason above it: use VARVE_LOG_KIND(code) and VARVE_LOG_REASON(code).
 * The last parameter, which may be NULL, gets an error that says what happened, where, and what to
 * do next; NULL after success. It is the caller's, to be freed. Other results are written after
 * success only. A NULL, an enum's value that does not exist or a size that cannot be is
 * VARVE_LOG_INVALID. No C++ exception comes out, also not one that a callback threw.
 *
 * Ownership. Handles are freed by the function named after them, which takes NULL; a handle must
 * not be used after that, nor while it runs. What a call takes (texts, records) is copied before
 * it returns; what a callback is given is lent until the callback returns.
 *
 * Threads. A log may be used by any threads at once, until varve_log_free. Everything else is used
 * by one thread at a time.
 *
 * ABI. Structs without a member `size` do not change within one VARVE_LOG_ABI, but those that a
 * callback is given may grow at the end. Those with `size`, which the caller sets to sizeof, may
 * grow: the library reads and writes what both sides know, and refuses a later setting that it
 * does not know unless it is 0. */
#ifndef VARVE_LOG_H_
#define VARVE_LOG_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VARVE_LOG_API __attribute__((visibility("default")))
#else
#define VARVE_LOG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define VARVE_LOG_ABI 1
/* The VARVE_LOG_ABI of the library that is linked; the program's must be the same. */
VARVE_LOG_API int varve_log_abi(void);

/* What the caller does next. */
enum varve_log_kind {
  VARVE_LOG_OK = 0,
  VARVE_LOG_INVALID = 1,     /* the call is wrong: fix the arguments */
  VARVE_LOG_NOT_FOUND = 2,   /* the log, position, transaction or key is not there */
  VARVE_LOG_CONFLICT = 3,    /* somebody else was first: read again and retry */
  VARVE_LOG_UNAVAILABLE = 4, /* storage refused or is full, a lock is held, or no memory */
  VARVE_LOG_CORRUPTION = 5,  /* stored bytes are not what was written: verify, restore */
  VARVE_LOG_INTERNAL = 6     /* a defect of varve: report it */
};
/* Which well-known situation; the comments name the kind. */
enum varve_log_reason {
  VARVE_LOG_NO_REASON = 0,
  VARVE_LOG_LOCKED = 1,             /* unavailable: open elsewhere; the message names who */
  VARVE_LOG_NO_SPACE = 2,           /* unavailable */
  VARVE_LOG_PERMISSION = 3,         /* unavailable */
  VARVE_LOG_IO = 4,                 /* unavailable: says nothing about the bytes */
  VARVE_LOG_UNKNOWN_OUTCOME = 5,    /* unavailable: kept or not; open the log again to learn */
  VARVE_LOG_CLOSED = 6,             /* invalid: after varve_log_close, or in a forked child */
  VARVE_LOG_READ_ONLY = 7,          /* invalid */
  VARVE_LOG_UNSUPPORTED_FORMAT = 8, /* invalid: written by a newer version */
  VARVE_LOG_ALREADY_EXISTS = 9,     /* conflict */
  VARVE_LOG_TIMED_OUT = 10,         /* unavailable: a deadline passed */
  VARVE_LOG_MISSING_KEY = 11,       /* not found: encrypted, and nobody gave the key */
  VARVE_LOG_WRONG_KEY = 12,         /* invalid: encrypted, and the key of that name is another */
  VARVE_LOG_STALE_SEQUENCE = 13,    /* conflict: of a database's producer (varve_db.h) */
  VARVE_LOG_EXPIRED_KEY = 14,       /* invalid: encrypted, and that key is not given any more */
  VARVE_LOG_NOT_ENCRYPTED = 15      /* invalid: keys for a database that is not encrypted */
};
#define VARVE_LOG_KIND(code) ((code) & 0xff)
#define VARVE_LOG_REASON(code) ((code) >> 8)
/* The names of a code's two halves, for a message: "Unavailable" and "Locked"; "OK" and "None" for
 * VARVE_LOG_OK; "unknown" for what is no code. Never freed. */
VARVE_LOG_API const char* varve_log_kind_name(int code);
VARVE_LOG_API const char* varve_log_reason_name(int code);

enum varve_log_level { VARVE_LOG_BUFFERED, VARVE_LOG_WRITTEN, VARVE_LOG_DURABLE };
enum varve_log_preset {
  VARVE_LOG_DEFAULT, VARVE_LOG_THROUGHPUT, VARVE_LOG_LATENCY, VARVE_LOG_FULL_SYNC /* Durable() */
};
enum varve_log_sync_policy {
  VARVE_LOG_EVERY_GROUP, VARVE_LOG_INTERVAL, VARVE_LOG_BYTES, VARVE_LOG_NEVER
};
enum varve_log_sync_method {
  VARVE_LOG_AUTO, VARVE_LOG_FDATASYNC, VARVE_LOG_FSYNC, VARVE_LOG_DSYNC, VARVE_LOG_DIRECT_DSYNC
};
enum varve_log_compression { VARVE_LOG_PLAIN, VARVE_LOG_LZ4, VARVE_LOG_ZSTD };
enum varve_log_encode_mode { VARVE_LOG_PARALLEL, VARVE_LOG_SERIAL, VARVE_LOG_SHADOW };
enum varve_log_recovery_mode {
  VARVE_LOG_STRICT, VARVE_LOG_TOLERATE_TAIL, VARVE_LOG_POINT_IN_TIME, VARVE_LOG_SALVAGE
};
#define VARVE_LOG_FOREVER UINT64_MAX /* as a time to wait */

typedef struct varve_log varve_log;
typedef struct varve_log_error varve_log_error;
typedef struct varve_log_pin varve_log_pin;

/* Kinds 0 to 239 are the caller's own, 241 is a page image. 240 is a checkpoint: read it, and make
 * it by varve_log_checkpoint. `data` may be NULL when `size` is 0. */
enum { VARVE_LOG_CHECKPOINT_KIND = 240, VARVE_LOG_PAGE_IMAGE_KIND = 241 };
typedef struct { const void* data; size_t size; uint8_t kind; } varve_log_record;
typedef struct {
  uint64_t lsn, end; /* its position, and the one just after it */
  const varve_log_record* records;
  size_t record_count;
} varve_log_unit;
typedef struct { uint64_t lsn, end, bytes, group_units; int64_t wait_micros; } varve_log_ack;
typedef struct { uint64_t lsn, end; int64_t enqueued_micros; } varve_log_ticket;
typedef struct { uint64_t appended, written, durable; } varve_log_position;
typedef struct { uint64_t segments, bytes, first, held_at; } varve_log_truncation;

/* A code other than 0 ends the open, which then fails with it (VARVE_LOG_INVALID if it is none). */
typedef int (*varve_log_replay)(void* context, const varve_log_unit* unit);
/* Called once, by any thread. `code` is 0 and `ack` is there, or `error` is. Must be quick, and
 * must not call functions of this log that wait. */
typedef void (*varve_log_done)(void* context, int code, const varve_log_ack* ack,
                               const varve_log_error* error);
/* The name of the key that wraps new data keys: 1 to 64 bytes. Gives 0 or a code. */
typedef int (*varve_log_current_key)(void* context, char name[64], size_t* name_size);
/* The key of that name, which ends with no 0. VARVE_LOG_NOT_FOUND: there is none.
 * VARVE_LOG_INVALID | VARVE_LOG_EXPIRED_KEY << 8: it is not given any more. */
typedef int (*varve_log_key)(void* context, const char* name, size_t name_size,
                             unsigned char key[32]);

/* As varve::LogOptions and varve::RecoveryOptions, which explain each. */
typedef struct {
  size_t size;
  uint64_t segment_bytes_max, segment_age_ms_max, log_bytes_max;
  uint64_t queue_bytes_max, queue_wait_ms_max, group_bytes_max, group_units_max, linger_us;
  uint64_t sync_interval_ms, sync_bytes;
  uint32_t recycled_segments_max, shadow_per_mille;
  int32_t sync_policy, sync_method, encode_mode, compression; /* of the enums above */
  const char* id;                    /* 32 hex digits; NULL: whichever log is there */
  varve_log_current_key current_key; /* both or neither; called by any threads, also several at */
  varve_log_key key;                 /* once, until the log is freed */
  void* key_context;
  uint64_t replay_from, known_durable;
  int32_t recovery_mode;
  uint8_t from_checkpoint, read_only, create_if_missing, reserved;
} varve_log_options;

/* Fills in a preset; `size` is sizeof *options. */
VARVE_LOG_API int varve_log_options_init(varve_log_options* options, size_t size, int preset);
/* Changes what VARVE_LOG_* variables of the environment say; an unknown one is INVALID. Must not
 * run while another thread changes the environment. */
VARVE_LOG_API int varve_log_options_from_environment(varve_log_options* options,
                                                     varve_log_error** error);

VARVE_LOG_API const char* varve_log_error_message(const varve_log_error* error); /* "" for NULL */
VARVE_LOG_API int varve_log_error_code(const varve_log_error* error);            /* 0 for NULL */
VARVE_LOG_API void varve_log_error_free(varve_log_error* error);

/* Opens or creates the log in the folder `dir`; `options` NULL: the defaults; `replay` NULL: no
 * unit is wanted. *log is NULL after a failure. Codes: as varve::Log::Open. */
VARVE_LOG_API int varve_log_open(const char* dir, const varve_log_options* options,
                                 varve_log_replay replay, void* context, varve_log** log,
                                 varve_log_error** error);
/* Makes everything durable and seals the log. Later calls get INVALID, CLOSED. */
VARVE_LOG_API int varve_log_close(varve_log* log, varve_log_error** error);
/* Frees the handle. Without varve_log_close before it: as if the process had been killed. */
VARVE_LOG_API void varve_log_free(varve_log* log);

/* Appends the records as one unit and waits for `level`. `ack` may be NULL, here and below. Out of
 * memory: UNKNOWN_OUTCOME, and the log should be opened again. */
VARVE_LOG_API int varve_log_append(varve_log* log, const varve_log_record* records, size_t count,
                                   int level, varve_log_ack* ack, varve_log_error** error);
/* The same without waiting. After VARVE_LOG_OK `done` is called, also for what fails later, before
 * this returns or after; after another code never. */
VARVE_LOG_API int varve_log_append_then(varve_log* log, const varve_log_record* records,
                                        size_t count, int level, varve_log_done done,
                                        void* context, varve_log_error** error);
/* The halves of append. `to_come`: the level that will be waited for; below DURABLE the sync
 * policy makes it durable. A ticket is a plain value of this log: nothing frees it. */
VARVE_LOG_API int varve_log_enqueue(varve_log* log, const varve_log_record* records, size_t count,
                                    int to_come, varve_log_ticket* ticket,
                                    varve_log_error** error);
VARVE_LOG_API int varve_log_wait(varve_log* log, const varve_log_ticket* ticket, int level,
                                 varve_log_ack* ack, varve_log_error** error);

/* Transactions: units put together in memory. Each is used by one thread at a time, and ends by
 * commit or abort; after a commit whose unit is certainly not kept (see docs/log.md) it is open. */
VARVE_LOG_API int varve_log_begin(varve_log* log, uint64_t* transaction, varve_log_error** error);
VARVE_LOG_API int varve_log_append_to(varve_log* log, uint64_t transaction,
                                      const varve_log_record* records, size_t count,
                                      varve_log_error** error);
VARVE_LOG_API int varve_log_commit(varve_log* log, uint64_t transaction, int level,
                                   varve_log_ack* ack, varve_log_error** error);
VARVE_LOG_API int varve_log_abort(varve_log* log, uint64_t transaction, varve_log_error** error);

/* Waits until everything before `position` is at `level`; TIMED_OUT after `timeout_ms`. */
VARVE_LOG_API int varve_log_wait_until(varve_log* log, uint64_t position, int level,
                                       uint64_t timeout_ms, varve_log_error** error);
VARVE_LOG_API int varve_log_sync(varve_log* log, varve_log_error** error);
VARVE_LOG_API int varve_log_rotate(varve_log* log, varve_log_error** error);
/* Removes segments wholly before `fence` and every pin; `dry_run` not 0: only tells. */
VARVE_LOG_API int varve_log_truncate(varve_log* log, uint64_t fence, int dry_run,
                                     varve_log_truncation* truncated, varve_log_error** error);
/* Holds what is at or after `position` until varve_log_unpin, which may be later than the log's
 * end, and takes NULL. */
VARVE_LOG_API int varve_log_pin_at(varve_log* log, uint64_t position, varve_log_pin** pin,
                                   varve_log_error** error);
VARVE_LOG_API void varve_log_unpin(varve_log_pin* pin);
/* Appends a checkpoint, durably: an open with from_checkpoint replays from `replay_from` on. */
VARVE_LOG_API int varve_log_checkpoint(varve_log* log, uint64_t replay_from, const void* note,
                                       size_t note_size, varve_log_ack* ack,
                                       varve_log_error** error);

VARVE_LOG_API int varve_log_positions(varve_log* log, varve_log_position* positions,
                                      varve_log_error** error);
/* What the open found. `note` lives as long as the log. */
typedef struct {
  size_t size;
  uint64_t segments, units, records, bytes, torn_bytes, end;
  int64_t micros;
  uint64_t checkpoint_lsn, checkpoint_replay_from; /* 0: there is none */
  const char* note;
  size_t note_size;
} varve_log_recovery;
VARVE_LOG_API int varve_log_get_recovery(varve_log* log, varve_log_recovery* recovery,
                                         varve_log_error** error);
typedef struct {
  size_t size;
  char id[40]; /* 32 hex digits and a 0 */
  varve_log_position positions;
  uint64_t first, units, records, groups, syncs, bytes_written, segments, segment_bytes;
  uint64_t open_transactions;
  int32_t sync_method, encode_mode;
} varve_log_stats;
VARVE_LOG_API int varve_log_get_stats(varve_log* log, varve_log_stats* stats,
                                      varve_log_error** error);
/* All metrics in Prometheus' text form. `prefix` NULL: "varve_log_". The caller frees the text. */
VARVE_LOG_API int varve_log_prometheus(varve_log* log, const char* prefix, char** text,
                                       varve_log_error** error);
VARVE_LOG_API void varve_log_text_free(char* text);

#ifdef __cplusplus
}
#endif
#endif
