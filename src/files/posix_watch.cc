// SPDX-License-Identifier: Apache-2.0
#include "files/posix_watch.h"

#include <poll.h>
#include <sys/inotify.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <utility>

#include "base/result.h"
#include "files/file_errors.h"
#include "files/posix_call.h"

namespace varve {
namespace {

constexpr std::uint32_t kChanges =
    IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;

class PosixWatch final : public FolderWatch {
 public:
  PosixWatch(Descriptor events, std::string directory)
      : events_(std::move(events)), directory_(std::move(directory)) {}

  // A poll that a signal ends early says no: the caller has the clock.
  Result<bool> Wait(std::int64_t micros) override {
    pollfd waiting{events_.get(), POLLIN, 0};
    const auto millis = std::clamp<std::int64_t>((micros + 999) / 1000, 0, INT_MAX);
    const int ready = ::poll(&waiting, 1, static_cast<int>(millis));
    if (ready < 0 && errno != EINTR) return FailWith("watch", directory_, errno);
    return ready > 0 ? Drain() : false;
  }

 private:
  // What changed does not matter: the caller looks.
  Result<bool> Drain() {
    alignas(inotify_event) char events[4096];
    bool any = false;
    while (true) {
      const auto bytes = Retry([&] { return ::read(events_.get(), events, sizeof events); });
      if (bytes < 0 && errno == EAGAIN) return any;
      if (bytes < 0) return FailWith("watch", directory_, errno);
      any = true;
    }
  }

  const Descriptor events_;
  const std::string directory_;
};

}  // namespace

Result<std::unique_ptr<FolderWatch>> WatchPosixFolder(const std::string& directory) {
  Descriptor events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!events) return std::unique_ptr<FolderWatch>();
  if (::inotify_add_watch(events.get(), directory.c_str(), kChanges) >= 0) {
    return std::make_unique<PosixWatch>(std::move(events), directory);
  }
  if (errno == ENOENT || errno == ENOTDIR) return FailWith("watch", directory, errno);
  return std::unique_ptr<FolderWatch>();
}

}  // namespace varve
