// SPDX-License-Identifier: Apache-2.0
// What a folder without a manifest is.
#pragma once

#include <string>

#include "engine/environment.h"
#include "varve/error.h"

namespace varve {

// Ok: a database may be made here; the folder holds nothing, or what a creation that was cut short
// left. Invalid: it holds something else. Corruption: there was a database, whose manifest is lost.
// The folder must exist and have no manifest. Changes nothing.
Status CheckIsVacant(Environment* environment, const std::string& path);

// The error for a database without a log: one is made before the manifest, and never removed.
Error LostLog(const std::string& path);

}  // namespace varve
