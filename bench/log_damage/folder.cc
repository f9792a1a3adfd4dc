// SPDX-License-Identifier: Apache-2.0
#include "bench/log_damage/folder.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "bench/slice.h"

namespace varve::bench {

namespace fs = std::filesystem;

Folder ReadFolder(const std::string& dir) {
  Folder folder;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    const auto path = fs::relative(entry.path(), dir).string();
    if (entry.is_directory()) {
      folder[path + "/"];
      continue;
    }
    std::ifstream in(entry.path(), std::ios::binary);
    folder[path] = std::string(std::istreambuf_iterator<char>(in), {});
    if (!in.good()) Die("cannot read " + entry.path().string());
  }
  return folder;
}

void WriteFolder(const std::string& dir, const Folder& folder) {
  fs::remove_all(dir);
  fs::create_directories(dir);
  for (const auto& [path, bytes] : folder) {  // a folder sorts before what is in it
    const auto full = dir + "/" + path;
    if (path.ends_with('/')) {
      fs::create_directory(full);
      continue;
    }
    std::ofstream out(full, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!out.flush()) Die("cannot write " + full);
  }
}

}  // namespace varve::bench
