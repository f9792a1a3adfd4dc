// SPDX-License-Identifier: Apache-2.0
// Whose what root makes is.
#pragma once

#include <string>

namespace varve {

// What root makes in somebody's folder belongs to the folder's owner and group from then on: or
// who owns a database could not open it any more. `descriptor` is what was just made at `path`.
// Does nothing for anybody else, nor where the file system refuses it.
void GiveToOwnerOfFolder(int descriptor, const std::string& path);

}  // namespace varve
