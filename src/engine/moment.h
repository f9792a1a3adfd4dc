// SPDX-License-Identifier: Apache-2.0
// Moment: what new snapshots see, all of one moment.
#pragma once

#include <memory>
#include <optional>

#include "engine/generation.h"
#include "manifest/manifest.h"
#include "varve/types.h"
#include "view/superversion.h"

namespace varve {

struct Moment {
  CommitNumber visible;
  std::shared_ptr<const Superversion> view;
  std::shared_ptr<const ManifestState> flushed;  // whose commit is visible
  // When a WallTime is asked for, of the visible commits after `flushed`: the newest that was not
  // made after it; and where there is none, the first of all.
  std::optional<CommitNumber> recent;
  std::optional<RecentCommit> oldest_recent;
};

}  // namespace varve
