// SPDX-License-Identifier: Apache-2.0
#include "engine/data_key.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "base/result.h"
#include "engine/environment.h"
#include "manifest/manifest.h"

namespace varve {
namespace {

constexpr int kFoldersMax = 4;  // data/<table>/_deletes/ and the database's own

// The database's folder above the file: the first that has a manifest. Empty: there is none.
std::string FolderAbove(Files* files, const std::string& path) {
  std::string folder = ParentPath(path);
  for (int i = 0; i < kFoldersMax; ++i, folder = ParentPath(folder)) {
    const auto info = files->Info(JoinPath(folder, "manifest"));
    if (info && info->is_directory) return folder;
  }
  return {};
}

std::optional<std::string> KeyIn(const TableState& table, std::string_view name) {
  for (const auto& run : table.runs) {
    if (run->data.name == name) return run->data.file_key;
    if (run->deletes.name == name) return run->deletes.file_key;
  }
  return std::nullopt;
}

std::optional<std::string> KeyIn(const ManifestState& state, std::string_view name) {
  for (const auto& [table_name, table] : state.tables) {
    if (auto key = KeyIn(*table, name)) return key;
  }
  for (const auto& [id, table] : state.dropped) {
    if (auto key = KeyIn(*table, name)) return key;
  }
  for (const VersionPoint& version : state.versions) {
    if (version.times && TimesName(version.commit) == name) return version.times->file_key;
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> FindDataKey(const std::string& path, KeyProvider* keys,
                                const Components& components) {
  const std::string folder = FolderAbove(Environment(components, path).files(), path);
  if (folder.empty()) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("'{}' does not lie in a database, whose manifest would have its key",
                            path));
  }
  Environment environment(components, folder, keys);
  VARVE_ASSIGN(const auto manifest, Manifest::Open(environment.store(), keys));
  const std::string_view name = std::string_view(path).substr(folder.size() + 1);
  auto key = KeyIn(*manifest->state(), name);
  if (key) return *std::move(key);
  return Fail(ErrorKind::kNotFound,
              fmt::format("the newest manifest of '{}' does not name '{}', so nothing has its key",
                          folder, name));
}

Result<std::string> DataKeyOf(const std::string& path, KeyProvider* keys,
                              const Components& components) {
  VARVE_ASSIGN(auto key, FindDataKey(path, keys, components));
  if (!key.empty()) return key;
  return Fail(ErrorKind::kNotFound, fmt::format("'{}' is not encrypted", path));
}

}  // namespace varve
