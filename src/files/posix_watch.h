// SPDX-License-Identifier: Apache-2.0
// Changes in a folder of the real disk, told by the kernel (inotify).
#pragma once

#include <memory>
#include <string>

#include "files/files.h"

namespace varve {

// Null when the system has no more watches to give, or none for this file system.
Result<std::unique_ptr<FolderWatch>> WatchPosixFolder(const std::string& directory);

}  // namespace varve
