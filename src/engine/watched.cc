// SPDX-License-Identifier: Apache-2.0
#include "engine/watched.h"

#include <arrow/record_batch.h>

namespace varve {

std::string_view OperationOf(WriteMode mode) {
  switch (mode) {
    case WriteMode::kUpsert: return "upsert";
    case WriteMode::kDelete: return "delete";
    case WriteMode::kInsert: return "insert";
    case WriteMode::kInsertMissing: return "insert_missing";
    case WriteMode::kUpdate: return "update";
    case WriteMode::kUpdateExisting: return "update_existing";
    case WriteMode::kDeleteWhere: return "delete_where";
  }
  return "write";
}

Span SpanOf(const Telemetry& telemetry, std::string_view table, const WriteRequest& request) {
  Span span(&telemetry, OperationOf(request.mode), table);
  if (span.on() && request.rows != nullptr) {
    span.Set("db.operation.batch.size", static_cast<std::uint64_t>(request.rows->num_rows()));
  }
  return span;
}

void TellOf(const Result<CommitInfo>& committed, Span* span) noexcept {
  if (!committed) return span->SetError(committed.error());
  span->Set("varve.commit", committed->commit.value);
  span->Set("varve.rows", committed->rows);
}

CommitCallback Watched(Span span, CommitCallback done) {
  if (!span.on()) return done;
  auto shared = std::make_shared<Span>(std::move(span));  // a function can be copied
  return [shared, done = std::move(done)](const Result<CommitInfo>& committed) {
    TellOf(committed, shared.get());
    shared->End();
    done(committed);
  };
}

}  // namespace varve
