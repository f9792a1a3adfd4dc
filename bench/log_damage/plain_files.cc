// SPDX-License-Identifier: Apache-2.0
// The control: lines of text, synced, without a checksum, a length or a number. It shows that the
// sweep sees silence where there is some. Nobody should keep data like this.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "bench/log_damage/folder.h"
#include "bench/log_damage/system.h"
#include "bench/slice.h"

namespace varve::bench {
namespace {

class PlainFiles final : public System {
 public:
  std::string name() const override { return "control: plain lines"; }
  std::string settings() const override { return "text, fdatasync each commit, no checks at all"; }
  bool IsLog(const std::string&) const override { return true; }

  void Create(const std::string& dir, const std::vector<Commit>&, std::uint64_t) override {
    dir_ = dir;
    NextFile();
  }

  void NextFile() override {
    const auto path = fmt::format("{}/{:03}.txt", dir_, ++files_);
    file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
    if (file_ < 0) Die("cannot make " + path);
  }

  void Apply(const Commit& commit) override {
    std::string lines;
    for (const auto& [key, value] : commit.puts) lines += fmt::format("put {} {}\n", key, value);
    for (const auto& key : commit.deletes) lines += fmt::format("delete {}\n", key);
    const auto written = write(file_, lines.data(), lines.size());
    if (written != static_cast<ssize_t>(lines.size()) || fdatasync(file_) != 0) Die("cannot write");
  }

  Result<State> Read(const std::string& dir) override {
    State state;
    for (const auto& [path, bytes] : ReadFolder(dir)) {
      std::istringstream words(bytes);
      std::string verb, key, value;
      while (words >> verb >> key) {
        if (verb == "delete") state.erase(key);
        else if (words >> value) state[key] = value;
      }
    }
    return state;
  }

 private:
  std::string dir_;
  int files_ = 0;
  int file_ = -1;
};

}  // namespace

void AddPlainFiles(Systems* systems) { systems->push_back(std::make_unique<PlainFiles>()); }

}  // namespace varve::bench
