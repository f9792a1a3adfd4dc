// SPDX-License-Identifier: Apache-2.0
// Whoever commits durably in a benchmark: varve's log and its peers behind one face. Each peer is
// configured as its own experts advise for this very load; its file says how and why.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bench/slice.h"

namespace varve::bench {

inline constexpr std::size_t kCommitBytes = 128;  // user bytes of a commit

class Committer {
 public:
  virtual ~Committer() = default;
  // Untimed, before and after each slice.
  virtual void Before() {}
  virtual void After(Slice* slice) { (void)slice; }
  // One commit of kCommitBytes, durable when it returns. From any thread.
  virtual void Commit(int thread) = 0;
};
using CommitterPtr = std::unique_ptr<Committer>;

// Each is null where the library was not there when this program was built. `bytes_ahead`: at most
// so many bytes of log will a slice write, and so much is prepared beforehand.
CommitterPtr OpenRocksDb(const std::string& dir, bool pipelined, std::uint64_t bytes_ahead);
CommitterPtr OpenSqlite(const std::string& dir, std::uint64_t bytes_ahead);
CommitterPtr OpenLmdb(const std::string& dir);

}  // namespace varve::bench
