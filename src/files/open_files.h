// SPDX-License-Identifier: Apache-2.0
// OpenFiles: files that many readers read now and then, opened when a read needs them. At most
// kOpenFilesMax stay open, the ones used last; so descriptors do not grow with the number of
// objects, and a process's limit (often 1,024, 256 on some systems) is no limit for them.
//
// A file that is dropped while somebody reads it is closed when that read ends, and not before.
// Thread safety: any member from any thread.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "files/files.h"
#include "varve/error.h"

namespace varve {

inline constexpr std::size_t kOpenFilesMax = 128;

class OpenFiles {
 public:
  explicit OpenFiles(Files* files) : files_(files) {}

  // The file at `path`, open for reading; hold it for one read. Errors as of Files::Open.
  Result<std::shared_ptr<File>> Open(const std::string& path);

  // The name has gone or has got other bytes: the next Open asks the folder again.
  void Forget(const std::string& path);

 private:
  struct Known {
    std::string path;
    std::shared_ptr<File> file;
  };
  using List = std::list<Known>;

  Files* const files_;
  std::mutex mutex_;
  List newest_first_;                                            // guarded by mutex_
  std::unordered_map<std::string_view, List::iterator> places_;  // by path; guarded by mutex_
};

}  // namespace varve
