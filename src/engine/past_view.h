// SPDX-License-Identifier: Apache-2.0
// The tables as they were before some commit changed or dropped one.
#pragma once

#include <memory>

#include "manifest/manifest.h"
#include "view/superversion.h"

namespace varve {

// What `view`, which shows `state`, was as of a commit before state.changed: each table under the
// name and with the columns that it had then, those dropped since among them. A table that was made
// later is there, and empty, unless another one had its name.
std::shared_ptr<const Superversion> PastView(const std::shared_ptr<const Superversion>& view,
                                             const ManifestState& state, CommitNumber commit);

}  // namespace varve
