// SPDX-License-Identifier: Apache-2.0
// The one algorithm behind every Files::CreateDirectories.
#pragma once

#include <functional>
#include <string>

#include "varve/error.h"

namespace varve {

// `make` makes one folder: true when made, false when a folder of that name was there, NotFound
// when its parent is missing. `sync` makes the entries of one folder durable.
//
// Each folder is made only after the name of its parent is durable, so a crash of the process can
// leave at most the deepest folder with a name that is not; that is why the parent of the first
// folder found is synced too.
Status CreateDirectoriesWith(const std::string& directory,
                             const std::function<Result<bool>(const std::string&)>& make,
                             const std::function<Status(const std::string&)>& sync);

}  // namespace varve
