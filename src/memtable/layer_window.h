// SPDX-License-Identifier: Apache-2.0
// The part of a layer whose commits lie in a window: what changes are read from.
//
// Layers and sources know their first and last commit, so old ones are passed over whole. Of the
// others only sources with a commit of the window are looked at, row by row where they hold several
// commits. So reading what is new costs as much as the new rows, and a look at each layer; at most,
// while the newest rows share a layer or a gathered source with older ones, at one of these.
#pragma once

#include "columns/commit_window.h"
#include "memtable/layer.h"

namespace varve {

// The layer itself when all of it lies in the window; null when nothing does.
LayerPtr CutLayer(const LayerPtr& layer, const CommitWindow& window);

// Tells how many of its rows the commits of the window have.
void CountCommits(const Layer& layer, const CommitWindow& window, const CountCommit& count);

}  // namespace varve
