// SPDX-License-Identifier: Apache-2.0
#include "bench/versions/device_use.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>

namespace {

std::atomic<std::uint64_t> syncs = 0;

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int fsync(int descriptor) {
  ++syncs;
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

__attribute__((visibility("default"))) int fdatasync(int descriptor) {
  ++syncs;
  return static_cast<int>(::syscall(SYS_fdatasync, descriptor));
}

}  // extern "C"

namespace varve::bench {

DeviceUse DeviceUseNow() {
  DeviceUse use{.syncs = syncs};
  std::ifstream facts("/proc/self/io");
  std::string name;
  for (std::uint64_t value; facts >> name >> value;) {
    if (name == "write_bytes:") use.bytes = value;
  }
  return use;
}

}  // namespace varve::bench
