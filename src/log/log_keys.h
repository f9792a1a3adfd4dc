// SPDX-License-Identifier: Apache-2.0
// Which keys a log needs, told from the headers of its segments; nothing else is read or changed.
#pragma once

#include <string>
#include <vector>

#include "files/files.h"
#include "varve/error.h"
#include "varve/log_options.h"

namespace varve {

// Ok when `keys`, which may be null, open every segment that holds something, or there is none.
// With keys a segment that is not encrypted is Invalid. Errors: as OpenSegmentCipher. Of damage and
// of what cannot be read, it says nothing: opening will. So it may be asked while others write.
Status CheckKeysOfLog(Files* files, const std::string& dir, KeyProvider* keys);

// The ids of the keys that the segments of a log are encrypted with, each once, the newest first.
Result<std::vector<std::string>> KeyIdsOfLog(Files* files, const std::string& dir);

// The id of the key that the segment with this position is encrypted with; empty: it is not.
Result<std::string> KeyIdAt(Files* files, const std::string& dir, Lsn position);

}  // namespace varve
