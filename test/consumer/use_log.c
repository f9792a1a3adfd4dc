/* SPDX-License-Identifier: Apache-2.0
 * A C program that knows varve_log.h and nothing else: appends, opens again, reads back. */
#include <stdio.h>
#include <string.h>
#include <varve_log.h>

/* `error` is read here, after the call that sets it: C evaluates arguments in any order. */
static int failed(const char* what, int code, varve_log_error** error) {
  if (code == VARVE_LOG_OK) return 0;
  fprintf(stderr, "%s: %s/%s: %s\n", what, varve_log_kind_name(code), varve_log_reason_name(code),
          varve_log_error_message(*error));
  varve_log_error_free(*error);
  return 1;
}

static int keep(void* context, const varve_log_unit* unit) {
  const varve_log_record* record = &unit->records[unit->record_count - 1];
  if (record->size >= 32) return VARVE_LOG_INVALID;
  memcpy(context, record->data, record->size);
  return VARVE_LOG_OK;
}

int main(int argc, char** argv) {
  const char* folder = argc > 1 ? argv[1] : "consumer_c.log";
  const varve_log_record records[] = {{"deposit 12", 10, 0}, {"from account 7", 14, 0}};
  char read[32] = "";
  varve_log* log = NULL;
  varve_log_error* error = NULL;
  int code;
  if (varve_log_abi() != VARVE_LOG_ABI) return 1;
  if (failed("open", varve_log_open(folder, NULL, NULL, NULL, &log, &error), &error)) return 1;
  code = varve_log_append(log, records, 2, VARVE_LOG_DURABLE, NULL, &error);
  if (failed("append", code, &error)) return 1;
  varve_log_free(log);
  if (failed("reopen", varve_log_open(folder, NULL, keep, read, &log, &error), &error)) return 1;
  if (failed("close", varve_log_close(log, &error), &error)) return 1;
  varve_log_free(log);
  printf("%s\n", read);
  return strcmp(read, "from account 7") == 0 ? 0 : 1;
}
