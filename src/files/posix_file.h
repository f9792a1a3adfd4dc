// SPDX-License-Identifier: Apache-2.0
// An open file of the real disk; posix_files.cc has the rest of it.
#pragma once

#include <memory>
#include <string>

#include "files/files.h"

namespace varve {

// As Files::Open.
Result<std::unique_ptr<File>> OpenPosixFile(const std::string& path, OpenMode mode);

}  // namespace varve
