// SPDX-License-Identifier: Apache-2.0
// Arrow keeps comparisons, arithmetic, sorting and aggregates in a library of their own, which must
// be registered once per process before an Expression can be bound to them.
#pragma once

namespace varve {

// Registers Arrow's compute functions. Cheap after the first call, thread-safe. Ends the process
// when Arrow cannot register them: that is a broken installation, not a condition to handle.
void InitializeArrow();

}  // namespace varve
