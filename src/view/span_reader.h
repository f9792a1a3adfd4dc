// SPDX-License-Identifier: Apache-2.0
// A reader whose span ends with it: when it gave its last batch, failed, or is let go of.
#pragma once

#include <memory>

#include <arrow/type_fwd.h>

#include "base/telemetry.h"
#include "varve/error.h"

namespace varve {

// `made` itself when nobody hears of the span, or it is an error, which ends the span.
Result<std::shared_ptr<arrow::RecordBatchReader>> UntilItEnds(
    Span span, Result<std::shared_ptr<arrow::RecordBatchReader>> made);

}  // namespace varve
