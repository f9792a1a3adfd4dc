// SPDX-License-Identifier: Apache-2.0
// CountingStore: an object store that counts what is read, put and deleted through it, by what the
// objects are. A call costs two additions (base/metrics.h) on top of the disk or the network.
#pragma once

#include <memory>

#include "base/metrics.h"
#include "files/object_store.h"

namespace varve {

// `store` outlives it; it and its readers and writers share `metrics` through the pointer.
std::unique_ptr<ObjectStore> NewCountingStore(ObjectStore* store, Metrics* metrics);

}  // namespace varve
