// SPDX-License-Identifier: Apache-2.0
// The data key of a run's file or of commit times, by the path of the file.
#pragma once

#include <string>

#include "varve/error.h"
#include "varve/inspect.h"
#include "varve/options.h"

namespace varve {

// The key that the newest manifest has for the file, whose database's folder is above it; empty:
// the file is not encrypted. Errors: NotFound (no database above it, or its manifest does not
// name the file); as Manifest::Open.
Result<std::string> FindDataKey(const std::string& path, KeyProvider* keys,
                                const Components& components);

}  // namespace varve
