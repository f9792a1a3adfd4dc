// SPDX-License-Identifier: Apache-2.0
// Whose log is damaged: varve and its peers behind one face. Each is configured as its own experts
// would for durability and for noticing damage; its file says how.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "varve/error.h"

namespace varve::bench {

// Puts, or deletes, all or none.
struct Commit {
  std::vector<std::pair<std::string, std::string>> puts;
  std::vector<std::string> deletes;
};
using State = std::map<std::string, std::string>;

// Create, Apply and NextFile run in a process of their own, which ends without closing anything:
// what it was told is durable is in the log and nowhere else. Read runs in another process.
class System {
 public:
  virtual ~System() = default;
  virtual std::string name() const = 0;
  virtual std::string settings() const = 0;  // for the reader of the table
  // Whether this file, by its path below the folder, is the log's when commits change it.
  virtual bool IsLog(const std::string& path) const = 0;
  // Of the damages of one kind at most so many are tried.
  virtual std::uint64_t cases_max() const { return UINT64_MAX; }

  // A new database. `earlier` is for those who use log files again: it was committed and has left
  // the log, but for bytes after the log's end.
  virtual void Create(const std::string& dir, const std::vector<Commit>& earlier,
                      std::uint64_t seed) = 0;
  // Durable when it returns.
  virtual void Apply(const Commit& commit) = 0;
  // The next commit goes to a new file of the log, if this system can have one without letting go
  // of those before it.
  virtual void NextFile() = 0;

  // Opens the database as after a crash and reads everything in it.
  virtual Result<State> Read(const std::string& dir) = 0;
};
using Systems = std::vector<std::unique_ptr<System>>;

// Each adds its configurations; only there if the library was when this program was built.
void AddPlainFiles(Systems* systems);
void AddVarveLog(Systems* systems);
void AddRocksDb(Systems* systems);
void AddLevelDb(Systems* systems);
void AddSqlite(Systems* systems);

}  // namespace varve::bench
