// SPDX-License-Identifier: Apache-2.0
// A folder in memory: to be copied while a database has it open, changed, and written back.
#pragma once

#include <map>
#include <string>

namespace varve::bench {

// Bytes by path below the folder; a path that ends in '/' is a folder in it.
using Folder = std::map<std::string, std::string>;

Folder ReadFolder(const std::string& dir);
// Afterwards `dir` holds this and nothing else.
void WriteFolder(const std::string& dir, const Folder& folder);

}  // namespace varve::bench
