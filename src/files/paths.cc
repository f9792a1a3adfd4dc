// SPDX-License-Identifier: Apache-2.0
// What every implementation of Files shares: paths, folders, whole files.
#include "base/result.h"
#include "files/create_directories.h"
#include "files/files.h"

namespace varve {
namespace {

std::string_view WithoutTrailingSlashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

Result<std::unique_ptr<FolderWatch>> Files::Watch(const std::string&) {
  return std::unique_ptr<FolderWatch>();
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (path.empty() || path.back() != '/') path += '/';
  return path.append(name);
}

std::string ParentPath(std::string_view path) {
  const auto trimmed = WithoutTrailingSlashes(path);
  const auto slash = trimmed.rfind('/');
  if (slash == std::string_view::npos) return ".";
  const auto parent = WithoutTrailingSlashes(trimmed.substr(0, slash));
  return parent.empty() ? "/" : std::string(parent);
}

Result<std::string> ReadWholeFile(Files* files, const std::string& path) {
  VARVE_ASSIGN(const auto file, files->Open(path, OpenMode::kRead));
  VARVE_ASSIGN(const auto size, file->Size());
  std::string bytes(size, '\0');
  VARVE_ASSIGN(const auto read, file->ReadAt(0, size, bytes.data()));
  bytes.resize(read);
  return bytes;
}

Status CreateDirectoriesWith(const std::string& directory, const FolderCalls& calls) {
  const std::string path(WithoutTrailingSlashes(directory));
  const auto parent = ParentPath(path);
  VARVE_ASSIGN(const bool exists, calls.exists(path));
  if (!exists) {
    VARVE_TRY(CreateDirectoriesWith(parent, calls));
    VARVE_TRY(calls.make(path));
    return calls.sync(parent);
  }
  auto synced = calls.sync(parent);
  // Whoever may not even open the parent has not made this folder.
  if (!synced && synced.error().reason() == ErrorReason::kPermission) return {};
  return synced;
}

}  // namespace varve
