// SPDX-License-Identifier: Apache-2.0
// What can be seen of a database now, also while another process has it open: the metrics that its
// writer publishes, or else what its folder shows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "metrics_samples.h"
#include "session.h"

namespace varve::cli {

// Files of the folder, counted from outside.
struct FolderFacts {
  std::uint64_t manifests = 0;
  std::uint64_t manifest_number = 0;  // of the newest
  std::uint64_t log_segments = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t runs = 0;  // Parquet files
  std::uint64_t run_bytes = 0;
};

struct Observation {
  enum class Source {
    kOpened,     // nobody writes: it was opened read-only, for a moment
    kPublished,  // by the process that has it
    kFolder,     // another process has it and publishes nothing
  };
  Source source = Source::kFolder;
  std::string text;       // metrics, in Prometheus' form; empty of kFolder
  MetricSamples metrics;  // of that text
  std::string holder;     // who has it, as the lock says; empty of kOpened
  std::string why;        // of kFolder: why no more can be seen, and what to do
  FolderFacts folder;
  WallTime time;          // when the metrics were true

  double seconds() const { return static_cast<double>(time.micros) * 1e-6; }
};

FolderFacts CountFolder(const std::string& path);

// What the last process that published metrics left, or what the one that writes now says.
std::optional<std::string> ReadPublished(const std::string& path);

// Errors: as OpenDatabase, but not locked.
Outcome<Observation> Observe(const Session& session, const std::string& path);

// Observes again and again, and opens the database only when its folder has changed.
class Observer {
 public:
  Observer(const Session& session, std::string path) : session_(session), path_(std::move(path)) {}
  Outcome<Observation> Next();

 private:
  const Session& session_;
  const std::string path_;
  std::string seen_;  // what the folder was like when it was opened last
  std::optional<Observation> opened_;
};

}  // namespace varve::cli
