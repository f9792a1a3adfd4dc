// SPDX-License-Identifier: Apache-2.0
#include "engine/log_archiving.h"

#include <fmt/format.h>

#include "base/out_of_memory.h"
#include "base/result.h"
#include "engine/environment.h"

namespace varve {

Result<std::unique_ptr<LogArchiver>> StartArchiving(Log* log, const std::string& path,
                                                    const OpenOptions& options,
                                                    const LogComponents& components) {
  VARVE_ASSIGN(auto archiver,
               LogArchiver::Open(log, LogFolder(path), options.log_archive,
                                 {.interval_ms = options.log_archive_interval_ms}, components));
  const Status archived = archiver->ArchiveNow();
  if (archived) return archiver;
  const Error& error = archived.error();
  if (error.kind() == ErrorKind::kUnavailable) {
    Trace(components.trace, "archive.failed", error.message());
    return archiver;
  }
  return Fail(error.kind(),
              fmt::format("'{}' was not opened, since its log cannot be archived where it is to "
                          "be: {}. Give an empty archive, and make a backup: what the old archive "
                          "has goes with older backups",
                          path, error.message()),
              error.reason());
}

void ArchiveRest(LogArchiver* archiver, TraceSink* trace) noexcept {
  (void)HadMemory([&] {
    if (const Status archived = archiver->ArchiveNow(); !archived) {
      Trace(trace, "archive.failed", archived.error().message());
    }
  });
}

}  // namespace varve
