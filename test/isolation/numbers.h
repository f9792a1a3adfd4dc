// SPDX-License-Identifier: Apache-2.0
// Whether a history is what its commit numbers say. Where the lists leave it open who came first
// (a write that does not look, a delete) this tells; where they do not, it asks a second time.
#pragma once

#include "test/isolation/history.h"

namespace varve::testing {

// What is wrong, as Anomalies::counts and examples:
// "number": two commits with one number, or a commit not after its snapshot;
// "snapshot": a read that is not the newest version up to the snapshot;
// "past": a snapshot older than a commit that had ended before;
// "first committer": another commit in (snapshot, commit) of a key that it wrote or, when
// `serializable`, read, be it only its own write;
// "refusal": a Conflict though no such commit had its number by then.
Anomalies CheckNumbers(const History& history, bool serializable);

}  // namespace varve::testing
