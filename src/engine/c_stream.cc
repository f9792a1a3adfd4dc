// SPDX-License-Identifier: Apache-2.0
// Readers as streams of C. Arrow's own callbacks let std::bad_alloc out when they are refused the
// memory to tell an error.
#include <arrow/c/bridge.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "columns/arrow_errors.h"
#include "engine/c_database.h"

namespace varve {
namespace {

struct CStream {
  ArrowArrayStream arrow;  // not released while this lives
  bool refused = false;    // memory, to its last call
};

CStream* StreamOf(ArrowArrayStream* stream) { return static_cast<CStream*>(stream->private_data); }

// Runs `call` of Arrow's. On an error nothing is in `out`.
template <typename Out>
int Call(ArrowArrayStream* stream, Out* out,
         int (*call)(ArrowArrayStream* stream, Out* out)) noexcept {
  CStream* const own = StreamOf(stream);
  own->refused = false;
  try {
    return call(&own->arrow, out);
  } catch (...) {
    own->refused = true;
    out->release = nullptr;
    return ENOMEM;
  }
}

int GetSchema(ArrowArrayStream* stream, ArrowSchema* out) {
  return Call(stream, out, StreamOf(stream)->arrow.get_schema);
}

int GetNext(ArrowArrayStream* stream, ArrowArray* out) {
  return Call(stream, out, StreamOf(stream)->arrow.get_next);
}

const char* GetLastError(ArrowArrayStream* stream) {
  CStream* const own = StreamOf(stream);
  return own->refused ? "out of memory" : own->arrow.get_last_error(&own->arrow);
}

void Release(ArrowArrayStream* stream) {
  const std::unique_ptr<CStream> own(StreamOf(stream));
  own->arrow.release(&own->arrow);
  stream->release = nullptr;
}

}  // namespace

Status ExportReader(std::shared_ptr<arrow::RecordBatchReader> reader, ArrowArrayStream* out) {
  auto own = std::make_unique<CStream>();
  VARVE_TRY(FromArrow(arrow::ExportRecordBatchReader(std::move(reader), &own->arrow)));
  *out = {GetSchema, GetNext, GetLastError, Release, own.release()};
  return {};
}

}  // namespace varve
