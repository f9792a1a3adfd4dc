// SPDX-License-Identifier: Apache-2.0
// FlushWatch: counts one flush, and its time, and tells of it. One that is not Done has failed.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/telemetry.h"
#include "engine/submission.h"

namespace varve {

class FlushWatch {
 public:
  FlushWatch(Telemetry* telemetry, Clock* clock)
      : telemetry_(telemetry),
        clock_(clock),
        since_(clock->SteadyMicros()),
        span_(telemetry, "flush") {}
  ~FlushWatch() {
    if (done_) return;
    telemetry_->metrics.Add("flush_failures_total");
    if (span_.on()) span_.SetError(Error(ErrorKind::kUnavailable, "see the event flush.failed"));
  }
  FlushWatch(const FlushWatch&) = delete;
  FlushWatch& operator=(const FlushWatch&) = delete;

  // These runs are official; `last` is the last commit in them.
  void Done(CommitNumber last, const NewRuns& runs) {
    done_ = true;
    std::uint64_t rows = 0, bytes = 0;
    for (const Edit& edit : runs.edits) {
      const auto* const added = std::get_if<AddRunEdit>(&edit);
      if (added == nullptr) continue;
      rows += added->run->data.rows + added->run->deletes.rows;
      bytes += added->run->data.bytes + added->run->deletes.bytes;
    }
    Metrics& metrics = telemetry_->metrics;
    metrics.Add("flush_rows_total", rows);
    metrics.Add("flush_bytes_total", bytes);
    metrics.Add("flush_runs_total", runs.opened.size());
    metrics.Record("flush_seconds", clock_->SteadyMicros() - since_);
    span_.Set("varve.commit", last.value);
    span_.Set("varve.runs", runs.opened.size());
    span_.Set("varve.bytes", bytes);
  }

 private:
  Telemetry* const telemetry_;
  Clock* const clock_;
  const std::int64_t since_;
  Span span_;
  bool done_ = false;
};

}  // namespace varve
