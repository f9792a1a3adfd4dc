// SPDX-License-Identifier: Apache-2.0
// Commits as spans (varve/trace.h).
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "base/telemetry.h"
#include "varve/options.h"
#include "varve/transaction.h"
#include "varve/types.h"

namespace varve {

std::string_view OperationOf(WriteMode mode);

// A span of one write.
Span SpanOf(const Telemetry& telemetry, std::string_view table, const WriteRequest& request);

// What became of the commit is told with the span.
void TellOf(const Result<CommitInfo>& committed, Span* span) noexcept;

// `done` itself when nobody hears of the span; else one that ends it first.
CommitCallback Watched(Span span, CommitCallback done);

}  // namespace varve
