// SPDX-License-Identifier: Apache-2.0
// The archive of a database's log (OpenOptions::log_archive).
#pragma once

#include <memory>
#include <string>

#include "varve/log.h"
#include "varve/log_archive.h"
#include "varve/options.h"

namespace varve {

class TraceSink;

// `log` is that of the database at `path`, just recovered. From here on nothing of it is let go of
// that is not in the archive. Errors: those that waiting would not mend.
Result<std::unique_ptr<LogArchiver>> StartArchiving(Log* log, const std::string& path,
                                                    const OpenOptions& options,
                                                    const LogComponents& components);

// After the log was closed. A failure is traced: the next one who opens goes on with it.
void ArchiveRest(LogArchiver* archiver, TraceSink* trace) noexcept;

}  // namespace varve
