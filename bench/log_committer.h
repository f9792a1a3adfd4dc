// SPDX-License-Identifier: Apache-2.0
// Durable commits of kCommitBytes to a log, with what they cost it.
#pragma once

#include <memory>
#include <string>

#include "bench/peer.h"
#include "bench/slice.h"
#include "varve/log.h"

namespace varve::bench {

inline std::unique_ptr<Log> OpenLog(const std::string& dir, const LogOptions& options) {
  return Must(Log::Open(dir, options, [](const LogUnit&) { return Status(); }));
}

// Segments start small and double: until they have their full size no slice is like the next one.
inline void GrowSegments(Log* log, std::uint64_t segment_bytes) {
  while (log->stats().segments.back().file_bytes < segment_bytes) {
    Must(log->Rotate());
    Must(log->Append({"grow"}));
  }
}

class LogCommitter : public Committer {
 public:
  LogCommitter(const std::string& dir, const LogOptions& options)
      : log_(OpenLog(dir, options)), record_(kCommitBytes, 'r') {
    GrowSegments(log_.get(), options.segment_bytes_max);
  }

  void Before() override {
    Must(log_->TruncateBefore(log_->positions().durable));
    before_ = log_->stats();
  }

  void Commit(int) override { Must(log_->Append({record_})); }

  Log* log() { return log_.get(); }
  // How the log syncs here; F is measured the same way.
  LogSyncMethod sync_method() const { return log_->stats().sync_method; }

  void After(Slice* slice) override {
    const auto after = log_->stats();
    slice->counts["syncs"] = static_cast<double>(after.syncs - before_.syncs);
    slice->counts["log_bytes"] = static_cast<double>(after.bytes_written - before_.bytes_written);
    slice->counts["user_bytes"] =
        static_cast<double>(kCommitBytes * (after.records - before_.records));
    const auto changes = after.segments.back().sequence - before_.segments.back().sequence;
    slice->counts["segment_changes"] = static_cast<double>(changes);
  }

 protected:
  std::unique_ptr<Log> log_;
  const std::string record_;

 private:
  LogStats before_;
};

}  // namespace varve::bench
