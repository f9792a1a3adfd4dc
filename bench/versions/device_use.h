// SPDX-License-Identifier: Apache-2.0
// What this process asks of the device: device_use.cc takes the place of fsync and fdatasync, also
// for the libraries of the rivals, and counts.
#pragma once

#include <cstdint>

namespace varve::bench {

struct DeviceUse {
  std::uint64_t syncs = 0;  // calls of fsync and fdatasync
  std::uint64_t bytes = 0;  // sent to the device, or to be: write_bytes of /proc/self/io
};
DeviceUse DeviceUseNow();

}  // namespace varve::bench
