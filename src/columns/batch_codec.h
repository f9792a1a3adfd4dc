// SPDX-License-Identifier: Apache-2.0
// A batch as bytes for the log, and back. The schema is not repeated (the reader knows it), except
// for schemas with dictionaries, whose dictionaries must travel along.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "varve/error.h"

namespace arrow {
class Buffer;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace varve {

// The bytes; they are the caller's own and share nothing with the batch.
Result<std::shared_ptr<arrow::Buffer>> EncodeBatch(const arrow::RecordBatch& batch);

// The batch that EncodeBatch made `bytes` of, in their memory. Nothing is checked: not for bytes
// from outside.
Result<std::shared_ptr<arrow::RecordBatch>> ViewBatch(const std::shared_ptr<arrow::Buffer>& bytes,
                                                      const std::shared_ptr<arrow::Schema>& schema);

// Corruption when the bytes are not such a batch; the result is fully validated and owns (or
// shares) its memory: it does not refer to `bytes` after return.
Result<std::shared_ptr<arrow::RecordBatch>> DecodeBatch(
    std::string_view bytes, const std::shared_ptr<arrow::Schema>& schema);

}  // namespace varve
