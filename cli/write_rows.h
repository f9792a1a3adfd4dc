// SPDX-License-Identifier: Apache-2.0
// The rows of a reader as a verb gives them: to stdout, or to the file of -o.
#pragma once

#include <arrow/record_batch.h>

#include <string>

#include "failure.h"
#include "output/row_writer.h"
#include "process.h"
#include "session.h"

namespace varve::cli {

// Calls `each` for every batch. Stops with a failure when the user interrupts.
template <typename Each>
Done ReadAll(arrow::RecordBatchReader* reader, const Each& each) {
  while (true) {
    if (Interrupted()) return InterruptedFailure("interrupted");
    std::shared_ptr<arrow::RecordBatch> batch;
    CLI_ARROW_TRY(reader->ReadNext(&batch));
    if (batch == nullptr) return {};
    CLI_TRY(each(*batch));
  }
}

// How rows are printed: the values of --format, -o and --yes.
struct RowFlags {
  std::string format;
  std::string output;
  bool yes = false;
};
void AddRowFlags(VerbLine* verb, RowFlags* flags);
// Wrong usage when --json and --format exclude each other.
Done CheckRowFlags(const Session& session, const RowFlags& flags);
// Errors: also wrong usage, as OpenOutput; before any work.
Outcome<OutputOptions> MakeOutputOptions(const Session& session, const RowFlags& flags);

Outcome<ExitCode> WriteRows(const Session& session, const OutputOptions& output,
                            arrow::RecordBatchReader* reader);

}  // namespace varve::cli
