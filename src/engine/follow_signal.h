// SPDX-License-Identifier: Apache-2.0
// What a change cursor and its database tell each other.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "manifest/manifest.h"
#include "varve/types.h"
#include "view/superversion.h"

namespace varve {

// Woken when commits became visible, or the follower or the database ends.
struct FollowSignal {
  std::atomic<std::uint32_t> woken = 0;
  std::atomic<bool> cancelled = false;
  void Wake();
};

struct Visible {
  CommitNumber commit;
  std::shared_ptr<const Superversion> view;
  std::shared_ptr<const ManifestState> state;  // that the view shows
};

}  // namespace varve
