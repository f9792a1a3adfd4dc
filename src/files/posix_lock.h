// SPDX-License-Identifier: Apache-2.0
// The advisory lock of PosixFiles.
//
// flock(2) on an open file keeps other processes out. A table of this process, keyed by device and
// inode, keeps out a second opener in the same process also where flock is emulated by locks that
// belong to a process (NFS). At fork the child closes its copies of the locked files, so it holds
// nothing, cannot release what its parent holds, and cannot keep the lock alive after its parent.
#pragma once

#include <memory>
#include <string>

#include "files/files.h"

namespace varve {

// Files::Lock of PosixFiles. Thread-safe.
Result<std::unique_ptr<FileLock>> TakePosixLock(const std::string& path, LockMode mode);

}  // namespace varve
