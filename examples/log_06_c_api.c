/* SPDX-License-Identifier: Apache-2.0
 * 6. The same log from C: append, a transaction, a callback, and everything back. Each call gives a
 * code; the error object says what happened, where, and what to do.
 *
 *   usage: log_06_c_api FOLDER */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varve_log.h>

#include "new_folder.h"

/* Takes where the error will be, not the error: C evaluates arguments in any order, so `error` may
 * be read before the call beside it has set it. */
static void or_die(int code, const char* what, varve_log_error** error) {
  if (code == VARVE_LOG_OK) return;
  fprintf(stderr, "%s: %s/%s: %s\n", what, varve_log_kind_name(code), varve_log_reason_name(code),
          error == NULL ? "" : varve_log_error_message(*error));
  exit(1);
}

static void expect(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "expected: %s\n", what);
  exit(1);
}

static int print_unit(void* context, const varve_log_unit* unit) {
  size_t i;
  for (i = 0; i < unit->record_count; ++i) {
    printf("  LSN %llu, kind %d: %.*s\n", (unsigned long long)unit->lsn, unit->records[i].kind,
           (int)unit->records[i].size, (const char*)unit->records[i].data);
    ++*(int*)context;
  }
  return VARVE_LOG_OK;
}

int main(int argc, char** argv) {
  const char* folder = NewFolder(argc, argv);
  const varve_log_record pair[] = {{"debit ada 12", 12, 1}, {"credit grace 12", 15, 2}};
  varve_log_options options;
  varve_log* log = NULL;
  varve_log* second = NULL;
  varve_log_error* error = NULL;
  varve_log_ack ack;
  uint64_t transaction = 0;
  int records = 0;
  int code;

  expect(varve_log_abi() == VARVE_LOG_ABI, "the library that this was compiled for");
  or_die(varve_log_options_init(&options, sizeof options, VARVE_LOG_LATENCY), "options", NULL);
  or_die(varve_log_options_from_environment(&options, &error), "environment", &error);
  or_die(varve_log_open(folder, &options, print_unit, &records, &log, &error), "open", &error);

  or_die(varve_log_append(log, pair, 2, VARVE_LOG_DURABLE, &ack, &error), "append", &error);
  printf("durable at LSN %llu, %llu bytes\n", (unsigned long long)ack.lsn,
         (unsigned long long)ack.bytes);
  or_die(varve_log_begin(log, &transaction, &error), "begin", &error);
  or_die(varve_log_append_to(log, transaction, pair, 1, &error), "debit", &error);
  or_die(varve_log_append_to(log, transaction, pair + 1, 1, &error), "credit", &error);
  or_die(varve_log_commit(log, transaction, VARVE_LOG_DURABLE, &ack, &error), "commit", &error);

  /* Mistakes are codes, never crashes. */
  code = varve_log_commit(log, transaction, VARVE_LOG_DURABLE, &ack, &error);
  expect(VARVE_LOG_KIND(code) == VARVE_LOG_NOT_FOUND, "a transaction ends once");
  printf("refused: %s/%s: %s\n", varve_log_kind_name(code), varve_log_reason_name(code),
         varve_log_error_message(error));
  varve_log_error_free(error);
  code = varve_log_open(folder, NULL, NULL, NULL, &second, &error);
  expect(VARVE_LOG_REASON(code) == VARVE_LOG_LOCKED, "one writer at a time");
  printf("refused: %s/%s: %s\n", varve_log_kind_name(code), varve_log_reason_name(code),
         varve_log_error_message(error));
  varve_log_error_free(error);

  or_die(varve_log_close(log, &error), "close", &error);
  varve_log_free(log);
  or_die(varve_log_open(folder, &options, print_unit, &records, &log, &error), "open", &error);
  expect(records == 4, "two units of two records");
  or_die(varve_log_close(log, &error), "close", &error);
  varve_log_free(log);
  return 0;
}
