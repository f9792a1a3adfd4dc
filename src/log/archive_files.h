// SPDX-License-Identifier: Apache-2.0
// An archive's segments as the files of a log, for cursors: nothing is restored to a disk first.
#pragma once

#include <memory>

#include "files/files.h"
#include "log/archive_contents.h"

namespace varve {

// One folder, whichever path it is asked for by; read-only. `archive` must outlive it.
std::unique_ptr<Files> FilesOfArchive(LogArchive* archive, const ArchiveContents& contents);

}  // namespace varve
