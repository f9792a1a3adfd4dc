// SPDX-License-Identifier: Apache-2.0
#include "files/open_files.h"

#include <utility>

#include "base/check.h"
#include "base/result.h"

namespace varve {

// The lock is held while a file is opened. Otherwise a file opened just before its name was
// removed could be remembered just after Forget.
Result<std::shared_ptr<File>> OpenFiles::Open(const std::string& path) {
  const std::lock_guard guard(mutex_);
  if (const auto at = places_.find(path); at != places_.end()) {
    newest_first_.splice(newest_first_.begin(), newest_first_, at->second);
    return newest_first_.front().file;
  }
  if (newest_first_.size() == kOpenFilesMax) {
    places_.erase(newest_first_.back().path);
    newest_first_.pop_back();
  }
  VARVE_ASSIGN(std::shared_ptr<File> file, files_->Open(path, OpenMode::kRead));
  newest_first_.push_front({path, std::move(file)});
  places_.emplace(newest_first_.front().path, newest_first_.begin());
  VARVE_CHECK(places_.size() == newest_first_.size());
  return newest_first_.front().file;
}

void OpenFiles::Forget(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const auto at = places_.find(path);
  if (at == places_.end()) return;
  const auto place = at->second;
  places_.erase(at);  // its key is the path of the place
  newest_first_.erase(place);
}

}  // namespace varve
