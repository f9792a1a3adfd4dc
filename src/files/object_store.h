// SPDX-License-Identifier: Apache-2.0
// The object-store interface: immutable named objects. Manifests, runs and leases live here; a
// local folder and memory stand behind it now, S3 later.
//
// Names are relative, '/'-separated, of [A-Za-z0-9._-] and '/', never with "..".
// A name is either absent or holds the complete bytes of one successful put: nobody sees a part.
// When a put returns, it is durable.
//
// Errors: NotFound; Conflict/kAlreadyExists from the if-absent forms; Unavailable with kIo,
// kNoSpace, kPermission. After any Unavailable of a put the outcome is unknown: read back.
// Thread safety: any member of the store and of a reader from any thread; one ObjectWriter belongs
// to one thread at a time. Readers and writers are not used after the store is gone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "varve/error.h"
#include "varve/types.h"

namespace varve {

class Files;
class Random;

struct ObjectInfo {
  std::string name;
  std::uint64_t size = 0;
  WallTime modified;  // by the store's clock
};

// A put in pieces, for objects too large to hold in memory. Dropped without Finish: nothing there.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual Status Append(std::string_view bytes) = 0;
  // Publishes the object, durable on return; Conflict/kAlreadyExists if the name is taken.
  virtual Status Finish() = 0;
};

// An object found once, for many ranged reads. It reads by name and holds nothing open between its
// reads: any number may live, and whoever deletes an object waits until nobody will read it (a run:
// until no manifest and no snapshot names it), as on an object store, which has no descriptors to
// keep. After a delete reads are NotFound; after a replacing Put they give the new bytes.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  virtual std::uint64_t size() const = 0;
  // Gives exactly `size` bytes; Corruption when the object is shorter, NotFound when it is gone.
  virtual Status ReadAt(std::uint64_t offset, std::uint64_t size, char* into) = 0;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual Status Put(const std::string& name, std::string_view bytes) = 0;  // replaces
  virtual Status PutIfAbsent(const std::string& name, std::string_view bytes) = 0;
  virtual Result<std::unique_ptr<ObjectWriter>> NewWriter(const std::string& name) = 0;
  virtual Result<std::string> Get(const std::string& name) = 0;
  virtual Result<std::string> GetRange(const std::string& name, std::uint64_t offset,
                                       std::uint64_t size) = 0;
  virtual Result<std::unique_ptr<ObjectReader>> OpenReader(const std::string& name) = 0;
  virtual Result<ObjectInfo> Head(const std::string& name) = 0;
  // Objects whose name starts with `prefix` and is greater than `start_after`, sorted by name.
  virtual Result<std::vector<ObjectInfo>> List(const std::string& prefix,
                                               const std::string& start_after = "") = 0;
  virtual Status Delete(const std::string& name) = 0;  // fine if absent
  // Where the object is for a person: a path, a URL.
  virtual std::string Describe(const std::string& name) const = 0;
};

// Objects as files below `root`. A put writes a temporary file in root/tmp, syncs it, gives it its
// name by rename or, if-absent, by link(2), and syncs the folder. Over MemoryFiles it is the
// in-memory store; over a SimulatedDisk it can crash. `random` names the temporary files.
// Opening changes nothing; folders are made at the first put. The root's "tmp/" holds no objects,
// and a name cannot be both an object and the folder of others. `files` and `random` outlive it.
std::unique_ptr<ObjectStore> NewFolderStore(Files* files, std::string root, Random* random);

// What a writer does before it trusts a folder that an earlier process may have left in the middle
// of a put: clears root/tmp, and syncs every folder, so that the names it sees are durable and not
// only visible. Nobody else may be putting meanwhile. Fine if `root` is missing.
Status RemoveLeftovers(Files* files, const std::string& root);

}  // namespace varve
