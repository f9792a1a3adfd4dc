// SPDX-License-Identifier: Apache-2.0
#include "observation.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "process.h"

namespace varve::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTextBytesMax = 8 << 20;  // more than ten thousand tables need

// The whole of a small file that another process may replace, cut, or have made a pipe, a device or
// a link of: it does not wait, and gives nothing of what is no file of this size.
std::optional<std::string> ReadText(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  struct stat info {};
  std::optional<std::string> text;
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
      static_cast<std::uint64_t>(info.st_size) <= kTextBytesMax) {
    text.emplace(static_cast<std::size_t>(info.st_size), '\0');
    std::size_t have = 0;
    for (ssize_t n = 1; n > 0 && have < text->size(); have += static_cast<std::size_t>(n)) {
      n = std::max<ssize_t>(0, ::read(fd, text->data() + have, text->size() - have));
    }
    text->resize(have);
  }
  ::close(fd);
  return text;
}

// Calls `each` with every regular file below a folder; files that go away meanwhile are passed
// over.
template <typename Each>
void EachFile(const fs::path& folder, const Each& each) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    if (!at->is_regular_file(gone)) continue;
    const std::uint64_t bytes = at->file_size(gone);
    if (!gone) each(at->path(), bytes);
  }
}

// What changes whenever anybody commits, flushes or publishes.
std::string Likeness(const std::string& path) {
  std::string likeness;
  for (const char* const folder : {"manifest", "log"}) {
    EachFile(fs::path(path) / folder, [&](const fs::path& file, std::uint64_t bytes) {
      std::error_code gone;
      const auto time = fs::last_write_time(file, gone).time_since_epoch().count();
      likeness += file.filename().string() + " " + std::to_string(bytes) + " " +
                  std::to_string(time) + "\n";
    });
  }
  return likeness;
}

bool IsLocked(const Failure& failure) { return failure.error.reason() == ErrorReason::kLocked; }

WallTime TimeOf(const MetricSamples& metrics) {
  constexpr double kSecondsMax = 253402300799;  // the year 9999
  const double seconds = metrics.Sum("varve_text_timestamp_seconds");
  return {static_cast<std::int64_t>(std::clamp(seconds, 0.0, kSecondsMax) * 1e6)};
}

// Of a database that another process has.
Observation FromOutside(const std::string& path, const std::string& locked) {
  Observation seen;
  seen.folder = CountFolder(path);
  const std::string holder = ReadText(fs::path(path) / "LOCK").value_or("");
  seen.holder = holder.substr(0, holder.find('\n'));
  seen.time = WallNow();
  if (auto text = ReadPublished(path)) {
    seen.metrics = MetricSamples(*text);
    const std::string_view pid = seen.metrics.LabelOf("varve_database_info", "pid");
    const bool live = !pid.empty() && seen.metrics.Sum("varve_open") == 1 &&
                      seen.holder.substr(0, seen.holder.find(' ')) == pid;
    if (live) {
      seen.source = Observation::Source::kPublished;
      seen.text = *std::move(text);
      seen.time = TimeOf(seen.metrics);
      return seen;
    }
  }
  seen.metrics = {};
  seen.why = locked +
             ", which publishes no metrics: it does when it opens with "
             "OpenOptions::metrics_interval_ms, or VARVE_METRICS_MS=1000 for this command";
  return seen;
}

}  // namespace

FolderFacts CountFolder(const std::string& path) {
  FolderFacts facts;
  EachFile(fs::path(path) / "manifest", [&](const fs::path& file, std::uint64_t) {
    const std::string name = file.filename().string();
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc() || end != name.data() + name.size()) return;
    ++facts.manifests;
    facts.manifest_number = std::max(facts.manifest_number, number);
  });
  EachFile(fs::path(path) / "log", [&](const fs::path& file, std::uint64_t bytes) {
    if (file.extension() != ".log") return;
    ++facts.log_segments;
    facts.log_bytes += bytes;
  });
  EachFile(fs::path(path) / "data", [&](const fs::path& file, std::uint64_t bytes) {
    if (file.extension() != ".parquet") return;
    ++facts.runs;
    facts.run_bytes += bytes;
  });
  return facts;
}

std::optional<std::string> ReadPublished(const std::string& path) {
  return ReadText(fs::path(path) / "metrics.prom");
}

Outcome<Observation> Observe(const Session& session, const std::string& path) {
  auto database = OpenDatabase(session, path, OpenMode::kRead);
  if (!database && IsLocked(database.error())) {
    return FromOutside(path, database.error().error.message());
  }
  if (!database) return std::unexpected(std::move(database).error());
  // What this process counts is of itself alone: what the writer says of itself comes first.
  if (const std::string writer = (*database)->Stats().writer; !writer.empty()) {
    return FromOutside(path, writer);
  }
  Observation seen;
  seen.source = Observation::Source::kOpened;
  seen.text = (*database)->PrometheusText();
  seen.metrics = MetricSamples(seen.text);
  seen.time = TimeOf(seen.metrics);
  if (auto closed = (*database)->Close(); !closed) return std::unexpected(Failure(closed.error()));
  seen.folder = CountFolder(path);
  return seen;
}

Outcome<Observation> Observer::Next() {
  const std::string likeness = Likeness(path_);
  if (opened_ && likeness == seen_) {
    opened_->time = WallNow();
    return *opened_;
  }
  CLI_ASSIGN(auto seen, Observe(session_, path_));
  opened_.reset();
  if (seen.source == Observation::Source::kOpened) {
    opened_ = seen;
    seen_ = likeness;
  }
  return seen;
}

}  // namespace varve::cli
