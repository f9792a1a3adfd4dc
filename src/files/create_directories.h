// SPDX-License-Identifier: Apache-2.0
// The one algorithm behind every Files::CreateDirectories.
#pragma once

#include <functional>
#include <string>

#include "varve/error.h"

namespace varve {

// What it asks of a file system, each for one folder.
struct FolderCalls {
  // True when it is there, false when nothing is; an error when something else has the name.
  std::function<Result<bool>(const std::string&)> exists;
  // Makes it; fine when it was made meanwhile.
  std::function<Status(const std::string&)> make;
  // Makes the names in it durable.
  std::function<Status(const std::string&)> sync;
};

// A folder is made only when the name of its parent is durable. So a process that is killed here
// leaves at most the deepest folder with a name that is not; that is why the name of the first
// folder that is found is made durable too.
Status CreateDirectoriesWith(const std::string& directory, const FolderCalls& calls);

}  // namespace varve
