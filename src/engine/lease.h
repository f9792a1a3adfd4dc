// SPDX-License-Identifier: Apache-2.0
// Leases: what readers of other processes tell the writer, so that it keeps the files they read.
//
// A lease is a file leases/<name>, locked for as long as its process lives: the kernel lets go of
// the lock when that ends, however it ends. In it are the process, the number of the oldest
// manifest that it reads by, and the oldest commit that it shows.
//
// A reader takes its lease first, with number 0, then looks for the newest manifest, then notes
// that number. The writer asks for leases after an edit let go of objects, and removes these once
// no lease has a lower number: a lease that was not there yet belongs to a reader that finds this
// manifest or a newer one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "files/files.h"
#include "varve/error.h"
#include "varve/types.h"

namespace varve {

// The folder of leases in a database's.
std::string LeaseFolder(const std::string& database);

// Held while it lives; then its file goes. Not thread-safe.
class Lease {
 public:
  // Makes the folder when it is missing.
  static Result<std::unique_ptr<Lease>> Take(Files* files, Random* random,
                                             const std::string& database);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // Objects that manifests after `number` let go of stay, and so do versions from `commit` on. On a
  // full disk a lease that has no note goes on keeping everything.
  Status Note(std::uint64_t number, CommitNumber commit);

 private:
  Lease(Files* files, std::string path, std::unique_ptr<FileLock> lock,
        std::unique_ptr<File> file);

  Files* const files_;
  const std::string path_;
  const pid_t owner_;  // a child by fork holds nothing
  const std::unique_ptr<FileLock> lock_;
  const std::unique_ptr<File> file_;
};

struct HeldLease {
  std::string holder;        // "4711 (python3)"
  std::uint64_t number = 0;  // 0: it has not noted one yet, and needs all
  CommitNumber commit;
};

// Those whose process lives, by name; the files of others are removed. One that cannot be looked at
// counts as held, with number 0.
Result<std::vector<HeldLease>> HeldLeases(Files* files, const std::string& database);

// The lowest number of all; the largest there is without any.
std::uint64_t LowestNumber(const std::vector<HeldLease>& leases);

}  // namespace varve
