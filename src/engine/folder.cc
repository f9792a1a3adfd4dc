// SPDX-License-Identifier: Apache-2.0
#include "engine/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/result.h"
#include "engine/copy_target.h"
#include "engine/metrics_file.h"
#include "varve/log.h"

namespace varve {
namespace {

Error LostManifest(const std::string& path, const std::string& evidence) {
  return Error(ErrorKind::kCorruption,
               fmt::format("'{}' was a database, but its manifest is missing: {}; restore the "
                           "folder 'manifest' from a backup; nothing was changed",
                           path, evidence));
}

// What a database's folder holds besides its manifest.
constexpr std::array<std::string_view, 11> kOwnNames = {
    "LOCK",      "tmp",    "log",    "manifest",   "data",              "times",
    "set-aside", "origin", "leases", kMetricsFile, kMetricsFileInMaking};

// A creation makes the log before the manifest, and nothing is committed before both are there: so
// a log without a manifest is either new or all that is left of a database.
Status CheckLogIsNew(Environment* environment, const std::string& path) {
  const auto refuse = [&](const LogUnit& unit) -> Status {
    return std::unexpected(
        LostManifest(path, fmt::format("its log holds commits, one at LSN {}", unit.lsn.value)));
  };
  const auto log = Log::Open(LogFolder(path), {.keys = environment->keys(), .read_only = true},
                             refuse, {},
                             environment->ForLog());
  if (!log) {
    if (log.error().kind() == ErrorKind::kNotFound) return {};
    return std::unexpected(log.error());
  }
  const auto first = (*log)->stats().segments.front();
  if (first.sequence == 1) return {};
  return std::unexpected(
      LostManifest(path, fmt::format("its log begins with segment {}", first.name)));
}

}  // namespace

Error LostLog(const std::string& path) {
  return Error(ErrorKind::kCorruption,
               fmt::format("the log of '{}' is missing, and with it every commit that was not "
                           "flushed: expected segments (*.log) in '{}', found none; restore the "
                           "folder from a backup; nothing was changed",
                           path, LogFolder(path)));
}

Status CheckIsVacant(Environment* environment, const std::string& path) {
  VARVE_ASSIGN(const auto entries, environment->files()->List(path));
  bool has_log = false;
  for (const FileInfo& entry : entries) {
    if (entry.name == kUnfinishedName) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("'{}' is a backup, clone or restored database that is not complete: "
                              "make it again there, or remove the folder",
                              path));
    }
    has_log = has_log || entry.name == "log";
    if (std::ranges::find(kOwnNames, entry.name) != kOwnNames.end()) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("the folder '{}' holds '{}' and no varve database; give the path of "
                            "a database, or of a new or empty folder",
                            path, entry.name));
  }
  if (has_log) VARVE_TRY(CheckLogIsNew(environment, path));
  VARVE_ASSIGN(const auto runs, environment->store()->List("data/"));
  if (runs.empty()) return {};
  return std::unexpected(LostManifest(path, fmt::format("it holds '{}'", runs.front().name)));
}

}  // namespace varve
