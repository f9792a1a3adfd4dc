// SPDX-License-Identifier: Apache-2.0
// The objects of a database that somebody else may remove at any time: to whoever reads them
// without a lease one that is missing is no damage, but a reason to look again.
#pragma once

#include <memory>

#include "files/object_store.h"

namespace varve {

// Reads of runs and commit times that are not there are Unavailable and say why; all else goes to
// `store`, which must outlive it.
std::unique_ptr<ObjectStore> NewUnleasedStore(ObjectStore* store);

}  // namespace varve
