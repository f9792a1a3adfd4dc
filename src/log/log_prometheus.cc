// SPDX-License-Identifier: Apache-2.0
// LogStats in Prometheus' text form:
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
#include <string>
#include <string_view>

#include "base/prometheus.h"
#include "log/log_look.h"
#include "varve/log.h"

namespace varve {
namespace {

void WriteTimes(PrometheusWriter* out, std::string_view name, std::string_view help,
                const LogHistogram& micros) {
  out->HistogramOfSeconds(name, help, micros.buckets, micros.sum);
}

}  // namespace

std::string LogPrometheusText(const LogStats& now, std::string_view prefix) {
  std::uint64_t file_bytes = 0;
  for (const auto& segment : now.segments) file_bytes += segment.file_bytes;
  PrometheusWriter out(prefix);
  out.Counter("units_total", "Units written since the log was opened.", now.units);
  out.Counter("records_total", "Records written since the log was opened.", now.records);
  out.Counter("groups_total", "Flushes since the log was opened.", now.groups);
  out.Counter("syncs_total", "Device syncs of the commit path since the log was opened.",
              now.syncs);
  out.Counter("written_bytes_total", "Bytes written to segments since the log was opened.",
              now.bytes_written);
  out.Gauge("appended_lsn", "Position behind the last unit appended.",
            now.positions.appended.value);
  out.Gauge("written_lsn", "Position up to which units were written.",
            now.positions.written.value);
  out.Gauge("durable_lsn", "Position up to which units are durable.",
            now.positions.durable.value);
  out.Gauge("first_lsn", "Oldest position that can be read.", now.first.value);
  out.Gauge("segments", "Segment files.", now.segments.size());
  out.Gauge("segment_bytes", "Bytes of the segment files.", file_bytes);
  out.Gauge("log_bytes_max", "Size of the segments at which appends wait; 0: none.",
            now.log_bytes_max);
  out.Gauge("appends_waiting_for_truncation", "Appends that log_bytes_max holds back now.",
            now.waiting_for_truncation);
  out.Gauge("stopped", "1 when a failure stopped the log until it is opened again.",
            now.stopped ? 1 : 0);
  out.Gauge("open_transactions", "Transactions begun and not ended.", now.open_transactions);
  out.Gauge("serial_fallback", "1 when a mismatch made the log encode serially.",
            now.serial_reason.empty() ? 0 : 1);
  WriteTimes(&out, "queue_seconds",
                "From enqueue until a flush takes the unit, of units that another caller flushed.",
                now.queue_micros);
  WriteTimes(&out, "encode_seconds", "Encoding of a unit, sampled.", now.encode_micros);
  WriteTimes(&out, "flush_seconds", "Write and sync of a group.", now.flush_micros);
  WriteTimes(&out, "ack_seconds", "From enqueue to the acknowledgement.", now.ack_micros);
  return out.Take();
}

std::string Log::PrometheusText(std::string_view prefix) const {
  return LogPrometheusText(stats(), prefix);
}

}  // namespace varve
